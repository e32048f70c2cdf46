/* SPDX-License-Identifier: GPL-2.0-only */
/* Machines that are not like the others: with many CPUs, or without what most have. */

#include "workload.h"

#include <criterion/criterion.h>

/* What is missing is said, on the serial line, by a CPU that cannot go far. */
static void expect_panic(const char *name, const char *cpu, const char *reason)
{
    struct machine m;

    machine_start_qemu(&m, name, ISO("calltest"), (const char *const[]){"-cpu", cpu, NULL});
    machine_expect(&m, reason, SECONDS);
    machine_stop(&m);
}

Test(platform, no_nx)
{
    expect_panic("platform-no-nx", "EPYC,+svm,+npt,-nx", "hypervisor: panic: CPU 0: the CPU lacks NX");
}

Test(platform, not_64_bit)
{
    expect_panic("platform-32-bit", "qemu32", "hypervisor: panic: this is not a 64-bit CPU");
}

/* All that the hypervisor can have: root has a handler on each, the console takes root as a client, domains start. */
Test(platform, cpus_64)
{
    struct machine m;

    machine_start_qemu(&m, "platform-cpus-64", ISO("calltest"), (const char *const[]){"-smp", "64", NULL});
    machine_expect(&m, "corbel: 64 CPUs, ", SECONDS);
    machine_expect(&m, "[calltest] test ", SECONDS);
    workload_expect_passed(&m, "calltest", "");
    machine_expect_end(&m, 0, SECONDS);
}

/* Not quite as many: enough memory for a part of it was as bad. */
Test(platform, cpus_60)
{
    struct machine m;

    machine_start_qemu(&m, "platform-cpus-60", ISO("calltest"), (const char *const[]){"-smp", "60", NULL});
    machine_expect(&m, "corbel: 60 CPUs, ", SECONDS);
    machine_expect(&m, "[calltest] test ", SECONDS);
    machine_stop(&m);
}

static void expect_clock(const char *name, const char *machine, const char *source)
{
    struct machine m;

    machine_start_qemu(&m, name, ISO("linked"), (const char *const[]){"-machine", machine, NULL});
    machine_expect(&m, "corbel: 2 CPUs, ", SECONDS);
    machine_expect(&m, source, SECONDS);
    machine_expect(&m, "left] linked: ok", SECONDS);
    machine_expect_end(&m, 0, SECONDS);
    cr_assert(!machine_said(&m, "smp: "), "no CPU is refused");
}

/* The ports read as if the PIT had counted to its end at once. */
Test(platform, no_pit)
{
    expect_clock("platform-no-pit", "q35,pit=off", "kHz (HPET)");
}

Test(platform, no_pit_no_hpet)
{
    expect_clock("platform-no-hpet", "q35,pit=off,hpet=off", "kHz (PM timer)");
}

/* It would keep back the interrupts of the I/O APIC, which are not in its table. */
Test(platform, remapping_left_on)
{
    struct machine m;

    machine_start_qemu(&m, "platform-remapping", ISO("firmware"),
                       (const char *const[]){"-machine", "q35,kernel-irqchip=off", "-device", "intel-iommu,intremap=on", NULL});
    machine_expect(&m, "iommu: the firmware has left the one at fed90000 on: turned off", SECONDS);
    machine_expect(&m, "left] linked: ok", SECONDS);
    machine_expect_end(&m, 0, SECONDS);
}

/* An interrupt that firmware has taken and not ended would keep back all others of its priority: the hypervisor's own. */
Test(platform, interrupt_left_in_service)
{
    struct machine m;

    machine_start_qemu(&m, "platform-in-service", ISO("firmware"), NULL);
    machine_expect(&m, "left] linked: ok", SECONDS);
    machine_expect_end(&m, 0, SECONDS);
}
