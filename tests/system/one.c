/* SPDX-License-Identifier: GPL-2.0-only */
/* One patched Linux with two virtual CPUs: shell, disk, interrupts, firmware, and what `make run` does around it. */

#include "workload.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILES_MIN 50
#define MIB_MIN 32
#define OVMF "/usr/share/ovmf/OVMF.fd"

/* Rows of /proc/interrupts, the last of which is MIS: event channels may count, and the upcall vector; no others. */
static void expect_only_event_channels(struct machine *m)
{
    unsigned long channels = 0, upcalls = 0;

    machine_expect(m, "CPU1", SECONDS);
    machine_expect(m, "\n", SECONDS);
    for (const char *name = ""; strcmp(name, "MIS");) {
        static char row[256];
        char *rest;
        unsigned long count = 0;

        snprintf(row, sizeof(row), "%s", machine_expect_line(m, "", SECONDS));
        rest = strchr(row, ':');
        cr_assert(rest, "%s: no row of /proc/interrupts: %s", m->name, row);
        *rest++ = 0;
        name = row + strspn(row, " ");
        for (char *next; *rest; rest = next) {
            count += strtoul(rest, &next, 10);
            if (next == rest)
                break;
        }
        if (strstr(rest, "corbel-event"))
            channels += count;
        else if (!strcmp(name, "HYP"))
            upcalls += count;
        else
            cr_assert_eq(count, 0, "%s: %lu interrupts of kind %s: %s", m->name, count, name, rest);
    }
    cr_assert(channels > 0 && upcalls > 0, "%s: %lu events, %lu upcalls", m->name, channels, upcalls);
}

Test(one, shell_disk_interrupts)
{
    struct machine m;

    machine_start_qemu(&m, "linux", ISO("run"), NULL);
    workload_expect_shell(&m);
    workload_expect_cpus(&m, 2);
    workload_expect_files(&m, FILES_MIN, MIB_MIN);
    expect_only_event_channels(&m);
    workload_power_off(&m);
}

Test(one, one_cpu)
{
    struct machine m;

    machine_start_qemu(&m, "linux-1-cpu", ISO("run"), (const char *const[]){"-smp", "1", NULL});
    workload_expect_shell(&m);
    workload_expect_cpus(&m, 2);
    workload_power_off(&m);
}

/*
 * As many interrupts as a disk can bring, on one CPU, while QEMU leaves the guest for its own work after each so many
 * instructions: what it delivers twice, a Linux does not survive (docs/testing.md).
 */
Test(one, reads_counting)
{
    struct machine m;

    machine_start_qemu(&m, "linux-counting", ISO("run"), (const char *const[]){"-smp", "1", "-icount", "shift=0,sleep=off", NULL});
    workload_expect_shell(&m);
    machine_send(&m, "blkread /dev/vda 8 4000\n");
    machine_expect(&m, "blkread: 8 threads, 4000 reads each: ok", MINUTES);
    workload_power_off(&m);
}

Test(one, reboots)
{
    struct machine m;

    machine_start_qemu(&m, "linux-reboots", ISO("run"), NULL);
    workload_expect_shell(&m);
    machine_send(&m, "reboot\n");
    machine_expect(&m, "root: linux: starts again\r\n", SECONDS);
    workload_expect_shell(&m);
    workload_expect_cpus(&m, 2);
    workload_power_off(&m);
}

Test(one, uefi)
{
    struct machine m;

    machine_start_qemu(&m, "linux-uefi", ISO("run"), (const char *const[]){"-bios", OVMF, NULL});
    workload_expect_shell(&m);
    workload_power_off(&m);
}

Test(one, interrupts_and_cpus_move)
{
    struct machine m;

    machine_start_qemu(&m, "linux-moves", ISO("run"), NULL);
    workload_expect_shell(&m);
    machine_send(&m, "sh /tests/affinity\n");
    machine_expect(&m, "\naffinity: passed", MINUTES);
    machine_send(&m, "sh /tests/hotplug\n");
    machine_expect(&m, "\nhotplug: passed", MINUTES);
    workload_expect_cpus(&m, 2);
    workload_power_off(&m);
}

/* Nothing of what it prints goes anywhere, and it does not wait for that. */
Test(one, without_a_console)
{
    struct machine m;

    machine_start_qemu(&m, "linux-mute", ISO("mute"), NULL);
    machine_expect(&m, "root: mute: powered off\r\n", MINUTES);
    machine_expect_end(&m, 0, SECONDS);
}

/* Its only vCPU is in a call that never ends, and yet it takes its interrupts, and goes on when the caller is killed. */
Test(one, service_does_not_answer)
{
    struct machine m;

    machine_start_qemu(&m, "linux-tardy", ISO("tardy"), (const char *const[]){"-smp", "1", NULL});
    machine_expect(&m, "] tardy: passed", MINUTES);
    machine_expect(&m, "root: linux: powered off", SECONDS);
    machine_stop(&m);
}

Test(one, panic_restarts)
{
    struct machine m;

    machine_start_qemu(&m, "linux-panics", ISO("panics"), NULL);
    for (int i = 0; i < 2; i++)
        machine_expect(&m, "root: linux: starts again: guest panic: sysrq triggered crash\r\n", MINUTES);
    machine_stop(&m);
}

/* As `make run` with input from a pipe, which is all there before the machine has begun to boot. */
Test(one, run_with_piped_input)
{
    const char *const argv[] = {"boot/run", ISO("run"), BUILD "/logs/run-pipe", NULL};
    struct machine m;

    machine_start(&m, "run-pipe", argv);
    machine_send(&m, "uname -s -n\nnproc\npoweroff\n");
    /* What comes while a command runs is echoed at once, so it may stand before the answer. */
    machine_expect(&m, "Linux linux\r\n", MINUTES);
    machine_expect(&m, "2\r\n", SECONDS);
    machine_expect_end(&m, 0, SECONDS);
}

Test(one, run_says_why_a_guest_panicked)
{
    const char *const argv[] = {"boot/run", ISO("panic"), BUILD "/logs/run-panic", NULL};
    struct machine m;
    const char *last;

    machine_start(&m, "run-panic", argv);
    machine_expect(&m, "root: linux: crashed: guest panic: ", MINUTES);
    machine_expect_end(&m, 3, SECONDS);
    last = machine_last_line(&m);
    cr_assert(strstr(last, "linux: crashed: guest panic: "), "the last line is: %s", last);
}

/* A guest that has stopped, and will never say so. */
Test(one, halted_guest_is_ended)
{
    struct machine m;

    machine_start_qemu(&m, "linux-halts", ISO("run"), NULL);
    workload_expect_shell(&m);
    machine_send(&m, "halt\n");
    machine_expect(&m, "reboot: System halted", SECONDS);
    machine_send(&m, "\x1dk\x1dy");
    machine_expect(&m, "root: linux: powered off: ended at the console", SECONDS);
    machine_expect_end(&m, 0, SECONDS);
}
