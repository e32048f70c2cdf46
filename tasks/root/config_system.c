/* SPDX-License-Identifier: GPL-2.0-only */
/* What the manifest says above its domains. */
#include "config.h"

#include "boot.h"
#include "print.h"
#include "property.h"

#include <libfdt.h>
#include <string.h>

/* Before this version of the format, names of nodes were paths; fdt_check_full() crashes at one that is none. */
#define FDT_VERSION_MIN 16u

const void *config_manifest(struct config_error *error)
{
    const struct cb_boot_entry *module = boot_module("manifest");
    const void *fdt = module ? boot_module_map(module) : NULL;

    if (module == NULL) {
        config_error(error, "module", "there is no module with this name");
        return NULL;
    }
    if (fdt == NULL) {
        config_error(error, "module", "%lu bytes cannot be mapped", module->size);
        return NULL;
    }
    if (module->size >= FDT_V1_SIZE && fdt_magic(fdt) == FDT_MAGIC && fdt_version(fdt) < FDT_VERSION_MIN) {
        config_error(error, "module", "a flattened device tree of version %u, but it must be %u or later",
                     fdt_version(fdt), FDT_VERSION_MIN);
        return NULL;
    }
    int result = fdt_check_full(fdt, module->size);

    if (result != 0) {
        config_error(error, "module", "not a flattened device tree (%s)", fdt_strerror(result));
        return NULL;
    }
    if (fdt_node_check_compatible(fdt, 0, "corbel,manifest") != 0) {
        config_error(error, "compatible", "the root node is not compatible with \"corbel,manifest\"");
        return NULL;
    }
    return fdt;
}

static const char *const root_properties[] = {"compatible", NULL};
static const char *const root_nodes[] = {"console", "domains", "links", NULL};
static const char *const none[] = {NULL};

static bool is_among(const char *name, const char *const *list)
{
    for (; *list; list++)
        if (strcmp(*list, name) == 0)
            return true;
    return false;
}

/* The mistake `*number` counts down to, among properties and subnodes (NULL: any may be there) that are not known. */
static bool find_unknown(const void *fdt, int node, const char *const *properties, const char *const *nodes,
                         uint32_t *number, struct config_error *error)
{
    int property, subnode;

    fdt_for_each_property_offset(property, fdt, node) {
        const char *name;

        if (fdt_getprop_by_offset(fdt, property, &name, NULL) && !is_among(name, properties) && (*number)-- == 0)
            return !config_error(error, name, "there is no such property");
    }
    fdt_for_each_subnode(subnode, fdt, node) {
        const char *name = fdt_get_name(fdt, subnode, NULL);

        if (nodes && !is_among(name, nodes) && (*number)-- == 0)
            return !config_error(error, name, "there is no such node");
    }
    return false;
}

bool config_mistake(const void *fdt, uint32_t number, struct config_error *error)
{
    int domains = fdt_subnode_offset(fdt, 0, "domains"), links = fdt_subnode_offset(fdt, 0, "links");

    return find_unknown(fdt, 0, root_properties, root_nodes, &number, error) ||
           (domains >= 0 && find_unknown(fdt, domains, none, NULL, &number, error)) ||
           (links >= 0 && find_unknown(fdt, links, none, NULL, &number, error));
}

static bool is_domain(const void *fdt, int list, const char *wanted)
{
    char name[CONFIG_NAME_MAX + 1];
    int node;

    fdt_for_each_subnode(node, fdt, list)
        if (config_name(fdt, node, name) && strcmp(name, wanted) == 0)
            return true;
    return false;
}

/* The first VM, else the first domain. */
static void choose_input(const void *fdt, int list, char name[CONFIG_NAME_MAX + 1])
{
    bool vm = false;
    int node;

    name[0] = 0;
    fdt_for_each_subnode(node, fdt, list) {
        bool is_vm = fdt_node_check_compatible(fdt, node, "corbel,vm") == 0;

        if (name[0] == 0 || (is_vm && !vm))
            config_name(fdt, node, name);
        vm |= is_vm;
    }
}

bool config_input(const void *fdt, int console, int list, char name[CONFIG_NAME_MAX + 1], struct config_error *error)
{
    const struct property_node from = {fdt, console, error};
    const char *input;

    choose_input(fdt, list, name);
    if (!property_string(&from, "input", &input))
        return false;
    if (input && !is_domain(fdt, list, input))
        return config_error(error, "input", "there is no domain \"%s\"", input);
    if (input)
        snprintf(name, CONFIG_NAME_MAX + 1, "%s", input);
    return true;
}
