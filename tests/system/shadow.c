/* SPDX-License-Identifier: GPL-2.0-only */
/* Guests where the hardware does not walk second-level tables, so that the hypervisor does. */

#include "workload.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#define SMALL_DISK_FILES 42
#define DISK_FILES_MIN 50

#define SVM "-cpu", "EPYC,+svm,npt=off"
#define VMX "core2_penryn_t9600" /* VT-x without EPT */

static void linux_runs(struct machine *m, unsigned cpus, unsigned files)
{
    workload_expect_shell(m);
    workload_expect_cpus(m, cpus);
    workload_expect_files(m, files, 1);
    workload_power_off(m);
}

Test(shadow, linux_on_svm)
{
    struct machine m;

    machine_start_qemu(&m, "shadow-svm", ISO("shadow"), (const char *const[]){SVM, "-smp", "1", NULL});
    machine_expect(&m, "virtual CPUs: AMD-V on shadow page tables", SECONDS);
    linux_runs(&m, 1, SMALL_DISK_FILES);
}

/* Two virtual CPUs that flush each other's translations. */
Test(shadow, linux_on_svm_with_2_cpus)
{
    struct machine m;

    machine_start_qemu(&m, "shadow-svm-2", ISO("run"), (const char *const[]){SVM, NULL});
    machine_expect(&m, "virtual CPUs: AMD-V on shadow page tables", SECONDS);
    linux_runs(&m, 2, DISK_FILES_MIN);
}

/* What exits tell, in real mode, protected mode and long mode, is the same as with second-level tables. */
Test(shadow, exits_on_svm)
{
    struct machine m;

    machine_start_qemu(&m, "shadow-exits-svm", ISO("exittest"), (const char *const[]){SVM, NULL});
    workload_expect_passed(&m, "exittest", ", on AMD-V");
    machine_expect_end(&m, 0, SECONDS);
}

Test(shadow, linux_on_vmx)
{
    struct machine m;

    setenv("MODEL", VMX, 1);
    machine_start_bochs(&m, "shadow-vmx", ISO("shadow"), 1);
    machine_expect(&m, "virtual CPUs: VT-x on shadow page tables", SECONDS);
    linux_runs(&m, 1, SMALL_DISK_FILES);
}

/* There is no real mode on such a processor. The other modes are tried by name: what is not told apart here is on QEMU. */
Test(shadow, exits_on_vmx)
{
    struct machine m;

    setenv("MODEL", VMX, 1);
    machine_start_bochs(&m, "shadow-exits-vmx", ISO("exittest"), 1);
    machine_expect(&m, "cannot be entered: real mode needs VT-x with unrestricted guests", SECONDS);
    machine_expect(&m, "test hostile (64 bits): ok", MINUTES);
    for (unsigned mode = 0; mode < 3; mode++) {
        static const char *const tests[] = {"control_registers", "memory_read", "memory_write", "memory_exec", "memory_rights",
                                            "delivery_stack", "inject_soft", "delivery_injected_soft", "hostile"};
        static const char *const modes[] = {"32 bits", "32 bits, paging", "64 bits"};

        for (unsigned i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
            char line[80];

            snprintf(line, sizeof(line), "test %s (%s): ok", tests[i], modes[mode]);
            cr_assert(machine_said(&m, line), "no %s", line);
        }
    }
    cr_assert(machine_said(&m, "test memory_table (32 bits, paging): ok") && machine_said(&m, "test memory_table (64 bits): ok"));
    machine_stop(&m);
}

Test(shadow, tiny_guests_on_svm)
{
    struct machine m;

    machine_start_qemu(&m, "shadow-tiny-svm", ISO("tiny"), (const char *const[]){SVM, NULL});
    workload_expect_tiny(&m);
    machine_expect_end(&m, 3, SECONDS);
}

Test(shadow, tiny_guests_on_vmx)
{
    struct machine m;

    setenv("MODEL", VMX, 1);
    machine_start_bochs(&m, "shadow-tiny-vmx", ISO("tiny"), 1);
    workload_expect_tiny(&m);
    machine_expect_end(&m, 0, SECONDS); /* no exit port there: the system switches itself off */
}
