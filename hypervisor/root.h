/* SPDX-License-Identifier: GPL-2.0-only */
/* The first task: gets everything that the hypervisor does not need for itself. */
#ifndef ROOT_H
#define ROOT_H

/* Boot CPU, when all CPUs are up: makes root out of the first module, ready to run. Panics if that is impossible. */
void root_start(void);

#endif
