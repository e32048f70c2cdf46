/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * In the steady state, the VMM is not involved. Three guests that are alike boot, do something, and power off; root
 * prints how many exits the hypervisor counted as delivered to each VMM.
 */

#include "machine.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#define REQUESTS 1024 /* 64 MiB in 64 KiB each */
#define EXITS_PER_REQUEST 0.05
#define COMPUTE_EXITS 10

static unsigned long exits(struct machine *m, const char *name)
{
    char text[64];
    unsigned long count;

    snprintf(text, sizeof(text), "root: %s: powered off: exits to the VMM: ", name);
    m->seen = 0; /* in any order */
    count = strtoul(machine_expect_line(m, text, 400), NULL, 10);
    cr_assert_gt(count, 0, "%s: no exits at all", name);
    return count;
}

Test(load, exits_to_the_vmm)
{
    struct machine m;
    long reads, idles, computes;

    machine_start_qemu(&m, "read", ISO("read"), NULL);
    machine_expect(&m, "[reads] read: ends, 1024 requests, 64 MiB", 400);
    reads = (long)exits(&m, "reads");
    computes = (long)exits(&m, "computes");
    idles = (long)exits(&m, "idles");
    cr_log_info("%.4f exits to the VMM per request; %ld for computing", (double)(reads - idles) / REQUESTS,
                computes - idles);
    cr_assert_leq((double)(reads - idles) / REQUESTS, EXITS_PER_REQUEST, "%ld exits while reading, %ld idle", reads, idles);
    cr_assert_leq(computes - idles, COMPUTE_EXITS, "%ld exits while computing, %ld idle", computes, idles);
    machine_expect_end(&m, 0, 120);
}
