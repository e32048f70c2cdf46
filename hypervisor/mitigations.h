/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Defences against flaws of processors in speculative execution (flaws.h): which are in effect, and those that are an
 * action at a border. The others are chosen at boot: the entry code (entry.S, entry_guarded.S, entry_roots.S) and what
 * control registers say. docs/security.md
 */
#ifndef MITIGATIONS_H
#define MITIGATIONS_H

#include "flaws.h"

extern u32 defences; /* DEFENCE() bits in effect; constant after boot */

/* Those for which the entry code differs, with or without a second root. */
#define DEFENCES_ENTRY (DEFENCE(ROOTS) | DEFENCE(VERW) | DEFENCES_SWITCH)

/* Another domain will run on this CPU: it inherits no predictions, and no quotient. */
#define DEFENCES_SWITCH (DEFENCE(IBPB) | DEFENCE(RSB) | DEFENCE(DIV))

/* A guest is about to run: svm_entry.S, vmx_entry.S. */
#define DEFENCES_GUEST (DEFENCE(VERW) | DEFENCE(L1D))

static inline bool defends(u32 any)
{
    return defences & any;
}

/* Boot CPU, when the command line is known. */
void mitigations_probe(void);

/* This CPU: turns on what is a setting. False: it does not have what the boot CPU has. */
bool mitigations_cpu_init(void);

/* What there is, and what is missing, for the log. */
void mitigations_greet(void);

/* What the boot CPU says about itself. */
const struct cpu_facts *mitigations_facts(void);

/* The command line's word: sibling hyperthreads stay parked. */
bool mitigations_one_thread(void);

/* entry_barrier.S: DEFENCES_SWITCH, as far as they are in effect; DEFENCE(RSB) alone. They keep all registers. */
void mitigations_barrier(void);
void mitigations_fill_rsb(void);

#endif
