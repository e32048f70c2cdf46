/* SPDX-License-Identifier: GPL-2.0-only */
#include "service.h"

#include "boot.h"
#include "calls.h"
#include "console.h"
#include "domain.h"
#include "offer.h"
#include "print.h"
#include "sel.h"
#include "stream.h"
#include "thread.h"
#include "watch.h"

#include <corbel/state.h>

#include <string.h>

#define FAULT_GROUPS (CB_GROUP_RIP | CB_GROUP_RSP | CB_GROUP_QUAL)
#define VECTOR_PF 14u

/*
 * How a domain ended, in words: one buffer for each handler, which fills it before it changes the domain's `end`. So a
 * handler that stops in the middle, because its caller died, has no effect on a later life of the domain.
 */
struct report {
    uint32_t full;   /* set by the handler; cleared when it is read, or counts for nobody */
    uint64_t reason; /* CB_EXIT_REASON_* */
    char text[DOMAIN_TEXT];
};

static struct thread *handlers[CB_CPUS];
static struct report reports[CB_CPUS];
static uint32_t event;
static uint64_t memory_left;

static const char *const vectors[32] = {
    "divide error", "debug exception", "NMI", "breakpoint", "overflow", "bound range exceeded", "invalid opcode",
    "device not available", "double fault", "coprocessor overrun", "invalid TSS", "segment not present",
    "stack fault", "general protection fault", "page fault", NULL, "x87 error", "alignment check", "machine check",
    "SIMD error", "virtualization exception", "control protection exception",
};

/* The first end of a life counts. */
static bool end_life(struct domain *domain, uint64_t badge, uint64_t how)
{
    uint64_t lives = badge & ~DOMAIN_END_HOW;

    return __atomic_compare_exchange_n(&domain->end, &lives, lives | how, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED);
}

/* The end of a domain, in words. If the last report has not been read yet, the caller has to come again, and does. */
static void report(struct domain *domain, uint64_t badge, uint64_t reason, const char *text, size_t length)
{
    uint32_t cpu = thread_self()->cpu;
    struct report *report = &reports[cpu];

    if (__atomic_load_n(&report->full, __ATOMIC_ACQUIRE) == 0) {
        if (length >= sizeof(report->text))
            length = sizeof(report->text) - 1;
        for (size_t i = 0; i < length; i++)
            report->text[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : ' ';
        report->text[length] = 0;
        report->reason = reason <= CB_EXIT_REASON_CRASHED ? reason : CB_EXIT_REASON_FAILED;
        __atomic_store_n(&report->full, 1, __ATOMIC_RELAXED);
        if (!end_life(domain, badge, DOMAIN_END_REPORT + cpu))
            __atomic_store_n(&report->full, 0, __ATOMIC_RELAXED);
        else if (console_is(domain))
            stream_abandon(); /* the main thread may be waiting for it to print */
    }
    service_wake();
}

bool service_ended(const struct domain *domain)
{
    return (__atomic_load_n(&domain->end, __ATOMIC_ACQUIRE) & DOMAIN_END_HOW) != 0;
}

void service_end(struct domain *domain, uint64_t how)
{
    (void)end_life(domain, domain_badge(domain), how);
}

/* The buffer in which the domain's end is reported, NULL if there is none. It counts as read then. */
static struct report *take_report(struct domain *domain)
{
    uint64_t end = __atomic_load_n(&domain->end, __ATOMIC_ACQUIRE), how = end & DOMAIN_END_HOW;

    if (how < DOMAIN_END_REPORT || how >= DOMAIN_END_READ)
        return NULL;
    __atomic_store_n(&domain->end, (end & ~DOMAIN_END_HOW) | DOMAIN_END_READ, __ATOMIC_RELAXED);
    return &reports[how - DOMAIN_END_REPORT];
}

void service_forget(struct domain *domain)
{
    struct report *report = take_report(domain);

    if (report)
        __atomic_store_n(&report->full, 0, __ATOMIC_RELEASE);
}

uint64_t service_reason(struct domain *domain, char *text)
{
    uint64_t how = __atomic_load_n(&domain->end, __ATOMIC_ACQUIRE) & DOMAIN_END_HOW;

    if (how == DOMAIN_END_BY_USER) {
        snprintf(text, DOMAIN_TEXT, "ended at the console");
        return CB_EXIT_REASON_DONE;
    }
    if (how == DOMAIN_END_SILENT) {
        snprintf(text, DOMAIN_TEXT, "has not answered for %u seconds", WATCH_US / 1000000);
        return CB_EXIT_REASON_FAILED;
    }
    struct report *report = take_report(domain);
    uint64_t reason = report->reason;

    memcpy(text, report->text, sizeof(report->text));
    __atomic_store_n(&report->full, 0, __ATOMIC_RELEASE);
    return reason;
}

/* The console service names a domain as console_attach() did. */
static uint64_t end_by_user(const struct domain *console, uint64_t badge)
{
    uint64_t index = badge & DOMAIN_BADGE_INDEX;

    if (!console_is(console) || index >= DOMAINS || !end_life(&domains[index], badge & ~DOMAIN_BADGE_INDEX, DOMAIN_END_BY_USER))
        return 1;
    service_wake();
    return 0;
}

/* The thread faults again and again until the main thread has destroyed the domain, which is soon. */
static void take_fault(struct domain *domain, uint64_t badge)
{
    struct cb_state state;
    char text[DOMAIN_TEXT];
    int length;

    memcpy(&state, thread_utcb()->words, sizeof(state));
    uint64_t vector = state.qual[0];
    const char *name = vector < 32 && vectors[vector] ? vectors[vector] : "exception";

    if (vector == VECTOR_PF)
        length = snprintf(text, sizeof(text), "page fault at %#lx (%s%s%s), rip %#lx, rsp %#lx", state.qual[2],
                          state.qual[1] & 16 ? "execute" : state.qual[1] & 2 ? "write" : "read",
                          state.qual[1] & 1 ? ", present" : "", "", state.rip, state.rsp);
    else
        length = snprintf(text, sizeof(text), "%s (vector %lu, error %#lx), rip %#lx, rsp %#lx", name, vector,
                          state.qual[1], state.rip, state.rsp);
    report(domain, badge, CB_EXIT_REASON_CRASHED, text, (size_t)length);
}

static bool take_portal(struct domain *domain, uint64_t badge, uint64_t kind, uint64_t cpu, uint32_t portal)
{
    if (kind == CB_SERVE_CONSOLE)
        return console_offer(domain, portal);
    return kind == CB_SERVE_PORTAL && offer_portal(domain, badge, cpu, portal);
}

/* A service offers a portal, in the window, or says that it is ready. */
static uint64_t take_service(struct domain *domain, uint64_t badge, uint64_t kind, uint64_t cpu, struct cb_utcb *utcb)
{
    if (kind == CB_SERVE_READY) {
        if (!offer_ready(domain, badge))
            return 1;
        service_wake();
        return 0;
    }
    if (!(utcb->delivered & 1) || !take_portal(domain, badge, kind, cpu, utcb->window))
        return 1;
    utcb->window = sel_alloc(); /* this one is in use now */
    utcb->delivered = 0;
    if (kind == CB_SERVE_CONSOLE)
        service_wake();
    return 0;
}

static void handle(uint64_t badge, struct cb_args *message)
{
    struct cb_utcb *utcb = thread_utcb();
    struct domain *domain = &domains[badge & DOMAIN_BADGE_INDEX];
    uint64_t operation = message->a1, argument = message->a2, second = message->a3, info = message->a5;

    *message = (struct cb_args){0};
    if (CB_INFO_ITEMS(info) == 0)
        utcb->delivered = 0;
    if (CB_INFO_GROUPS(info)) {
        take_fault(domain, badge);
    } else if (operation == CB_ROOT_EXIT) {
        uint64_t limit = (uint64_t)CB_INFO_WORDS(info) * 8;

        report(domain, badge, argument, (const char *)utcb->words, second < limit ? second : limit);
    } else if (operation == CB_ROOT_MEMORY) {
        message->a2 = __atomic_load_n(&memory_left, __ATOMIC_RELAXED);
    } else if (operation == CB_ROOT_SERVE) {
        message->a1 = take_service(domain, badge, argument, second, utcb);
    } else if (operation == CB_ROOT_END) {
        message->a1 = end_by_user(domain, argument);
    } else {
        message->a1 = 1;
    }
    if (utcb->delivered)
        (void)!cb_revoke(utcb->window, CB_REVOKE_SELF); /* nobody asked for it */
}

uint64_t service_init(void)
{
    event = sel_alloc();
    uint64_t status = cb_event_create(CB_ROOT_SEL_ACCOUNT, event);

    if (status == CB_OK)
        status = watch_init();
    for (uint32_t cpu = 0; cpu < boot_info()->cpu_count && cpu < CB_CPUS && status == CB_OK; cpu++) {
        status = thread_handler(cpu, handle, NULL, &handlers[cpu]);
        if (status == CB_OK) {
            handlers[cpu]->utcb->window = sel_alloc();
            handlers[cpu]->utcb->window_count = 1;
        }
    }
    return status;
}

uint64_t service_portal(uint32_t account, uint32_t dst, uint32_t cpu, uint64_t badge)
{
    return cb_portal_create(account, dst, handlers[cpu]->sel, (uint64_t)thread_portal_entry, badge, FAULT_GROUPS,
                            LEVEL_ROOT);
}

void service_wake(void)
{
    (void)!cb_signal(event);
}

void service_wait(uint64_t deadline)
{
    uint64_t bits;

    (void)!cb_wait(event, 0, deadline, &bits);
}

void service_set_memory_left(uint64_t bytes)
{
    __atomic_store_n(&memory_left, bytes, __ATOMIC_RELAXED);
}
