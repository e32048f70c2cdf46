/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A CPU's queue of timers: a balanced tree, so that no number of timers makes an operation long.
 * Used by the owning CPU only.
 */
#ifndef TIMERQ_H
#define TIMERQ_H

#include "types.h"

enum timer_kind { TIMER_WAIT, TIMER_VCPU, TIMER_REFILL };

struct timer {
    u64 when;             /* TSC */
    struct timer *child[2];
    struct timer *parent;
    u8 kind;              /* enum timer_kind */
    u8 queued;
    u32 rank;             /* timerq.c */
};

struct timerq {
    struct timer *root;
    struct timer *first;  /* the earliest, NULL if empty */
};

void timerq_insert(struct timerq *q, struct timer *t, u64 when); /* t is not queued */
void timerq_remove(struct timerq *q, struct timer *t);           /* queued or not */

#endif
