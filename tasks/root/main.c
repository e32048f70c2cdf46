/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * root, the first task: owns all at boot, starts what the manifest lists, reports who failed and why, takes
 * back what ended, and switches the machine off after the last one. It restarts nothing that did not ask for it.
 */
#include "boot.h"
#include "calls.h"
#include "clock.h"
#include "console.h"
#include "domain.h"
#include "firmware.h"
#include "link.h"
#include "offer.h"
#include "output.h"
#include "pages.h"
#include "panic.h"
#include "port.h"
#include "print.h"
#include "ram.h"
#include "random.h"
#include "sel.h"
#include "service.h"
#include "thread.h"

#include <libfdt.h>

_Noreturn void start_main(void); /* called by start.S */

#define SEED_SIZE 64u
/* A domain that wants to be started again: */
#define RESTART_SOON_US 10000000u     /* if it ran for less than this, it has to wait */
#define RESTART_FORGIVEN_US 60000000u /* if for more than this, that is forgotten */
#define RESTART_FIRST_US 1000000u
#define RESTART_LAST_US 32000000u
#define KIB(pages) ((pages) * (CB_PAGE_SIZE / 1024))

/* The first thing that went wrong; empty if all is well. */
static char first_failure[300];
static const void *manifest;

static void failure(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Prints what went wrong, and keeps it if it is the first. */
static void failure(const char *format, ...)
{
    char text[sizeof(first_failure)];
    va_list list;

    va_start(list, format);
    vsnprintf(text, sizeof(text), format, list);
    va_end(list);
    output_line("%s", text);
    if (first_failure[0] == 0)
        memcpy(first_failure, text, sizeof(text));
}

static void sleep_forever(void)
{
    for (;;)
        thread_sleep_until(CB_DEADLINE_NONE);
}

/* The end of the machine: off if all went well, else with the reason as the last line. */
static _Noreturn void end(void)
{
    uint64_t exit_port = boot_option("exit-port");
    bool well = first_failure[0] == 0;

    output_line("%s%s", well ? "all domains have ended, switching off" : "failed: ", first_failure);
    output_drain();
    if (!well && exit_port && exit_port <= UINT16_MAX && boot_claim_ports((uint16_t)exit_port, 1))
        port_out8((uint16_t)exit_port, 1);
    const char *reason = acpi_power_off();

    if (well) {
        output_line("cannot switch off: %s: resetting", reason);
        output_drain();
        firmware_reset();
        reason = "a reset has no effect either";
    }
    output_line("cannot switch off: %s: halted", reason);
    for (;;)
        sleep_forever();
}

_Noreturn void panic(const char *format, ...)
{
    va_list list;
    char text[200];

    va_start(list, format);
    vsnprintf(text, sizeof(text), format, list);
    va_end(list);
    output_use_stream(false); /* whatever is broken, this way needs least */
    failure("panic: %s", text);
    end();
}

/* Destroys a domain that has ended, and says what came back of what it had when `left` pages were left. */
static void take_back(struct domain *domain, uint64_t left)
{
    domain_destroy(domain);
    uint64_t now = domain_pages_left();

    output_line("%s: memory returned, %lu KiB free", domain->config.name, KIB(now));
    if (now - left != domain->pages)
        failure("%s: used %lu KiB, but returned %lu KiB", domain->config.name, KIB(domain->pages), KIB(now - left));
    service_set_memory_left(now * CB_PAGE_SIZE);
}

/* The memory of links without an end left comes back, too. */
static void leave_links(const struct domain *domain)
{
    link_leave(domain);
    for (struct link *link; (link = link_abandoned());) {
        uint64_t left = domain_pages_left(), pages = link->pages;
        char name[CONFIG_NAME_MAX + 1];

        memcpy(name, link->config.name, sizeof(name));
        link_destroy(link);
        uint64_t now = domain_pages_left();

        if (pages)
            output_line("link %s: memory returned, %lu KiB free", name, KIB(now));
        if (now - left != pages)
            failure("link %s: used %lu KiB, but returned %lu KiB", name, KIB(pages), KIB(now - left));
    }
    service_set_memory_left(domain_pages_left() * CB_PAGE_SIZE);
}

/* A domain that cannot be what the manifest says. */
static void give_up(struct domain *domain, const struct config_error *error)
{
    domain->state = DOMAIN_OVER;
    failure("%s: %s: %s", domain->config.name, error->property, error->reason);
    leave_links(domain);
}

/* One step towards a running domain: it takes its memory, and when that is clean, it starts. */
static void start(struct domain *domain, bool (*step)(struct domain *, const void *, struct config_error *))
{
    struct config_error error;
    uint64_t left = domain_pages_left(), had = domain->state == DOMAIN_CLEARING ? domain->pages : 0;

    if (step(domain, manifest, &error)) {
        if (domain->state == DOMAIN_RUNNING)
            output_line("%s: %lu KiB in use of %lu KiB free", domain->config.name, KIB(domain->pages), KIB(left + had));
    } else {
        uint64_t now = domain_pages_left();

        give_up(domain, &error);
        if (now != left + had)
            failure("%s: %lu KiB were free before, %lu KiB after it failed", domain->config.name, KIB(left + had),
                    KIB(now));
    }
    service_set_memory_left(domain_pages_left() * CB_PAGE_SIZE);
}

/* A domain that asks for it again and again has to wait longer and longer: to clear memory and to load is work. */
static void start_again_later(struct domain *domain)
{
    uint64_t ran = clock_tsc() - domain->started;

    if (ran >= clock_ticks(RESTART_FORGIVEN_US))
        domain->delay = 0;
    else if (domain->delay)
        domain->delay = domain->delay * 2 < RESTART_LAST_US ? domain->delay * 2 : RESTART_LAST_US;
    else if (ran < clock_ticks(RESTART_SOON_US))
        domain->delay = RESTART_FIRST_US;
    if (domain->delay)
        output_line("%s: has to wait %lu s, since it ran for %lu s only", domain->config.name, domain->delay / 1000000,
                    clock_ns(ran) / 1000000000);
    domain->not_before = clock_in(domain->delay);
    domain->state = DOMAIN_WAITING;
}

static void finish(struct domain *domain)
{
    uint64_t left = domain_pages_left(), reason;
    const char *name = domain->config.name, *colon;
    char text[DOMAIN_TEXT];

    reason = service_reason(domain, text);
    colon = text[0] ? ": " : "";
    bool reboot = reason == CB_EXIT_REASON_REBOOT && !console_is(domain);

    if (console_is(domain))
        console_lost();
    domain_stop(domain);
    console_detach(domain); /* its own last lines come first */
    if (reboot)
        output_line("%s: starts again%s%s", name, colon, text);
    else if (reason == CB_EXIT_REASON_DONE)
        output_line("%s: powered off%s%s", name, colon, text);
    else
        failure("%s: %s%s%s", name, reason == CB_EXIT_REASON_CRASHED ? "crashed" : "failed", colon, text);
    take_back(domain, left);
    if (reboot)
        start_again_later(domain);
    else
        leave_links(domain);
}

/* Whether a domain that waits can begin to start; gives it up if it never can. */
static bool may_start(struct domain *domain, uint64_t *deadline)
{
    struct config_error error;

    if (clock_tsc() < domain->not_before) {
        *deadline = domain->not_before < *deadline ? domain->not_before : *deadline;
        return false;
    }
    enum offer_state state = offer_look(domain, deadline, &error);

    if (state == OFFER_REFUSED)
        give_up(domain, &error);
    return state == OFFER_READY;
}

static uint32_t count_clearing(void)
{
    uint32_t count = 0;

    for (const struct domain *domain = domains; domain < domains + DOMAINS; domain++)
        count += domain->state == DOMAIN_CLEARING;
    return count;
}

/* Starts what waits and need not any longer, or gives it up. True if anything has changed for others. */
static bool start_waiting(uint64_t *deadline)
{
    bool any = false;

    for (struct domain *domain = domains; domain < domains + DOMAINS; domain++) {
        enum domain_state last = domain->state;

        if (last == DOMAIN_CLEARING)
            start(domain, domain_start);
        else if (last == DOMAIN_WAITING && count_clearing() < RAM_CLEARING && may_start(domain, deadline))
            start(domain, domain_prepare);
        any |= domain->state != last;
    }
    return any;
}

/* Finishes domains that ended, and starts those that may. Gives the time to look again. */
static uint64_t look_around(void)
{
    uint64_t deadline;

    do {
        deadline = CB_DEADLINE_NONE;
        for (struct domain *domain = domains; domain < domains + DOMAINS; domain++)
            if (domain->state == DOMAIN_RUNNING && service_ended(domain))
                finish(domain);
    } while (start_waiting(&deadline));
    return deadline;
}

/* Whether anybody is left who does not just serve others. */
static bool is_busy(void)
{
    for (const struct domain *domain = domains; domain < domains + DOMAINS; domain++)
        if (domain->state == DOMAIN_WAITING || domain->state == DOMAIN_CLEARING ||
            (domain->state == DOMAIN_RUNNING && !console_is(domain) && !offer_is_used(domain)))
            return true;
    return false;
}

/* Ends the services whose users have all ended. */
static void stop_services(void)
{
    for (struct domain *domain = domains; domain < domains + DOMAINS; domain++) {
        uint64_t left = domain_pages_left();

        if (domain->state != DOMAIN_RUNNING || console_is(domain))
            continue;
        domain_stop(domain);
        console_detach(domain);
        output_line("%s: stopped, all that could use it have ended", domain->config.name);
        take_back(domain, left);
        leave_links(domain);
    }
}

/* Until nobody is left. */
static void run(void)
{
    uint64_t deadline = look_around();

    while (is_busy()) {
        service_wait(deadline);
        deadline = look_around();
    }
    stop_services();
}

/* ---- The manifest ---- */

static void start_console(int list)
{
    int console = fdt_subnode_offset(manifest, 0, "console"), node;
    char input[CONFIG_NAME_MAX + 1];
    struct config_error error;
    uint32_t count = 0;

    if (console < 0)
        return;
    fdt_for_each_subnode(node, manifest, list)
        count++;
    if (!config_input(manifest, console, list, input, &error))
        failure("console: %s: %s", error.property, error.reason);
    bool vm = fdt_first_subnode(manifest, list) >= 0 &&
              fdt_node_check_compatible(manifest, fdt_first_subnode(manifest, list), "corbel,vm") == 0;

    /* A virtual machine on its own has the line to itself, so that terminal programs work. */
    if (!console_start(manifest, console, count != 1 || !vm, input, &error))
        failure("console: %s: %s", error.property, error.reason);
}

static void create_links(int list)
{
    int node, parent = fdt_subnode_offset(manifest, 0, "links");

    if (parent < 0)
        return;
    fdt_for_each_subnode(node, manifest, parent) {
        struct config_error error;
        struct config_link config;
        uint64_t left = domain_pages_left();
        const struct link *link =
            config_read_link(manifest, node, list, &config, &error) ? link_create(&config, &error) : NULL;

        if (link)
            output_line("link %s: %lu KiB in use of %lu KiB free", config.name, KIB(link->pages), KIB(left));
        else
            failure("link %s: %s: %s", config.name, error.property, error.reason);
    }
}

/* All is read before anything starts: who is linked to whom must be known by then, and who provides what. */
static void read_all(void)
{
    struct config_error error;
    uint32_t next_cpu = 0;
    int node;

    manifest = config_manifest(&error);
    if (manifest == NULL) {
        failure("manifest: %s: %s", error.property, error.reason);
        return;
    }
    for (uint32_t i = 0; config_mistake(manifest, i, &error); i++)
        failure("manifest: %s: %s", error.property, error.reason);
    int list = fdt_subnode_offset(manifest, 0, "domains");

    if (list < 0) {
        failure("manifest: domains: missing");
        return;
    }
    start_console(list);
    fdt_for_each_subnode(node, manifest, list) {
        struct domain *domain = domain_alloc();

        if (domain == NULL) {
            failure("manifest: domains: there are more than %u", DOMAINS - 1);
            break;
        }
        domain->node = node;
        domain->state = DOMAIN_WAITING;
        if (!config_read(manifest, node, &next_cpu, &domain->config, &error))
            give_up(domain, &error);
    }
    create_links(list);
    for (struct domain *domain = domains; domain < domains + DOMAINS; domain++)
        if (domain->state == DOMAIN_OVER)
            leave_links(domain);
}

/* ---- Entry ---- */

static void prepare_library(void)
{
    const struct cb_boot_info *info = boot_info();
    uint8_t seed[SEED_SIZE];
    uint32_t own;

    clock_khz = info->tsc_khz ? info->tsc_khz : 1;
    sel_init(CB_ROOT_SEL_FREE);
    const char *warning = entropy_read(seed, sizeof(seed));

    random_seed(seed, sizeof(seed));
    thread_init(0, CB_ROOT_UTCB_ADDRESS);
    if (info->version != CB_ABI_VERSION)
        panic("the hypervisor's interface has version %u, root knows %u", info->version, CB_ABI_VERSION);
    if (warning)
        output_line("warning: seeds are weak: %s", warning);
    if (!ram_init(&own))
        panic("there is not enough RAM, or it cannot be split");
    pages_init(own);
    clock_wall_ns = rtc_wall_ns();
    if (clock_wall_ns == 0)
        output_line("warning: the CMOS clock cannot be read, time begins in 1970");
}

_Noreturn void start_main(void)
{
    prepare_library();
    uint64_t status = service_init();

    if (status != CB_OK)
        panic("cannot start handlers: %s", cb_status_text(status));
    read_all();
    run();
    end();
}
