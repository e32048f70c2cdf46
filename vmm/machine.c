/* SPDX-License-Identifier: GPL-2.0-only */
#include "machine.h"

#include <corbel.h>

#include <string.h>

#include "boot.h"
#include "dev/dev.h"
#include "devtree.h"
#include "memory.h"
#include "report.h"
#include "vcpu.h"

/*
 * The device thread runs above the vCPUs, so that one that spins does not keep its own devices from answering; so it
 * must not have all of the time, or a guest that keeps it busy would starve the others on its CPU.
 */
#define DEVICE_BUDGET_US 3000u
#define DEVICE_PERIOD_US 10000u

#define FDT_SIZE 8192u

struct machine machine = {
    .next_sel = CB_GUEST_SEL_DEVICES,
    .next_port = CB_PORT_DEVICES,
};

/* What a machine is made of, beside CPUs, memory, console and power. */
static const struct dev_ops *const device_types[] = {
    &blk_ops,
    &rng_ops,
};
_Static_assert(sizeof(device_types) / sizeof(device_types[0]) <= MACHINE_DEVICES, "room for all");

static struct devtree_device tree[MACHINE_DEVICES];
static struct devtree_grants grants;

/* ---- Devices ---- */

static void create_devices(void)
{
    for (size_t i = 0; i < sizeof(device_types) / sizeof(device_types[0]); i++) {
        struct device *device = &machine.devices[machine.device_count];

        device->ops = device_types[i];
        if (device->ops->create(device))
            machine.device_count++;
    }
}

/* An event from the guest to the device thread, which sees it as the next bit; the guest's selector for it. */
static uint32_t connect_in(void)
{
    uint32_t sel = machine.next_sel++;

    must(cb_derive(machine.event, sel, machine.domain, CB_RIGHT_SIGNAL, 1ull << machine.bit_count++, 0),
         "give the guest a device's event");
    return sel;
}

/* An event from the device thread to a port; our selector for it. */
static uint32_t connect_out(uint32_t *port)
{
    uint32_t event = must_sel();

    *port = machine.next_port++;
    must(cb_event_create(CB_TASK_SEL_ACCOUNT, event), "create a device's event");
    ports_connect(event, *port, "bind a device's event");
    return event;
}

static void connect_device(struct device *device, struct devtree_device *node, uint64_t page)
{
    node->name = device->ops->name;
    node->page = page;
    node->queue_count = device->ops->queue_count;
    virtio_init(device, &machine.ram, memory_share_page(page));
    device->first_bit = machine.bit_count;
    node->control = connect_in();
    device->config_event = connect_out(&node->config_port);
    for (uint32_t i = 0; i < node->queue_count; i++) {
        node->kicks[i] = connect_in();
        device->queue_events[i] = connect_out(&node->ports[i]);
    }
}

static void connect_devices(void)
{
    machine.event = must_sel();
    must(cb_event_create(CB_TASK_SEL_ACCOUNT, machine.event), "create the device thread's event");
    for (uint32_t i = 0; i < machine.device_count; i++)
        connect_device(&machine.devices[i], &tree[i], machine.special + MACHINE_CONTROL + i * CB_PAGE_SIZE);
}

void device_signal_config(const struct device *device)
{
    (void)!cb_signal(device->config_event);
}

void device_signal_queue(const struct device *device, uint32_t queue)
{
    (void)!cb_signal(device->queue_events[queue]);
}

/* The bits of what is to be looked at again, after the other devices. */
static uint64_t serve_device(struct device *device, uint64_t bits)
{
    uint64_t queues = ((1ull << device->ops->queue_count) - 1) << 1, again = 0;

    bits >>= device->first_bit;
    if ((bits & 1) != 0 && virtio_control(device))
        again = queues;
    for (uint32_t i = 0; i < device->ops->queue_count; i++)
        if ((bits >> (i + 1) & 1) != 0 && virtio_kick(device, i))
            again |= 2ull << i;
    return again << device->first_bit;
}

/* The device thread. */
static void serve_devices(void *unused)
{
    uint64_t again = 0;

    (void)unused;
    for (;;) {
        uint64_t bits = 0, status = cb_wait(machine.event, again ? CB_WAIT_POLL : 0, CB_DEADLINE_NONE, &bits);

        if (CB_STATUS_CODE(status) != CB_EMPTY)
            must(status, "wait for the guest");
        bits |= again;
        again = 0;
        for (uint32_t i = 0; i < machine.device_count; i++)
            again |= serve_device(&machine.devices[i], bits);
    }
}

/* ---- Boot ---- */

static void describe(void *fdt)
{
    int error = devtree_build(fdt, FDT_SIZE, tree, machine.device_count, &grants);

    if (error)
        task_exit(CB_EXIT_REASON_FAILED, "cannot write the guest's device tree: libfdt error %d", -error);
}

static void load(struct vcpu_start *start)
{
    static const char *const parts[] = {
        [BOOT_PART_KERNEL] = "kernel", [BOOT_PART_INITRD] = "initrd",     [BOOT_PART_BOOTARGS] = "bootargs",
        [BOOT_PART_FDT] = "device tree", [BOOT_PART_MEMORY] = "memory-mib",
    };
    static uint8_t fdt[FDT_SIZE] __attribute__((aligned(8)));
    struct boot_source from = {
        .cmdline = machine.bootargs,
        .fdt = fdt,
        .fdt_size = FDT_SIZE,
        .special = machine.special,
        .special_size = MACHINE_SPECIAL_SIZE,
    };
    struct boot_entry entry;
    enum boot_part part;
    const char *why;

    describe(fdt);
    random_bytes(from.seed, sizeof(from.seed));
    from.initrd = task_module("initrd", &from.initrd_size);
    from.kernel = task_module("kernel", &from.kernel_size);
    if (!from.kernel)
        task_exit(CB_EXIT_REASON_FAILED, "kernel: root gave no such module");
    why = boot_load(&machine.ram, &from, &entry, &part);
    if (why)
        task_exit(CB_EXIT_REASON_FAILED, "%s: %s", parts[part], why);
    *start = (struct vcpu_start){.rip = entry.rip, .rsi = entry.rsi, .cr3 = entry.cr3};
}

/* ---- The machine ---- */

static void create_domain(void)
{
    machine.domain = must_sel();
    must(cb_domain_create(CB_TASK_SEL_ACCOUNT, CB_DOMAIN_GUEST, machine.domain), "create the guest's domain");
    must(cb_derive(machine.domain, CB_GUEST_SEL_DOMAIN, machine.domain, CB_RIGHT_FLUSH, 0, 0),
         "give the guest its domain");
}

static void create_vcpus(void)
{
    for (uint32_t i = 0; i < machine.vcpu_count; i++)
        vcpu_create(i, machine.cpus[i]);
}

static void start_devices(void)
{
    struct thread *thread;

    must(thread_start_budget(machine.cpus[0], (uint32_t)task_info()->priority, DEVICE_BUDGET_US, DEVICE_PERIOD_US,
                             serve_devices, NULL, &thread),
         "start the device thread");
}

void machine_create(const struct cb_task_info *info)
{
    struct vcpu_start start;

    if (info->no_vcpu[0])
        task_exit(CB_EXIT_REASON_FAILED, "no virtual CPUs on this machine: %s", info->no_vcpu);
    config_read(&machine, info);
    create_domain();
    memory_create(&machine.ram, machine.ram_size); /* RAM at guest-physical 0 */
    machine.special = machine.ram_size;            /* then the special pages */
    create_devices();                              /* their backing; the large pieces of memory are taken now */
    create_vcpus();                                /* event pages, exits, machine portals, IPIs */
    console_create();                              /* our own console, handed on */
    connect_devices();                             /* control pages and events */
    grants_create(&grants);                        /* links to other domains, and services */
    load(&start);                                  /* kernel, initrd, device tree, boot parameters */
    start_devices();
    vcpu_start(0, &start);
}
