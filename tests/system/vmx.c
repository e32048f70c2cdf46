/* SPDX-License-Identifier: GPL-2.0-only */
/* Guests on VT-x, which Bochs emulates: what QEMU shows of them on AMD-V, in small. */

#include "workload.h"

#include <criterion/criterion.h>

#define FILES_MIN 42

/* Several guests take turns on one CPU. The same on both vendors' hardware. */
Test(vmx, tiny_guests_on_svm)
{
    struct machine m;

    machine_start_qemu(&m, "tiny-qemu", ISO("tiny"), NULL);
    workload_expect_tiny(&m);
    machine_expect_end(&m, 3, SECONDS);
}

Test(vmx, tiny_guests)
{
    struct machine m;

    machine_start_bochs(&m, "tiny-bochs", ISO("tiny"), 1);
    machine_expect(&m, "virtual CPUs: VT-x", SECONDS);
    workload_expect_tiny(&m);
    machine_expect_end(&m, 0, SECONDS); /* it has no exit port: the system switches itself off */
}

static void linux_runs(struct machine *m)
{
    machine_expect(m, "virtual CPUs: VT-x", SECONDS);
    workload_expect_shell(m);
    workload_expect_cpus(m, 2);
    workload_expect_files(m, FILES_MIN, 1);
    workload_power_off(m);
}

/* Two virtual CPUs on as many CPUs: their timers, their interrupts of each other, a disk. */
Test(vmx, linux_on_2_cpus)
{
    struct machine m;

    machine_start_bochs(&m, "linux-bochs-2", ISO("bochs"), 2);
    linux_runs(&m);
}

/* On one CPU, which their VMCSs and registers then have to share. */
Test(vmx, linux_on_1_cpu)
{
    struct machine m;

    machine_start_bochs(&m, "linux-bochs-1", ISO("bochs"), 1);
    linux_runs(&m);
}
