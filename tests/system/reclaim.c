/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Revocation, destruction and the reuse of memory beside others that do their worst, on three CPUs. On Bochs: it changes
 * between CPUs after a few instructions, however busy the machine is that it runs on, so what is counted can be relied on,
 * and windows of a few instructions are hit.
 */

#include "workload.h"

#include <criterion/criterion.h>

Test(reclaim, escalation_and_waiting_bochs)
{
    struct machine m;

    machine_start_bochs(&m, "reclaim-bochs", ISO("reclaim"), 3);
    workload_expect_passed(&m, "reclaim", "");
    machine_expect_end(&m, 0, SECONDS);
}
