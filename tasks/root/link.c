/* SPDX-License-Identifier: GPL-2.0-only */
#include "link.h"

#include "calls.h"
#include "clear.h"
#include "domain.h"
#include "grants.h"
#include "ram.h"
#include "sel.h"

#include <string.h>

struct link links[LINKS];

static struct domain *find_domain(const char *name)
{
    for (struct domain *domain = domains; domain < domains + DOMAINS; domain++)
        if (domain->state != DOMAIN_UNUSED && strcmp(domain->config.name, name) == 0)
            return domain;
    return NULL;
}

static uint32_t count_links(const struct domain *domain)
{
    uint32_t count = 0;

    for (const struct link *link = links; link < links + LINKS; link++)
        count += link->sel && (link->ends[0] == domain || link->ends[1] == domain);
    return count;
}

static bool find_ends(struct link *link, struct config_error *error)
{
    for (uint32_t side = 0; side < 2; side++) {
        const char *name = link->config.members[side];

        link->ends[side] = find_domain(name);
        if (link->ends[side] == NULL)
            return config_error(error, "members", "domain \"%s\" is one too many", name);
        if (count_links(link->ends[side]) >= CB_TASK_LINKS)
            return config_error(error, "members", "domain \"%s\" has %u links already", name, CB_TASK_LINKS);
    }
    return true;
}

static bool make_memory(struct link *link, struct config_error *error)
{
    uint64_t pages = link->config.pages, whole = (pages + RAM_GRANULE_PAGES - 1) / RAM_GRANULE_PAGES * RAM_GRANULE_PAGES;

    if (pages == 0)
        return true;
    link->chunk = ram_alloc(whole);
    if (link->chunk == NULL)
        return config_error(error, "memory-kib", "%lu KiB are needed, the largest free range has %lu KiB",
                            whole * (CB_PAGE_SIZE / 1024), ram_largest() * (CB_PAGE_SIZE / 1024));
    uint64_t status = cb_frame_create(ram_sel(link->chunk), link->sel + LINK_SEL_FRAME, CB_SELF, pages, 1);

    if (status != CB_OK)
        return config_error(error, "memory-kib", "frame_create: %s", cb_status_text(status));
    return clear_now(link->sel + LINK_SEL_FRAME, pages) ||
           config_error(error, "memory-kib", "root cannot map the memory to clear it");
}

static bool make_events(const struct link *link, struct config_error *error)
{
    for (uint32_t side = 0; side < 2; side++) {
        uint64_t status = cb_event_create(CB_ROOT_SEL_ACCOUNT, link->sel + LINK_SEL_EVENT + side);

        if (status != CB_OK)
            return config_error(error, "node", "event_create: %s", cb_status_text(status));
    }
    return true;
}

const struct link *link_create(const struct config_link *config, struct config_error *error)
{
    struct link new = {.config = *config};
    uint64_t left = domain_pages_left();

    if (!find_ends(&new, error))
        return NULL;
    struct link *link = links;

    while (link < links + LINKS && link->sel)
        link++;
    if (link == links + LINKS) {
        config_error(error, "node", "there are more than %u links", LINKS);
        return NULL;
    }
    *link = new;
    link->sel = sel_alloc_range(LINK_SEL_COUNT);
    if (link->sel == 0) {
        config_error(error, "node", "root has no selectors left");
        return NULL;
    }
    bool made = make_memory(link, error) && make_events(link, error);

    link->pages = left - domain_pages_left();
    if (!made)
        link_destroy(link);
    return made ? link : NULL;
}

void link_leave(const struct domain *domain)
{
    for (struct link *link = links; link < links + LINKS; link++) {
        for (uint32_t side = 0; link->sel && side < 2; side++) {
            if (link->ends[side] != domain)
                continue;
            link->ends[side] = NULL;
            (void)!cb_revoke(link->sel + LINK_SEL_EVENT + side, CB_REVOKE_SELF);
        }
    }
}

struct link *link_abandoned(void)
{
    for (struct link *link = links; link < links + LINKS; link++)
        if (link->sel && link->ends[0] == NULL && link->ends[1] == NULL)
            return link;
    return NULL;
}

void link_destroy(struct link *link)
{
    for (uint32_t i = 0; i < LINK_SEL_COUNT; i++)
        sel_drop(link->sel + i);
    if (link->chunk)
        ram_free(link->chunk);
    *link = (struct link){0};
}
