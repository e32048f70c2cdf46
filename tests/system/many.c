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

/* Two guests that always compute find that about half of their time is not theirs. */
Test(many, stolen_time_is_seen)
{
    static const char *const names[] = {"[one] steal: ", "[two] steal: "};
    struct machine m;

    machine_start_qemu(&m, "steal", ISO("steal"), NULL);
    for (size_t i = 0; i < 2; i++)
        machine_expect(&m, names[i], MINUTES); /* both run now */
    for (size_t i = 0; i < 2; i++) {
        unsigned long stolen = 0, all = 0, part, whole;

        for (int round = 0; round < ROUNDS; round++) {
            const char *line = machine_expect_line(&m, names[i], SECONDS);

            cr_assert_eq(sscanf(line, "%lu of %lu", &part, &whole), 2, "%s", line);
            stolen += part;
            all += whole;
        }
        cr_expect(stolen * 4 > all && stolen * 4 < 3 * all, "%s%lu of %lu were stolen", names[i], stolen, all);
    }
    machine_stop(&m);
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
