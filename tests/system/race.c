/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Correctness under fire: the native task `race` lets everything meet, on CPUs that really run at the same time. When
 * it keeps still, and again when all is destroyed, the machine's memory is dumped, and the hypervisor's structures are
 * checked in it (tests/dump/). SEED in the environment repeats a run's random numbers.
 */

#include "machine.h"
#include "monitor.h"

#include <criterion/criterion.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MEMORY 0x10000000 /* bytes: -m 256M */
#define OPTIONS "ops=200000 vcpus=1 seed=0x0000000000000000" /* in boot/race.dts; written over in a copy of the ISO */
#define OPERATIONS 200000u
#define OPERATIONS_BOCHS 60000u /* which takes as long */

/* Stops the machine at a moment when both CPUs idle. */
static void stop_idle(FILE *monitor)
{
    time_t end = time(NULL) + SECONDS;

    for (;;) {
        const char *registers, *first;

        monitor_do(monitor, "stop");
        registers = monitor_do(monitor, "info registers -a");
        first = strstr(registers, "HLT=1");
        if (first && strstr(first + 1, "HLT=1"))
            return;
        cr_assert(time(NULL) < end, "the CPUs do not come to rest");
        monitor_do(monitor, "cont");
    }
}

/* ---- The checks ---- */

/* Runs the checker; its output, and that it found nothing wrong. Valid until the next call. */
static const char *check(const char *options, const char *dump)
{
    static char output[65536];
    char command[512];
    FILE *pipe;
    size_t length;

    snprintf(command, sizeof(command), BUILD "/tests/dump/check-dump %s " BUILD "/hypervisor/corbel.elf %s", options, dump);
    pipe = popen(command, "r");
    cr_assert(pipe);
    length = fread(output, 1, sizeof(output) - 1, pipe);
    output[length] = 0;
    cr_assert_eq(pclose(pipe), 0, "%s says:\n%s\n", command, output);
    return output;
}

static void check_dump(FILE *monitor, const char *path, const char *const needs[])
{
    char command[512], text[128];
    const char *output;

    stop_idle(monitor);
    unlink(path); /* one of an earlier run is no dump of this one */
    snprintf(command, sizeof(command), "pmemsave 0 %d %s", MEMORY, path);
    monitor_do(monitor, command);
    output = check("-q", path);
    fprintf(stderr, "%s:\n%s", path, output);
    for (; *needs; needs++) {
        const char *at;

        snprintf(text, sizeof(text), "checked %s: ", *needs);
        at = strstr(output, text);
        cr_assert(at && strtoul(at + strlen(text), NULL, 10) > 0, "%s: there were no %s to check", path, *needs);
    }
}

static void check_log(const struct machine *m)
{
    static const char stops[] = "a thread stops: exception ";

    for (const char *at = m->text; (at = strstr(at, stops)) != NULL; at++)
        cr_assert(strtoul(at + strlen(stops), NULL, 10) == 6, "a thread stopped that was not to: %.100s", at);
}

/* What must have been there to be looked at. */
static const char *const at_rest[] = {
    "capabilities", "objects", "capabilities inside objects", "pages of kernel memory in use",
    "free pages of kernel memory", "slabs", "accounts", "mappings", "translations", "domains", "top-level tables",
    "2 MiB granules in the direct map", "portals", "events", "events that a thread waits for", "threads and vCPUs",
    "idle handlers", "contexts in a call", "contexts that wait for a busy handler", "contexts that wait for an event",
    "contexts in a call to another CPU", "scheduling contexts", "parked scheduling contexts", "timers", "CPUs", NULL,
};

static const char *const without_roots[] = {"domains", NULL};
static const char *const with_roots[] = {"top-level tables for user mode", "kernel pages that user mode's tables map", NULL};

/* A copy of the ISO of that name, with random numbers and a count of its own. Valid until the next call. */
static const char *iso_choose(const char *name, const char *as, unsigned operations)
{
    static char iso[128];
    char options[sizeof(OPTIONS)], built[128];

    snprintf(options, sizeof(options), "ops=%6u vcpus=1 seed=0x%016llx", operations,
             (unsigned long long)machine_seed("race"));
    snprintf(built, sizeof(built), BUILD "/iso/%s.iso", name);
    snprintf(iso, sizeof(iso), BUILD "/logs/%s.iso", as);
    iso_copy(built, iso, OPTIONS, options);
    return iso;
}

/* On the ISO of that name; what else must have been there at rest. */
static void race(const char *name, const char *const more[])
{
    char socket[128], monitor_option[192], dump[128];
    const char *const options[] = {"-m", "256M", "-monitor", monitor_option, NULL};
    struct machine m;
    FILE *monitor;

    snprintf(dump, sizeof(dump), BUILD "/logs/%s.dump", name);
    snprintf(socket, sizeof(socket), BUILD "/logs/%s.monitor", name);
    snprintf(monitor_option, sizeof(monitor_option), "unix:%s,server=on,wait=off", socket);
    setenv("ACCEL", "tcg,thread=multi", 1);
    machine_start_qemu(&m, name, iso_choose(name, name, OPERATIONS), options);
    machine_expect(&m, "virtual CPUs: AMD-V", MINUTES);
    machine_expect(&m, "race: all keep still", MINUTES);
    monitor = monitor_open(socket);
    check_dump(monitor, dump, at_rest);
    check_dump(monitor, dump, more);
    fprintf(stderr, "%s", check("-s", dump));
    monitor_do(monitor, "cont");
    machine_send(&m, "x");
    machine_expect(&m, "race: ok", SECONDS);
    check_log(&m);
    check_dump(monitor, dump, (const char *const[]){"capabilities", "accounts", "free pages of kernel memory", NULL});
    monitor_do(monitor, "cont");
    machine_send(&m, "x");
    machine_expect_end(&m, 0, SECONDS);
    fclose(monitor);
    unlink(dump);
}

/* On VT-x, which changes CPUs after every few instructions. There is no dump. */
static void race_on_bochs(const char *name, const char *as)
{
    struct machine m;

    machine_start_bochs(&m, as, iso_choose(name, as, OPERATIONS_BOCHS), 2);
    machine_expect(&m, "virtual CPUs: VT-x", MINUTES);
    machine_expect(&m, "race: all keep still", MINUTES);
    machine_send(&m, "x");
    machine_expect(&m, "race: ok", MINUTES);
    check_log(&m);
    machine_send(&m, "x");
    machine_expect_end(&m, 0, 60);
}

Test(race, random_operations)
{
    race("race", without_roots);
}

/* With page tables of its own for user mode, and all other defences that the emulator can execute. */
Test(race, random_operations_mitigated)
{
    race("race-mitigations", with_roots);
}

/* The defences that this processor needs, which stand in the way of the short paths; and without. */
Test(race, random_operations_vmx)
{
    race_on_bochs("race", "race-bochs");
}

Test(race, random_operations_vmx_plain)
{
    race_on_bochs("race-plain", "race-bochs-plain");
}
