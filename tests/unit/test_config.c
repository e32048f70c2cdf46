/* SPDX-License-Identifier: GPL-2.0-only */
/* The manifest (docs/manifest.md): what root reads out of it. */
#include <criterion/criterion.h>
#include <libfdt.h>
#include <string.h>

#include "boot.h"
#include "config_world.h"

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
