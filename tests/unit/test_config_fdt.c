/* SPDX-License-Identifier: GPL-2.0-only */
/* The FDT of its own that a domain gets; and manifests of noise, all the way through root's parsing. */
#include <criterion/criterion.h>
#include <libfdt.h>
#include <string.h>

#include "boot.h"
#include "config.h"
#include "grants.h"
#include "random.h"

#define SIZE 4096u

/* The module with the manifest (config_world.c). */
extern uint8_t *manifest;
extern struct cb_boot_entry manifest_module;

static uint8_t source[SIZE], out[SIZE];
static struct config config;
static struct config_error error;
static struct grants grants;

static void set_string(int node, const char *property, const char *value)
{
    cr_assert_eq(fdt_setprop(source, node, property, value, (int)strlen(value) + 1), 0);
}

static bool with_peer; /* a service and a link, for noise */

static void make_source(const char *compatible, const char *image)
{
    int node;

    cr_assert_eq(fdt_create_empty_tree(source, SIZE), 0);
    set_string(0, "compatible", "corbel,manifest");
    node = fdt_add_subnode(source, 0, "linux");
    cr_assert_gt(node, 0);
    set_string(node, "compatible", compatible);
    set_string(node, image, "service");
    set_string(node, "bootargs", "quiet");
    cr_assert_eq(fdt_setprop_u32(source, node, "memory-mib", 32), 0);
    if (with_peer) {
        int peer = fdt_add_subnode(source, 0, "peer");

        set_string(peer, "provides", "echo");
        node = fdt_path_offset(source, "/linux");
        set_string(node, "uses", "echo");
        peer = fdt_add_subnode(source, 0, "link");
        cr_assert_eq(fdt_setprop(source, peer, "members", "linux\0peer", 11), 0);
        cr_assert_eq(fdt_setprop_u32(source, peer, "memory-kib", 8), 0);
    }
}

static int read_source(void)
{
    int node = fdt_path_offset(source, "/linux");
    uint32_t next = 1;

    cr_assert(config_read(source, node, &next, &config, &error), "%s: %s", error.property, error.reason);
    return node;
}

static uint32_t cell(const char *property, unsigned index, unsigned count)
{
    int length;
    const fdt32_t *cells = fdt_getprop(out, 0, property, &length);

    cr_assert_not_null(cells, "%s", property);
    cr_assert_eq((unsigned)length, 4 * count, "%s", property);
    return fdt32_ld(cells + index);
}

/* The VMM reads all from it: what the manifest did not say is written out, and nothing twice. */
Test(config_fdt, of_a_vm)
{
    int node, property, count = 0;

    make_source("corbel,vm", "kernel");
    fdt_setprop_u32(source, fdt_path_offset(source, "/linux"), "vcpus", 2);
    node = read_source();
    cr_assert_gt(config_fdt(source, node, &config, &grants, out, SIZE), 0);
    cr_assert_eq(fdt_check_full(out, SIZE), 0);
    cr_assert_eq(cell("vcpus", 0, 1), 2);
    cr_assert_eq(cell("cpus", 0, 2), 1);
    cr_assert_eq(cell("cpus", 1, 2), 2);
    cr_assert_eq(cell("memory-mib", 0, 1), 32);
    cr_assert_eq(cell("priority", 0, 1), 32, "the virtual CPUs', not the VMM's");
    cr_assert_str_eq(fdt_getprop(out, 0, "bootargs", NULL), "quiet");
    cr_assert_str_eq(fdt_getprop(out, 0, "kernel", NULL), "service");
    fdt_for_each_property_offset(property, out, 0)
        count++;
    cr_assert_eq(count, 7);
    node = fdt_path_offset(source, "/linux");
    fdt_setprop(source, node, "cpus", (const fdt32_t[]){cpu_to_fdt32(1), cpu_to_fdt32(2)}, 8);
    fdt_setprop_u32(source, fdt_path_offset(source, "/linux"), "priority", 32);
    cr_assert_gt(config_fdt(source, read_source(), &config, &grants, out, SIZE), 0);
    fdt_for_each_property_offset(property, out, 0)
        count--;
    cr_assert_eq(count, 0, "as many if the manifest says all");
}

Test(config_fdt, of_a_task)
{
    int node;

    make_source("corbel,task", "module");
    node = read_source();
    cr_assert_gt(config_fdt(source, node, &config, &grants, out, SIZE), 0);
    cr_assert_eq(fdt_check_full(out, SIZE), 0);
    cr_assert_eq(cell("memory-mib", 0, 1), 32, "as the manifest has it");
    cr_assert_null(fdt_getprop(out, 0, "cpus", NULL));
}

Test(config_fdt, of_nothing)
{
    memset(&config, 0, sizeof(config));
    make_source("corbel,task", "module");
    cr_assert_gt(config_fdt(source, -1, &config, &grants, out, SIZE), 0);
    cr_assert_eq(fdt_check_full(out, SIZE), 0);
}

Test(config_fdt, that_does_not_fit)
{
    size_t needed;
    int node;

    make_source("corbel,vm", "kernel");
    node = read_source();
    needed = config_fdt(source, node, &config, &grants, out, SIZE);
    for (size_t size = 0; size < needed + 16; size++) {
        uint8_t *buffer = malloc(size);
        size_t got = config_fdt(source, node, &config, &grants, buffer, size);

        cr_assert(got == 0 || (got <= size && size >= needed), "%zu of %zu", got, size);
        free(buffer);
    }
}

static uint32_t grant_cell(int node, const char *property, unsigned index, unsigned count)
{
    int length;
    const fdt32_t *cells = fdt_getprop(out, node, property, &length);

    cr_assert_not_null(cells, "%s", property);
    cr_assert_eq((unsigned)length, 4 * count, "%s", property);
    return fdt32_ld(cells + index);
}

Test(config_fdt, what_is_granted)
{
    static const struct grants some = {
        .link_count = 2,
        .links = {
            {.name = "pair", .side = 1, .sel = 1024, .address = 0x7000000000, .pages = 1024},
            {.name = "bare", .side = 0, .sel = 1032, .address = 0x7000400000},
        },
        .service_count = 1,
        .services = {{.name = "echo", .sel = 1088, .from = {0, 70, 0, 90}}},
    };
    int node, at;

    grants = some;
    make_source("corbel,task", "module");
    cr_assert_gt(config_fdt(source, read_source(), &config, &grants, out, SIZE), 0);
    cr_assert_eq(fdt_check_full(out, SIZE), 0);
    node = fdt_path_offset(out, "/grants");
    cr_assert_eq(fdt_node_check_compatible(out, node, "corbel,grants"), 0);
    cr_assert_eq(fdt_address_cells(out, node), 2);
    cr_assert_eq(fdt_size_cells(out, node), 2);
    at = fdt_first_subnode(out, node);
    cr_assert_eq(fdt_node_check_compatible(out, at, "corbel,link"), 0);
    cr_assert_str_eq(fdt_getprop(out, at, "label", NULL), "pair");
    cr_assert_eq(grant_cell(at, "corbel,side", 0, 1), 1);
    cr_assert_eq(grant_cell(at, "corbel,event", 0, 1), 1024);
    cr_assert_eq(grant_cell(at, "corbel,signal", 0, 1), 1025);
    cr_assert_eq(grant_cell(at, "corbel,memory", 0, 1), 1026);
    cr_assert_eq(grant_cell(at, "reg", 0, 4), 0x70);
    cr_assert_eq(grant_cell(at, "reg", 1, 4), 0);
    cr_assert_eq(grant_cell(at, "reg", 2, 4), 0);
    cr_assert_eq(grant_cell(at, "reg", 3, 4), 0x400000);
    at = fdt_next_subnode(out, at);
    cr_assert_str_eq(fdt_getprop(out, at, "label", NULL), "bare");
    cr_assert_eq(grant_cell(at, "corbel,side", 0, 1), 0);
    cr_assert_eq(grant_cell(at, "corbel,signal", 0, 1), 1033);
    cr_assert_null(fdt_getprop(out, at, "reg", NULL));
    cr_assert_null(fdt_getprop(out, at, "corbel,memory", NULL));
    at = fdt_next_subnode(out, at);
    cr_assert_eq(fdt_node_check_compatible(out, at, "corbel,service"), 0);
    cr_assert_str_eq(fdt_getprop(out, at, "label", NULL), "echo");
    cr_assert_eq(grant_cell(at, "corbel,portals", 0, 4), 0, "the task may not run there");
    cr_assert_eq(grant_cell(at, "corbel,portals", 1, 4), 1089);
    cr_assert_eq(grant_cell(at, "corbel,portals", 3, 4), 1091);
    cr_assert_lt(fdt_next_subnode(out, at), 0);
}

static void read_links(const void *fdt)
{
    struct config_link link;
    int node;

    fdt_for_each_subnode(node, fdt, 0)
        if (!config_read_link(fdt, node, 0, &link, &error))
            cr_assert(error.property[0] && error.reason[0]);
}

static void read_all(const void *fdt)
{
    uint32_t next = 0;
    int node;

    read_links(fdt);

    fdt_for_each_subnode(node, fdt, 0) {
        bool good = config_read(fdt, node, &next, &config, &error);

        if (good)
            config_fdt(fdt, node, &config, &grants, out, SIZE);
        else
            cr_assert(error.reason[0]);
        cr_assert(!good || (config.vcpus <= CONFIG_VCPUS && config.uses_count <= CB_TASK_SERVICES &&
                            config.module_count <= CB_TASK_MODULES && config.image));
        config_read_console(fdt, node, &config, &error);
    }
}

Test(config_fdt, noise)
{
    unsigned parsed = 0;
    size_t size;

    with_peer = true;
    for (unsigned n = 0; n < 40000; n++) {
        make_source(n % 2 ? "corbel,vm" : "corbel,task", n % 2 ? "kernel" : "module");
        fdt_pack(source);
        size = fdt_totalsize(source);
        manifest = malloc(size);
        memcpy(manifest, source, size);
        for (uint64_t i = 1 + random_below(6); i > 0; i--) {
            if (random_below(2))
                manifest[random_below(size)] = (uint8_t)(random_below(2) ? random_next() : random_below(10));
            else
                fdt32_st(manifest + random_below(size / 4) * 4,
                         (uint32_t)(random_below(2) ? random_below(size) : random_next()));
        }
        manifest_module.size = size;
        if (config_manifest(&error)) {
            parsed++;
            read_all(manifest);
        }
        free(manifest);
    }
    cr_assert_gt(parsed, 1000);
}
