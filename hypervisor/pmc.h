/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A counter of retired instructions that user level may read with RDPMC, if the boot option pmc=on asks for it. It
 * counts everything that runs on its CPU, whoever it belongs to, so it is a side channel, and off by default.
 */
#ifndef PMC_H
#define PMC_H

#include "types.h"

/* Boot CPU, before pmc_cpu_init(): looks for the option and for a counter. */
void pmc_probe(void);

/* This CPU: starts the counter and opens it, if there is one. */
void pmc_cpu_init(void);

/* CB_FEATURE_* (corbel/boot.h) that tells user level of the counter; 0: there is none. */
u64 pmc_feature(void);

#endif
