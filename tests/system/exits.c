/* SPDX-License-Identifier: GPL-2.0-only */
/* Exits of vCPUs, on AMD-V and on VT-x: one test task checks both. See shadow.c for shadow page tables. */

#include "monitor.h"
#include "workload.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define ALL "test=                " /* in boot/exittest.dts; written over in a copy of the ISO */

/* A copy of the ISO, for tests whose name begins like that. Valid until the next call. */
static const char *iso_choose(const char *name, const char *as, const char *test)
{
    static char iso[128];
    char options[sizeof(ALL)], built[128];

    snprintf(options, sizeof(options), "test=%-16s", test);
    snprintf(built, sizeof(built), BUILD "/iso/%s.iso", name);
    snprintf(iso, sizeof(iso), BUILD "/logs/%s.iso", as);
    iso_copy(built, iso, ALL, options);
    return iso;
}

Test(exits, qemu)
{
    struct machine m;

    machine_start_qemu(&m, "exits-qemu", ISO("exittest"), (const char *const[]){"-smp", "1", NULL});
    machine_expect(&m, "cannot be entered: the machine has no virtual APIC", MINUTES);
    workload_expect_passed(&m, "exittest", ", on AMD-V");
    machine_expect_end(&m, 0, SECONDS);
}

/* Interrupts come once, though QEMU leaves the guest for its own work at any instruction. */
Test(exits, qemu_counting)
{
    static const char *const options[] = {"-smp", "1", "-icount", "shift=0,sleep=off", NULL};
    struct machine m;

    machine_start_qemu(&m, "exits-counting", iso_choose("exittest", "exits-counting", "inject"), options);
    workload_expect_passed(&m, "exittest", ", on AMD-V");
    machine_expect_end(&m, 0, SECONDS);
}

/* Entries that are refused, without the defences that this processor needs: these empty the FPU's registers. */
Test(exits, bochs_plain)
{
    struct machine m;

    machine_start_bochs(&m, "exits-bochs-plain", iso_choose("exittest-plain", "exits-bochs-plain", "refused"), 1);
    workload_expect_passed(&m, "exittest", ", on VT-x");
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
