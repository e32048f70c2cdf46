/* SPDX-License-Identifier: GPL-2.0-only */
/* root's boot modules are faked, and the manifest is one of them. */
#include <criterion/criterion.h>
#include <libfdt.h>
#include <string.h>

#include "boot.h"
#include "config_world.h"

struct cb_boot_info boot_fake = {.cpu_count = 4};

struct cb_boot_entry modules[] = {
    {.kind = CB_BOOT_MODULE, .sel = 20, .size = 5 << 20, .name = "bzImage"},
    {.kind = CB_BOOT_MODULE, .sel = 21, .size = 1 << 20, .name = "initramfs"},
    {.kind = CB_BOOT_MODULE, .sel = 22, .size = (5 << 20) + 512, .name = "disk"},
    {.kind = CB_BOOT_MODULE, .sel = 23, .size = 90000, .name = "vmm"},
    {.kind = CB_BOOT_MODULE, .sel = 24, .size = 40000, .name = "service"},
    {.kind = CB_BOOT_MODULE, .sel = 25, .size = 0, .name = "nothing"},
    {.kind = CB_BOOT_MODULE, .sel = 26, .size = 100, .name = "a-module-with-a-name-of-40-characters---"},
};

uint8_t *manifest;
struct cb_boot_entry manifest_module = {.kind = CB_BOOT_MODULE, .name = "manifest"};
bool manifest_missing, manifest_unmapped;
struct config config;
struct config_error error;

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

void set_bytes(const char *node, const char *property, const void *bytes, int size)
{
    cr_assert_eq(fdt_setprop(manifest, fdt_path_offset(manifest, node), property, bytes, size), 0);
}

void set_string(const char *node, const char *property, const char *value)
{
    set_bytes(node, property, value, (int)strlen(value) + 1);
}

void set_number(const char *node, const char *property, uint32_t value)
{
    cr_assert_eq(fdt_setprop_u32(manifest, fdt_path_offset(manifest, node), property, value), 0);
}

void set_cells(const char *node, const char *property, const uint32_t *values, unsigned count)
{
    fdt32_t cells[80];

    for (unsigned i = 0; i < count; i++)
        cells[i] = cpu_to_fdt32(values[i]);
    set_bytes(node, property, cells, (int)(count * sizeof(cells[0])));
}

void remove_property(const char *node, const char *property)
{
    cr_assert_eq(fdt_delprop(manifest, fdt_path_offset(manifest, node), property), 0);
}

int add_node(const char *parent, const char *name)
{
    return fdt_add_subnode(manifest, fdt_path_offset(manifest, parent), name);
}

void make_manifest(void)
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

bool read_domain(int node)
{
    uint32_t next_cpu = 3;

    memset(&error, 0, sizeof(error));
    memset(&config, 0xa5, sizeof(config));
    if (node == fdt_path_offset(manifest, CONSOLE))
        return config_read_console(manifest, node, &config, &error);
    return config_read(manifest, node, &next_cpu, &config, &error);
}

bool read_node(const char *node)
{
    return read_domain(fdt_path_offset(manifest, node));
}

void expect_of(int node, const char *property, const char *reason)
{
    cr_assert_not(read_domain(node), "accepted, but: %s: %s", property, reason);
    cr_assert_str_eq(error.property, property);
    cr_assert_str_eq(error.reason, reason);
}

void expect(const char *node, const char *property, const char *reason)
{
    expect_of(fdt_path_offset(manifest, node), property, reason);
    if (strcmp(node, VM) == 0)
        cr_assert_str_eq(config.name, "linux");
    make_manifest();
}
