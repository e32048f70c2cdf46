/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A task that does its worst by every call, and the task beside it that it should not hurt. They share a page (the link
 * "score"). docs/bounded-work.md says what is made of it.
 */
#ifndef HOSTILE_H
#define HOSTILE_H

#include "corbel.h"
#include "marks.h"

#include <stdbool.h>

#define VICTIM_PRIORITY 50u /* of the victims, and of whoever attacks */
#define BELOW 20u           /* of those who are only there: while a victim runs, they do not */

struct score {
    volatile uint32_t run;          /* victims spin; else they sleep */
    volatile uint32_t spinning[64]; /* of each CPU */
    volatile uint32_t over;         /* the victim may go */
};

/* An attack. One thread on the second CPU makes step after step until its time is over, after a start that does not count. */
struct attack {
    const char *name;
    bool (*start)(void); /* NULL: nothing to prepare. False: not possible here */
    void (*step)(void);
    void (*end)(void);   /* NULL: nothing is left */
};

extern const struct attack attacks_memory[], attacks_threads[]; /* the last one has no name */

extern uint32_t sels;        /* the first of SELS free selectors */
extern uint32_t here, there; /* CPUs: the attacker's, another one */
extern bool with_vcpus;
extern uint64_t size;        /* percent of what is many */

#define SELS 60000u

#endif
