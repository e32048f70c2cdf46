/* SPDX-License-Identifier: GPL-2.0-only */
/* What people see and touch: the keyboard among several domains, the screen, and the last words of a dying system. */

#include "machine.h"
#include "monitor.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define KEY "\x1d" /* Ctrl-] */
#define LIT_PIXELS 1000 /* a line of text has more */

Test(console, keyboard)
{
    struct machine m;

    machine_start_qemu(&m, "two", ISO("two"), NULL);
    machine_expect(&m, "[left] corbel-guest: ready", MINUTES);
    m.seen = 0;
    machine_expect(&m, "[right] corbel-guest: ready", MINUTES);
    machine_send(&m, "hostname\n");
    machine_expect(&m, "[right] starboard\r\n", SECONDS);
    machine_send(&m, KEY "1");
    machine_expect(&m, "console: the keyboard belongs to left", SECONDS);
    machine_send(&m, "hostname; poweroff\n");
    machine_expect(&m, "[left] port\r\n", SECONDS);
    machine_expect(&m, "root: left: powered off", SECONDS);
    machine_send(&m, KEY "n");
    machine_send(&m, "poweroff\n");
    machine_expect(&m, "root: right: powered off", SECONDS);
    machine_expect_end(&m, 0, SECONDS);
}

/*
 * The console is above all others on its CPU: whoever keeps it busy must not take that CPU from them. If it has all the
 * time that it wants, it prints several hundred lines for each that a task there gets out every 10 ms, else some twenty.
 */
Test(console, flood)
{
    struct machine m;
    unsigned lines = 0;

    machine_start_qemu(&m, "flood", ISO("flood"), NULL);
    machine_expect(&m, "[counts] count 100\r\n", MINUTES);
    for (const char *at = m.text; (at = strstr(at, "[floods] ...")) != NULL; at++)
        lines++;
    cr_assert(lines > 100 && lines < 100 * 60, "%u lines", lines);
    machine_stop(&m);
}

/* A line that does not end keeps nobody else from printing, and no domain from ending. */
Test(console, endless_line)
{
    struct machine m;

    machine_start_qemu(&m, "rant", ISO("rant"), NULL);
    machine_expect(&m, "[counts] count 5\r\n", MINUTES);
    machine_expect(&m, "root: counts: powered off\r\n", SECONDS);
    machine_expect(&m, "root: counts: memory returned", SECONDS);
    machine_expect(&m, "[rants] ", SECONDS);
    machine_stop(&m);
}

/* A service that root depends on and that does not answer: root does without it. */
Test(console, service_that_does_not_answer)
{
    struct machine m;

    machine_start_qemu(&m, "silent", ISO("silent"), NULL);
    machine_expect(&m, "root: console: failed: has not answered for 30 seconds", MINUTES);
    machine_expect_end(&m, 3, SECONDS);
    cr_assert(machine_said(&m, "root: unheard: powered off"));
}

/* It asks where its console is, and hears that there is none. */
Test(console, guest_without_console)
{
    struct machine m;

    machine_start_qemu(&m, "bare", ISO("bare"), NULL);
    machine_expect(&m, "root: tiny: powered off", MINUTES);
    machine_expect_end(&m, 0, SECONDS);
}

/*
 * The keyboard never belongs to nobody while there is a domain, comes back to whoever was started again, and is not lost
 * to one that does not read. What a guest does not do, the user does.
 */
Test(console, keyboard_outlives_domains)
{
    static char much[6001];
    struct machine m;

    memset(much, 'x', sizeof(much) - 1);
    machine_start_qemu(&m, "keys", ISO("keys"), NULL);
    machine_expect(&m, "[deaf] ready\r\n", MINUTES);
    m.seen = 0;
    machine_expect(&m, "[first] ready\r\n", MINUTES);
    m.seen = 0;
    machine_expect(&m, "[second] ready\r\n", MINUTES);
    machine_send(&m, "hello\n");
    machine_expect(&m, "[second] got hello\r\n", SECONDS);
    machine_send(&m, "again\n");
    machine_expect(&m, "console: the keyboard belongs to deaf", SECONDS);
    machine_expect(&m, "console: the keyboard belongs to second", SECONDS);
    machine_expect(&m, "[second] ready\r\n", SECONDS);
    machine_send(&m, "end\n");
    machine_expect(&m, "console: the keyboard belongs to deaf", SECONDS);
    machine_send(&m, much);
    machine_expect(&m, "console: deaf does not read", SECONDS);
    machine_send(&m, KEY "1");
    machine_expect(&m, "console: the keyboard belongs to first", SECONDS);
    machine_send(&m, KEY "3" KEY "k");
    machine_expect(&m, "console: Ctrl-] y ends deaf", SECONDS);
    machine_send(&m, KEY "y");
    machine_expect(&m, "root: deaf: powered off: ended at the console", SECONDS);
    machine_send(&m, "again\n");
    machine_expect(&m, "root: first: starts again: told to", SECONDS);
    machine_expect(&m, "[first] ready\r\n", SECONDS);
    machine_send(&m, "end\n");
    machine_expect(&m, "[first] got end\r\n", SECONDS);
    machine_expect_end(&m, 0, SECONDS);
}

/* Has QEMU write what is on its screen to a file, in PPM format; gives the pixels that are not black. */
static long lit_pixels(const char *socket, const char *file)
{
    char command[256];
    FILE *monitor = monitor_open(socket), *image;
    unsigned width = 0, height = 0;
    int r, g, b;
    long lit = 0;

    snprintf(command, sizeof(command), "screendump %s", file);
    unlink(file);
    monitor_do(monitor, command);
    fclose(monitor);
    image = fopen(file, "r");
    cr_assert(image && fscanf(image, "P6 %u %u 255", &width, &height) == 2 && fgetc(image) != EOF, "no image in %s", file);
    cr_assert(width >= 640 && height >= 480, "%u x %u pixels", width, height);
    while ((r = fgetc(image)) != EOF && (g = fgetc(image)) != EOF && (b = fgetc(image)) != EOF)
        lit += r || g || b;
    fclose(image);
    return lit;
}

static void shows_boot_log(const char *name, const char *bios)
{
    struct machine m;
    char socket[100], monitor[192], file[128];
    const char *const options[] = {"-monitor", monitor, "-bios", bios, NULL};
    long lit;

    snprintf(socket, sizeof(socket), BUILD "/logs/%s.monitor", name);
    snprintf(monitor, sizeof(monitor), "unix:%s,server=on,wait=off", socket);
    snprintf(file, sizeof(file), BUILD "/logs/%s.ppm", name);
    machine_start_qemu(&m, name, ISO("run"), options);
    machine_expect(&m, "corbel-guest: ready", MINUTES);
    lit = lit_pixels(socket, file);
    cr_assert_gt(lit, LIT_PIXELS, "%s: only %ld pixels of the screen are not black", name, lit);
    machine_stop(&m);
}

Test(console, screen_bios)
{
    shows_boot_log("screen-bios", "bios-256k.bin");
}

Test(console, screen_uefi)
{
    shows_boot_log("screen-uefi", "/usr/share/ovmf/OVMF.fd");
}

/* Root's place is taken by a program that is none. */
Test(console, run_says_why_the_hypervisor_died)
{
    const char *const argv[] = {"boot/run", ISO("noroot"), BUILD "/logs/run-noroot", NULL};
    struct machine m;
    const char *last;

    machine_start(&m, "run-noroot", argv);
    cr_assert_neq(machine_wait(&m, SECONDS), 0);
    last = machine_last_line(&m);
    cr_assert(strstr(last, "hypervisor: panic: CPU 0: root: module root: "), "the last line is: %s", last);
}
