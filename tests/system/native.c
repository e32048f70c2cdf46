/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The native test task checks every call of the table from inside. It runs on QEMU, and on Bochs for what
 * QEMU lacks (x2APIC, TSC-deadline, PCID).
 */

#include "workload.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

Test(native, qemu_1_cpu)
{
    struct machine m;

    machine_start_qemu(&m, "native-qemu-1", ISO("calltest"), (const char *const[]){"-smp", "1", NULL});
    workload_expect_passed(&m, "calltest", "");
    machine_expect_end(&m, 0, SECONDS);
}

Test(native, qemu_2_cpus)
{
    struct machine m;

    machine_start_qemu(&m, "native-qemu-2", ISO("calltest"), NULL);
    workload_expect_passed(&m, "calltest", "");
    machine_expect_end(&m, 0, SECONDS);
}

static unsigned long free_kib(struct machine *m, const char *before)
{
    const char *line = machine_expect_line(m, before, SECONDS), *number = strstr(line, " of ");

    return strtoul(number ? number + 4 : strchr(line, ',') + 1, NULL, 10);
}

/* Tasks that are linked, a service, and what is left when one after the other ends. */
static void linked(const char *name, const char *const options[])
{
    struct machine m;
    unsigned long before, between, after;

    machine_start_qemu(&m, name, ISO("linked"), options);
    before = free_kib(&m, "root: link pair: 4096 KiB in use");
    machine_expect(&m, "root: right: starts again: once more", SECONDS);
    machine_expect(&m, "root: right: powered off", SECONDS);
    machine_expect(&m, "left] linked: ok", SECONDS);
    machine_expect(&m, "root: left: powered off", SECONDS);
    between = free_kib(&m, "root: link pair: memory returned");
    machine_expect(&m, "root: echo: stopped", SECONDS);
    machine_expect(&m, "root: fussy: stopped", SECONDS);
    after = free_kib(&m, "root: fussy: memory returned");
    machine_expect_end(&m, 0, SECONDS);
    cr_assert(before == after && between < after, "%lu KiB free before, %lu after, %lu in between", before, after, between);
}

Test(native, linked_1_cpu)
{
    linked("native-linked-1", (const char *const[]){"-smp", "1", NULL});
}

Test(native, linked_2_cpus)
{
    linked("native-linked-2", NULL);
}

/* Size and FNV-1a hash of a file, as the task `modules` prints them. */
static void describe_file(const char *path, char *text, size_t room)
{
    FILE *file = fopen(path, "rb");
    unsigned long hash = 0xcbf29ce484222325ul, size = 0;
    int byte;

    cr_assert(file, "there is no %s", path);
    for (; (byte = fgetc(file)) != EOF; size++)
        hash = (hash ^ (unsigned long)byte) * 0x100000001b3ul;
    fclose(file);
    snprintf(text, room, "%lu bytes, %lx", size, hash);
}

/* Modules are files that the boot loader only carries: it must not unpack what looks compressed. */
Test(native, modules_arrive_byte_for_byte)
{
    static const char *const names[] = {"one", "several", "xz", "lzo"};
    struct machine m;

    machine_start_qemu(&m, "native-modules", ISO("modules"), NULL);
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        char path[128], text[64], wanted[128];
        const char *got;

        snprintf(path, sizeof(path), BUILD "/iso/module-%s", names[i]);
        describe_file(path, wanted, sizeof(wanted));
        snprintf(text, sizeof(text), "module %s: ", names[i]);
        got = machine_expect_line(&m, text, SECONDS);
        cr_expect_str_eq(got, wanted, "module %s arrived as %s, but is %s", names[i], got, wanted);
    }
    machine_expect_end(&m, 0, SECONDS);
}

/* Nobody finds what another one left in memory; and who is started again and again has to wait longer each time. */
Test(native, memory_is_clean_and_restarts_wait)
{
    struct machine m;

    machine_start_qemu(&m, "native-stain", ISO("stain"), NULL);
    for (unsigned life = 1; life <= 3; life++) {
        char wait[64];

        snprintf(wait, sizeof(wait), "root: stain: has to wait %u s", 1u << (life - 1));
        machine_expect(&m, "KiB were clean\r\n", SECONDS);
        machine_expect(&m, wait, SECONDS);
    }
    machine_expect(&m, "[counts] count ", SECONDS);
    machine_stop(&m);
}

Test(native, as_many_domains_as_there_can_be)
{
    struct machine m;
    unsigned ended = 0;

    machine_start_qemu(&m, "native-crowd", ISO("crowd"), NULL);
    machine_expect(&m, "root: manifest: domains: there are more than 63", SECONDS);
    machine_expect_end(&m, 3, MINUTES);
    for (unsigned i = 1; i <= 63; i++) {
        char text[64];

        snprintf(text, sizeof(text), "root: d%02u: powered off", i);
        ended += machine_said(&m, text);
        snprintf(text, sizeof(text), "[d%02u] count 1", i);
        cr_expect(machine_said(&m, text), "nobody said: %s", text);
    }
    cr_assert_eq(ended, 63);
}

/* A machine without what people look at: it ends all the same. */
Test(native, without_a_serial_line)
{
    struct machine m;

    machine_start(&m, "native-no-serial", (const char *const[]){"boot/qemu", ISO("modules"), "-serial", "none", NULL});
    machine_expect_end(&m, 0, SECONDS);
}

/* A machine that cannot switch itself off: it says so, and `make run` ends. */
Test(native, without_acpi)
{
    const char *const argv[] = {"boot/run", ISO("modules"), BUILD "/logs/run-no-acpi", "-machine", "acpi=off", NULL};
    struct machine m;

    machine_start(&m, "native-no-acpi", argv);
    machine_expect(&m, "root: cannot switch off: ", SECONDS);
    machine_expect_end(&m, 0, SECONDS);
}

/* Without the defences that this processor needs: one of them empties the FPU's registers, and fast paths are others. */
Test(native, bochs_1_cpu)
{
    struct machine m;

    machine_start_bochs(&m, "native-bochs-1", ISO("calltest-plain"), 1);
    workload_expect_passed(&m, "calltest", "");
    machine_expect_end(&m, 0, SECONDS);
}

/* A processor without FSGSBASE, XSAVE, PCID and x2APIC: what is done in assembly elsewhere is done in C. */
Test(native, bochs_with_an_old_cpu)
{
    struct machine m;

    setenv("MODEL", "core2_penryn_t9600", 1);
    machine_start_bochs(&m, "native-bochs-old", ISO("calltest"), 1);
    workload_expect_passed(&m, "calltest", "");
    machine_expect_end(&m, 0, SECONDS);
}

Test(native, bochs_2_cpus)
{
    struct machine m;

    machine_start_bochs(&m, "native-bochs-2", ISO("calltest"), 2);
    machine_expect(&m, "corbel: 2 CPUs, ", SECONDS);
    machine_expect(&m, "x2APIC, TSC-deadline timer", SECONDS);
    workload_expect_passed(&m, "calltest", "");
    machine_expect_end(&m, 0, SECONDS);
}
