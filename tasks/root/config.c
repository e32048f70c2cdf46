/* SPDX-License-Identifier: GPL-2.0-only */
#include "config.h"

#include "boot.h"
#include "print.h"
#include "property.h"
#include "ram.h"

#include <libfdt.h>

#define MIB_PAGES 256u
#define MEMORY_MIB_MAX 262144u /* as much as a task finds room for in its address space (tasks/lib/pages.c) */
#define PRIORITY_DEFAULT 32u
#define PRIORITY_MAX 100u
#define CONSOLE_PRIORITY 110u /* above all domains: it does little, and all wait for it */
#define CONSOLE_RAM_MIB 2u
#define ACCOUNT_MIB 2u
/* What a VMM needs for itself, beside the guest's memory and what is written to the disk. */
#define VMM_RAM_MIB 8u
#define VCPU_ACCOUNT_PAGES 32u
/* Page tables with large pages: one page for each GiB, twice, is far less; the rest is slack. */
#define ACCOUNT_PAGES_PER_GIB 32u

static const char *const vm_properties[] = {
    "compatible", "kernel", "initrd", "disk", "bootargs", "memory-mib", "vcpus", "cpus", "priority", "vmm", "uses",
    NULL};
static const char *const task_properties[] = {"compatible", "module",   "modules",  "bootargs",  "memory-mib",
                                              "account-mib", "cpu",     "cpus",     "priority",  "grant-log",
                                              "grant-irq",  "grant-ioport", "provides", "uses", NULL};
static const char *const console_properties[] = {"module", "input", "cpu", NULL};

/* Shows what is below `first` or no ASCII as '?': control characters must not reach the console. */
static void make_printable(char *text, char first)
{
    for (; *text; text++)
        if (*text < first || *text > '~')
            *text = '?';
}

bool config_error(struct config_error *error, const char *property, const char *format, ...)
{
    va_list list;

    snprintf(error->property, sizeof(error->property), "%s", *property ? property : "(unnamed)");
    make_printable(error->property, '!');
    va_start(list, format);
    vsnprintf(error->reason, sizeof(error->reason), format, list);
    va_end(list);
    make_printable(error->reason, ' ');
    return false;
}

/* ---- Modules ---- */

static bool find_module(const struct property_node *node, const char *property, const char *name,
                        const struct cb_boot_entry **module)
{
    *module = boot_module(name);
    if (*module == NULL)
        return config_error(node->error, property, "there is no module \"%s\"", name);
    if ((*module)->size == 0)
        return config_error(node->error, property, "module \"%s\" is empty", name);
    return true;
}

/* The module that a property names, or `fallback` does; NULL if neither. */
static bool read_module(const struct property_node *node, const char *property, const char *fallback,
                        const struct cb_boot_entry **module)
{
    const char *name;

    *module = NULL;
    if (!property_string(node, property, &name))
        return false;
    if (name == NULL)
        name = fallback;
    return name == NULL || find_module(node, property, name, module);
}

static bool read_required_module(const struct property_node *node, const char *property,
                                 const struct cb_boot_entry **module)
{
    if (!read_module(node, property, NULL, module))
        return false;
    return *module || config_error(node->error, property, "missing");
}

static bool add_module(const struct property_node *node, struct config *config, const char *property, const char *name,
                       const struct cb_boot_entry *module)
{
    if (config->module_count == CB_TASK_MODULES)
        return config_error(node->error, property, "more than %u modules", CB_TASK_MODULES);
    struct config_module *added = &config->modules[config->module_count];

    if (strlen(name) >= sizeof(added->name))
        return config_error(node->error, property, "the name \"%.40s\" is longer than %zu characters", name,
                            sizeof(added->name) - 1);
    snprintf(added->name, sizeof(added->name), "%s", name);
    added->module = module;
    config->module_count++;
    return true;
}

/* ---- Nodes ---- */

static uint64_t all_cpus(void)
{
    uint32_t count = boot_info()->cpu_count;

    return count >= 64 ? UINT64_MAX : (1ull << count) - 1;
}

/* Where the vCPUs run: as the manifest says, or round robin. */
static bool read_vcpus(const struct property_node *node, struct config *config, uint32_t *next_cpu)
{
    uint32_t count;

    config->vcpus = 1;
    if (!property_number(node, "vcpus", 1, CONFIG_VCPUS, &config->vcpus) ||
        !property_cpus(node, "cpus", config->cpus, CONFIG_VCPUS, &count))
        return false;
    if (count && count != config->vcpus)
        return config_error(node->error, "cpus", "%u CPUs for %u virtual CPUs", count, config->vcpus);
    for (uint32_t i = 0; i < config->vcpus; i++) {
        if (count == 0)
            config->cpus[i] = (*next_cpu)++ % boot_info()->cpu_count;
        config->cpu_mask |= 1ull << config->cpus[i];
    }
    config->cpu = config->cpus[0];
    return true;
}

static bool read_vm(const struct property_node *node, struct config *config, uint32_t *next_cpu)
{
    const struct cb_boot_entry *kernel, *initrd, *disk;
    const char *bootargs;
    uint32_t memory = 64, priority = PRIORITY_DEFAULT;

    config->vm = true;
    if (!property_check(node, vm_properties) || !read_required_module(node, "kernel", &kernel) ||
        !read_module(node, "initrd", NULL, &initrd) || !read_module(node, "disk", NULL, &disk) ||
        !read_module(node, "vmm", "vmm", &config->image) || !property_string(node, "bootargs", &bootargs) ||
        !property_even_number(node, "memory-mib", 16, MEMORY_MIB_MAX, &memory) || !read_vcpus(node, config, next_cpu) ||
        !property_number(node, "priority", 1, PRIORITY_MAX, &priority))
        return false;
    if (!add_module(node, config, "kernel", "kernel", kernel) ||
        (initrd && !add_module(node, config, "initrd", "initrd", initrd)) ||
        (disk && !add_module(node, config, "disk", "disk", disk)))
        return false;
    uint64_t disk_mib = disk ? (disk->size + (2ull << 20) - 1) >> 21 << 1 : 0;

    config->memory_mib = memory;
    config->ram_pages = (memory + VMM_RAM_MIB + disk_mib) * MIB_PAGES;
    config->account_pages = ACCOUNT_MIB * MIB_PAGES + config->vcpus * VCPU_ACCOUNT_PAGES +
                            memory / 1024 * ACCOUNT_PAGES_PER_GIB;
    config->priority = priority + 1;
    return true;
}

static bool read_modules(const struct property_node *node, struct config *config)
{
    int count = fdt_stringlist_count(node->fdt, node->offset, "modules");

    if (count == -FDT_ERR_NOTFOUND)
        return true;
    if (count < 0)
        return config_error(node->error, "modules", "not a list of strings");
    for (int i = 0; i < count; i++) {
        const char *name = fdt_stringlist_get(node->fdt, node->offset, "modules", i, NULL);
        const struct cb_boot_entry *module;

        if (name == NULL)
            return config_error(node->error, "modules", "string %d cannot be read", i);
        if (!find_module(node, "modules", name, &module) || !add_module(node, config, "modules", name, module))
            return false;
    }
    return true;
}

static bool read_task(const struct property_node *node, struct config *config)
{
    uint32_t memory = 4, account = ACCOUNT_MIB, cpus[64], count;
    const char *bootargs;

    config->priority = PRIORITY_DEFAULT;
    if (!property_check(node, task_properties) || !read_required_module(node, "module", &config->image) ||
        !read_modules(node, config) || !property_string(node, "bootargs", &bootargs) ||
        !property_even_number(node, "memory-mib", 2, MEMORY_MIB_MAX, &memory) ||
        !property_even_number(node, "account-mib", 2, 1024, &account) ||
        !property_number(node, "cpu", 0, boot_info()->cpu_count - 1, &config->cpu) ||
        !property_cpus(node, "cpus", cpus, 64, &count) ||
        !property_number(node, "priority", 1, PRIORITY_MAX, &config->priority) ||
        !property_flag(node, "grant-log", &config->log) || !property_flag(node, "grant-irq", &config->irq) ||
        !property_flag(node, "grant-ioport", &config->ioport))
        return false;
    for (uint32_t i = 0; i < count; i++)
        config->cpu_mask |= 1ull << cpus[i];
    if (count == 0)
        config->cpu_mask = all_cpus();
    if (!(config->cpu_mask >> config->cpu & 1))
        return config_error(node->error, "cpu", "%u is not among `cpus`", config->cpu);
    config->ram_pages = (uint64_t)memory * MIB_PAGES;
    config->account_pages = (uint64_t)account * MIB_PAGES;
    return true;
}

bool config_name(const void *fdt, int node, char name[CONFIG_NAME_MAX + 1])
{
    int length;
    const char *text = fdt_get_name(fdt, node, &length);

    snprintf(name, CONFIG_NAME_MAX + 1, "%s", text ? text : "?");
    make_printable(name, '!');
    return text && length >= 1 && length <= CONFIG_NAME_MAX;
}

/* Lines on the console are told apart by names, as they are shown. */
static bool check_name(const struct property_node *node, struct config *config)
{
    static const char *const reserved[] = {"root", "console", "corbel", NULL};
    const char *name = config->name;
    char other[CONFIG_NAME_MAX + 1];
    int domain;

    for (const char *const *at = reserved; *at; at++)
        if (strcmp(*at, name) == 0)
            return config_error(node->error, "name", "reserved: lines of the system itself begin with it");
    fdt_for_each_subnode(domain, node->fdt, fdt_parent_offset(node->fdt, node->offset)) {
        if (domain == node->offset)
            break;
        if (config_name(node->fdt, domain, other) && strcmp(other, name) == 0)
            return config_error(node->error, "name", "a domain listed before has the same");
    }
    return true;
}

bool config_read(const void *fdt, int node, uint32_t *next_cpu, struct config *config, struct config_error *error)
{
    const struct property_node from = {fdt, node, error};

    memset(config, 0, sizeof(*config));
    if (!config_name(fdt, node, config->name))
        return config_error(error, "name", "must have 1 to %d characters", CONFIG_NAME_MAX);
    if (!check_name(&from, config) || !config_read_services(&from, config))
        return false;
    if (fdt_node_check_compatible(fdt, node, "corbel,vm") == 0)
        return read_vm(&from, config, next_cpu);
    if (fdt_node_check_compatible(fdt, node, "corbel,task") == 0)
        return read_task(&from, config);
    return config_error(error, "compatible", "neither \"corbel,vm\" nor \"corbel,task\"");
}

bool config_read_console(const void *fdt, int node, struct config *config, struct config_error *error)
{
    const struct property_node from = {fdt, node, error};
    const char *input;

    memset(config, 0, sizeof(*config));
    snprintf(config->name, sizeof(config->name), "console");
    config->priority = CONSOLE_PRIORITY;
    config->log = config->irq = config->com1 = true;
    config->cpu_mask = all_cpus();
    config->ram_pages = CONSOLE_RAM_MIB * MIB_PAGES;
    config->account_pages = ACCOUNT_MIB * MIB_PAGES;
    return property_check(&from, console_properties) && read_required_module(&from, "module", &config->image) &&
           property_string(&from, "input", &input) &&
           property_number(&from, "cpu", 0, boot_info()->cpu_count - 1, &config->cpu);
}
