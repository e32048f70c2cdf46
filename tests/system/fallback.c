/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * `make run` where nested KVM seems to work, and does not: no such machine is at hand, so QEMU is a script here that does
 * on KVM what it is told to (tests/system/fallback).
 */

#include "machine.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define WELL "root: all domains have ended, switching off"

static void start(struct machine *m, const char *name, const char *mode, const char *accel)
{
    char folder[128];

    snprintf(folder, sizeof(folder), BUILD "/logs/%s", name);
    machine_start(m, name, (const char *const[]){"tests/system/fallback", folder, mode, accel, NULL});
}

static void falls_back(const char *mode, const char *reason)
{
    struct machine m;
    char name[64], line[200];

    snprintf(name, sizeof(name), "fallback-%s", mode);
    start(&m, name, mode, NULL);
    cr_assert_eq(machine_wait(&m, SECONDS), 0);
    snprintf(line, sizeof(line), "boot/run: on nested KVM, %s", reason);
    cr_assert(machine_said(&m, line), "%s", m.text);
    cr_assert(machine_said(&m, "boot/run: the log is in out/console-kvm.log; starting again, in emulation"));
    cr_assert(machine_said(&m, "Linux in emulation") && machine_said(&m, WELL));
}

Test(fallback, silent)
{
    falls_back("silent", "the hypervisor has not said anything within 20 seconds");
}

Test(fallback, panic)
{
    char log[4096] = "";
    FILE *file;

    falls_back("panic", "hypervisor: panic: CPU 0: no luck");
    file = fopen(BUILD "/logs/fallback-panic/out/console-kvm.log", "r");
    cr_assert(file && fread(log, 1, sizeof(log) - 1, file) && strstr(log, "CPU 0: no luck"), "the log is there: %s", log);
    fclose(file);
}

/* Without an exit port, a machine that has panicked stands still. */
Test(fallback, panic_without_end)
{
    falls_back("stuck", "hypervisor: panic: CPU 0: it stands");
}

/* The VMM cannot do anything with the first exit. */
Test(fallback, first_entry_fails)
{
    falls_back("invalid", "root: failed: linux: failed: exit 77");
}

static void stays(const char *name, const char *mode, const char *accel, int code)
{
    struct machine m;

    start(&m, name, mode, accel);
    cr_assert_eq(machine_wait(&m, SECONDS), code);
    cr_assert(!machine_said(&m, "starting again"));
    cr_assert_eq(machine_said(&m, WELL), code == 0);
}

Test(fallback, not_needed)
{
    stays("fallback-well", "well", NULL, 0);
}

/* A guest that has spoken fails of itself. */
Test(fallback, not_for_guests)
{
    stays("fallback-guest", "guest", NULL, 3);
}

/* Whoever chooses gets what he chose. */
Test(fallback, chosen)
{
    stays("fallback-kvm", "panic", "kvm", 255);
    stays("fallback-tcg", "panic", "tcg", 0);
}
