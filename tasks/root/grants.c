/* SPDX-License-Identifier: GPL-2.0-only */
#include "grants.h"

#include "boot.h"
#include "calls.h"
#include "domain.h"
#include "link.h"
#include "offer.h"
#include "pages.h"
#include "ram.h"

#include <string.h>

#define SEL_SERVICES (CB_TASK_SEL_GRANTS + CB_TASK_LINKS * GRANTS_SEL_COUNT)

_Static_assert(SEL_SERVICES + CB_TASK_SERVICES * CB_CPUS <= CB_TASK_SEL_FREE, "grants have selectors of their own");

/* Each end's memory begins with a large page, so that it can be mapped with them. */
static void plan_links(struct grants *grants, const struct domain *domain)
{
    uint64_t address = CB_TASK_GRANTS_ADDRESS;

    for (const struct link *link = links; link < links + LINKS && grants->link_count < CB_TASK_LINKS; link++) {
        uint32_t side = link->ends[0] == domain ? 0 : 1;

        if (link->sel == 0 || link->ends[side] != domain)
            continue;
        grants->links[grants->link_count] = (struct grants_link){
            .name = link->config.name,
            .side = side,
            .sel = CB_TASK_SEL_GRANTS + grants->link_count * GRANTS_SEL_COUNT,
            .address = address,
            .pages = link->config.pages,
            .event = link->sel + LINK_SEL_EVENT + side,
            .signal = link->ends[1 - side] ? link->sel + LINK_SEL_EVENT + 1 - side : 0,
            .frame = link->sel + LINK_SEL_FRAME,
        };
        grants->link_count++;
        address += (link->config.pages * CB_PAGE_SIZE + RAM_GRANULE - 1) & ~(RAM_GRANULE - 1);
    }
}

static void plan_service(struct grants_service *service, const struct domain *user)
{
    const struct domain *provider = offer_provider(service->name);
    uint32_t portals[CB_CPUS] = {0}, lowest = 0;

    for (uint32_t cpu = CB_CPUS; provider && cpu-- > 0;) {
        portals[cpu] = offer_get(provider, cpu);
        lowest = portals[cpu] ? portals[cpu] : lowest;
    }
    for (uint32_t cpu = 0; cpu < boot_info()->cpu_count && cpu < CB_CPUS; cpu++)
        if (user->config.cpu_mask >> cpu & 1)
            service->from[cpu] = portals[cpu] ? portals[cpu] : lowest;
}

void grants_plan(struct grants *grants, const struct domain *domain)
{
    memset(grants, 0, sizeof(*grants));
    plan_links(grants, domain);
    for (uint32_t i = 0; i < domain->config.uses_count; i++) {
        struct grants_service *service = &grants->services[grants->service_count++];

        service->name = domain->config.uses[i];
        service->sel = SEL_SERVICES + i * CB_CPUS;
        plan_service(service, domain);
    }
}

static uint64_t give_link(const struct grants_link *link, uint32_t target)
{
    uint32_t slot = link->sel + GRANTS_SEL_MAPPING;
    uint64_t status = cb_derive(link->event, link->sel + GRANTS_SEL_EVENT, target, CB_RIGHT_READ | CB_RIGHT_WAIT, 0, 0);

    if (status == CB_OK && link->signal)
        status = cb_derive(link->signal, link->sel + GRANTS_SEL_SIGNAL, target, CB_RIGHT_SIGNAL, 0, 0);
    if (status != CB_OK || link->pages == 0)
        return status;
    status = cb_derive(link->frame, link->sel + GRANTS_SEL_MEMORY, target, CB_RIGHT_READ | CB_RIGHT_WRITE, 0, 0);
    if (status == CB_OK)
        status = pages_map(link->frame, CB_MAP_READ | CB_MAP_WRITE, target, &slot, link->sel + GRANTS_SEL_COUNT,
                           link->address, 0, link->pages);
    return status;
}

static uint64_t give_service(const struct grants_service *service, uint32_t target)
{
    uint64_t status = CB_OK;

    for (uint32_t cpu = 0; cpu < CB_CPUS && status == CB_OK; cpu++)
        if (service->from[cpu])
            status = cb_derive(service->from[cpu], service->sel + cpu, target, CB_RIGHT_CALL, 0, 0);
    return status;
}

bool grants_give(const struct grants *grants, const struct domain *domain, struct config_error *error)
{
    uint32_t target = domain_sel(domain, DOMAIN_SEL_DOMAIN);

    for (uint32_t i = 0; i < grants->link_count; i++) {
        uint64_t status = give_link(&grants->links[i], target);

        if (status != CB_OK)
            return config_error(error, "link", "\"%s\" cannot be given: %s", grants->links[i].name,
                                cb_status_text(status));
    }
    for (uint32_t i = 0; i < grants->service_count; i++) {
        uint64_t status = give_service(&grants->services[i], target);

        if (status != CB_OK)
            return config_error(error, "uses", "service \"%s\" cannot be given: %s", grants->services[i].name,
                                cb_status_text(status));
    }
    return true;
}
