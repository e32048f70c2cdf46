/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Correctness under fire: the native task `race` lets everything meet, on CPUs that really run at the same time. When
 * it keeps still, and again when all is destroyed, the machine's memory is dumped, and the hypervisor's structures are
 * checked in it (tests/dump/). SEED in the environment repeats a run's random numbers.
 */

#define _GNU_SOURCE
#include "machine.h"

#include <criterion/criterion.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define MEMORY 0x10000000 /* bytes: -m 256M */
#define MONITOR BUILD "/logs/race.monitor"
#define SEED_TEXT "seed=0x0000000000000000" /* in boot/race.dts */
#define STILL_SECONDS 30

/* ---- The seed, written over that in a copy of the ISO ---- */

static void copy_iso(const char *from, const char *to, uint64_t seed)
{
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    static char text[sizeof(SEED_TEXT)];
    size_t size;
    char *data, *at;

    cr_assert(in && out && !fseek(in, 0, SEEK_END));
    size = (size_t)ftell(in);
    data = malloc(size);
    rewind(in);
    cr_assert(data && fread(data, 1, size, in) == size);
    at = memmem(data, size, SEED_TEXT, strlen(SEED_TEXT));
    cr_assert(at, "the manifest in %s has no %s", from, SEED_TEXT);
    snprintf(text, sizeof(text), "seed=0x%016llx", (unsigned long long)seed);
    memcpy(at, text, strlen(SEED_TEXT));
    cr_assert(fwrite(data, 1, size, out) == size && !fclose(out));
    fclose(in);
    free(data);
}

static uint64_t choose_seed(void)
{
    const char *text = getenv("SEED");
    uint64_t seed = text ? strtoull(text, NULL, 0) : 0;

    while (!seed)
        cr_assert_eq(getrandom(&seed, sizeof(seed), 0), (ssize_t)sizeof(seed));
    fprintf(stderr, "race: SEED=0x%llx\n", (unsigned long long)seed);
    return seed;
}

/* ---- QEMU's monitor ---- */

static FILE *monitor_open(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = MONITOR};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    FILE *monitor;

    cr_assert(fd >= 0 && !connect(fd, (struct sockaddr *)&address, sizeof(address)), "no monitor");
    monitor = fdopen(fd, "r+");
    cr_assert(monitor);
    setvbuf(monitor, NULL, _IONBF, 0);
    return monitor;
}

/* What the monitor says before its prompt. Valid until the next call. */
static const char *monitor_read(FILE *monitor)
{
    static char text[65536];
    static const char prompt[] = "(qemu) ";
    size_t length = 0;
    int c;

    while (length < sizeof(text) - 1 && (c = fgetc(monitor)) != EOF) {
        text[length++] = (char)c;
        text[length] = 0;
        if (length >= strlen(prompt) && !strcmp(text + length - strlen(prompt), prompt))
            return text;
    }
    cr_assert_fail("the monitor has gone");
    return NULL;
}

static const char *monitor_do(FILE *monitor, const char *command)
{
    fprintf(monitor, "%s\n", command);
    return monitor_read(monitor);
}

/* Stops the machine at a moment when both CPUs idle. */
static void stop_idle(FILE *monitor)
{
    time_t end = time(NULL) + STILL_SECONDS;

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

static void check_dump(FILE *monitor, const char *name, const char *const needs[])
{
    char path[256], command[512], text[128];
    const char *output;

    stop_idle(monitor);
    snprintf(path, sizeof(path), BUILD "/logs/%s.dump", name);
    snprintf(command, sizeof(command), "pmemsave 0 %d %s", MEMORY, path);
    monitor_do(monitor, command);
    output = check("-q", path);
    fprintf(stderr, "%s:\n%s", name, output);
    for (; *needs; needs++) {
        const char *at;

        snprintf(text, sizeof(text), "checked %s: ", *needs);
        at = strstr(output, text);
        cr_assert(at && strtoul(at + strlen(text), NULL, 10) > 0, "%s: there were no %s to check", name, *needs);
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

Test(race, random_operations)
{
    const char *const options[] = {"-m", "256M", "-monitor", "unix:" MONITOR ",server=on,wait=off", NULL};
    struct machine m;
    FILE *monitor;

    setenv("ACCEL", "tcg,thread=multi", 1);
    copy_iso(ISO("race"), BUILD "/logs/race.iso", choose_seed());
    machine_start_qemu(&m, "race", BUILD "/logs/race.iso", options);
    machine_expect(&m, "race: all keep still", 300);
    monitor = monitor_open();
    monitor_read(monitor);
    check_dump(monitor, "race-rest", at_rest);
    fprintf(stderr, "%s", check("-s", BUILD "/logs/race-rest.dump"));
    monitor_do(monitor, "cont");
    machine_send(&m, "x");
    machine_expect(&m, "race: ok", 120);
    check_log(&m);
    check_dump(monitor, "race-end", (const char *const[]){"capabilities", "accounts", "free pages of kernel memory", NULL});
    monitor_do(monitor, "cont");
    machine_send(&m, "x");
    machine_expect_end(&m, 0, 60);
    fclose(monitor);
    unlink(BUILD "/logs/race-rest.dump");
    unlink(BUILD "/logs/race-end.dump");
}
