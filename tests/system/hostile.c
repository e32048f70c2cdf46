/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A hostile neighbour: a task that does its worst by every call (tests/guest/hostile.c), on CPUs that run at the same time.
 * How long, how many of each, and on how many CPUs, random numbers say (SEED). An attack is over only when the victim's
 * threads on both CPUs have taken note of it: one that starves ends the test. How much of its share it gets says
 * `make bench`, where time can be counted.
 */

#include "machine.h"
#include "monitor.h"

#include <criterion/criterion.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define OPTIONS "ms=25   size=10 " /* in boot/hostile.dts; written over in a copy of the ISO */
#define ATTACKS_MIN 15u
#define SEED_OF_EACH_RUN 246u /* 11 ms, 8 %, 2 CPUs; other ones are for `make soak` */

Test(hostile, neighbours)
{
    const char *const iso = BUILD "/logs/hostile.iso";
    uint64_t seed = getenv("SEED") ? machine_seed("hostile") : SEED_OF_EACH_RUN;
    unsigned ms = 5 + (unsigned)(seed % 40), size = 2 + (unsigned)(seed / 40 % 30), cpus = 2 + (unsigned)(seed / 1200 % 3);
    char options[sizeof(OPTIONS)], text[32];
    struct machine m;
    unsigned attacks = 0;

    snprintf(options, sizeof(options), "ms=%-4u size=%-3u", ms, size); /* a number that begins with 0 is octal */
    fprintf(stderr, "hostile: %s on %u CPUs\n", options, cpus);
    iso_copy(ISO("hostile"), iso, OPTIONS, options);
    snprintf(text, sizeof(text), "%u", cpus);
    setenv("ACCEL", "tcg,thread=multi", 1);
    machine_start_qemu(&m, "hostile", iso, (const char *const[]){"-m", "256M", "-smp", text, NULL});
    machine_expect(&m, "root: hostile: powered off", MINUTES);
    machine_expect(&m, "root: victim: powered off", SECONDS);
    machine_expect_end(&m, 0, SECONDS);
    while (snprintf(text, sizeof(text), "hostile: phase %u: ", attacks) && machine_said(&m, text))
        attacks++;
    cr_assert_geq(attacks, ATTACKS_MIN, "%u attacks", attacks);
}
