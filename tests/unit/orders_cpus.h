/* SPDX-License-Identifier: GPL-2.0-only */
/* CPUs for searches of interleavings: side n is CPU n, with `cpu` and interrupts of its own. */
#ifndef ORDERS_CPUS_H
#define ORDERS_CPUS_H

#include "cpu.h"
#include "orders.h"

#define CPUS 3u

extern struct cpu cpus[CPUS]; /* their copies while they do not run; from begin(): as they are */

void cpus_init(void);                              /* for begin(): nothing runs there, nothing is to be done */
void cpus_search(struct orders *o, unsigned count); /* orders_search() with `cpu` */
bool cpus_interrupted(void);                       /* takes the interrupt that is pending at this CPU; false: none is */

#endif
