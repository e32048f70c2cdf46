/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the manifest says of one domain, checked (docs/manifest.md). The manifest is hostile: each value is
 * read once, and whatever is wrong is reported as property and reason.
 */
#ifndef ROOT_CONFIG_H
#define ROOT_CONFIG_H

#include <corbel/boot.h>
#include <corbel/task.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFIG_NAME_MAX 31
#define CONFIG_VCPUS 48u

struct config_module {
    char name[32];                      /* under which the task finds it */
    const struct cb_boot_entry *module;
};

struct config {
    char name[CONFIG_NAME_MAX + 1];
    bool vm;
    bool log, irq, ioport;              /* to be granted */
    bool com1;                          /* may use the first serial line's ports */
    const struct cb_boot_entry *image;  /* executable: the task's own, or the VMM's */
    struct config_module modules[CB_TASK_MODULES];
    uint32_t module_count;
    uint64_t ram_pages;                 /* for the domain to use as it likes */
    uint64_t account_pages;
    uint32_t memory_mib;                /* of a VM's guest */
    uint32_t priority;                  /* highest */
    uint32_t cpu;                       /* of the first thread */
    uint64_t cpu_mask;
    uint32_t vcpus;
    uint32_t cpus[CONFIG_VCPUS];
    char provides[CONFIG_NAME_MAX + 1]; /* service, empty for none */
    char uses[CB_TASK_SERVICES][CONFIG_NAME_MAX + 1];
    uint32_t uses_count;
};

/* A link between two domains. */
struct config_link {
    char name[CONFIG_NAME_MAX + 1];
    char members[2][CONFIG_NAME_MAX + 1];
    uint64_t pages;                     /* of shared memory */
};

/* What is wrong, and with which property or subnode; printable, whatever the manifest holds. */
struct config_error {
    char property[40];
    char reason[160];
};

bool config_error(struct config_error *error, const char *property, const char *format, ...)
    __attribute__((format(printf, 3, 4))); /* always false */

/* The manifest itself: the FDT if the module is one and says it is a manifest, else NULL. */
const void *config_manifest(struct config_error *error);

/*
 * What is there above the domains and should not: mistake `number`, counted from 0 on. False if there are not so many.
 */
bool config_mistake(const void *fdt, uint32_t number, struct config_error *error);

/* Who has the keyboard at first: as the console's node says, else a VM, else any domain; that, too, if it is wrong. */
bool config_input(const void *fdt, int console, int list, char name[CONFIG_NAME_MAX + 1], struct config_error *error);

/* Copies the name of a node; false if it cannot be a domain's. */
bool config_name(const void *fdt, int node, char name[CONFIG_NAME_MAX + 1]);

/* Reads a domain's node. Without `cpus`, a VM gets those from *next_cpu on, which is advanced. */
bool config_read(const void *fdt, int node, uint32_t *next_cpu, struct config *config, struct config_error *error);

/* Reads the console's node. */
bool config_read_console(const void *fdt, int node, struct config *config, struct config_error *error);

struct grants;
struct property_node;

/* Reads the services that a domain provides and uses. */
bool config_read_services(const struct property_node *node, struct config *config);

/* Reads the node of a link; `domains` is the node whose subnodes are the domains. */
bool config_read_link(const void *fdt, int node, int domains, struct config_link *link, struct config_error *error);

/*
 * The FDT of its own that a domain gets: all of its node, with the defaults of a VM written out, and what it is
 * granted (corbel/task.h). The node is -1 for none. Gives the size, 0 if it does not fit.
 */
size_t config_fdt(const void *fdt, int node, const struct config *config, const struct grants *grants, void *buffer,
                  size_t size);

#endif
