/* SPDX-License-Identifier: GPL-2.0-only */
/* How the output of several clients becomes lines: nothing is lost, and nobody keeps the line to himself. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "console_world.h"
#include "random.h"

#define FAST 1000u /* bytes in a millisecond */
#define SLOW 11u     /* 115200 baud */

static struct client *one, *two, *three;

static void setup(void)
{
    one = world_attach("one", CB_CONSOLE_NAMED, 1);
    two = world_attach("two", CB_CONSOLE_NAMED, 2);
    three = world_attach("three", CB_CONSOLE_NAMED, 3);
}

static void rant(void)
{
    while (world_print(one, "and another thing, ") == 19)
        ;
}

static void flood_lines(void)
{
    while (world_print(one, "one more line of many\n") == 22)
        ;
}

static void flood(void)
{
    flood_lines();
    while (world_print(two, "and another thing, ") == 19)
        ;
}

/* The milliseconds until text has been printed. */
static uint32_t await(const char *text, uint32_t speed, void (*act)(void), uint32_t limit)
{
    uint32_t from = printed_count;

    for (uint32_t ms = 1; ms <= limit; ms++) {
        world_run(1, speed, act);
        if (strstr(printed + (from < 40 ? 0 : from - 40), text))
            return ms;
    }
    cr_assert_fail("nobody said \"%s\" for %u ms", text, limit);
    return limit;
}

Test(console, an_endless_line_is_broken_into)
{
    static const uint32_t speeds[] = {FAST, SLOW};

    for (unsigned i = 0; i < 2; i++) {
        setup();
        world_run(300, speeds[i], rant);
        world_print(two, "listen\n");
        await("\r\n[two] listen\r\n[one] ", speeds[i], rant, 1500);
        world_print(three, "to me\n");
        await("\r\n[three] to me\r\n[one] ", speeds[i], rant, 2500);
        world_detach(one);
        world_detach(two);
        world_detach(three);
    }
}

/* A UART that is slower than anybody: the time is shared. */
Test(console, everybody_has_a_turn)
{
    uint32_t heard = 0;

    setup();
    for (unsigned i = 0; i < 20; i++) {
        world_print(three, "here\n");
        heard += await("[three] here", SLOW, flood_lines, 1000);
    }
    cr_assert_leq(heard, 20 * 500, "%u ms for 20 lines", heard);
    for (unsigned i = 0; i < 20; i++) {
        world_print(three, "here\n");
        await("[three] here", SLOW, flood, 2500);
    }
    cr_assert(strstr(printed, "[two] ") && strstr(printed, "[one] "));
}

Test(console, a_line_is_held_for_a_moment)
{
    setup();
    world_print(one, "begun, ");
    world_run(50, FAST, NULL);
    world_print(two, "whole\n");
    world_run(50, FAST, NULL);
    world_print(one, "and done\n");
    world_run(200, FAST, NULL);
    cr_assert(strstr(printed, "[one] begun, and done\r\n[two] whole\r\n"), "%s", printed);
    world_print(one, "begun ");
    world_run(50, FAST, NULL);
    world_print(two, "whole\n");
    world_run(150, FAST, NULL);
    world_print(one, "again\n");
    world_run(200, FAST, NULL);
    cr_assert(strstr(printed, "[one] begun \r\n[two] whole\r\n[one] again\r\n"), "%s", printed);
}

/* Bytes of one client, in order, with line ends only where it made them, or where others broke in. */
static void expect_all_of(const char *name, const char *all)
{
    char prefix[16];
    const char *at = all;

    snprintf(prefix, sizeof(prefix), "[%s] ", name);
    for (const char *line = printed, *end; *line; line = end + (*end != 0)) {
        end = line + strcspn(line, "\n");
        if (strncmp(line, prefix, strlen(prefix)))
            continue;
        for (const char *c = line + strlen(prefix); c < end && *c != '\r'; c++) {
            at += strspn(at, "\n");
            cr_assert_eq(*at, *c, "%s: after %zu bytes", name, (size_t)(at - all));
            at++;
        }
    }
    cr_assert_eq(strspn(at, "\n"), strlen(at), "%s: %zu bytes are missing", name, strlen(at));
}

static char sent_by[3][200000];

static void chat(void)
{
    struct client *const who[] = {one, two, three};

    for (unsigned i = 0; i < 3; i++) {
        char text[200];
        uint32_t length = (uint32_t)random_below(sizeof(text)), first = (uint32_t)strlen(sent_by[i]);

        if (random_below(20))
            continue;
        for (uint32_t n = 0; n < length; n++)
            text[n] = random_below(40) ? (char)('a' + random_below(26)) : '\n';
        text[length] = 0;
        length = world_print(who[i], text);
        cr_assert_lt(first + length, sizeof(sent_by[i]));
        memcpy(sent_by[i] + first, text, length);
    }
}

Test(console, nothing_is_lost_or_changed)
{
    setup();
    for (unsigned i = 0; i < 40; i++)
        world_run(500, random_below(2) ? FAST : SLOW, chat);
    world_run(20000, FAST, NULL);
    cr_assert(strlen(sent_by[0]) > 10000);
    expect_all_of("one", sent_by[0]);
    expect_all_of("two", sent_by[1]);
    expect_all_of("three", sent_by[2]);
}

/* As many as root has domains, and root. */
Test(console, there_is_room_for_all)
{
    char name[8];

    for (uint64_t i = 0; i <= 63; i++) {
        snprintf(name, sizeof(name), "d%lu", i);
        world_print(world_attach(name, CB_CONSOLE_NAMED, i), "hello\n");
    }
    cr_assert_null(client_add("more", 0, 10, 9));
    world_run(100, FAST, NULL);
    for (uint64_t i = 0; i <= 63; i++) {
        char text[24];

        snprintf(text, sizeof(text), "[d%lu] hello\r\n", i);
        cr_assert(strstr(printed, text), "%s is missing", text);
    }
}
