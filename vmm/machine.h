/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The machine: one virtual machine, as this VMM builds it.
 *
 * Guest-physical addresses:
 *
 *   0                          RAM, `ram.size` bytes (an even number of MiB); no hole in it. Linux is told to
 *                              leave 640 KiB to 1 MiB alone, as on a PC; boot.h says what lies below that
 *   ram.size = MACHINE_SPECIAL pages that are not RAM, "reserved" in the memory map:
 *     + 2 pages a vCPU         event page and UTCB of vCPU 0, 1, ... (CB_GUEST_VCPUS pairs)
 *     + MACHINE_CONSOLE        the console ring page
 *     + MACHINE_CONTROL        one control page a device
 *   ram.size + MACHINE_SPECIAL_SIZE: memory shared with other domains (grants.c), each link's at the next multiple
 *                              of 2 MiB
 *   Everything else is empty: an access ends the guest.
 *
 * The guest's selectors: corbel/guest.h; devices' events from CB_GUEST_SEL_DEVICES on, the console's first; grants
 * from CB_GUEST_SEL_GRANTS on; its mappings in the last 1024. Ports: those of corbel/guest.h, the console's,
 * then the devices'; those of links from CB_PORT_GRANTS on.
 */
#ifndef VMM_MACHINE_H
#define VMM_MACHINE_H

#include <corbel/guest.h>
#include <corbel/task.h>

#include "device.h"
#include "gmem.h"

#define MACHINE_SPECIAL_SIZE 0x200000ull
#define MACHINE_CONSOLE ((uint64_t)CB_GUEST_VCPUS * CB_GUEST_VCPU_PAGES * CB_PAGE_SIZE)
#define MACHINE_CONTROL (MACHINE_CONSOLE + CB_PAGE_SIZE)

#define MACHINE_DEVICES 8u

struct machine {
    /* From the manifest: see config.c. */
    uint32_t vcpu_count;
    uint32_t cpus[CB_GUEST_VCPUS]; /* the CPU of each vCPU */
    uint32_t priority;             /* of the vCPUs */
    uint64_t ram_size;
    const char *bootargs;

    uint32_t domain;               /* selector: the guest's domain */
    struct gmem ram;
    uint64_t special;              /* guest-physical address of the first special page */

    uint64_t console_page;         /* guest-physical address; 0: there is no console */
    uint32_t console_signal;       /* guest's selector: tells the console server of output */
    uint32_t console_port;

    struct device devices[MACHINE_DEVICES];
    uint32_t device_count;
    uint32_t event;                /* selector: what wakes the device thread */
    uint32_t bit_count;            /* badge bits of it in use */
    uint32_t next_sel;             /* the guest's next unused selector for devices */
    uint32_t next_port;            /* the next unused port */
};

extern struct machine machine;

/* Builds the machine and starts it. What goes wrong ends the VMM with the reason. */
void machine_create(const struct cb_task_info *info);

struct devtree_grants;

/* In grants.c: gives the guest what the manifest grants it, beside devices. */
void grants_create(struct devtree_grants *grants);

/* In ports.c: `event` signals `port`, on vCPU 0 until it is routed to another one. */
void ports_connect(uint32_t event, uint32_t port, const char *what);
/* Any vCPU's handler. False: there is no such port, or what signals it has gone. */
bool ports_route(uint64_t port, uint32_t vcpu);

/* In config.c: reads the manifest's node. */
void config_read(struct machine *into, const struct cb_task_info *info);

static inline uint64_t machine_event_page(uint32_t vcpu)
{
    return machine.special + (uint64_t)vcpu * CB_GUEST_VCPU_PAGES * CB_PAGE_SIZE;
}

#endif
