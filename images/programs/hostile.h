/* SPDX-License-Identifier: GPL-2.0-only */
/* What the parts of the test of /dev/corbel share. */
#ifndef HOSTILE_H
#define HOSTILE_H

#include "corbel.h"

#include <stdbool.h>
#include <stdint.h>

/* Counts a check, and says so if it failed: the result must be what is wanted; -1 and errno are one number, -errno. */
void check(const char *what, long result, long wanted);

long request(int set, unsigned long number, void *argument);
uint32_t get(int set, const char *name);
uint64_t from_now(uint64_t ns);

/*
 * Words of the link's memory through which the ends of the test talk: in its last page, which ipcbench does not use. The
 * first says what side 1 is to do; the second counts its signals.
 */
volatile uint64_t *flag_of(const struct corbel_link *link);
#define FLAG_DONE 0x646f6e65u
#define FLAG_FLOOD 0x666c6f64u

/* Requests: what is wrong with them, and what they must answer. */
void test_requests(void);
void test_calls(void);
void test_links(void);
void test_eventfds(void);
void test_memory(void);
void test_passing(void);

/* More signals than anybody can take: side 0 is to bear them, side 1 sends them as long as it is to. */
void test_flood(struct corbel_link *link);
void flood(struct corbel_link *link);

/* All of them at once and at random, from several threads. */
void test_storm(uint64_t seed);

#endif
