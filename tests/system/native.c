/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The native test task checks every call of the table from inside. It runs on QEMU, and on Bochs for what
 * QEMU lacks (x2APIC, TSC-deadline, PCID).
 */

#include "machine.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static void passes(struct machine *m, int seconds)
{
    const char *result = machine_expect_line(m, "] calltest: ", seconds);
    char *rest;
    long passed = strtol(result, &rest, 10);

    cr_assert(passed > 0 && !strcmp(rest, " passed, 0 failed"), "%s: %s; see its log", m->name, result);
}

Test(native, qemu_1_cpu)
{
    struct machine m;

    machine_start_qemu(&m, "native-qemu-1", ISO("calltest"), (const char *const[]){"-smp", "1", NULL});
    passes(&m, 300);
    machine_expect_end(&m, 0, 60);
}

Test(native, qemu_2_cpus)
{
    struct machine m;

    machine_start_qemu(&m, "native-qemu-2", ISO("calltest"), NULL);
    passes(&m, 300);
    machine_expect_end(&m, 0, 60);
}

/* What can meet, meets: here the CPUs of the machine really run at the same time. */
Test(native, stress)
{
    struct machine m;

    machine_start_qemu(&m, "native-stress", ISO("stress"), NULL);
    machine_expect(&m, "stress: ok", 120);
    machine_expect_end(&m, 0, 60);
}

Test(native, bochs_1_cpu)
{
    struct machine m;

    machine_start_bochs(&m, "native-bochs-1", ISO("calltest"), 1);
    passes(&m, 600);
    machine_stop(&m);
}

Test(native, bochs_2_cpus)
{
    struct machine m;

    machine_start_bochs(&m, "native-bochs-2", ISO("calltest"), 2);
    passes(&m, 900);
    machine_stop(&m);
}
