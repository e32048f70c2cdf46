/* SPDX-License-Identifier: GPL-2.0-only */
#include "console.h"

#include "area.h"
#include "boot.h"
#include "calls.h"
#include "clock.h"
#include "domain.h"
#include "output.h"
#include "print.h"
#include "sel.h"
#include "service.h"
#include "stream.h"
#include "thread.h"
#include "watch.h"

#include <corbel/console.h>

#include <string.h>

#define START_US 30000000u

static struct domain *service;      /* NULL: none */
static uint32_t portal;             /* set by a handler (release); 0: not there yet, or lost */
static bool lines_are_named;
static char input_name[CONFIG_NAME_MAX + 1];

bool console_is_ready(void)
{
    return __atomic_load_n(&portal, __ATOMIC_ACQUIRE) != 0;
}

bool console_is(const struct domain *domain)
{
    return domain == service;
}

bool console_offer(const struct domain *domain, uint32_t sel)
{
    if (domain != service || console_is_ready())
        return false;
    __atomic_store_n(&portal, sel, __ATOMIC_RELEASE);
    return true;
}

/* A service that does not answer has ended, as far as root is concerned. */
static uint64_t call_service(struct cb_args *message)
{
    uint64_t status = watch_call(portal, message);

    if (CB_STATUS_CODE(status) == CB_ABORTED) {
        service_end(service, DOMAIN_END_SILENT);
        console_lost();
    }
    return status;
}

/* Attaches a ring page. The reply brings the event that tells of output, which goes to selector `signal`. */
static uint64_t attach(const char *name, uint32_t flags, uint64_t badge, uint64_t number, struct cb_item page,
                       uint32_t event, uint32_t signal, uint32_t *client)
{
    struct cb_utcb *utcb = thread_utcb();
    struct cb_args message = {CB_CONSOLE_ATTACH, flags, badge, number, CB_INFO(CB_CONSOLE_NAME / 8, 2, 0)};

    utcb->items[0] = page;
    utcb->items[1] = (struct cb_item){.sel = event, .rights = CB_RIGHT_SIGNAL};
    memset(utcb->words, 0, CB_CONSOLE_NAME);
    memcpy(utcb->words, name, strnlen(name, CB_CONSOLE_NAME - 1));
    utcb->window = signal;
    utcb->window_count = 1;
    uint64_t status = call_service(&message);

    utcb->window_count = 0;
    if (status != CB_OK)
        return status;
    if (message.a1 != 0 || CB_INFO_ITEMS(message.a5) != 1 || !(utcb->delivered & 1))
        return CB_NO_ROOM;
    *client = (uint32_t)message.a2;
    return CB_OK;
}

uint64_t console_attach(struct domain *domain)
{
    const struct config *config = &domain->config;
    struct cb_item page = {
        .sel = domain_sel(domain, DOMAIN_SEL_FRAME),
        .rights = CB_RIGHT_READ | CB_RIGHT_WRITE,
        .arg1 = domain->ring_page,
        .arg2 = 1,
    };
    uint32_t flags = CB_CONSOLE_DOMAIN | (config->vm ? CB_CONSOLE_VM : 0) | (lines_are_named ? CB_CONSOLE_NAMED : 0) |
                     (strcmp(config->name, input_name) == 0 ? CB_CONSOLE_INPUT : 0);
    uint64_t status = attach(config->name, flags, domain_badge(domain), (uint64_t)(domain - domains), page,
                             domain_sel(domain, DOMAIN_SEL_CONSOLE_EVENT),
                             domain_sel(domain, DOMAIN_SEL_CONSOLE_SIGNAL), &domain->client);

    domain->on_console = status == CB_OK;
    return status;
}

void console_detach(struct domain *domain)
{
    struct cb_args message = {CB_CONSOLE_DETACH, domain->client, 0, 0, 0};

    if (!domain->on_console)
        return;
    domain->on_console = false;
    if (console_is_ready())
        (void)!call_service(&message);
    (void)!cb_revoke(domain_sel(domain, DOMAIN_SEL_CONSOLE_SIGNAL), CB_REVOKE_SELF);
}

/* root is a client too. */
static uint64_t attach_root(void)
{
    uint32_t event = sel_alloc(), signal = sel_alloc(), client;
    struct area area;
    uint64_t status = area_make(&area, 1, 1, 0);

    if (status == CB_OK)
        status = cb_event_create(CB_ROOT_SEL_ACCOUNT, event);
    if (status == CB_OK) {
        memset(area.address, 0, CB_PAGE_SIZE);
        status = attach("root", 0, 0, 0, (struct cb_item){area.frame, CB_RIGHT_READ | CB_RIGHT_WRITE, 0, 1}, event, signal,
                        &client);
    }
    if (status == CB_OK) {
        stream_init(area.address, signal, event);
        output_use_stream(true);
    } else {
        area_drop(&area);
        sel_drop(event);
        sel_drop(signal);
    }
    return status;
}

static bool start_service(const void *manifest, struct config_error *error)
{
    if (!domain_prepare(service, manifest, error))
        return false;
    while (domain_start(service, manifest, error) && service->state == DOMAIN_CLEARING)
        service_wait(CB_DEADLINE_NONE);
    return service->state == DOMAIN_RUNNING;
}

static bool await_service(struct config_error *error)
{
    uint64_t deadline = clock_in(START_US);

    while (!console_is_ready()) {
        if (service_ended(service)) {
            char text[DOMAIN_TEXT];

            (void)service_reason(service, text);
            return config_error(error, "module", "%s", text);
        }
        if (clock_tsc() > deadline)
            return config_error(error, "module", "has not offered its service for %u seconds", START_US / 1000000);
        service_wait(deadline);
    }
    return true;
}

bool console_start(const void *manifest, int node, bool several, const char *input, struct config_error *error)
{
    lines_are_named = several;
    snprintf(input_name, sizeof(input_name), "%s", input);
    service = &domains[DOMAIN_CONSOLE];
    service->node = node;
    bool started = config_read_console(manifest, node, &service->config, error) && start_service(manifest, error) &&
                   await_service(error);
    uint64_t status = started ? attach_root() : CB_OK;

    if (status != CB_OK)
        started = config_error(error, "module", "refuses root as its client: %s", cb_status_text(status));
    if (!started) {
        console_lost();
        domain_destroy(service);
        service = NULL;
    }
    return started;
}

void console_lost(void)
{
    __atomic_store_n(&portal, 0, __ATOMIC_RELEASE);
    output_use_stream(false);
}
