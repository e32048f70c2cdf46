/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * All interleavings of two or three sides that share memory, on a machine with store buffers (x86: SDM 3A, 9.2.3). The
 * code under test is the project's, compiled with -fsanitize=thread: the compiler calls a function for each atomic and
 * each plain access, and orders.c has these functions. See docs/testing.md for what that finds and what it cannot.
 */
#ifndef ORDERS_H
#define ORDERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ORDERS_SIDES 3u

struct orders {
    unsigned count;                    /* sides */
    void (*begin)(void);               /* makes the world; what instrumented code wrote in the last run is undone before */
    void (*side[ORDERS_SIDES])(void);
    void (*end)(void);                 /* all sides are done, all stores are out; NULL: nothing to be looked at */
    /* Memory that is at one address for every side, but another one's for each (`cpu`). NULL: none. */
    void *common, *own[ORDERS_SIDES];
    size_t common_size;
    /* Memory in which plain accesses count as well as atomic ones. */
    struct {
        const void *at;
        size_t size;
    } shared[4];
};

/* Searches all interleavings; the test fails with the way to it if one goes wrong, or if sides wait for ever. */
void orders_search(const struct orders *o);

/* For the sides and end(). */
unsigned orders_side(void);                          /* which one runs */
void orders_require(bool holds, const char *what);
void orders_pause(void);                             /* it has seen nothing new, and waits until another side has written */
__attribute__((noreturn)) void orders_leave(void);   /* this side is done */

#endif
