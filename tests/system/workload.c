/* SPDX-License-Identifier: GPL-2.0-only */
#include "workload.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void workload_expect_shell(struct machine *m)
{
    machine_expect(m, "corbel-guest: ready, Linux 6.12", MINUTES);
    machine_expect(m, "# ", SECONDS);
}

void workload_expect_cpus(struct machine *m, unsigned cpus)
{
    char answer[32];

    snprintf(answer, sizeof(answer), "nproc\r\n%u\r\n", cpus);
    machine_send(m, "nproc\n");
    machine_expect(m, answer, SECONDS);
}

void workload_expect_files(struct machine *m, unsigned files, unsigned mib)
{
    unsigned good = 0, all = 0, size = 0;
    const char *line;

    machine_send(m, "sh /tests/files\n");
    line = machine_expect_line(m, "\nfiles: ", MINUTES);
    sscanf(line, "%u of %u files are as they were made, %u MiB", &good, &all, &size);
    cr_assert(good == all && all >= files && size >= mib, "%s: %s", m->name, line);
}

void workload_power_off(struct machine *m)
{
    machine_send(m, "poweroff\n");
    machine_expect(m, "root: all domains have ended, switching off", SECONDS);
    machine_expect_end(m, 0, SECONDS);
}

void workload_expect_passed(struct machine *m, const char *name, const char *behind)
{
    char text[64], wanted[64], *rest;
    const char *result;
    long passed;

    snprintf(text, sizeof(text), "] %s: ", name);
    snprintf(wanted, sizeof(wanted), " passed, 0 failed%s", behind);
    result = machine_expect_line(m, text, MINUTES);
    passed = strtol(result, &rest, 10);
    cr_assert(passed > 0 && !strcmp(rest, wanted), "%s: %s; see its log", m->name, result);
}

/* None may find another's registers, which is what the triple fault's address says. */
void workload_expect_tiny(struct machine *m)
{
    machine_expect(m, "root: fault: crashed: triple fault at rip 0x2", MINUTES);
    machine_expect(m, "root: failed: ", MINUTES);
    cr_assert(machine_said(m, "root: other: failed: kernel: it knows version "));
    cr_assert(machine_said(m, "root: one: powered off"));
    cr_assert(machine_said(m, "root: two: powered off"));
}
