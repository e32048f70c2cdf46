/* SPDX-License-Identifier: GPL-2.0-only */
/* Guests on VT-x, which Bochs emulates: what QEMU shows of them on AMD-V, in small. */

#include "machine.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define BOOT_SECONDS 600
#define FILES 42

/* Several guests take turns on one CPU: none may find another's registers. The same on both vendors' hardware. */
static void tiny_guests(struct machine *m)
{
    machine_expect(m, "root: failed: fault: crashed: triple fault at rip 0x2", 300);
    cr_assert(machine_said(m, "root: one: powered off"));
    cr_assert(machine_said(m, "root: two: powered off"));
}

Test(vmx, tiny_guests_on_svm)
{
    struct machine m;

    machine_start_qemu(&m, "tiny-qemu", ISO("tiny"), NULL);
    tiny_guests(&m);
    machine_expect_end(&m, 3, 60);
}

Test(vmx, tiny_guests)
{
    struct machine m;

    machine_start_bochs(&m, "tiny-bochs", ISO("tiny"), 1);
    machine_expect(&m, "virtual CPUs: VT-x", 120);
    tiny_guests(&m);
    machine_expect_end(&m, 0, 60); /* it has no exit port: the system switches itself off */
}

static void linux_runs(struct machine *m)
{
    unsigned good = 0, all = 0;

    machine_expect(m, "virtual CPUs: VT-x", 120);
    machine_expect(m, "corbel-guest: ready, Linux 6.12", BOOT_SECONDS);
    machine_expect(m, "# ", 60);
    machine_send(m, "nproc\n");
    machine_expect(m, "nproc\r\n2\r\n", 60);
    machine_send(m, "sh /tests/files\n");
    sscanf(machine_expect_line(m, "\nfiles: ", 600), "%u of %u files are as they were made", &good, &all);
    cr_assert(good == FILES && all == FILES, "%u of %u files", good, all);
    machine_send(m, "poweroff\n");
    machine_expect(m, "root: all domains have ended, switching off", 120);
    machine_expect_end(m, 0, 60);
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
