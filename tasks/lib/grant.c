/* SPDX-License-Identifier: GPL-2.0-only */
#include "grant.h"

#include "calls.h"
#include "task.h"
#include "thread.h"

#include <libfdt.h>
#include <string.h>

static const void *const fdt = (const void *)CB_TASK_FDT_ADDRESS;

/* A subnode of `grants`: the one with this number among those of its kind; or by label. Negative: there is none. */
static int find(const char *kind, uint32_t number, const char *label)
{
    int node, grants = fdt_subnode_offset(fdt, 0, "grants");

    if (grants < 0)
        return grants;
    fdt_for_each_subnode(node, fdt, grants) {
        if (fdt_node_check_compatible(fdt, node, kind) != 0)
            continue;
        if (label ? fdt_stringlist_search(fdt, node, "label", label) == 0 : number-- == 0)
            return node;
    }
    return node;
}

static uint32_t cell(int node, const char *property, uint32_t index)
{
    int length;
    const fdt32_t *cells = fdt_getprop(fdt, node, property, &length);

    return cells && (size_t)length >= (index + 1) * sizeof(*cells) ? fdt32_ld(cells + index) : 0;
}

static bool read_link(int node, struct grant_link *link)
{
    int length;
    const fdt64_t *reg = node >= 0 ? fdt_getprop(fdt, node, "reg", &length) : NULL;

    if (node < 0)
        return false;
    *link = (struct grant_link){
        .name = fdt_getprop(fdt, node, "label", NULL),
        .side = cell(node, "corbel,side", 0),
        .event = cell(node, "corbel,event", 0),
        .signal = cell(node, "corbel,signal", 0),
        .memory = cell(node, "corbel,memory", 0),
    };
    if (reg && length == 2 * sizeof(*reg)) {
        link->address = (void *)fdt64_ld(reg);
        link->size = fdt64_ld(reg + 1);
    }
    return true;
}

static bool read_service(int node, struct grant_service *service)
{
    if (node < 0)
        return false;
    service->name = fdt_getprop(fdt, node, "label", NULL);
    for (uint32_t cpu = 0; cpu < CB_CPUS; cpu++)
        service->portals[cpu] = cell(node, "corbel,portals", cpu);
    return true;
}

bool grant_link(const char *name, struct grant_link *link)
{
    return read_link(find("corbel,link", 0, name), link);
}

bool grant_service(const char *name, struct grant_service *service)
{
    return read_service(find("corbel,service", 0, name), service);
}

bool grant_link_at(uint32_t number, struct grant_link *link)
{
    return read_link(find("corbel,link", number, NULL), link);
}

bool grant_service_at(uint32_t number, struct grant_service *service)
{
    return read_service(find("corbel,service", number, NULL), service);
}

static bool serve(struct cb_args message)
{
    return cb_call(CB_TASK_SEL_ROOT(thread_self()->cpu), &message) == CB_OK && message.a1 == 0;
}

bool grant_offer(uint32_t cpu, uint32_t portal)
{
    thread_utcb()->items[0] = (struct cb_item){.sel = portal, .rights = CB_RIGHT_CALL};
    return serve((struct cb_args){CB_ROOT_SERVE, CB_SERVE_PORTAL, cpu, 0, CB_INFO(0, 1, 0)});
}

bool grant_offer_ready(void)
{
    return serve((struct cb_args){CB_ROOT_SERVE, CB_SERVE_READY, 0, 0, 0});
}
