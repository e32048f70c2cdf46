/* SPDX-License-Identifier: GPL-2.0-only */
/* Errata of timers: which processors have them. Pure logic; timer.c does something about them. */
#ifndef ERRATA_H
#define ERRATA_H

#include "flaws.h"

/* The TSC deadline timer loses interrupts with this microcode. */
bool errata_deadline(const struct cpu_facts *f);

/* In the idle state C1E, into which the processor goes by itself when all cores halt, the APIC's timer stops. */
bool errata_c1e(const struct cpu_facts *f);

#endif
