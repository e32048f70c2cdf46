/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Kernel memory for domains: top accounts made from ram, from which each domain's account is carved. A top
 * account that has no children goes back to ram. Used by root's main thread only.
 */
#ifndef ROOT_POOL_H
#define ROOT_POOL_H

#include <stdint.h>

struct pool;

/* Creates an account of `pages` pages at selector `dst`; *pool is where it came from. Gives the call's status. */
uint64_t pool_take(uint32_t dst, uint64_t pages, struct pool **pool) __attribute__((warn_unused_result));

/* After the account was destroyed. */
void pool_give(struct pool *pool);

/* Pages that no domain's account holds. */
uint64_t pool_left(void);

#endif
