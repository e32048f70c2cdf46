/* SPDX-License-Identifier: GPL-2.0-only */
#include "offer.h"

#include "boot.h"
#include "calls.h"
#include "clock.h"
#include "domain.h"
#include "sel.h"

#include <string.h>

#define START_US 30000000u /* a service that has not come by then does not come */

/* A place holds the life of the domain in the upper half, and root's selector. Lives do not begin so often. */
#define PLACE(badge, sel) ((badge) / DOMAIN_LIFE << 32 | (sel))
#define PLACE_LIFE(place) ((place) >> 32)

bool offer_portal(struct domain *domain, uint64_t badge, uint64_t cpu, uint32_t sel)
{
    struct cb_identity identity;

    if (domain->config.provides[0] == 0 || cpu >= boot_info()->cpu_count || cpu >= CB_CPUS ||
        __atomic_load_n(&domain->offer_ready, __ATOMIC_RELAXED) == badge)
        return false;
    if (cb_identify(sel, &identity) != CB_OK || identity.type != CB_TYPE_PORTAL || !(identity.rights & CB_RIGHT_CALL))
        return false;
    uint64_t last = __atomic_load_n(&domain->portals[cpu], __ATOMIC_ACQUIRE), place = PLACE(badge, sel);

    if (PLACE_LIFE(last) >= PLACE_LIFE(place) || !__atomic_compare_exchange_n(&domain->portals[cpu], &last, place, false,
                                                                              __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
        return false;
    sel_drop((uint32_t)last); /* of an earlier life, come late */
    return true;
}

uint32_t offer_get(const struct domain *domain, uint32_t cpu)
{
    uint64_t place = __atomic_load_n(&domain->portals[cpu], __ATOMIC_ACQUIRE);

    return PLACE_LIFE(place) == PLACE_LIFE(PLACE(domain_badge(domain), 0)) ? (uint32_t)place : 0;
}

bool offer_ready(struct domain *domain, uint64_t badge)
{
    uint64_t last = __atomic_load_n(&domain->offer_ready, __ATOMIC_RELAXED);
    bool any = false;

    for (uint32_t cpu = 0; cpu < CB_CPUS; cpu++)
        any |= offer_get(domain, cpu) != 0;
    return any && last < badge &&
           __atomic_compare_exchange_n(&domain->offer_ready, &last, badge, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

void offer_reset(struct domain *domain)
{
    for (uint32_t cpu = 0; cpu < CB_CPUS; cpu++)
        sel_drop((uint32_t)__atomic_exchange_n(&domain->portals[cpu], 0, __ATOMIC_ACQUIRE));
}

struct domain *offer_provider(const char *service)
{
    for (struct domain *domain = domains; domain < domains + DOMAINS; domain++)
        if (domain->state != DOMAIN_UNUSED && strcmp(domain->config.provides, service) == 0)
            return domain;
    return NULL;
}

static bool is_ready(const struct domain *provider)
{
    return provider && provider->state == DOMAIN_RUNNING &&
           __atomic_load_n(&provider->offer_ready, __ATOMIC_ACQUIRE) == domain_badge(provider);
}

/* The first service of a domain that is not there; NULL if all are. */
static const char *missing(const struct domain *user)
{
    for (uint32_t i = 0; i < user->config.uses_count; i++)
        if (!is_ready(offer_provider(user->config.uses[i])))
            return user->config.uses[i];
    return NULL;
}

/* Whether a domain waits for one that waits for one ... that waits for it. */
static bool waits_for_itself(const struct domain *user)
{
    const struct domain *at = user;

    for (uint32_t i = 0; i < DOMAINS && at && at->state == DOMAIN_WAITING; i++) {
        const char *service = missing(at);

        at = service ? offer_provider(service) : NULL;
        if (at == user)
            return true;
    }
    return false;
}

enum offer_state offer_look(const struct domain *user, uint64_t *deadline, struct config_error *error)
{
    const char *service = missing(user);

    if (service == NULL)
        return OFFER_READY;
    const struct domain *provider = offer_provider(service);

    if (provider == NULL || (provider->state == DOMAIN_OVER && provider->started == 0)) {
        config_error(error, "uses", "service \"%s\": the domain that provides it could not be started", service);
        return OFFER_REFUSED;
    }
    if (provider->state == DOMAIN_OVER) {
        config_error(error, "uses", "service \"%s\": domain \"%s\" has ended", service, provider->config.name);
        return OFFER_REFUSED;
    }
    if (provider->state == DOMAIN_WAITING) {
        if (!waits_for_itself(user))
            return OFFER_AWAITED;
        config_error(error, "uses", "service \"%s\": domain \"%s\" in turn waits for this one", service,
                     provider->config.name);
        return OFFER_REFUSED;
    }
    uint64_t limit = provider->started + clock_ticks(START_US);

    if (clock_tsc() >= limit) {
        config_error(error, "uses", "service \"%s\": domain \"%s\" has not offered it for %u seconds", service,
                     provider->config.name, START_US / 1000000);
        return OFFER_REFUSED;
    }
    *deadline = limit < *deadline ? limit : *deadline;
    return OFFER_AWAITED;
}

bool offer_is_used(const struct domain *domain)
{
    if (domain->config.provides[0] == 0)
        return false;
    for (const struct domain *user = domains; user < domains + DOMAINS; user++)
        for (uint32_t i = 0; user->state != DOMAIN_UNUSED && i < user->config.uses_count; i++)
            if (strcmp(user->config.uses[i], domain->config.provides) == 0)
                return true;
    return false;
}
