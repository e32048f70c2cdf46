/* SPDX-License-Identifier: GPL-2.0-only */
/* Exits of vCPUs, on AMD-V and on VT-x: one test task checks both. See shadow.c for shadow page tables. */

#include "workload.h"

#include <criterion/criterion.h>

Test(exits, qemu)
{
    struct machine m;

    machine_start_qemu(&m, "exits-qemu", ISO("exittest"), (const char *const[]){"-smp", "1", NULL});
    machine_expect(&m, "cannot be entered: the machine has no virtual APIC", MINUTES);
    workload_expect_passed(&m, "exittest", ", on AMD-V");
    machine_expect_end(&m, 0, SECONDS);
}

Test(exits, bochs)
{
    struct machine m;

    machine_start_bochs(&m, "exits-bochs", ISO("exittest"), 1);
    machine_expect(&m, "cannot be entered: a virtual APIC needs exits for HLT", MINUTES);
    workload_expect_passed(&m, "exittest", ", on VT-x");
    machine_expect_end(&m, 0, SECONDS);
}
