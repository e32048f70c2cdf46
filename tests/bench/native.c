/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The paths between native tasks, measured: a task that makes another domain for itself and calls it, signals it,
 * and takes memory away from it. Prints one line a path (bench.h).
 */
#include "bench.h"

#include "corbel.h"

#include <string.h>

/* native/rounds.S */
bench_fn round_empty, round_syscall, round_words, round_ping, round_signal, round_revoke;
void partner_reply(void), partner_words(void), partner_pong(void), partner_spin(void);
extern const uint8_t partner_begin[], partner_end[];

#define CODE 0x10000ull /* in the other domain */
#define UTCB 0x40000ull
#define FS_BASE 0x7000ull
#define SEL_COMES 16u /* its events: rounds.S knows them */
#define SEL_GOES 17u
#define SEL_CODE 18u
#define ACCOUNT_PAGES 256u
#define PRIORITY 32u
#define SLICE_US 10000u

static uint32_t account, domain, code; /* the other domain */
static uint64_t utcbs = UTCB;

void bench_print(const char *format, ...)
{
    char line[256];
    va_list list;

    va_start(list, format);
    vsnprintf(line, sizeof(line), format, list);
    va_end(list);
    print("%s", line);
}

static void check(uint64_t status, const char *what)
{
    if (status != CB_OK)
        task_exit(CB_EXIT_REASON_FAILED, "%s: %s (%u)", what, cb_status_name(status), CB_STATUS_ARG(status));
}

static uint64_t partner(void (*function)(void))
{
    return CODE + (uint64_t)((const uint8_t *)(uint64_t)function - partner_begin);
}

static void domain_make(void)
{
    uint32_t slot = sel_alloc();
    uint64_t space = pages_space(CB_PAGE_SIZE, CB_PAGE_SIZE);

    account = sel_alloc();
    domain = sel_alloc();
    code = sel_alloc();
    check(pages_frame(1, 1, code), "a frame for code");
    check(cb_map(code, CB_MAP_READ | CB_MAP_WRITE, slot, CB_SELF, space, 0, 1), "mapping code");
    memcpy((void *)space, partner_begin, (size_t)(partner_end - partner_begin));
    check(cb_account_create(CB_TASK_SEL_ACCOUNT, account, ACCOUNT_PAGES), "an account");
    check(cb_domain_create(account, 0, domain), "a domain");
    check(cb_map(code, CB_MAP_READ | CB_MAP_EXEC, SEL_CODE, domain, CODE, 0, 1), "mapping code");
}

/* A thread of the other domain; entry 0 makes it a handler. */
static uint32_t thread_make(uint32_t cpu, uint64_t entry)
{
    uint32_t sel = sel_alloc();

    check(cb_thread_create(account, sel, domain, cpu, utcbs, entry, 0), "a thread");
    check(cb_thread_set(sel, CB_THREAD_FS_BASE, FS_BASE), "FS base");
    utcbs += CB_PAGE_SIZE;
    return sel;
}

static void start(uint32_t thread, uint32_t cpu)
{
    uint32_t sched = sel_alloc();

    check(cb_sched_create(CB_TASK_SEL_ACCOUNT, sched, cpu, PRIORITY, SLICE_US, SLICE_US), "a scheduling context");
    check(cb_sched_bind(sched, thread), "binding it");
}

static uint32_t portal_make(uint32_t thread, uint64_t entry)
{
    uint32_t sel = sel_alloc();

    check(cb_portal_create(CB_TASK_SEL_ACCOUNT, sel, thread, entry, 0, 0, LEVEL_DEFAULT), "a portal");
    return sel;
}

static uint32_t event_make(void)
{
    uint32_t sel = sel_alloc();

    check(cb_event_create(CB_TASK_SEL_ACCOUNT, sel), "an event");
    return sel;
}

static void call_path(const char *name, bench_fn *round, uint32_t portal, uint64_t user)
{
    struct cb_args message = {0};
    uint64_t status = cb_call(portal, &message);

    if (status == CB_OK)
        bench_path(name, round, (struct bench_rounds){.word = CB_CALL_WORD(CB_CALL_call, 0, portal)}, user);
    else
        bench_missing(name, cb_status_name(status));
}

static void measure_calls(uint32_t cpu)
{
    uint32_t handler = thread_make(cpu, 0);
    struct thread *own;

    call_path("call-domains", round_syscall, portal_make(handler, partner(partner_reply)), 3);
    call_path("call-domains-words", round_words, portal_make(handler, partner(partner_words)), 8);
    check(thread_handler(cpu, NULL, NULL, &own), "a handler");
    call_path("call-same-domain", round_syscall, portal_make(own->sel, (uint64_t)partner_reply), 3);
}

static void measure_signal(void)
{
    uint32_t event = event_make();
    struct bench_rounds rounds = {.word = CB_CALL_WORD(CB_CALL_signal, 0, event),
                                  .word2 = CB_CALL_WORD(CB_CALL_wait, 0, event)};

    bench_path("signal", round_signal, rounds, 1);
}

/* Events there and back; the other thread ends after this, so that the next one finds the slots empty. */
static void measure_ping(const char *name, uint32_t cpu)
{
    uint32_t there = event_make(), back = event_make(), thread = thread_make(cpu, partner(partner_pong));
    struct bench_rounds rounds = {.word = CB_CALL_WORD(CB_CALL_signal, 0, there),
                                  .word2 = CB_CALL_WORD(CB_CALL_wait, 0, back)};

    check(cb_derive(there, SEL_COMES, domain, CB_RIGHT_WAIT, 0, 0), "delegating an event");
    check(cb_derive(back, SEL_GOES, domain, CB_RIGHT_SIGNAL, 0, 0), "delegating an event");
    start(thread, cpu);
    bench_path(name, round_ping, rounds, 11);
    check(cb_destroy(thread), "ending a thread");
    check(cb_destroy(there), "ending an event");
    check(cb_destroy(back), "ending an event");
}

/* ---- Other CPUs ---- */

/* Takes away a page that the other domain has mapped, while it runs on another CPU. */
static void measure_revoke(uint32_t other)
{
    uint32_t page = sel_alloc(), spinner = thread_make(other, partner(partner_spin));
    struct bench_rounds rounds = {.word = CB_CALL_WORD(CB_CALL_revoke, 0, page),
                                  .word2 = CB_CALL_WORD(CB_CALL_map, CB_MAP_READ, page),
                                  .arg1 = CB_PAIR(SEL_CODE + 1, domain),
                                  .arg2 = CODE + CB_PAGE_SIZE,
                                  .arg3 = CB_PAIR(0, 1)};

    check(pages_frame(1, 1, page), "a frame");
    start(spinner, other);
    bench_path("revoke-other-cpu", round_revoke, rounds, 0);
    check(cb_destroy(spinner), "ending a thread");
}

static void measure_other_cpu(uint32_t other)
{
    uint32_t handler = thread_make(other, 0);

    start(handler, other); /* serves callers of other CPUs on time of its own */
    call_path("call-other-cpu", round_syscall, portal_make(handler, partner(partner_reply)), 3);
    measure_ping("ping-other-cpu", other);
    measure_revoke(other);
}

static uint64_t pmc(uint64_t features)
{
    return features & CB_FEATURE_PMC_FIXED ? 0x40000000 : features & CB_FEATURE_PMC_CORE ? 0 : BENCH_NO_PMC;
}

void task_main(const struct cb_task_info *info)
{
    bench_calibrate(pmc(info->features));
    bench_empty(round_empty);
    bench_path("null", round_syscall, (struct bench_rounds){.word = CB_CALL_WORD(CB_CALL_null, 0, 0)}, 1);
    domain_make();
    measure_calls(info->cpu);
    measure_signal();
    measure_ping("ping", info->cpu);
    if (info->cpu_count > 1) {
        measure_other_cpu((info->cpu + 1) % info->cpu_count);
    } else {
        bench_missing("call-other-cpu", "the machine has one CPU");
        bench_missing("ping-other-cpu", "the machine has one CPU");
        bench_missing("revoke-other-cpu", "the machine has one CPU");
    }
    bench_print("bench end\n");
}
