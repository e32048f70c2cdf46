/* SPDX-License-Identifier: GPL-2.0-only */
/* One patched Linux with two virtual CPUs: shell, disk, interrupts, firmware, and what `make run` does around it. */

#include "machine.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BOOT_SECONDS 240
#define FILES_MIN 50
#define MIB_MIN 32
#define OVMF "/usr/share/ovmf/OVMF.fd"

static void expect_shell(struct machine *m)
{
    machine_expect(m, "corbel-guest: ready", BOOT_SECONDS);
    machine_expect(m, "# ", 60);
}

/* Rows of /proc/interrupts, the last of which is MIS: event channels may count, and the upcall vector; no others. */
static void expect_only_event_channels(struct machine *m)
{
    unsigned long channels = 0, upcalls = 0;

    machine_expect(m, "CPU1", 60);
    machine_expect(m, "\n", 10);
    for (const char *name = ""; strcmp(name, "MIS");) {
        static char row[256];
        char *rest;
        unsigned long count = 0;

        snprintf(row, sizeof(row), "%s", machine_expect_line(m, "", 10));
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
    unsigned good = 0, all = 0, mib = 0;

    machine_start_qemu(&m, "linux", ISO("run"), NULL);
    expect_shell(&m);
    machine_send(&m, "nproc\n");
    machine_expect(&m, "nproc\r\n2\r\n", 60);
    /* The sums were taken on the host when it made the image. */
    machine_send(&m, "sh /tests/files\n");
    sscanf(machine_expect_line(&m, "\nfiles: ", 300), "%u of %u files are as they were made, %u MiB", &good, &all, &mib);
    cr_assert(good == all && all >= FILES_MIN && mib >= MIB_MIN, "%u of %u files, %u MiB", good, all, mib);
    expect_only_event_channels(&m);
    machine_send(&m, "poweroff\n");
    machine_expect_end(&m, 0, 60);
    cr_assert(machine_said(&m, "root: all domains have ended, switching off"));
}

Test(one, one_cpu)
{
    struct machine m;

    machine_start_qemu(&m, "linux-1-cpu", ISO("run"), (const char *const[]){"-smp", "1", NULL});
    expect_shell(&m);
    machine_send(&m, "nproc; poweroff\n");
    machine_expect(&m, "\r\n2\r\n", 60);
    machine_expect_end(&m, 0, 60);
}

Test(one, uefi)
{
    struct machine m;

    machine_start_qemu(&m, "linux-uefi", ISO("run"), (const char *const[]){"-bios", OVMF, NULL});
    expect_shell(&m);
    machine_send(&m, "poweroff\n");
    machine_expect_end(&m, 0, 60);
}

/* As `make run` with input from a pipe, which is all there before the machine has begun to boot. */
Test(one, run_with_piped_input)
{
    const char *const argv[] = {"boot/run", ISO("run"), BUILD "/logs/run-pipe", NULL};
    struct machine m;

    machine_start(&m, "run-pipe", argv);
    machine_send(&m, "uname -s -n\nnproc\npoweroff\n");
    machine_expect(&m, "\nLinux linux\r\n", BOOT_SECONDS);
    machine_expect(&m, "nproc\r\n2\r\n", 60);
    machine_expect_end(&m, 0, 60);
}

Test(one, run_says_why_a_guest_panicked)
{
    const char *const argv[] = {"boot/run", ISO("panic"), BUILD "/logs/run-panic", NULL};
    struct machine m;
    const char *last;

    machine_start(&m, "run-panic", argv);
    machine_expect(&m, "root: linux: crashed: guest panic: ", BOOT_SECONDS);
    machine_expect_end(&m, 3, 60);
    last = machine_last_line(&m);
    cr_assert(strstr(last, "linux: crashed: guest panic: "), "the last line is: %s", last);
}
