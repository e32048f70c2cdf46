/* SPDX-License-Identifier: GPL-2.0-only */
/* Stands in for the machine in unit tests: physical memory is an arena, there is one CPU. */
#ifndef FAKE_H
#define FAKE_H

#include "account.h"
#include "domain.h"
#include "types.h"

#define FAKE_MEMORY (64ull << 20)

/* Empties the tree, and makes a fresh arena (of garbage, so that nobody relies on zeroes). */
void fake_init(void);

/* A top account of `pages` pages at `base` of the arena, with a first capability outside any domain. */
struct account *fake_account(u64 base, u64 pages);

/* A native domain with a capability to itself at selector `sel`. */
struct domain *fake_domain(struct account *a, u32 sel);

/* A small generator, so that a failure can be repeated: seeded by the environment's SEED, printed once. */
u64 fake_random(void);
u64 fake_below(u64 limit);

#endif
