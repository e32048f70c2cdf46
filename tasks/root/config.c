/* SPDX-License-Identifier: GPL-2.0-only */
#include "config.h"

#include "boot.h"
#include "print.h"
#include "ram.h"

#include <libfdt.h>

#define MIB_PAGES 256u
#define MEMORY_MIB_MAX 1048576u
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
/* Before this version of the format, names of nodes were paths; fdt_check_full() crashes at one that is none. */
#define FDT_VERSION_MIN 16u

static const char *const vm_properties[] = {
    "compatible", "kernel", "initrd", "disk", "bootargs", "memory-mib", "vcpus", "cpus", "priority", "vmm", NULL};
static const char *const task_properties[] = {"compatible", "module",   "modules",  "bootargs",  "memory-mib",
                                              "account-mib", "cpu",     "cpus",     "priority",  "grant-log",
                                              "grant-irq",  "grant-ioport", NULL};
static const char *const console_properties[] = {"module", "input", "cpu", NULL};

/* A node that is being read. */
struct reader {
    const void *fdt;
    int node;
    struct config *config;
    struct config_error *error;
};

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

/* ---- Values ---- */

/* A string that is printable and ends within its property; NULL if there is no such property. */
static bool read_string(const struct reader *reader, const char *property, const char **string)
{
    int length;
    const char *value = fdt_getprop(reader->fdt, reader->node, property, &length);

    *string = NULL;
    if (value == NULL)
        return true;
    if (length < 1 || strnlen(value, (size_t)length) != (size_t)length - 1)
        return config_error(reader->error, property, "not a string");
    for (const char *at = value; *at; at++)
        if (*at < ' ' || *at > '~')
            return config_error(reader->error, property, "holds a byte that is no printable character");
    *string = value;
    return true;
}

static bool read_number(const struct reader *reader, const char *property, uint32_t first, uint32_t last,
                        uint32_t *number)
{
    int length;
    const fdt32_t *cells = fdt_getprop(reader->fdt, reader->node, property, &length);

    if (cells == NULL)
        return true;
    if (length != sizeof(fdt32_t))
        return config_error(reader->error, property, "%d bytes long, but a number has 4", length);
    uint32_t value = fdt32_ld(cells);

    if (value < first || value > last)
        return config_error(reader->error, property, "%u is not between %u and %u", value, first, last);
    *number = value;
    return true;
}

static bool read_even_number(const struct reader *reader, const char *property, uint32_t first, uint32_t last,
                             uint32_t *number)
{
    if (!read_number(reader, property, first, last, number))
        return false;
    if (*number % 2)
        return config_error(reader->error, property, "%u is odd: memory comes in pieces of 2 MiB", *number);
    return true;
}

static bool read_flag(const struct reader *reader, const char *property, bool *flag)
{
    int length;

    *flag = fdt_getprop(reader->fdt, reader->node, property, &length) != NULL;
    if (*flag && length != 0)
        return config_error(reader->error, property, "has a value, but takes none");
    return true;
}

static bool find_module(const struct reader *reader, const char *property, const char *name,
                        const struct cb_boot_entry **module)
{
    *module = boot_module(name);
    if (*module == NULL)
        return config_error(reader->error, property, "there is no module \"%s\"", name);
    if ((*module)->size == 0)
        return config_error(reader->error, property, "module \"%s\" is empty", name);
    return true;
}

/* The module that a property names, or `fallback` does; NULL if neither. */
static bool read_module(const struct reader *reader, const char *property, const char *fallback,
                        const struct cb_boot_entry **module)
{
    const char *name;

    *module = NULL;
    if (!read_string(reader, property, &name))
        return false;
    if (name == NULL)
        name = fallback;
    return name == NULL || find_module(reader, property, name, module);
}

static bool read_required_module(const struct reader *reader, const char *property,
                                 const struct cb_boot_entry **module)
{
    if (!read_module(reader, property, NULL, module))
        return false;
    return *module || config_error(reader->error, property, "missing");
}

static bool add_module(const struct reader *reader, const char *property, const char *name,
                       const struct cb_boot_entry *module)
{
    struct config *config = reader->config;

    if (config->module_count == CB_TASK_MODULES)
        return config_error(reader->error, property, "more than %u modules", CB_TASK_MODULES);
    struct config_module *added = &config->modules[config->module_count];

    if (strlen(name) >= sizeof(added->name))
        return config_error(reader->error, property, "the name \"%.40s\" is longer than %zu characters", name,
                            sizeof(added->name) - 1);
    snprintf(added->name, sizeof(added->name), "%s", name);
    added->module = module;
    config->module_count++;
    return true;
}

/* Cells that are CPU numbers; *count is 0 if there is no such property. */
static bool read_cpus(const struct reader *reader, const char *property, uint32_t *cpus, uint32_t limit,
                      uint32_t *count)
{
    int length;
    const fdt32_t *cells = fdt_getprop(reader->fdt, reader->node, property, &length);

    *count = 0;
    if (cells == NULL)
        return true;
    if (length <= 0 || length % (int)sizeof(fdt32_t) || (uint32_t)length / sizeof(fdt32_t) > limit)
        return config_error(reader->error, property, "%d bytes long, but it takes 1 to %u numbers of 4 bytes", length,
                            limit);
    for (uint32_t i = 0; i < (uint32_t)length / sizeof(fdt32_t); i++) {
        cpus[i] = fdt32_ld(cells + i);
        if (cpus[i] >= boot_info()->cpu_count)
            return config_error(reader->error, property, "there is no CPU %u: the machine has %u", cpus[i],
                                boot_info()->cpu_count);
    }
    *count = (uint32_t)length / sizeof(fdt32_t);
    return true;
}

/* There are no properties but the known ones, and no subnodes. */
static bool check_node(const struct reader *reader, const char *const *known)
{
    int property;

    fdt_for_each_property_offset(property, reader->fdt, reader->node) {
        const char *name;
        bool found = false;

        if (fdt_getprop_by_offset(reader->fdt, property, &name, NULL) == NULL)
            return config_error(reader->error, "node", "cannot be read");
        for (const char *const *at = known; *at && !found; at++)
            found = strcmp(*at, name) == 0;
        if (!found)
            return config_error(reader->error, name, "there is no such property");
    }
    int subnode = fdt_first_subnode(reader->fdt, reader->node);

    if (subnode >= 0)
        return config_error(reader->error, fdt_get_name(reader->fdt, subnode, NULL), "there is no such subnode");
    return true;
}

/* ---- Nodes ---- */

static uint64_t all_cpus(void)
{
    uint32_t count = boot_info()->cpu_count;

    return count >= 64 ? UINT64_MAX : (1ull << count) - 1;
}

/* Where the vCPUs run: as the manifest says, or round robin. */
static bool read_vcpus(const struct reader *reader, uint32_t *next_cpu)
{
    struct config *config = reader->config;
    uint32_t count;

    config->vcpus = 1;
    if (!read_number(reader, "vcpus", 1, CONFIG_VCPUS, &config->vcpus) ||
        !read_cpus(reader, "cpus", config->cpus, CONFIG_VCPUS, &count))
        return false;
    if (count && count != config->vcpus)
        return config_error(reader->error, "cpus", "%u CPUs for %u virtual CPUs", count, config->vcpus);
    for (uint32_t i = 0; i < config->vcpus; i++) {
        if (count == 0)
            config->cpus[i] = (*next_cpu)++ % boot_info()->cpu_count;
        config->cpu_mask |= 1ull << config->cpus[i];
    }
    config->cpu = config->cpus[0];
    return true;
}

static bool read_vm(const struct reader *reader, uint32_t *next_cpu)
{
    struct config *config = reader->config;
    const struct cb_boot_entry *kernel, *initrd, *disk;
    const char *bootargs;
    uint32_t memory = 64, priority = PRIORITY_DEFAULT;

    config->vm = true;
    if (!check_node(reader, vm_properties) || !read_required_module(reader, "kernel", &kernel) ||
        !read_module(reader, "initrd", NULL, &initrd) || !read_module(reader, "disk", NULL, &disk) ||
        !read_module(reader, "vmm", "vmm", &config->image) || !read_string(reader, "bootargs", &bootargs) ||
        !read_even_number(reader, "memory-mib", 16, MEMORY_MIB_MAX, &memory) || !read_vcpus(reader, next_cpu) ||
        !read_number(reader, "priority", 1, PRIORITY_MAX, &priority))
        return false;
    if (!add_module(reader, "kernel", "kernel", kernel) ||
        (initrd && !add_module(reader, "initrd", "initrd", initrd)) ||
        (disk && !add_module(reader, "disk", "disk", disk)))
        return false;
    uint64_t disk_mib = disk ? (disk->size + (2ull << 20) - 1) >> 21 << 1 : 0;

    config->memory_mib = memory;
    config->ram_pages = (memory + VMM_RAM_MIB + disk_mib) * MIB_PAGES;
    config->account_pages = ACCOUNT_MIB * MIB_PAGES + config->vcpus * VCPU_ACCOUNT_PAGES +
                            memory / 1024 * ACCOUNT_PAGES_PER_GIB;
    config->priority = priority + 1;
    return true;
}

static bool read_modules(const struct reader *reader)
{
    int count = fdt_stringlist_count(reader->fdt, reader->node, "modules");

    if (count == -FDT_ERR_NOTFOUND)
        return true;
    if (count < 0)
        return config_error(reader->error, "modules", "not a list of strings");
    for (int i = 0; i < count; i++) {
        const char *name = fdt_stringlist_get(reader->fdt, reader->node, "modules", i, NULL);
        const struct cb_boot_entry *module;

        if (name == NULL)
            return config_error(reader->error, "modules", "string %d cannot be read", i);
        if (!find_module(reader, "modules", name, &module) || !add_module(reader, "modules", name, module))
            return false;
    }
    return true;
}

static bool read_task(const struct reader *reader)
{
    struct config *config = reader->config;
    uint32_t memory = 4, account = ACCOUNT_MIB, cpus[64], count;
    const char *bootargs;

    config->priority = PRIORITY_DEFAULT;
    if (!check_node(reader, task_properties) || !read_required_module(reader, "module", &config->image) ||
        !read_modules(reader) || !read_string(reader, "bootargs", &bootargs) ||
        !read_even_number(reader, "memory-mib", 2, MEMORY_MIB_MAX, &memory) ||
        !read_even_number(reader, "account-mib", 2, 1024, &account) ||
        !read_number(reader, "cpu", 0, boot_info()->cpu_count - 1, &config->cpu) ||
        !read_cpus(reader, "cpus", cpus, 64, &count) ||
        !read_number(reader, "priority", 1, PRIORITY_MAX, &config->priority) ||
        !read_flag(reader, "grant-log", &config->log) || !read_flag(reader, "grant-irq", &config->irq) ||
        !read_flag(reader, "grant-ioport", &config->ioport))
        return false;
    for (uint32_t i = 0; i < count; i++)
        config->cpu_mask |= 1ull << cpus[i];
    if (count == 0)
        config->cpu_mask = all_cpus();
    if (!(config->cpu_mask >> config->cpu & 1))
        return config_error(reader->error, "cpu", "%u is not among `cpus`", config->cpu);
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
static bool check_name(const struct reader *reader)
{
    static const char *const reserved[] = {"root", "console", "corbel", NULL};
    const char *name = reader->config->name;
    char other[CONFIG_NAME_MAX + 1];
    int node;

    for (const char *const *at = reserved; *at; at++)
        if (strcmp(*at, name) == 0)
            return config_error(reader->error, "name", "reserved: lines of the system itself begin with it");
    fdt_for_each_subnode(node, reader->fdt, fdt_parent_offset(reader->fdt, reader->node)) {
        if (node == reader->node)
            break;
        if (config_name(reader->fdt, node, other) && strcmp(other, name) == 0)
            return config_error(reader->error, "name", "a domain listed before has the same");
    }
    return true;
}

bool config_read(const void *fdt, int node, uint32_t *next_cpu, struct config *config, struct config_error *error)
{
    struct reader reader = {fdt, node, config, error};

    memset(config, 0, sizeof(*config));
    if (!config_name(fdt, node, config->name))
        return config_error(error, "name", "must have 1 to %d characters", CONFIG_NAME_MAX);
    if (!check_name(&reader))
        return false;
    if (fdt_node_check_compatible(fdt, node, "corbel,vm") == 0)
        return read_vm(&reader, next_cpu);
    if (fdt_node_check_compatible(fdt, node, "corbel,task") == 0)
        return read_task(&reader);
    return config_error(error, "compatible", "neither \"corbel,vm\" nor \"corbel,task\"");
}

bool config_read_console(const void *fdt, int node, struct config *config, struct config_error *error)
{
    struct reader reader = {fdt, node, config, error};
    const char *input;

    memset(config, 0, sizeof(*config));
    snprintf(config->name, sizeof(config->name), "console");
    config->priority = CONSOLE_PRIORITY;
    config->log = config->irq = config->com1 = true;
    config->cpu_mask = all_cpus();
    config->ram_pages = CONSOLE_RAM_MIB * MIB_PAGES;
    config->account_pages = ACCOUNT_MIB * MIB_PAGES;
    return check_node(&reader, console_properties) && read_required_module(&reader, "module", &config->image) &&
           read_string(&reader, "input", &input) &&
           read_number(&reader, "cpu", 0, boot_info()->cpu_count - 1, &config->cpu);
}
