/* SPDX-License-Identifier: GPL-2.0-only */
/* What root says of everything that is wrong in a manifest. */
#include <criterion/criterion.h>
#include <libfdt.h>
#include <stdio.h>
#include <string.h>

#include "boot.h"
#include "config_world.h"

Test(config_wrong, numbers)
{
    static const struct {
        const char *node, *property;
        uint32_t value;
        const char *reason;
    } cases[] = {
        {VM, "memory-mib", 14, "14 is not between 16 and 262144"},
        {VM, "memory-mib", 0, "0 is not between 16 and 262144"},
        {VM, "memory-mib", 262145, "262145 is not between 16 and 262144"},
        {VM, "memory-mib", UINT32_MAX, "4294967295 is not between 16 and 262144"},
        {VM, "memory-mib", 17, "17 is odd: memory comes in pieces of 2 MiB"},
        {VM, "vcpus", 0, "0 is not between 1 and 48"},
        {VM, "vcpus", 49, "49 is not between 1 and 48"},
        {VM, "priority", 0, "0 is not between 1 and 100"},
        {VM, "priority", 101, "101 is not between 1 and 100"},
        {TASK, "memory-mib", 0, "0 is not between 2 and 262144"},
        {TASK, "memory-mib", 3, "3 is odd: memory comes in pieces of 2 MiB"},
        {TASK, "account-mib", 1026, "1026 is not between 2 and 1024"},
        {TASK, "account-mib", 5, "5 is odd: memory comes in pieces of 2 MiB"},
        {TASK, "cpu", 4, "4 is not between 0 and 3"},
        {TASK, "priority", UINT32_MAX, "4294967295 is not between 1 and 100"},
    };

    make_manifest();
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        set_number(cases[i].node, cases[i].property, cases[i].value);
        expect(cases[i].node, cases[i].property, cases[i].reason);
    }
    set_bytes(VM, "vcpus", "\0\0\0\0\0\0\0\1", 8);
    expect(VM, "vcpus", "8 bytes long, but a number has 4");
    set_bytes(VM, "memory-mib", "64", 3);
    expect(VM, "memory-mib", "3 bytes long, but a number has 4");
    set_bytes(VM, "priority", "", 0);
    expect(VM, "priority", "0 bytes long, but a number has 4");
}

Test(config_wrong, cpus)
{
    static const uint32_t cpus[] = {0, 1, 2, 3, 4};

    make_manifest();
    set_cells(VM, "cpus", cpus, 2);
    expect(VM, "cpus", "2 CPUs for 1 virtual CPUs");
    set_cells(VM, "cpus", cpus + 4, 1);
    expect(VM, "cpus", "there is no CPU 4: the machine has 4");
    set_bytes(VM, "cpus", "\0\0\0\0\0", 5);
    expect(VM, "cpus", "5 bytes long, but it takes 1 to 48 numbers of 4 bytes");
    set_bytes(VM, "cpus", "", 0);
    expect(VM, "cpus", "0 bytes long, but it takes 1 to 48 numbers of 4 bytes");
    set_bytes(VM, "cpus", (const uint8_t[49 * 4]){0}, 49 * 4);
    expect(VM, "cpus", "196 bytes long, but it takes 1 to 48 numbers of 4 bytes");
    set_bytes(TASK, "cpus", (const uint8_t[65 * 4]){0}, 65 * 4);
    expect(TASK, "cpus", "260 bytes long, but it takes 1 to 64 numbers of 4 bytes");
    set_bytes(TASK, "cpus", (const uint8_t[64 * 4]){0}, 64 * 4);
    cr_assert(read_node(TASK));
    make_manifest();
    set_cells(TASK, "cpus", cpus + 1, 3);
    expect(TASK, "cpu", "0 is not among `cpus`");
}

Test(config_wrong, strings_and_flags)
{
    make_manifest();
    set_bytes(VM, "kernel", "bzImage", 7);
    expect(VM, "kernel", "not a string");
    set_bytes(VM, "kernel", "bz\0mage", 8);
    expect(VM, "kernel", "not a string");
    set_bytes(VM, "bootargs", "", 0);
    expect(VM, "bootargs", "not a string");
    set_string(VM, "bootargs", "a\033[2Jb");
    expect(VM, "bootargs", "holds a byte that is no printable character");
    set_string(VM, "disk", "d\303\244sk");
    expect(VM, "disk", "holds a byte that is no printable character");
    set_number(TASK, "grant-log", 1);
    expect(TASK, "grant-log", "has a value, but takes none");
}

Test(config_wrong, missing_modules)
{
    make_manifest();
    remove_property(VM, "kernel");
    expect(VM, "kernel", "missing");
    remove_property(TASK, "module");
    expect(TASK, "module", "missing");
    set_string(VM, "kernel", "bzimage");
    expect(VM, "kernel", "there is no module \"bzimage\"");
    set_string(VM, "initrd", "manifest ");
    expect(VM, "initrd", "there is no module \"manifest \"");
    set_string(VM, "disk", "");
    expect(VM, "disk", "there is no module \"\"");
    set_string(VM, "vmm", "nothing");
    expect(VM, "vmm", "module \"nothing\" is empty");
    modules[3].name[0] = 'x';
    expect(VM, "vmm", "there is no module \"vmm\"");
    modules[3].name[0] = 'v';
}

Test(config_wrong, lists_of_modules)
{
    make_manifest();
    set_bytes(TASK, "modules", "disk\0absent", 12);
    expect(TASK, "modules", "there is no module \"absent\"");
    set_bytes(TASK, "modules", "disk", 4);
    expect(TASK, "modules", "not a list of strings");
    set_bytes(TASK, "modules", "disk\0disk\0disk\0disk\0disk\0disk\0disk\0disk\0disk", 45);
    expect(TASK, "modules", "more than 8 modules");
    set_string(TASK, "modules", "a-module-with-a-name-of-40-characters---");
    expect(TASK, "modules", "the name \"a-module-with-a-name-of-40-characters---\" is longer than 31 characters");
}

Test(config_wrong, nodes)
{
    make_manifest();
    set_number(VM, "memory-mb", 64);
    expect(VM, "memory-mb", "there is no such property");
    set_string(VM, "module", "service"); /* a task's, not a VM's */
    expect(VM, "module", "there is no such property");
    set_number(TASK, "vcpus", 1);
    expect(TASK, "vcpus", "there is no such property");
    set_number(VM, "a-property-with-a-name-of-more-than-39-characters", 1);
    expect(VM, "a-property-with-a-name-of-more-than-39-", "there is no such property");
    set_string(VM, "compatible", "corbel,vmm");
    expect(VM, "compatible", "neither \"corbel,vm\" nor \"corbel,task\"");
    remove_property(VM, "compatible");
    expect(VM, "compatible", "neither \"corbel,vm\" nor \"corbel,task\"");
}

/* The console obeys control characters, so none of the manifest's reach it. */
Test(config_wrong, unprintable)
{
    make_manifest();
    set_bytes(TASK, "modules", "a\033[2J b\177\303\244\n", 12);
    expect(TASK, "modules", "there is no module \"a?[2J b????\"");
    set_string(TASK, "a\033[2J b\n", "");
    expect(TASK, "a?[2J?b?", "there is no such property");
    add_node(TASK, "a\033[2J b\n");
    expect(TASK, "a?[2J?b?", "there is no such subnode");
    set_number(VM, "", 1);
    expect(VM, "(unnamed)", "there is no such property");
}

Test(config_wrong, subnodes)
{
    make_manifest();
    add_node(VM, "cpus");
    expect(VM, "cpus", "there is no such subnode");
    add_node(TASK, "vcpus");
    expect(TASK, "vcpus", "there is no such subnode");
    add_node(CONSOLE, "colours");
    expect(CONSOLE, "colours", "there is no such subnode");
    add_node(VM, "");
    expect(VM, "(unnamed)", "there is no such subnode");
}

/* Who writes a line must be clear from its name. */
Test(config_wrong, names_that_are_taken)
{
    static const char *const reserved[] = {"root", "console", "corbel"};
    char path[64];
    int other;

    make_manifest();
    for (unsigned i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++) {
        add_node("/domains", reserved[i]);
        snprintf(path, sizeof(path), "/domains/%s", reserved[i]);
        expect(path, "name", "reserved: lines of the system itself begin with it");
    }
    other = add_node("/domains", "other"); /* stands before all the others */
    cr_assert_eq(fdt_set_name(manifest, other, "linux"), 0);
    expect_of(other, "compatible", "neither \"corbel,vm\" nor \"corbel,task\""); /* but the name is free */
    expect_of(fdt_next_subnode(manifest, other), "name", "a domain listed before has the same");
    cr_assert_str_eq(config.name, "linux");
    cr_assert(read_node(TASK), "%s: %s", error.property, error.reason);
    make_manifest();
    add_node("/domains", "a\033");
    add_node("/domains", "a?");
    expect("/domains/a\033", "name", "a domain listed before has the same");
}

Test(config_wrong, names)
{
    static const char just[] = "a-name-of-thirty-one-characters", longer[] = "a-name-of-thirty-two-characters-";
    char name[CONFIG_NAME_MAX + 1];

    make_manifest();
    cr_assert(config_name(manifest, add_node("/domains", just), name));
    cr_assert_str_eq(name, just);
    cr_assert_not(config_name(manifest, add_node("/domains", longer), name));
    cr_assert_str_eq(name, "a-name-of-thirty-two-characters", "cut, for the message");
    cr_assert(config_name(manifest, add_node("/domains", "a\033[2J b"), name));
    cr_assert_str_eq(name, "a?[2J?b");
    expect("/domains/a-name-of-thirty-two-characters-", "name", "must have 1 to 31 characters");
    cr_assert_not(config_name(manifest, 0, name), "the root node has no name");
}

static void expect_mistake(uint32_t number, const char *property, const char *reason)
{
    memset(&error, 0, sizeof(error));
    cr_assert(config_mistake(manifest, number, &error), "accepted, but: %s: %s", property, reason);
    cr_assert_str_eq(error.property, property);
    cr_assert_str_eq(error.reason, reason);
}

/* Each is found, and none twice. */
Test(config_wrong, what_stands_above_the_domains)
{
    make_manifest();
    cr_assert_not(config_mistake(manifest, 0, &error), "%s: %s", error.property, error.reason);
    add_node("/", "links");
    cr_assert_not(config_mistake(manifest, 0, &error), "%s: %s", error.property, error.reason);
    set_string("/", "comment", "none");
    add_node("/", "domain");
    set_string("/domains", "memory-mib", "64");
    set_number("/links", "members", 1);
    expect_mistake(0, "comment", "there is no such property");
    expect_mistake(1, "domain", "there is no such node");
    expect_mistake(2, "memory-mib", "there is no such property");
    expect_mistake(3, "members", "there is no such property");
    cr_assert_not(config_mistake(manifest, 4, &error));
}

static bool read_input(char name[CONFIG_NAME_MAX + 1])
{
    return config_input(manifest, fdt_path_offset(manifest, CONSOLE), fdt_path_offset(manifest, "/domains"), name, &error);
}

Test(config_wrong, who_has_the_keyboard)
{
    char name[CONFIG_NAME_MAX + 1];

    make_manifest();
    cr_assert(read_input(name));
    cr_assert_str_eq(name, "linux", "a VM rather than a task");
    set_string(CONSOLE, "input", "service");
    cr_assert(read_input(name));
    cr_assert_str_eq(name, "service");
    set_string(CONSOLE, "input", "linus");
    cr_assert_not(read_input(name));
    cr_assert_str_eq(error.property, "input");
    cr_assert_str_eq(error.reason, "there is no domain \"linus\"");
    cr_assert_str_eq(name, "linux", "as if it had not been there");
    set_string(CONSOLE, "input", "service");
    set_bytes(CONSOLE, "input", "linux", 5);
    cr_assert_not(read_input(name));
    cr_assert_str_eq(error.reason, "not a string");
}
