/* SPDX-License-Identifier: GPL-2.0-only */
/* Exits of vCPUs, on AMD-V and on VT-x: one test task checks both. See shadow.c for shadow page tables. */

#include "machine.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static void passes(struct machine *m, const char *wanted, int seconds)
{
    const char *result = machine_expect_line(m, "] exittest: ", seconds);
    char *rest;
    long passed = strtol(result, &rest, 10);

    cr_assert(passed > 0 && !strcmp(rest, wanted), "%s: %s; see its log", m->name, result);
}

Test(exits, qemu)
{
    struct machine m;

    machine_start_qemu(&m, "exits-qemu", ISO("exittest"), (const char *const[]){"-smp", "1", NULL});
    machine_expect(&m, "cannot be entered: the machine has no virtual APIC", 300);
    passes(&m, " passed, 0 failed, on AMD-V", 300);
    machine_expect_end(&m, 0, 60);
}

Test(exits, bochs)
{
    struct machine m;

    machine_start_bochs(&m, "exits-bochs", ISO("exittest"), 1);
    machine_expect(&m, "cannot be entered: a virtual APIC needs exits for HLT", 600);
    passes(&m, " passed, 0 failed, on VT-x", 600);
    machine_expect_end(&m, 0, 60);
}
