/* SPDX-License-Identifier: GPL-2.0-only */
/* The manifest (docs/manifest.md): what root reads out of it, and what it says of everything that is wrong. */
#include <criterion/criterion.h>
#include <libfdt.h>
#include <string.h>

#include "boot.h"
#include "config.h"
#include "random.h"

#define SIZE 16384u

struct cb_boot_info boot_fake = {.cpu_count = 4};

static struct cb_boot_entry modules[] = {
    {.kind = CB_BOOT_MODULE, .sel = 20, .size = 5 << 20, .name = "bzImage"},
    {.kind = CB_BOOT_MODULE, .sel = 21, .size = 1 << 20, .name = "initramfs"},
    {.kind = CB_BOOT_MODULE, .sel = 22, .size = (5 << 20) + 512, .name = "disk"},
    {.kind = CB_BOOT_MODULE, .sel = 23, .size = 90000, .name = "vmm"},
    {.kind = CB_BOOT_MODULE, .sel = 24, .size = 40000, .name = "service"},
    {.kind = CB_BOOT_MODULE, .sel = 25, .size = 0, .name = "nothing"},
    {.kind = CB_BOOT_MODULE, .sel = 26, .size = 100, .name = "a-module-with-a-name-of-40-characters---"},
};

/* Also for test_config_fdt.c. Exactly of the module's size, so that the sanitizer sees what lies behind. */
uint8_t *manifest;
struct cb_boot_entry manifest_module = {.kind = CB_BOOT_MODULE, .name = "manifest"};
static bool manifest_missing, manifest_unmapped;
static struct config config;
static struct config_error error;

const struct cb_boot_entry *boot_module(const char *name)
{
    if (strcmp(name, "manifest") == 0)
        return manifest_missing ? NULL : &manifest_module;
    for (unsigned i = 0; i < sizeof(modules) / sizeof(modules[0]); i++)
        if (strcmp(modules[i].name, name) == 0)
            return &modules[i];
    return NULL;
}

const void *boot_module_map(const struct cb_boot_entry *module)
{
    cr_assert_eq(module, &manifest_module);
    return manifest_unmapped || module->size == 0 ? NULL : manifest;
}

/* ---- A manifest to change ---- */

static void set_bytes(const char *node, const char *property, const void *bytes, int size)
{
    cr_assert_eq(fdt_setprop(manifest, fdt_path_offset(manifest, node), property, bytes, size), 0);
}

static void set_string(const char *node, const char *property, const char *value)
{
    set_bytes(node, property, value, (int)strlen(value) + 1);
}

static void set_number(const char *node, const char *property, uint32_t value)
{
    cr_assert_eq(fdt_setprop_u32(manifest, fdt_path_offset(manifest, node), property, value), 0);
}

static void set_cells(const char *node, const char *property, const uint32_t *values, unsigned count)
{
    fdt32_t cells[80];

    for (unsigned i = 0; i < count; i++)
        cells[i] = cpu_to_fdt32(values[i]);
    set_bytes(node, property, cells, (int)(count * sizeof(cells[0])));
}

static void remove_property(const char *node, const char *property)
{
    cr_assert_eq(fdt_delprop(manifest, fdt_path_offset(manifest, node), property), 0);
}

static int add_node(const char *parent, const char *name)
{
    return fdt_add_subnode(manifest, fdt_path_offset(manifest, parent), name);
}

#define VM "/domains/linux"
#define TASK "/domains/service"
#define CONSOLE "/console"

static void make_manifest(void)
{
    free(manifest);
    manifest = malloc(SIZE);
    manifest_module.size = SIZE;
    cr_assert_eq(fdt_create_empty_tree(manifest, SIZE), 0);
    set_string("/", "compatible", "corbel,manifest");
    add_node("/", "console");
    set_string(CONSOLE, "module", "service");
    add_node("/", "domains");
    add_node("/domains", "service");
    set_string(TASK, "compatible", "corbel,task");
    set_string(TASK, "module", "service");
    add_node("/domains", "linux");
    set_string(VM, "compatible", "corbel,vm");
    set_string(VM, "kernel", "bzImage");
}

static bool read_offset(int node)
{
    uint32_t next_cpu = 3;

    memset(&error, 0, sizeof(error));
    memset(&config, 0xa5, sizeof(config));
    if (node == fdt_path_offset(manifest, CONSOLE))
        return config_read_console(manifest, node, &config, &error);
    return config_read(manifest, node, &next_cpu, &config, &error);
}

static bool read_node(const char *node)
{
    return read_offset(fdt_path_offset(manifest, node));
}

static void expect_of(int node, const char *property, const char *reason)
{
    cr_assert_not(read_offset(node), "accepted, but: %s: %s", property, reason);
    cr_assert_str_eq(error.property, property);
    cr_assert_str_eq(error.reason, reason);
}

/* The node is refused, and the error names this property and this reason. */
static void expect(const char *node, const char *property, const char *reason)
{
    expect_of(fdt_path_offset(manifest, node), property, reason);
    if (strcmp(node, VM) == 0)
        cr_assert_str_eq(config.name, "linux");
    make_manifest();
}

/* ---- The manifest itself ---- */

static void expect_manifest(const char *property, const char *reason)
{
    cr_assert_null(config_manifest(&error), "accepted, but: %s: %s", property, reason);
    cr_assert_str_eq(error.property, property);
    cr_assert_str_eq(error.reason, reason);
    make_manifest();
}

Test(config, no_manifest)
{
    make_manifest();
    cr_assert_eq(config_manifest(&error), manifest);
    set_string("/", "compatible", "corbel,other");
    expect_manifest("compatible", "the root node is not compatible with \"corbel,manifest\"");
    remove_property("/", "compatible");
    expect_manifest("compatible", "the root node is not compatible with \"corbel,manifest\"");
    memcpy(manifest, "\177ELF", 4);
    expect_manifest("module", "not a flattened device tree (FDT_ERR_BADMAGIC)");
    manifest_module.size = SIZE - 1;
    expect_manifest("module", "not a flattened device tree (FDT_ERR_TRUNCATED)");
    manifest_module.size = 3;
    expect_manifest("module", "not a flattened device tree (FDT_ERR_TRUNCATED)");
    manifest_module.size = 0;
    expect_manifest("module", "0 bytes cannot be mapped");
    manifest_unmapped = true;
    expect_manifest("module", "16384 bytes cannot be mapped");
    manifest_missing = true;
    expect_manifest("module", "there is no module with this name");
}

/* libfdt 1.6.1 crashes at the name of the root node, which is no path. */
Test(config, old_manifests)
{
    make_manifest();
    fdt_set_version(manifest, 15);
    fdt_set_last_comp_version(manifest, 15);
    expect_manifest("module", "a flattened device tree of version 15, but it must be 16 or later");
    fdt_set_version(manifest, 16);
    cr_assert_eq(config_manifest(&error), manifest);
}

/* Cut off anywhere; and each word of the header replaced by extreme ones. */
Test(config, broken_manifests)
{
    static const uint32_t words[] = {0, 1, 7, 40, SIZE, SIZE + 1, 0x7fffffff, 0x80000000, UINT32_MAX};
    uint8_t *whole;

    make_manifest();
    cr_assert_eq(fdt_pack(manifest), 0);
    whole = manifest;
    for (size_t size = 1; size < fdt_totalsize(whole); size++) {
        manifest = malloc(size);
        memcpy(manifest, whole, size);
        manifest_module.size = size;
        cr_assert_null(config_manifest(&error), "%zu bytes", size);
        cr_assert_str_eq(error.reason, "not a flattened device tree (FDT_ERR_TRUNCATED)");
        free(manifest);
    }
    free(whole);
    manifest = NULL;
    for (unsigned i = 0; i < 10 * sizeof(words) / sizeof(words[0]); i++) {
        make_manifest();
        fdt32_st(manifest + i % 10 * 4, words[i / 10]);
        if (config_manifest(&error))
            read_node(VM);
        else
            cr_assert(error.property[0] && error.reason[0]);
    }
}

/* ---- Values ---- */

Test(config, defaults_of_a_vm)
{
    make_manifest();
    cr_assert(read_node(VM), "%s: %s", error.property, error.reason);
    cr_assert_str_eq(config.name, "linux");
    cr_assert(config.vm && !config.log && !config.irq && !config.ioport && !config.com1);
    cr_assert_str_eq(config.image->name, "vmm");
    cr_assert_eq(config.module_count, 1);
    cr_assert_str_eq(config.modules[0].name, "kernel");
    cr_assert_eq(config.modules[0].module->sel, 20);
    cr_assert_eq(config.memory_mib, 64);
    cr_assert_eq(config.vcpus, 1);
    cr_assert_eq(config.cpus[0], 3, "going on where the domain before stopped");
    cr_assert_eq(config.cpu_mask, 1u << 3);
    cr_assert_eq(config.priority, 33, "the VMM's, one above the virtual CPUs'");
    cr_assert_eq(config.ram_pages % 512, 0);
    cr_assert_eq(config.account_pages % 32, 0);
}

Test(config, all_of_a_vm)
{
    static const uint32_t cpus[] = {2, 0, 2};

    make_manifest();
    set_string(VM, "initrd", "initramfs");
    set_string(VM, "disk", "disk");
    set_string(VM, "vmm", "service");
    set_string(VM, "bootargs", "console=hvc0 quiet");
    set_number(VM, "memory-mib", 128);
    set_number(VM, "vcpus", 3);
    set_cells(VM, "cpus", cpus, 3);
    set_number(VM, "priority", 100);
    cr_assert(read_node(VM), "%s: %s", error.property, error.reason);
    cr_assert_eq(config.image->sel, 24);
    cr_assert_eq(config.module_count, 3);
    cr_assert_str_eq(config.modules[1].name, "initrd");
    cr_assert_str_eq(config.modules[2].name, "disk");
    cr_assert_eq(config.modules[2].module->sel, 22);
    cr_assert_eq(config.vcpus, 3);
    cr_assert_arr_eq(config.cpus, cpus, sizeof(cpus));
    cr_assert_eq(config.cpu_mask, 5);
    cr_assert_eq(config.cpu, 2);
    cr_assert_eq(config.priority, 101);
    cr_assert_geq(config.ram_pages, (128 + 6) * 256, "guest and disk");
    cr_assert_eq(config.ram_pages % 512, 0);
}

Test(config, round_robin)
{
    uint32_t next = 0;

    make_manifest();
    set_number(VM, "vcpus", 3);
    for (unsigned i = 0; i < 5; i++) {
        cr_assert(config_read(manifest, fdt_path_offset(manifest, VM), &next, &config, &error));
        for (unsigned v = 0; v < 3; v++)
            cr_assert_eq(config.cpus[v], (3 * i + v) % 4);
    }
}

Test(config, all_of_a_task)
{
    static const uint32_t cpus[] = {1, 3};

    make_manifest();
    cr_assert(read_node(TASK), "%s: %s", error.property, error.reason);
    cr_assert(!config.vm && !config.log && !config.irq && !config.ioport && !config.com1);
    cr_assert_eq(config.ram_pages, 4 * 256);
    cr_assert_eq(config.account_pages, 2 * 256);
    cr_assert_eq(config.priority, 32);
    cr_assert_eq(config.cpu, 0);
    cr_assert_eq(config.cpu_mask, 15);
    cr_assert_eq(config.module_count, 0);
    set_bytes(TASK, "modules", "disk\0bzImage", 13);
    set_bytes(TASK, "grant-log", "", 0);
    set_bytes(TASK, "grant-irq", "", 0);
    set_bytes(TASK, "grant-ioport", "", 0);
    set_cells(TASK, "cpus", cpus, 2);
    set_number(TASK, "cpu", 3);
    set_number(TASK, "memory-mib", 6);
    set_number(TASK, "account-mib", 1024);
    set_number(TASK, "priority", 1);
    cr_assert(read_node(TASK), "%s: %s", error.property, error.reason);
    cr_assert(config.log && config.irq && config.ioport && !config.com1);
    cr_assert_eq(config.module_count, 2);
    cr_assert_str_eq(config.modules[0].name, "disk");
    cr_assert_str_eq(config.modules[1].name, "bzImage");
    cr_assert_eq(config.cpu_mask, 10);
    cr_assert_eq(config.cpu, 3);
    cr_assert_eq(config.ram_pages, 6 * 256);
    cr_assert_eq(config.account_pages, 1024 * 256);
    cr_assert_eq(config.priority, 1);
}

Test(config, the_console)
{
    make_manifest();
    cr_assert(read_node(CONSOLE), "%s: %s", error.property, error.reason);
    cr_assert_str_eq(config.name, "console");
    cr_assert(config.com1 && config.log && config.irq && !config.ioport && !config.vm);
    set_number(CONSOLE, "cpu", 4);
    expect(CONSOLE, "cpu", "4 is not between 0 and 3");
    remove_property(CONSOLE, "module");
    expect(CONSOLE, "module", "missing");
    set_string(CONSOLE, "moduel", "service");
    expect(CONSOLE, "moduel", "there is no such property");
    set_bytes(CONSOLE, "input", "x", 1);
    expect(CONSOLE, "input", "not a string");
}

/* ---- What is wrong with them ---- */

Test(config, numbers)
{
    static const struct {
        const char *node, *property;
        uint32_t value;
        const char *reason;
    } cases[] = {
        {VM, "memory-mib", 14, "14 is not between 16 and 1048576"},
        {VM, "memory-mib", 0, "0 is not between 16 and 1048576"},
        {VM, "memory-mib", 1048577, "1048577 is not between 16 and 1048576"},
        {VM, "memory-mib", UINT32_MAX, "4294967295 is not between 16 and 1048576"},
        {VM, "memory-mib", 17, "17 is odd: memory comes in pieces of 2 MiB"},
        {VM, "vcpus", 0, "0 is not between 1 and 48"},
        {VM, "vcpus", 49, "49 is not between 1 and 48"},
        {VM, "priority", 0, "0 is not between 1 and 100"},
        {VM, "priority", 101, "101 is not between 1 and 100"},
        {TASK, "memory-mib", 0, "0 is not between 2 and 1048576"},
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

Test(config, cpus)
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

Test(config, strings_and_flags)
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

Test(config, missing_modules)
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

Test(config, lists_of_modules)
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

Test(config, nodes)
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
Test(config, unprintable)
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

Test(config, subnodes)
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
Test(config, names_that_are_taken)
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

Test(config, names)
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
