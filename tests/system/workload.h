/* SPDX-License-Identifier: GPL-2.0-only */
/* What the workloads of the ISOs say when all is well; several tests run the same one on different machines. */
#ifndef WORKLOAD_H
#define WORKLOAD_H

#include "machine.h"

/* Linux has booted and its shell waits for commands. */
void workload_expect_shell(struct machine *m);

/* That shell says so many virtual CPUs. */
void workload_expect_cpus(struct machine *m, unsigned cpus);

/* Has the files of the disk compared with the sums that their maker took: at least so many files and MiB are there. */
void workload_expect_files(struct machine *m, unsigned files, unsigned mib);

/* `poweroff`, and the machine ends as it should. */
void workload_power_off(struct machine *m);

/* The test task NAME says: so many passed, more than none, 0 failed; and then `behind`. */
void workload_expect_passed(struct machine *m, const char *name, const char *behind);

/* Several guests whose vCPUs share CPUs have ended, and one of them of a triple fault. */
void workload_expect_tiny(struct machine *m);

#endif
