/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * In the steady state the VMM is not involved: guests print how often they left guest mode, as the hypervisor
 * counts it.
 */

#include "machine.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define REQUESTS 1024ul /* 64 MiB in 64 KiB each */
#define EXITS_PER_REQUEST 0.05

Test(load, read_and_compute)
{
    struct machine m;
    unsigned long exits, requests, ticks, interrupts, calls, windows, halts;
    double mib;
    const char *line;

    machine_start_qemu(&m, "load", ISO("load"), NULL);
    line = machine_expect_line(&m, "[computes] compute: ", MINUTES);
    cr_assert_eq(sscanf(line, "%lu timer interrupts, %lu exits to the VMM, %lu interrupts, %lu hypercalls, %lu windows, %lu halts",
                        &ticks, &exits, &interrupts, &calls, &windows, &halts), 6, "%s", line);
    cr_log_info("computing: %s", line);
    cr_expect_gt(ticks, 0);
    cr_expect_eq(exits, 0, "computing: %s", line);
    /* A tick may take the timer's interrupt and the hypercall that sets the next one, and half as much again. */
    cr_expect_leq(interrupts + calls + windows + halts, 3 * ticks, "computing: %s", line);

    m.seen = 0;
    line = machine_expect_line(&m, "[reads] read: ", MINUTES);
    if (!strncmp(line, "begins", 6))
        line = machine_expect_line(&m, "[reads] read: ", MINUTES);
    cr_assert_eq(sscanf(line, "%lu exits to the VMM", &exits), 1, "%s", line);
    line = machine_expect_line(&m, "[reads] read: ends, ", SECONDS);
    cr_assert_eq(sscanf(line, "%lu requests, %lf MiB", &requests, &mib), 2, "%s", line);
    cr_assert(requests >= REQUESTS && requests <= REQUESTS + REQUESTS / 10 && mib >= 64, "%s", line);
    cr_log_info("reading: %.4f exits to the VMM per request", (double)exits / (double)requests);
    cr_expect_leq((double)exits / (double)requests, EXITS_PER_REQUEST, "%lu exits for %lu requests", exits, requests);
    machine_expect_end(&m, 0, SECONDS);
}
