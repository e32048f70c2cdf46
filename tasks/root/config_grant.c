/* SPDX-License-Identifier: GPL-2.0-only */
/* What lets domains talk to one another: the services they provide and use, and the links between them. */
#include "config.h"

#include "print.h"
#include "property.h"

#include <libfdt.h>
#include <string.h>

#define LINK_KIB_MAX (1024u * 1024u)
#define PAGE_KIB (CB_PAGE_SIZE / 1024)

static const char *const link_properties[] = {"members", "memory-kib", NULL};

/* ---- Services ---- */

/* The first domain of the list that says it provides the service; a negative number if there is none. */
static int find_provider(const void *fdt, int list, const char *service)
{
    int domain;

    fdt_for_each_subnode(domain, fdt, list) {
        int length;
        const char *value = fdt_getprop(fdt, domain, "provides", &length);

        if (value && (size_t)length == strlen(service) + 1 && memcmp(value, service, (size_t)length) == 0)
            return domain;
    }
    return -1;
}

static bool read_provided(const struct property_node *node, struct config *config, int list)
{
    char other[CONFIG_NAME_MAX + 1];
    uint32_t count;

    if (!property_count(node, "provides", 1, &count) ||
        (count && !property_name(node, "provides", 0, config->provides)))
        return false;
    int provider = count ? find_provider(node->fdt, list, config->provides) : node->offset;

    if (provider == node->offset)
        return true;
    config_name(node->fdt, provider, other);
    return config_error(node->error, "provides", "domain \"%s\" provides \"%s\" too", other, config->provides);
}

bool config_read_services(const struct property_node *node, struct config *config)
{
    int list = fdt_parent_offset(node->fdt, node->offset);
    uint32_t count;

    if (!read_provided(node, config, list) || !property_count(node, "uses", CB_TASK_SERVICES, &count))
        return false;
    for (uint32_t i = 0; i < count; i++) {
        char *name = config->uses[i];

        if (!property_name(node, "uses", i, name))
            return false;
        if (strcmp(name, config->provides) == 0)
            return config_error(node->error, "uses", "the domain provides \"%s\" itself", name);
        for (uint32_t other = 0; other < i; other++)
            if (strcmp(name, config->uses[other]) == 0)
                return config_error(node->error, "uses", "\"%s\" is there twice", name);
        if (find_provider(node->fdt, list, name) < 0)
            return config_error(node->error, "uses", "no domain provides \"%s\"", name);
    }
    config->uses_count = count;
    return true;
}

/* ---- Links ---- */

/* Whether a node before `end` among the subnodes of `list` is shown under this name. */
static bool is_named(const void *fdt, int list, int end, const char *name)
{
    char other[CONFIG_NAME_MAX + 1];
    int node;

    fdt_for_each_subnode(node, fdt, list) {
        if (node == end)
            break;
        if (config_name(fdt, node, other) && strcmp(other, name) == 0)
            return true;
    }
    return false;
}

static bool read_members(const struct property_node *node, int domains, struct config_link *link)
{
    uint32_t count;

    if (!property_count(node, "members", UINT16_MAX, &count))
        return false;
    if (count != 2)
        return config_error(node->error, "members", "%u names, but a link has two ends", count);
    for (uint32_t i = 0; i < 2; i++) {
        if (!property_name(node, "members", i, link->members[i]))
            return false;
        if (!is_named(node->fdt, domains, -1, link->members[i]))
            return config_error(node->error, "members", "there is no domain \"%s\"", link->members[i]);
    }
    if (strcmp(link->members[0], link->members[1]) == 0)
        return config_error(node->error, "members", "links \"%s\" with itself", link->members[0]);
    return true;
}

bool config_read_link(const void *fdt, int node, int domains, struct config_link *link, struct config_error *error)
{
    const struct property_node from = {fdt, node, error};
    uint32_t kib = 0;

    memset(link, 0, sizeof(*link));
    if (!config_name(fdt, node, link->name))
        return config_error(error, "name", "must have 1 to %d characters", CONFIG_NAME_MAX);
    if (is_named(fdt, fdt_parent_offset(fdt, node), node, link->name))
        return config_error(error, "name", "a link listed before has the same");
    if (!property_check(&from, link_properties) || !read_members(&from, domains, link) ||
        !property_number(&from, "memory-kib", 0, LINK_KIB_MAX, &kib))
        return false;
    if (kib % PAGE_KIB)
        return config_error(error, "memory-kib", "%u is no multiple of %u: memory comes in pages", kib, PAGE_KIB);
    link->pages = kib / PAGE_KIB;
    return true;
}
