/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Properties of one node of the manifest, checked. What is wrong with one goes into `error`, and the result is false.
 * A property that is not there leaves the value as it was.
 */
#ifndef ROOT_PROPERTY_H
#define ROOT_PROPERTY_H

#include "config.h"

struct property_node {
    const void *fdt;
    int offset;
    struct config_error *error;
};

/* A printable string that ends within its property; NULL if there is no such property. */
bool property_string(const struct property_node *node, const char *property, const char **string);

/* How many strings there are in a list, up to `limit`; 0 if there is no such property. */
bool property_count(const struct property_node *node, const char *property, uint32_t limit, uint32_t *count);

/* The string `index` of a list, if it can be the name of a domain or service. */
bool property_name(const struct property_node *node, const char *property, uint32_t index,
                   char name[CONFIG_NAME_MAX + 1]);

bool property_number(const struct property_node *node, const char *property, uint32_t first, uint32_t last,
                     uint32_t *number);
bool property_even_number(const struct property_node *node, const char *property, uint32_t first, uint32_t last,
                          uint32_t *number);
bool property_flag(const struct property_node *node, const char *property, bool *flag);

/* Cells that are CPU numbers; *count is 0 if there is no such property. */
bool property_cpus(const struct property_node *node, const char *property, uint32_t *cpus, uint32_t limit,
                   uint32_t *count);

/* True if there are no properties but the known ones (the list ends with NULL), and no subnodes. */
bool property_check(const struct property_node *node, const char *const *known);

#endif
