/* SPDX-License-Identifier: GPL-2.0-only */
/* Services that domains provide and use, and links between them. */
#include <criterion/criterion.h>
#include <libfdt.h>
#include <string.h>

#include "boot.h"
#include "config_world.h"

#define PAIR "/links/pair"

static struct config_link got;

/* ---- Services ---- */

static void set_uses(const char *node, const char *names, int size)
{
    set_bytes(node, "uses", names, size);
}

Test(config_grant, services)
{
    make_manifest();
    cr_assert(read_node(TASK));
    cr_assert_str_eq(config.provides, "");
    cr_assert_eq(config.uses_count, 0);
    set_string(TASK, "provides", "echo");
    set_string(VM, "uses", "echo");
    cr_assert(read_node(TASK), "%s: %s", error.property, error.reason);
    cr_assert_str_eq(config.provides, "echo");
    cr_assert(read_node(VM), "%s: %s", error.property, error.reason);
    cr_assert_eq(config.uses_count, 1);
    cr_assert_str_eq(config.uses[0], "echo");
    add_node("/domains", "other");
    set_string("/domains/other", "compatible", "corbel,task");
    set_string("/domains/other", "module", "service");
    set_string("/domains/other", "provides", "a-name-of-thirty-one-characters");
    set_uses("/domains/other", "echo", 5);
    set_uses(VM, "a-name-of-thirty-one-characters\0echo", 37);
    cr_assert(read_node("/domains/other"), "%s: %s", error.property, error.reason);
    cr_assert(read_node(VM), "%s: %s", error.property, error.reason);
    cr_assert_eq(config.uses_count, 2);
    cr_assert_str_eq(config.uses[0], "a-name-of-thirty-one-characters");
    cr_assert_str_eq(config.uses[1], "echo");
}

Test(config_grant, wrong_providers)
{
    make_manifest();
    set_string(TASK, "provides", "");
    expect(TASK, "provides", "a name must have 1 to 31 characters");
    set_string(TASK, "provides", "a-name-of-thirty-two-characters-");
    expect(TASK, "provides", "a name must have 1 to 31 characters");
    set_bytes(TASK, "provides", "echo", 4);
    expect(TASK, "provides", "not a list of strings");
    set_bytes(TASK, "provides", "echo\0echo", 10);
    expect(TASK, "provides", "2 strings, but it takes up to 1");
    set_string(TASK, "provides", "e\033o");
    expect(TASK, "provides", "a name holds a byte that is no printable character");
    set_string(VM, "provides", "echo");
    expect(VM, "provides", "there is no such property");
    set_string(CONSOLE, "provides", "echo");
    expect(CONSOLE, "provides", "there is no such property");
    add_node("/domains", "first");
    set_string("/domains/first", "provides", "echo");
    set_string(TASK, "provides", "echo");
    expect(TASK, "provides", "domain \"first\" provides \"echo\" too");
}

Test(config_grant, wrong_users)
{
    make_manifest();
    set_string(VM, "uses", "echo");
    expect(VM, "uses", "no domain provides \"echo\"");
    set_string(TASK, "provides", "echo");
    set_string(VM, "uses", "ech");
    expect(VM, "uses", "no domain provides \"ech\"");
    set_string(TASK, "provides", "echo");
    set_string(VM, "uses", "echoo");
    expect(VM, "uses", "no domain provides \"echoo\"");
    set_string(TASK, "provides", "echo");
    set_string(TASK, "uses", "echo");
    expect(TASK, "uses", "the domain provides \"echo\" itself");
    set_string(TASK, "provides", "echo");
    set_uses(VM, "echo\0echo", 10);
    expect(VM, "uses", "\"echo\" is there twice");
    set_string(TASK, "provides", "echo");
    set_uses(VM, "echo\0", 6);
    expect(VM, "uses", "a name must have 1 to 31 characters");
    set_uses(VM, "a\0b\0c\0d\0e\0f\0g\0h\0i", 18);
    expect(VM, "uses", "9 strings, but it takes up to 8");
    set_uses(VM, "echo", 4);
    expect(VM, "uses", "not a list of strings");
    set_uses(VM, "", 0);
    cr_assert(read_node(VM));
    cr_assert_eq(config.uses_count, 0);
}

/* A name of 31 characters, and what a neighbour's broken property has in its place. */
Test(config_grant, broken_neighbours)
{
    make_manifest();
    set_bytes(TASK, "provides", "echo", 4); /* no zero at its end: not this service */
    set_string(VM, "uses", "echo");
    expect(VM, "uses", "no domain provides \"echo\"");
    set_bytes(TASK, "provides", "", 0);
    set_string(VM, "uses", "echo");
    expect(VM, "uses", "no domain provides \"echo\"");
    set_bytes(TASK, "provides", "echo\0more", 10);
    set_string(VM, "uses", "echo");
    expect(VM, "uses", "no domain provides \"echo\"");
}

/* ---- Links ---- */

static bool read_link(const char *path)
{
    int node = fdt_path_offset(manifest, path);

    memset(&got, 0xa5, sizeof(got));
    memset(&error, 0, sizeof(error));
    return config_read_link(manifest, node, fdt_path_offset(manifest, "/domains"), &got, &error);
}

static void make_link(void)
{
    make_manifest();
    add_node("/", "links");
    add_node("/links", "pair");
    set_bytes(PAIR, "members", "linux\0service", 14);
}

static void expect_link(const char *property, const char *reason)
{
    cr_assert_not(read_link(PAIR), "accepted, but: %s: %s", property, reason);
    cr_assert_str_eq(error.property, property);
    cr_assert_str_eq(error.reason, reason);
    cr_assert_str_eq(got.name, "pair");
    make_link();
}

Test(config_grant, links)
{
    make_link();
    cr_assert(read_link(PAIR), "%s: %s", error.property, error.reason);
    cr_assert_str_eq(got.name, "pair");
    cr_assert_str_eq(got.members[0], "linux");
    cr_assert_str_eq(got.members[1], "service");
    cr_assert_eq(got.pages, 0);
    set_number(PAIR, "memory-kib", 4);
    cr_assert(read_link(PAIR));
    cr_assert_eq(got.pages, 1);
    set_number(PAIR, "memory-kib", 1048576);
    cr_assert(read_link(PAIR));
    cr_assert_eq(got.pages, 262144);
    set_number(PAIR, "memory-kib", 0);
    cr_assert(read_link(PAIR));
    cr_assert_eq(got.pages, 0);
}

Test(config_grant, wrong_members)
{
    make_link();
    remove_property(PAIR, "members");
    expect_link("members", "0 names, but a link has two ends");
    set_string(PAIR, "members", "linux");
    expect_link("members", "1 names, but a link has two ends");
    set_bytes(PAIR, "members", "linux\0service\0linux", 20);
    expect_link("members", "3 names, but a link has two ends");
    set_bytes(PAIR, "members", "linux\0linux", 12);
    expect_link("members", "links \"linux\" with itself");
    set_bytes(PAIR, "members", "linux\0servic", 13);
    expect_link("members", "there is no domain \"servic\"");
    set_bytes(PAIR, "members", "console\0linux", 14);
    expect_link("members", "there is no domain \"console\"");
    set_bytes(PAIR, "members", "\0linux", 7);
    expect_link("members", "a name must have 1 to 31 characters");
    set_bytes(PAIR, "members", "linux\0\033[2J", 11);
    expect_link("members", "a name holds a byte that is no printable character");
    set_bytes(PAIR, "members", "linux\0service", 13);
    expect_link("members", "not a list of strings");
}

Test(config_grant, wrong_links)
{
    make_link();
    set_number(PAIR, "memory-kib", 6);
    expect_link("memory-kib", "6 is no multiple of 4: memory comes in pages");
    set_number(PAIR, "memory-kib", 1048580);
    expect_link("memory-kib", "1048580 is not between 0 and 1048576");
    set_bytes(PAIR, "memory-kib", "", 0);
    expect_link("memory-kib", "0 bytes long, but a number has 4");
    set_number(PAIR, "memory-mib", 4);
    expect_link("memory-mib", "there is no such property");
    add_node(PAIR, "left");
    expect_link("left", "there is no such subnode");
    add_node("/links", "second"); /* stands before the other one */
    cr_assert_eq(fdt_set_name(manifest, fdt_path_offset(manifest, "/links/second"), "pair"), 0);
    set_bytes(PAIR, "members", "linux\0service", 14);
    cr_assert(read_link(PAIR), "%s: %s", error.property, error.reason);
    int second = fdt_next_subnode(manifest, fdt_path_offset(manifest, PAIR));

    cr_assert_not(config_read_link(manifest, second, fdt_path_offset(manifest, "/domains"), &got, &error));
    cr_assert_str_eq(error.property, "name");
    cr_assert_str_eq(error.reason, "a link listed before has the same");
    add_node("/links", "a-name-of-thirty-two-characters-");
    cr_assert_not(read_link("/links/a-name-of-thirty-two-characters-"));
    cr_assert_str_eq(error.reason, "must have 1 to 31 characters");
}
