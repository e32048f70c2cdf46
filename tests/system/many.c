/* SPDX-License-Identifier: GPL-2.0-only */
/* Several guests and a native task share two CPUs; one guest spins, one dies. */

#include "machine.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS 5

static unsigned long number_after(struct machine *m, const char *text, int seconds)
{
    return strtoul(machine_expect_line(m, text, seconds), NULL, 10);
}

/* A domain counts on, however often it has been looked at. */
static void expect_progress(struct machine *m, const char *text)
{
    unsigned long first = number_after(m, text, SECONDS);

    for (unsigned long i = 1; i <= ROUNDS; i++)
        cr_assert_geq(number_after(m, text, SECONDS), first + i, "%s: %s does not count on", m->name, text);
}

Test(many, progress_crash_and_memory)
{
    struct machine m;
    unsigned long taken = 0, before = 0, after;

    machine_start_qemu(&m, "many", ISO("many"), NULL);
    sscanf(machine_expect_line(&m, "root: dies: ", SECONDS), "%lu KiB in use of %lu KiB free", &taken, &before);
    cr_assert(taken >= 64 * 1024 && before > taken, "%lu KiB in use of %lu KiB free", taken, before);
    machine_expect(&m, "[spins] spin: on 2 CPUs", MINUTES);

    machine_expect(&m, "root: dies: crashed: triple fault", MINUTES);
    after = number_after(&m, "root: dies: memory returned, ", SECONDS);
    cr_assert_eq(after, before, "%lu KiB were free before, %lu KiB after", before, after);

    expect_progress(&m, "[counts] count: ");
    expect_progress(&m, "[task] count ");
    machine_stop(&m);
}
