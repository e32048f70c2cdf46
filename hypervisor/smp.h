/* SPDX-License-Identifier: GPL-2.0-only */
/* Starting the other CPUs (SDM 3A, 9.4). */
#ifndef SMP_H
#define SMP_H

/* Starts all CPUs that ACPI names, one after the other; sets cpu_count. */
void smp_start(void);

#endif
