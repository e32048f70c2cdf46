/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * root's portal: how domains end, and what they offer. A handler may stop anywhere, and go on when the domain that called
 * has been started again; so what counts is which life of the domain a badge names.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include <corbel/state.h>

#include "calls_fake.h"
#include "console.h"
#include "domain.h"
#include "offer.h"
#include "sel.h"
#include "service.h"
#include "thread.h"
#include "watch.h"

#define CPUS 4u
#define LIFE(n) ((n) * DOMAIN_LIFE)

struct cb_boot_info boot_fake = {.cpu_count = CPUS};
struct domain domains[DOMAINS];
struct thread *thread_fake;
uint64_t clock_now;

static struct thread threads[CPUS];
static struct cb_utcb utcbs[CPUS];
static thread_handler_fn *handler;
static struct domain *const console = &domains[DOMAIN_CONSOLE], *const one = &domains[1], *const two = &domains[2];
static uint32_t next_sel = 100, dropped, woken;
static bool abandoned;

/* ---- What lies below ---- */

uint64_t thread_handler(uint32_t cpu, thread_handler_fn *function, void *argument, struct thread **result)
{
    (void)argument;
    handler = function;
    threads[cpu].cpu = cpu;
    threads[cpu].utcb = &utcbs[cpu];
    *result = &threads[cpu];
    return CB_OK;
}

void thread_portal_entry(void)
{
}

uint64_t watch_init(void)
{
    return CB_OK;
}

uint32_t sel_alloc(void)
{
    return next_sel++;
}

void sel_drop(uint32_t sel)
{
    dropped += sel != 0;
}

uint64_t cb_event_create(uint32_t account, uint32_t dst)
{
    (void)account, (void)dst;
    return CB_OK;
}

uint64_t cb_portal_create(uint32_t account, uint32_t dst, uint32_t thread, uint64_t entry, uint64_t badge, uint32_t groups,
                          uint32_t level)
{
    (void)account, (void)dst, (void)thread, (void)entry, (void)badge, (void)groups, (void)level;
    return CB_OK;
}

uint64_t cb_signal(uint32_t sel)
{
    (void)sel;
    woken++;
    return CB_OK;
}

uint64_t cb_wait(uint32_t sel, uint32_t flags, uint64_t deadline, uint64_t *bits)
{
    (void)sel, (void)flags, (void)deadline, (void)bits;
    return CB_OK;
}

uint64_t cb_revoke(uint32_t sel, uint32_t flags)
{
    (void)sel, (void)flags;
    return CB_OK;
}

uint64_t cb_identify(uint32_t sel, struct cb_identity *identity)
{
    (void)sel;
    *identity = (struct cb_identity){CB_TYPE_PORTAL, CB_RIGHT_CALL, 0, 0};
    return CB_OK;
}

bool console_is(const struct domain *domain)
{
    return domain == console;
}

bool console_offer(const struct domain *domain, uint32_t portal)
{
    (void)domain, (void)portal;
    return false;
}

void stream_abandon(void);
void stream_abandon(void)
{
    abandoned = true;
}

bool config_error(struct config_error *error, const char *property, const char *format, ...)
{
    (void)error, (void)property, (void)format;
    return false;
}

/* ---- Domains ---- */

static void begin(struct domain *domain, uint64_t life)
{
    domain->end = LIFE(life);
    domain->state = DOMAIN_RUNNING;
    snprintf(domain->config.provides, sizeof(domain->config.provides), "service");
}

static void setup(void)
{
    cr_assert_eq(service_init(), CB_OK);
    begin(console, 1);
    begin(one, 1);
    begin(two, 1);
}

static uint64_t call(uint32_t cpu, uint64_t badge, uint64_t operation, uint64_t a, uint64_t b, uint64_t info)
{
    struct cb_args message = {operation, a, b, 0, info};

    thread_fake = &threads[cpu];
    handler(badge, &message);
    return message.a1;
}

static void leave(uint32_t cpu, uint64_t badge, uint64_t reason, const char *text)
{
    memcpy(utcbs[cpu].words, text, strlen(text));
    call(cpu, badge, CB_ROOT_EXIT, reason, strlen(text), CB_INFO((strlen(text) + 7) / 8, 0, 0));
}

static void expect_end(struct domain *domain, uint64_t reason, const char *words)
{
    char text[DOMAIN_TEXT];

    cr_assert(service_ended(domain));
    cr_assert_eq(service_reason(domain, text), reason);
    cr_assert_str_eq(text, words);
}

/* ---- Tests ---- */

Test(service, the_first_report_counts)
{
    setup();
    cr_assert_not(service_ended(one));
    leave(0, domain_badge(one), CB_EXIT_REASON_REBOOT, "once\033 more");
    leave(1, domain_badge(one), CB_EXIT_REASON_CRASHED, "too late");
    cr_assert_not(service_ended(two));
    expect_end(one, CB_EXIT_REASON_REBOOT, "once  more");
    leave(1, domain_badge(two), 99, "no such reason");
    expect_end(two, CB_EXIT_REASON_FAILED, "no such reason");
}

/* Behind what a call brings is what the one before has left. */
Test(service, a_report_has_no_words_of_others)
{
    setup();
    leave(0, domain_badge(one), CB_EXIT_REASON_DONE, "eight by and a secret");
    call(0, domain_badge(two), CB_ROOT_EXIT, CB_EXIT_REASON_DONE, 100, CB_INFO(1, 0, 0));
    expect_end(one, CB_EXIT_REASON_DONE, "eight by and a secret");
    call(0, domain_badge(two), CB_ROOT_EXIT, CB_EXIT_REASON_DONE, 100, CB_INFO(1, 0, 0));
    expect_end(two, CB_EXIT_REASON_DONE, "eight by");
}

/* Called by an earlier life of the domain, and come late. */
Test(service, an_earlier_life_does_not_end_this_one)
{
    uint64_t badge;

    setup();
    badge = domain_badge(one);
    begin(one, 2);
    leave(0, badge, CB_EXIT_REASON_CRASHED, "of the last life");
    call(0, badge, 0, 0, 0, CB_INFO(0, 0, CB_GROUP_QUAL)); /* a fault */
    cr_assert_not(service_ended(one));
    cr_assert_eq(call(0, domain_badge(console), CB_ROOT_END, badge, 0, 0), 1);
    cr_assert_not(service_ended(one));
    leave(0, domain_badge(one), CB_EXIT_REASON_DONE, "");
    expect_end(one, CB_EXIT_REASON_DONE, "");
}

/* What is not read yet is not overwritten; and what nobody will read makes room. */
Test(service, reports_do_not_mix)
{
    unsigned before;

    setup();
    leave(0, domain_badge(one), CB_EXIT_REASON_DONE, "one");
    before = woken;
    leave(0, domain_badge(two), CB_EXIT_REASON_FAILED, "two");
    cr_assert_not(service_ended(two), "it has to come again");
    cr_assert_gt(woken, before, "so that it is soon");
    expect_end(one, CB_EXIT_REASON_DONE, "one");
    leave(0, domain_badge(two), CB_EXIT_REASON_FAILED, "two");
    service_forget(one); /* has been read */
    leave(0, domain_badge(one) + DOMAIN_LIFE, CB_EXIT_REASON_FAILED, "nobody");
    expect_end(two, CB_EXIT_REASON_FAILED, "two");
    begin(one, 2);
    leave(0, domain_badge(one), CB_EXIT_REASON_FAILED, "again");
    service_forget(one);
    begin(two, 2);
    leave(0, domain_badge(two), CB_EXIT_REASON_DONE, "and again");
    expect_end(two, CB_EXIT_REASON_DONE, "and again");
}

Test(service, only_the_console_ends_others)
{
    setup();
    cr_assert_eq(call(0, domain_badge(two), CB_ROOT_END, domain_badge(one), 0, 0), 1);
    cr_assert_eq(call(0, domain_badge(console), CB_ROOT_END, LIFE(1) | DOMAINS, 0, 0), 1);
    cr_assert_eq(call(0, domain_badge(console), CB_ROOT_END, 0, 0, 0), 1, "that is root");
    cr_assert_not(service_ended(one));
    cr_assert_eq(call(0, domain_badge(console), CB_ROOT_END, domain_badge(one), 0, 0), 0);
    expect_end(one, CB_EXIT_REASON_DONE, "ended at the console");
    cr_assert_eq(call(0, domain_badge(console), CB_ROOT_END, domain_badge(one), 0, 0), 1, "once");
}

Test(service, a_console_that_ends_is_not_waited_for)
{
    setup();
    leave(2, domain_badge(one), CB_EXIT_REASON_CRASHED, "no");
    cr_assert_not(abandoned);
    leave(3, domain_badge(console), CB_EXIT_REASON_CRASHED, "yes");
    cr_assert(abandoned);
    begin(console, 2);
    service_end(console, DOMAIN_END_SILENT);
    expect_end(console, CB_EXIT_REASON_FAILED, "has not answered for 30 seconds");
}

static uint64_t offer(uint64_t badge, uint64_t cpu)
{
    utcbs[0].delivered = 1;
    return call(0, badge, CB_ROOT_SERVE, CB_SERVE_PORTAL, cpu, CB_INFO(0, 1, 0));
}

/* A place that was filled late, by an earlier life, is empty for this one. */
Test(service, offers_belong_to_a_life)
{
    uint64_t badge;

    setup();
    badge = domain_badge(one);
    cr_assert_eq(offer(badge, 0), 0);
    cr_assert_eq(offer(badge, 0), 1, "once");
    cr_assert_neq(offer_get(one, 0), 0);
    offer_reset(one);
    begin(one, 2);
    cr_assert_eq(offer(badge, 1), 0, "it comes late");
    cr_assert_eq(call(0, badge, CB_ROOT_SERVE, CB_SERVE_READY, 0, 0), 1);
    cr_assert_eq(offer_get(one, 1), 0);
    dropped = 0;
    cr_assert_eq(offer(domain_badge(one), 1), 0);
    cr_assert_eq(dropped, 1, "the old one");
    cr_assert_eq(offer(badge, 1), 1, "it comes too late");
    cr_assert_neq(offer_get(one, 1), 0);
    cr_assert_eq(call(0, domain_badge(one), CB_ROOT_SERVE, CB_SERVE_READY, 0, 0), 0);
    cr_assert_eq(call(0, domain_badge(one), CB_ROOT_SERVE, CB_SERVE_READY, 0, 0), 1);
    cr_assert_eq(offer(domain_badge(one), 2), 1, "after it has said that these are all");
}
