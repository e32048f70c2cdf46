/* SPDX-License-Identifier: GPL-2.0-only */
/* The parts of the search between themselves: none of them is compiled with -fsanitize=thread. */
#ifndef ORDERS_INNER_H
#define ORDERS_INNER_H

#include "orders.h"

typedef uintptr_t word;

static inline uint64_t mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * 0x9e3779b97f4a7c15ull;
    return h ^ h >> 29;
}

/* orders.c: the side that runs accesses memory, in the code at `pc`; none runs: nothing. */
void access_plain_read(const void *at, size_t size, const void *pc);
void access_plain_write(void *at, size_t size, const void *pc); /* just before it does */
void access_load(const void *at, size_t size, const void *pc);
void access_exchange(void *at, size_t size, const void *pc);
void access_changes(void); /* what it exchanges, has another value then */
void access_store(void *at, size_t size, const void *value, int order, const void *pc);
void access_fence(void);
void access_none(void); /* but it does something */

/* orders_words.c: words that are about to be written in this run, so that it can be undone. */
void words_note(const char *at, size_t size);
void words_undo(void);
uint64_t words_state(void); /* differs if they do, whatever the way there */

/* Words that one side accesses and another one writes: the accesses to all others can be in any order. */
bool words_contended(const char *at, size_t size, unsigned side, bool write);
void words_forget(void);
extern bool words_learnt; /* one that was not known */

#endif
