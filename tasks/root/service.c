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

#include <corbel/state.h>

#include <string.h>

#define FAULT_GROUPS (CB_GROUP_RIP | CB_GROUP_RSP | CB_GROUP_QUAL)
#define VECTOR_PF 14u

static struct thread *handlers[CB_CPUS];
static uint32_t event;
static uint64_t memory_left;

static const char *const vectors[32] = {
    "divide error", "debug exception", "NMI", "breakpoint", "overflow", "bound range exceeded", "invalid opcode",
    "device not available", "double fault", "coprocessor overrun", "invalid TSS", "segment not present",
    "stack fault", "general protection fault", "page fault", NULL, "x87 error", "alignment check", "machine check",
    "SIMD error", "virtualization exception", "control protection exception",
};

static void wake_main(void)
{
    (void)!cb_signal(event);
}

/* The end of a domain, in words. The first report counts. */
static void report(struct domain *domain, uint64_t reason, const char *text, size_t length)
{
    if (__atomic_exchange_n(&domain->reported, 1, __ATOMIC_ACQ_REL))
        return;
    if (length >= sizeof(domain->text))
        length = sizeof(domain->text) - 1;
    for (size_t i = 0; i < length; i++)
        domain->text[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : ' ';
    domain->text[length] = 0;
    domain->reason = reason <= CB_EXIT_REASON_CRASHED ? reason : CB_EXIT_REASON_FAILED;
    if (console_is(domain))
        stream_abandon(); /* the main thread may be waiting for it to print */
    __atomic_store_n(&domain->ended, 1, __ATOMIC_RELEASE);
    wake_main();
}

/* The thread faults again and again until the main thread has destroyed the domain, which is soon. */
static void take_fault(struct domain *domain)
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
    report(domain, CB_EXIT_REASON_CRASHED, text, (size_t)length);
}

static bool take_portal(struct domain *domain, uint64_t kind, uint64_t cpu, uint32_t portal)
{
    if (kind == CB_SERVE_CONSOLE)
        return console_offer(domain, portal);
    return kind == CB_SERVE_PORTAL && offer_portal(domain, cpu, portal);
}

/* A service offers a portal, in the window, or says that it is ready. */
static uint64_t take_service(struct domain *domain, uint64_t kind, uint64_t cpu, struct cb_utcb *utcb)
{
    if (kind == CB_SERVE_READY) {
        if (!offer_ready(domain))
            return 1;
        wake_main();
        return 0;
    }
    if (!(utcb->delivered & 1) || !take_portal(domain, kind, cpu, utcb->window))
        return 1;
    utcb->window = sel_alloc(); /* this one is in use now */
    utcb->delivered = 0;
    if (kind == CB_SERVE_CONSOLE)
        wake_main();
    return 0;
}

static void handle(uint64_t badge, struct cb_args *message)
{
    struct cb_utcb *utcb = thread_utcb();
    struct domain *domain = &domains[badge % DOMAINS];
    uint64_t operation = message->a1, argument = message->a2, second = message->a3, info = message->a5;

    *message = (struct cb_args){0};
    if (CB_INFO_ITEMS(info) == 0)
        utcb->delivered = 0;
    if (CB_INFO_GROUPS(info)) {
        take_fault(domain);
    } else if (operation == CB_ROOT_EXIT) {
        uint64_t limit = (uint64_t)CB_INFO_WORDS(info) * 8;

        report(domain, argument, (const char *)utcb->words, second < limit ? second : limit);
    } else if (operation == CB_ROOT_MEMORY) {
        message->a2 = __atomic_load_n(&memory_left, __ATOMIC_RELAXED);
    } else if (operation == CB_ROOT_SERVE) {
        message->a1 = take_service(domain, argument, second, utcb);
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
    return cb_portal_create(account, dst, handlers[cpu]->sel, (uint64_t)thread_portal_entry, badge, FAULT_GROUPS);
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
