/* SPDX-License-Identifier: GPL-2.0-only */
/* The life of a domain. What it finds in its address space is laid out in image.c. */
#include "domain.h"

#include "boot.h"
#include "calls.h"
#include "clock.h"
#include "console.h"
#include "grants.h"
#include "image.h"
#include "offer.h"
#include "pool.h"
#include "ram.h"
#include "sel.h"
#include "service.h"

#include <string.h>

#define SLICE_US 10000u
/* The console runs above all domains, and they decide how much it has to do: so it must not have all of the time. */
#define CONSOLE_BUDGET_US 4000u
#define COM1 0x3f8u
#define COM1_PORTS 8u

/* What a task may do with its own objects. It cannot destroy itself behind root's back: it asks root to. */
#define DOMAIN_RIGHTS (CB_RIGHT_READ | CB_RIGHT_INSERT | CB_RIGHT_POPULATE)
#define ACCOUNT_RIGHTS (CB_RIGHT_READ | CB_RIGHT_PAY)
#define CONTROL_RIGHTS (CB_RIGHT_READ | CB_RIGHT_CONTROL)

struct domain domains[DOMAINS];

struct domain *domain_alloc(void)
{
    for (uint32_t i = DOMAIN_CONSOLE + 1; i < DOMAINS; i++)
        if (domains[i].state == DOMAIN_UNUSED)
            return &domains[i];
    return NULL;
}

uint64_t domain_pages_left(void)
{
    return ram_left() + pool_left();
}

static bool refused(struct config_error *error, const char *property, const char *what, uint64_t status)
{
    return config_error(error, property, "%s: %s (%s, argument %u)", what, cb_status_text(status),
                        cb_status_name(status), CB_STATUS_ARG(status));
}

/* Kernel memory of the domain. What shadow page tables and split large pages take depends on the machine. */
static uint64_t account_pages(const struct config *config)
{
    uint64_t features = boot_info()->features;
    uint64_t shadow = features & CB_FEATURE_NESTED ? 0 : config->vcpus * CB_VCPU_SHADOW_PAGES;
    uint64_t split = features & CB_FEATURE_SMALL_EXEC ? config->ram_pages / RAM_GRANULE_PAGES : 0;

    return config->account_pages + (config->vm ? shadow + split : 0);
}

/* All that the domain can use as it likes, and the frame for its image. */
static uint64_t ram_pages(const struct config *config, const struct image *image)
{
    uint64_t pages = config->ram_pages + image->pages;

    return (pages + RAM_GRANULE_PAGES - 1) / RAM_GRANULE_PAGES * RAM_GRANULE_PAGES;
}

/* The account and the memory, which is not clean yet. */
static bool take(struct domain *domain, uint64_t pages, struct config_error *error)
{
    const struct config *config = &domain->config;
    uint64_t status = pool_take(domain_sel(domain, DOMAIN_SEL_ACCOUNT), account_pages(config), &domain->pool);

    if (status != CB_OK)
        return refused(error, config->vm ? "memory-mib" : "account-mib", "no kernel memory", status);
    domain->chunk = ram_alloc(pages);
    if (domain->chunk == NULL)
        return config_error(error, "memory-mib", "%lu MiB are needed, the largest free range has %lu MiB",
                            pages * CB_PAGE_SIZE >> 20, ram_largest() * CB_PAGE_SIZE >> 20);
    status = clear_begin(&domain->clear, ram_sel(domain->chunk), pages, config->cpu, config->priority);
    return status == CB_OK || refused(error, "memory-mib", "root cannot clear the domain's memory", status);
}

/* The domain, and its memory: first what it may use as it likes, then the frame for its image. */
static bool create(struct domain *domain, const struct image *image, uint64_t *ram_size, struct config_error *error)
{
    *ram_size = (ram_pages(&domain->config, image) - image->pages) * CB_PAGE_SIZE;
    uint64_t status = cb_domain_create(domain_sel(domain, DOMAIN_SEL_ACCOUNT), 0, domain_sel(domain, DOMAIN_SEL_DOMAIN));
    if (status != CB_OK)
        return refused(error, "node", "domain_create", status);
    status = cb_ram_split(ram_sel(domain->chunk), CB_TASK_SEL_RAM, domain_sel(domain, DOMAIN_SEL_DOMAIN),
                          *ram_size / CB_PAGE_SIZE, 1);
    if (status != CB_OK)
        return refused(error, "memory-mib", "ram_split", status);
    status = cb_frame_create(ram_sel(domain->chunk), domain_sel(domain, DOMAIN_SEL_FRAME), CB_SELF, image->pages, 1);
    return status == CB_OK || refused(error, "memory-mib", "frame_create", status);
}

/* Gives the domain a capability that root has. */
static uint64_t give(const struct domain *domain, uint32_t sel, uint32_t dst, uint32_t rights)
{
    return cb_derive(sel, dst, domain_sel(domain, DOMAIN_SEL_DOMAIN), rights, 0, 0);
}

static uint64_t give_grants(const struct domain *domain)
{
    const struct config *config = &domain->config;
    uint64_t status = CB_OK;

    if (config->log)
        status = give(domain, CB_ROOT_SEL_LOG, CB_TASK_SEL_LOG, CONTROL_RIGHTS);
    if (config->irq && status == CB_OK)
        status = give(domain, CB_ROOT_SEL_IRQ, CB_TASK_SEL_IRQ, CONTROL_RIGHTS);
    if (config->ioport && status == CB_OK)
        status = give(domain, CB_ROOT_SEL_IOPORT, CB_TASK_SEL_IOPORT, CONTROL_RIGHTS);
    if (config->com1 && status == CB_OK)
        status = cb_ioport_grant(CB_ROOT_SEL_IOPORT, domain_sel(domain, DOMAIN_SEL_DOMAIN), COM1, COM1_PORTS);
    return status;
}

static uint64_t give_portals(const struct domain *domain)
{
    uint64_t status = CB_OK;

    for (uint32_t cpu = 0; cpu < boot_info()->cpu_count && status == CB_OK; cpu++) {
        uint32_t portal = domain_sel(domain, DOMAIN_SEL_PORTAL) + cpu;

        status = service_portal(domain_sel(domain, DOMAIN_SEL_ACCOUNT), portal, cpu, domain_badge(domain));
        if (status == CB_OK)
            status = give(domain, portal, CB_TASK_SEL_ROOT(cpu), CB_RIGHT_CALL);
    }
    return status;
}

/* All the time of its priority on the CPUs that it may use. The console's threads elsewhere run on their callers'. */
static uint64_t give_time(const struct domain *domain)
{
    const struct config *config = &domain->config;
    uint64_t cpus = console_is(domain) ? 1ull << config->cpu : config->cpu_mask | 1ull << config->cpu;
    uint64_t status = CB_OK;

    for (uint32_t cpu = 0; cpu < CB_CPUS && status == CB_OK; cpu++) {
        uint32_t sched = domain_sel(domain, DOMAIN_SEL_SCHED) + cpu;

        if ((cpus >> cpu & 1) == 0)
            continue;
        status = cb_sched_create(domain_sel(domain, DOMAIN_SEL_ACCOUNT), sched, cpu, config->priority,
                                 console_is(domain) ? CONSOLE_BUDGET_US : SLICE_US, SLICE_US);
        if (status == CB_OK)
            status = give(domain, sched, CB_TASK_SEL_SCHED(cpu), CONTROL_RIGHTS);
    }
    return status;
}

/* The first thread, and what it finds in its capability space. */
static uint64_t populate(const struct domain *domain, uint64_t entry)
{
    const struct config *config = &domain->config;
    uint32_t account = domain_sel(domain, DOMAIN_SEL_ACCOUNT), thread = domain_sel(domain, DOMAIN_SEL_THREAD);
    uint32_t self = domain_sel(domain, DOMAIN_SEL_DOMAIN);
    uint64_t status = give_portals(domain);

    if (status == CB_OK)
        status = cb_thread_create(account, thread, self, config->cpu, CB_TASK_UTCB_ADDRESS, entry, CB_TASK_STACK_TOP);
    if (status == CB_OK)
        status = cb_thread_set(thread, CB_THREAD_EXCEPTION, domain_sel(domain, DOMAIN_SEL_PORTAL) + config->cpu);
    if (status == CB_OK)
        status = give_time(domain);
    if (status == CB_OK)
        status = give(domain, self, CB_TASK_SEL_DOMAIN, DOMAIN_RIGHTS);
    if (status == CB_OK)
        status = give(domain, account, CB_TASK_SEL_ACCOUNT, ACCOUNT_RIGHTS);
    if (status == CB_OK)
        status = give(domain, thread, CB_TASK_SEL_THREAD, CONTROL_RIGHTS);
    if (status == CB_OK)
        status = give_grants(domain);
    return status;
}

/* The console ring page, and the events of both directions. */
static uint64_t connect(struct domain *domain)
{
    uint32_t event = domain_sel(domain, DOMAIN_SEL_CONSOLE_EVENT);
    uint64_t status = cb_event_create(domain_sel(domain, DOMAIN_SEL_ACCOUNT), event);

    if (status == CB_OK)
        status = give(domain, event, CB_TASK_SEL_CONSOLE_EVENT, CB_RIGHT_READ | CB_RIGHT_WAIT);
    if (status == CB_OK)
        status = cb_derive(domain_sel(domain, DOMAIN_SEL_FRAME), CB_TASK_SEL_CONSOLE_PAGE,
                           domain_sel(domain, DOMAIN_SEL_DOMAIN), CB_RIGHT_READ | CB_RIGHT_WRITE, domain->ring_page,
                           1);
    if (status == CB_OK)
        status = console_attach(domain);
    if (status == CB_OK)
        status = give(domain, domain_sel(domain, DOMAIN_SEL_CONSOLE_SIGNAL), CB_TASK_SEL_CONSOLE_SIGNAL,
                      CB_RIGHT_SIGNAL);
    return status;
}

static bool build(struct domain *domain, const struct image *image, const struct grants *grants,
                  struct config_error *error)
{
    uint64_t ram_size;

    if (!create(domain, image, &ram_size, error) || !image_load(image, domain, ram_size, error))
        return false;
    uint64_t status = populate(domain, image->program.entry);

    if (status != CB_OK)
        return refused(error, "node", "cannot be populated", status);
    if (!grants_give(grants, domain, error))
        return false;
    if (console_is_ready()) {
        status = connect(domain);
        if (status != CB_OK && console_is_ready()) /* if it has just been lost, the domain goes without it */
            return refused(error, "console", "cannot be connected", status);
    }
    status = cb_sched_bind(domain_sel(domain, DOMAIN_SEL_SCHED) + domain->config.cpu,
                           domain_sel(domain, DOMAIN_SEL_THREAD));
    return status == CB_OK || refused(error, "node", "cannot be started", status);
}

/* Upon failure, nothing is left but the reason. */
static bool settle(struct domain *domain, bool good, uint64_t left)
{
    domain->pages += left - domain_pages_left();
    if (!good) {
        domain_destroy(domain);
        domain->started = 0;
    }
    return good;
}

bool domain_prepare(struct domain *domain, const void *manifest, struct config_error *error)
{
    uint64_t left = domain_pages_left(), life = domain_badge(domain) & ~DOMAIN_BADGE_INDEX;
    struct grants grants;
    struct image image;

    __atomic_store_n(&domain->end, life + DOMAIN_LIFE, __ATOMIC_RELEASE);
    domain->pages = 0;
    domain->state = DOMAIN_CLEARING;
    grants_plan(&grants, domain);
    if (!image_plan(&image, domain, manifest, &grants, error))
        return settle(domain, false, left);
    uint64_t pages = ram_pages(&domain->config, &image);

    image_release(&image);
    domain->base = sel_alloc_range(DOMAIN_SEL_COUNT);
    return settle(domain, domain->base ? take(domain, pages, error)
                                       : config_error(error, "node", "root has no selectors left"), left);
}

/* What the domain uses may have changed since: it is planned anew. */
static bool start(struct domain *domain, const void *manifest, struct config_error *error)
{
    struct grants grants;
    struct image image;

    grants_plan(&grants, domain);
    if (!image_plan(&image, domain, manifest, &grants, error))
        return false;
    domain->state = DOMAIN_RUNNING;
    domain->started = clock_tsc();
    bool built = build(domain, &image, &grants, error);

    image_release(&image);
    return built;
}

bool domain_start(struct domain *domain, const void *manifest, struct config_error *error)
{
    uint64_t left = domain_pages_left();
    enum clear_state state = clear_look(&domain->clear);

    if (state == CLEAR_BUSY)
        return true;
    clear_end(&domain->clear);
    bool good = state == CLEAR_DONE ? start(domain, manifest, error)
                                    : config_error(error, "memory-mib", "root cannot map the memory to clear it");

    return settle(domain, good, left);
}

void domain_stop(struct domain *domain)
{
    clear_end(&domain->clear);
    /* All objects of the domain are in its account; root's other selectors of it become empty with them. */
    if (domain->pool)
        (void)!cb_destroy(domain_sel(domain, DOMAIN_SEL_ACCOUNT));
}

void domain_destroy(struct domain *domain)
{
    domain_stop(domain);
    service_forget(domain);
    console_detach(domain);
    if (domain->pool)
        pool_give(domain->pool);
    domain->pool = NULL;
    offer_reset(domain);
    if (domain->chunk)
        ram_free(domain->chunk);
    domain->chunk = NULL;
    if (domain->base)
        sel_free_range(domain->base, DOMAIN_SEL_COUNT);
    domain->base = 0;
    domain->state = DOMAIN_OVER;
}
