/* SPDX-License-Identifier: GPL-2.0-only */
/* Who has the keyboard, and what its escape key does. */
#include <criterion/criterion.h>
#include <string.h>

#include "console_world.h"
#include "keys.h"

#define FAST 1000u
#define KEY "\x1d"
#define TASK CB_CONSOLE_NAMED
#define VM (CB_CONSOLE_NAMED | CB_CONSOLE_VM)

static void expect_said(const char *text)
{
    world_run(100, FAST, NULL);
    cr_assert(strstr(printed, text), "nobody said %s, but: %s", text, printed);
    printed[0] = 0;
    printed_count = 0;
}

/* What is typed arrives here, and only here. */
static void expect_focus(struct client *client)
{
    world_type("k");
    world_run(2, FAST, NULL);
    for (struct client *other = clients + CLIENT_FIRST; other < clients + CLIENTS; other++)
        if (other->ring)
            cr_assert_eq(world_read(other), other == client, "%s", other->name);
}

Test(keys, nobody_is_there)
{
    world_type("lost" KEY "1" KEY "n" KEY "k" KEY "y" KEY "?" KEY KEY);
    expect_said("console: Ctrl-] and a digit or n");
    expect_focus(NULL);
    cr_assert_eq(ended, 0);
    expect_focus(world_attach("first", TASK, 1));
}

Test(keys, a_virtual_machine_rather_than_a_task)
{
    struct client *task, *vm, *other;

    task = world_attach("task", TASK, 1);
    expect_focus(task);
    vm = world_attach("vm", VM, 2);
    expect_focus(vm);
    other = world_attach("other", VM, 3);
    expect_focus(vm);
    world_detach(vm);
    expect_said("console: the keyboard belongs to other");
    expect_focus(other);
    world_detach(other);
    expect_focus(task);
    world_detach(task);
    expect_focus(NULL);
    expect_focus(world_attach("task", TASK, 1));
}

/* The manifest's choice, and the user's, last as long as the domain, and come again with it. */
Test(keys, whoever_was_chosen)
{
    struct client *vm, *input;

    vm = world_attach("vm", VM, 1);
    input = world_attach("input", TASK | CB_CONSOLE_INPUT, 2);
    expect_focus(input);
    world_detach(input);
    expect_focus(vm);
    input = world_attach("input", TASK | CB_CONSOLE_INPUT, 2);
    expect_focus(input);
    world_type(KEY "1");
    expect_focus(vm);
    world_detach(input);
    expect_focus(vm);
    input = world_attach("input", TASK | CB_CONSOLE_INPUT, 2);
    expect_focus(vm);
    world_detach(vm);
    expect_focus(input);
    vm = world_attach("vm", VM, 1);
    expect_focus(vm);
    world_type(KEY "n");
    expect_focus(input);
    world_type(KEY "n");
    expect_focus(vm);
    world_type(KEY "9");
    expect_said(KEYS_HELP);
    expect_focus(vm);
}

static void type_much(void)
{
    for (unsigned i = 0; i < 6000; i++)
        world_type("x");
}

/* One that reads slowly loses nothing, one that does not read cannot keep the escape key from working. */
Test(keys, input_that_nobody_reads)
{
    struct client *deaf, *other;
    uint32_t total = 0;

    deaf = world_attach("deaf", TASK | CB_CONSOLE_INPUT, 1);
    other = world_attach("other", TASK, 2);
    type_much();
    cr_assert(client_input_is_full(deaf));
    world_run(1000, FAST, NULL);
    type_much();
    world_type(KEY "2");
    world_run(900, FAST, NULL);
    cr_assert_eq(world_read(deaf), CB_CONSOLE_IN);
    world_run(1500, FAST, NULL);
    cr_assert_not(strstr(printed, "is lost"), "it has read a moment ago");
    world_run(1000, FAST, NULL);
    type_much();
    expect_said("console: deaf does not read: what is typed is lost\r\n");
    type_much();
    world_type(KEY "2");
    expect_said("console: the keyboard belongs to other\r\n");
    for (uint32_t count; (count = world_read(deaf)) != 0; total += count)
        world_run(1, FAST, NULL);
    cr_assert_eq(total, CB_CONSOLE_IN + CLIENT_INPUT, "what it had room for is still there");
    expect_focus(other);
}

Test(keys, ends_a_domain_when_told_twice)
{
    struct client *vm, *other;

    vm = world_attach("vm", VM, 3);
    other = world_attach("other", VM, 4);
    world_type(KEY "y");
    world_type(KEY "k" "x" KEY "y");
    world_type(KEY "k" KEY "4" KEY "y");
    cr_assert_eq(ended, 0);
    world_read(vm);
    world_type(KEY "3" KEY "k");
    expect_said("console: Ctrl-] y ends vm");
    world_type(KEY "y");
    cr_assert_eq(ended, 3 << 8);
    ended = 0;
    world_type(KEY "y");
    cr_assert_eq(ended, 0);
    root_refuses = true;
    world_type(KEY "k" KEY "y");
    expect_said("console: root does not end vm");
    ended = 0;
    world_type(KEY "k");
    world_detach(vm);
    world_type(KEY "y");
    cr_assert_eq(ended, 0, "not somebody else");
    expect_focus(other);
}
