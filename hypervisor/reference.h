/* SPDX-License-Identifier: GPL-2.0-only */
/* Counters of known frequency, for measuring the TSC at boot. */
#ifndef REFERENCE_H
#define REFERENCE_H

#include "types.h"

enum reference_kind { REFERENCE_HPET, REFERENCE_PM_TIMER, REFERENCE_PIT, REFERENCE_COUNT };

struct reference {
    enum reference_kind kind;
    const char *name;
    u64 hz;
    u32 mask;            /* the bits that count */
    volatile u32 *hpet;
    u32 hpet_before;     /* its configuration */
};

/* Starts it. False: this machine has none. */
bool reference_start(enum reference_kind kind, struct reference *r) MUST_CHECK;
void reference_stop(const struct reference *r);

/* Counts up; only differences, modulo the mask, mean anything. */
u32 reference_read(const struct reference *r);

#endif
