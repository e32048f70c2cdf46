/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the manifest grants this VM beside its devices: ends of links to other domains, and portals of services. root
 * gave it to us (corbel/task.h); the guest gets as much of it as it needs, and the VMM is not in the way afterwards.
 */
#include "machine.h"

#include <corbel.h>

#include "devtree.h"
#include "memory.h"
#include "report.h"
#include "vcpu.h"

static uint32_t next_sel = CB_GUEST_SEL_GRANTS;
static uint64_t next_address;

/* The other side may have ended already: then its place stays empty, and the guest's calls fail as they would later. */
static uint32_t give(uint32_t from, uint32_t rights)
{
    uint32_t sel = next_sel++;
    uint64_t status = cb_derive(from, sel, machine.domain, rights, 0, 0);

    if (CB_STATUS_CODE(status) != CB_BAD_CAP && CB_STATUS_CODE(status) != CB_DYING)
        must(status, "give the guest a capability of another domain");
    return sel;
}

static void create_link(struct devtree_link *node, const struct grant_link *link, uint32_t number)
{
    *node = (struct devtree_link){
        .name = link->name,
        .side = link->side,
        .signal = give(link->signal, CB_RIGHT_SIGNAL),
        .port = CB_PORT_GRANTS + number,
        .address = next_address,
        .size = link->size,
    };
    ports_connect(link->event, node->port, "bind the event of a link");
    if (link->size == 0)
        return;
    memory_map_shared(link->memory, node->address, link->size);
    next_address += (link->size + MACHINE_SPECIAL_SIZE - 1) / MACHINE_SPECIAL_SIZE * MACHINE_SPECIAL_SIZE;
}

static void create_service(struct devtree_service *node, const struct grant_service *service)
{
    node->name = service->name;
    node->portal_count = machine.vcpu_count;
    for (uint32_t i = 0; i < machine.vcpu_count; i++)
        node->portals[i] = give(service->portals[machine.cpus[i]], CB_RIGHT_CALL);
}

void grants_create(struct devtree_grants *grants)
{
    struct grant_service service;
    struct grant_link link;

    next_address = machine.special + MACHINE_SPECIAL_SIZE;
    while (grants->link_count < CB_TASK_LINKS && grant_link_at(grants->link_count, &link)) {
        create_link(&grants->links[grants->link_count], &link, grants->link_count);
        grants->link_count++;
    }
    while (grants->service_count < CB_TASK_SERVICES && grant_service_at(grants->service_count, &service)) {
        create_service(&grants->services[grants->service_count], &service);
        grants->service_count++;
    }
}
