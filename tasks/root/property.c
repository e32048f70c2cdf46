/* SPDX-License-Identifier: GPL-2.0-only */
#include "property.h"

#include "boot.h"

#include <libfdt.h>
#include <string.h>

bool property_string(const struct property_node *node, const char *property, const char **string)
{
    int length;
    const char *value = fdt_getprop(node->fdt, node->offset, property, &length);

    *string = NULL;
    if (value == NULL)
        return true;
    if (length < 1 || strnlen(value, (size_t)length) != (size_t)length - 1)
        return config_error(node->error, property, "not a string");
    for (const char *at = value; *at; at++)
        if (*at < ' ' || *at > '~')
            return config_error(node->error, property, "holds a byte that is no printable character");
    *string = value;
    return true;
}

bool property_count(const struct property_node *node, const char *property, uint32_t limit, uint32_t *count)
{
    int strings = fdt_stringlist_count(node->fdt, node->offset, property);

    *count = 0;
    if (strings == -FDT_ERR_NOTFOUND)
        return true;
    if (strings < 0)
        return config_error(node->error, property, "not a list of strings");
    if ((uint32_t)strings > limit)
        return config_error(node->error, property, "%d strings, but it takes up to %u", strings, limit);
    *count = (uint32_t)strings;
    return true;
}

bool property_name(const struct property_node *node, const char *property, uint32_t index,
                   char name[CONFIG_NAME_MAX + 1])
{
    int length;
    const char *value = fdt_stringlist_get(node->fdt, node->offset, property, (int)index, &length);

    if (value == NULL || length < 1 || length > CONFIG_NAME_MAX)
        return config_error(node->error, property, "a name must have 1 to %d characters", CONFIG_NAME_MAX);
    for (const char *at = value; *at; at++)
        if (*at <= ' ' || *at > '~')
            return config_error(node->error, property, "a name holds a byte that is no printable character");
    memcpy(name, value, (size_t)length + 1);
    return true;
}

bool property_number(const struct property_node *node, const char *property, uint32_t first, uint32_t last,
                     uint32_t *number)
{
    int length;
    const fdt32_t *cells = fdt_getprop(node->fdt, node->offset, property, &length);

    if (cells == NULL)
        return true;
    if (length != sizeof(fdt32_t))
        return config_error(node->error, property, "%d bytes long, but a number has 4", length);
    uint32_t value = fdt32_ld(cells);

    if (value < first || value > last)
        return config_error(node->error, property, "%u is not between %u and %u", value, first, last);
    *number = value;
    return true;
}

bool property_even_number(const struct property_node *node, const char *property, uint32_t first, uint32_t last,
                          uint32_t *number)
{
    if (!property_number(node, property, first, last, number))
        return false;
    if (*number % 2)
        return config_error(node->error, property, "%u is odd: memory comes in pieces of 2 MiB", *number);
    return true;
}

bool property_flag(const struct property_node *node, const char *property, bool *flag)
{
    int length;

    *flag = fdt_getprop(node->fdt, node->offset, property, &length) != NULL;
    if (*flag && length != 0)
        return config_error(node->error, property, "has a value, but takes none");
    return true;
}

bool property_cpus(const struct property_node *node, const char *property, uint32_t *cpus, uint32_t limit,
                   uint32_t *count)
{
    int length;
    const fdt32_t *cells = fdt_getprop(node->fdt, node->offset, property, &length);

    *count = 0;
    if (cells == NULL)
        return true;
    if (length <= 0 || length % (int)sizeof(fdt32_t) || (uint32_t)length / sizeof(fdt32_t) > limit)
        return config_error(node->error, property, "%d bytes long, but it takes 1 to %u numbers of 4 bytes", length,
                            limit);
    for (uint32_t i = 0; i < (uint32_t)length / sizeof(fdt32_t); i++) {
        cpus[i] = fdt32_ld(cells + i);
        if (cpus[i] >= boot_info()->cpu_count)
            return config_error(node->error, property, "there is no CPU %u: the machine has %u", cpus[i],
                                boot_info()->cpu_count);
    }
    *count = (uint32_t)length / sizeof(fdt32_t);
    return true;
}

bool property_check(const struct property_node *node, const char *const *known)
{
    int property;

    fdt_for_each_property_offset(property, node->fdt, node->offset) {
        const char *name;
        bool found = false;

        if (fdt_getprop_by_offset(node->fdt, property, &name, NULL) == NULL)
            return config_error(node->error, "node", "cannot be read");
        for (const char *const *at = known; *at && !found; at++)
            found = strcmp(*at, name) == 0;
        if (!found)
            return config_error(node->error, name, "there is no such property");
    }
    int subnode = fdt_first_subnode(node->fdt, node->offset);

    if (subnode >= 0)
        return config_error(node->error, fdt_get_name(node->fdt, subnode, NULL), "there is no such subnode");
    return true;
}
