/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A native task that makes, uses and destroys threads, scheduling contexts, portals, events and accounts at random,
 * on all CPUs at once, so that whatever can meet does: calls, between CPUs too, and the death of their handlers, waits and the death
 * of their events, recalls, faults, nested calls in circles, exhausted budgets. Workers live throughout and must
 * all get on; when they end and all is destroyed, the account must have all its pages back. `bootargs`: seconds=N
 * (default 5).
 */
#include "corbel.h"

#include <corbel/state.h>

#include <libfdt.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define EACH 8u          /* of every kind of object */
#define WORKERS_MAX 8u   /* one a CPU */
#define PAGES 64u        /* of a small account */
#define PATIENCE_MS 4000u

enum kind { EVENT, PORTAL, HANDLER, CLIENT, ACCOUNT, KINDS };

static uint32_t sels;                         /* KINDS * EACH selectors */
static struct thread *threads[KINDS][EACH];   /* of handlers and clients; slot lock */
static uint32_t taken[KINDS][EACH];           /* slot locks */
static volatile bool stop;
static volatile uint64_t done[WORKERS_MAX], calls[WORKERS_MAX], replies;
static const char *volatile doing[WORKERS_MAX];
static uint32_t cpus;

static uint32_t sel_of(enum kind kind, uint64_t i)
{
    return sels + (uint32_t)kind * EACH + (uint32_t)(i % EACH);
}

/* ---- What threads do that can die at any time: only calls, nothing that holds a lock ---- */

static uint64_t draw(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state >> 11;
}

static void call_somebody(uint64_t random)
{
    static const uint64_t infos[] = { 0, 0, CB_INFO(3, 0, 0), CB_INFO(CB_UTCB_WORDS, 2, 0) };
    struct cb_args message = { .a5 = infos[random / EACH % 4] };

    thread_utcb()->items[0].sel = sel_of(EVENT, random / 32);
    thread_utcb()->items[0].rights = CB_RIGHTS_ALL;
    (void)!cb_call(sel_of(PORTAL, random), &message);
}

static void act(uint64_t random)
{
    uint64_t bits, what = random % 16;

    random /= 16;
    if (what < 6)
        call_somebody(random);
    else if (what < 9)
        (void)!cb_signal(sel_of(EVENT, random));
    else if (what < 12)
        (void)!cb_wait(sel_of(EVENT, random), 0, clock_in(random % 700), &bits);
    else if (what == 12)
        (void)!cb_yield();
    else if (what == 13)
        (void)!cb_recall(sel_of(random & 1 ? HANDLER : CLIENT, random / 2));
    else if (what == 14)
        for (uint64_t until = clock_in(random % 200); clock_tsc() < until;)
            lock_pause();
    else if (random % 16 == 0)
        __asm__ volatile("ud2");
}

static void serve(uint64_t badge, struct cb_args *message)
{
    struct cb_state *state = (struct cb_state *)thread_utcb()->words;
    uint64_t random = clock_tsc() ^ badge << 7, rip = state->rip;
    bool fault = CB_INFO_GROUPS(message->a5);

    for (uint64_t n = draw(&random) % 3; n > 0; n--)
        act(draw(&random));
    replies++;
    message->a5 = 0;
    if (fault) {
        state->rip = rip + 2; /* UD2 */
        message->a5 = CB_INFO(0, 0, CB_GROUP_RIP);
    }
}

static void client(void *argument)
{
    uint64_t random = clock_tsc() | 1;

    (void)argument;
    if (cb_thread_set(thread_self()->sel, CB_THREAD_EXCEPTION, sel_of(PORTAL, random)) != CB_OK)
        (void)!cb_thread_set(thread_self()->sel, CB_THREAD_EXCEPTION, 0);
    for (;;)
        act(draw(&random));
}

/* ---- Workers ---- */

static uint32_t payer(uint64_t random)
{
    return random % 3 ? CB_TASK_SEL_ACCOUNT : sel_of(ACCOUNT, random / 3);
}

static void give_sched(const struct thread *thread, uint64_t random)
{
    uint64_t period = 300 + random % 5000, budget = random & 1 ? period : 50 + random % (period / 2);

    if (cb_sched_create(CB_TASK_SEL_ACCOUNT, thread->sched, thread->cpu, 10 + random % 20 % 4, budget, period) == CB_OK)
        (void)!cb_sched_bind(thread->sched, thread->sel);
}

static void renew_thread(enum kind kind, uint32_t i, uint64_t random)
{
    struct thread **thread = &threads[kind][i];
    uint32_t cpu = (uint32_t)(random % cpus);

    random /= cpus;
    if (*thread && random % 4) {
        (void)!cb_destroy((*thread)->sched); /* a handler's: what serves callers of other CPUs */
        give_sched(*thread, random);
    } else if (*thread) {
        thread_destroy(*thread);
        *thread = NULL;
    } else if (kind == HANDLER && thread_handler(cpu, serve, NULL, thread) == CB_OK) {
        (void)!cb_thread_set((*thread)->sel, CB_THREAD_EXCEPTION, 0);
        (void)!cb_thread_set((*thread)->sel, CB_THREAD_EXCEPTION, sel_of(PORTAL, random));
        (*thread)->sched = sel_alloc();
        give_sched(*thread, random);
        (*thread)->utcb->window = sel_of(EVENT, random);
        (*thread)->utcb->window_count = 2;
        (void)!cb_derive((*thread)->sel, sel_of(kind, i), CB_SELF, CB_RIGHTS_ALL, 0, 0);
    } else if (kind == CLIENT && thread_start_budget(cpu, 12, 400, 1000 + random % 3000, client, NULL, thread) == CB_OK) {
        (void)!cb_derive((*thread)->sel, sel_of(kind, i), CB_SELF, CB_RIGHTS_ALL, 0, 0);
    }
}

static void renew(enum kind kind, uint32_t i, uint64_t random)
{
    uint32_t sel = sel_of(kind, i);

    if (__atomic_exchange_n(&taken[kind][i], 1, __ATOMIC_ACQUIRE))
        return;
    if (kind == HANDLER || kind == CLIENT) {
        renew_thread(kind, i, random);
    } else if (cb_destroy(sel) == CB_OK) {
        ;
    } else if (kind == EVENT) {
        (void)!cb_revoke(sel, CB_REVOKE_SELF); /* a message may have put another one there */
        (void)!cb_event_create(payer(random), sel);
    } else if (kind == PORTAL) {
        (void)!cb_portal_create(payer(random), sel, sel_of(HANDLER, random / 64), (uint64_t)thread_portal_entry, random,
                                CB_GROUPS_THREAD);
    } else {
        (void)!cb_account_create(CB_TASK_SEL_ACCOUNT, sel, PAGES);
    }
    __atomic_store_n(&taken[kind][i], 0, __ATOMIC_RELEASE);
}

static void work(void *argument)
{
    uint32_t self = (uint32_t)(uint64_t)argument;
    uint64_t random = random_u64() | 1;

    while (!stop) {
        uint64_t what = draw(&random) % 16, which = draw(&random), bits;

        done[self]++;
        doing[self] = what < 9 ? "making or destroying" : what < 14 ? "calling" : "waiting";
        if (what < 9) {
            renew(what < 2 ? EVENT : what < 4 ? PORTAL : what < 6 ? HANDLER : what < 8 ? CLIENT : ACCOUNT,
                  (uint32_t)(which % EACH), draw(&random));
        } else if (what < 13) {
            calls[self]++;
            call_somebody(which);
        } else if (what == 13) {
            (void)!cb_recall(sel_of(which & 1 ? HANDLER : CLIENT, which / 2));
        } else {
            (void)!cb_wait(thread_self()->event, 0, clock_in(which % 300), &bits);
        }
    }
    done[self]++;
    doing[self] = NULL;
}

/* ---- All together ---- */

static struct thread *workers[WORKERS_MAX];

static void recall_all(const struct thread *worker)
{
    (void)!cb_recall(worker->sel);
    for (uint32_t i = 0; i < EACH; i++)
        (void)!cb_recall(sel_of(HANDLER, i));
}

/*
 * Watches that all workers get on. If one has not done so since the last look, it is recalled, and so are all
 * handlers: calls that go round in a circle between CPUs end only so.
 */
static bool watch(uint64_t until)
{
    uint64_t seen[WORKERS_MAX] = { 0 }, when[WORKERS_MAX];

    for (uint32_t i = 0; i < cpus; i++)
        when[i] = clock_tsc();
    while (clock_tsc() < until) {
        thread_sleep_us(3000);
        for (uint32_t i = 0; i < cpus; i++) {
            if (done[i] != seen[i])
                when[i] = clock_tsc();
            else
                recall_all(workers[i]);
            seen[i] = done[i];
            if (clock_tsc() - when[i] > clock_ticks(PATIENCE_MS * 1000)) {
                print("stress: the worker on CPU %u is stuck %s\n", i, doing[i]);
                return false;
            }
        }
    }
    return true;
}

static bool all_done(void)
{
    bool all = true;

    for (uint32_t i = 0; i < cpus; i++)
        all &= doing[i] == NULL;
    return all;
}

static void destroy_all(void)
{
    for (uint32_t i = 0; i < cpus; i++)
        thread_destroy(workers[i]);
    for (enum kind kind = 0; kind < KINDS; kind++) {
        for (uint32_t i = 0; i < EACH; i++) {
            if (threads[kind][i])
                thread_destroy(threads[kind][i]);
            threads[kind][i] = NULL;
            (void)!cb_revoke(sel_of(kind, i), CB_REVOKE_SELF);
        }
    }
}

static uint64_t pages_used(void)
{
    uint64_t counters[5] = { 0 };

    (void)!cb_counters(CB_TASK_SEL_ACCOUNT, 0, counters);
    return counters[1];
}

/* False: something has gone wrong, and was said. */
static bool round_run(uint64_t us)
{
    bool ok;

    stop = false;
    for (uint32_t i = 0; i < cpus; i++) {
        doing[i] = "starting";
        if (thread_start(i, 40, work, (void *)(uint64_t)i, &workers[i]) != CB_OK)
            panic("stress: no worker on CPU %u", i);
    }
    ok = watch(clock_in(us));
    stop = true;
    for (uint64_t until = clock_in(PATIENCE_MS * 1000); ok && !all_done() && clock_tsc() < until;) {
        thread_sleep_us(1000);
        for (uint32_t i = 0; i < cpus; i++)
            recall_all(workers[i]);
    }
    if (ok && !all_done()) {
        for (uint32_t i = 0; i < cpus; i++)
            if (doing[i])
                print("stress: the worker on CPU %u does not end %s\n", i, doing[i]);
        ok = false;
    }
    if (ok)
        destroy_all();
    return ok;
}

static uint64_t seconds(const struct cb_task_info *info)
{
    const void *fdt = (const void *)CB_TASK_FDT_ADDRESS;
    int length;
    const char *text = fdt_check_full(fdt, info->fdt_size) == 0 ? fdt_getprop(fdt, 0, "bootargs", &length) : NULL;
    const char *at = text && length > 0 && text[length - 1] == 0 ? strstr(text, "seconds=") : NULL;

    return at ? strtoul(at + strlen("seconds="), NULL, 0) : 5;
}

/* A round to warm up makes what stays: stacks, pages of slots, tables. */
void task_main(const struct cb_task_info *info)
{
    uint64_t operations = 0, made = 0, before, us = seconds(info) * 1000000;

    cpus = info->cpu_count < WORKERS_MAX ? info->cpu_count : WORKERS_MAX;
    sels = sel_alloc_range(KINDS * EACH);
    if (!round_run(us / 4))
        task_exit(CB_EXIT_REASON_FAILED, "stuck");
    before = pages_used();
    if (!round_run(us))
        task_exit(CB_EXIT_REASON_FAILED, "stuck");
    for (uint32_t i = 0; i < cpus; i++) {
        operations += done[i];
        made += calls[i];
    }
    print("stress: %lu operations, %lu calls, %lu replies; pages used: %lu before, %lu after\n", operations, made, replies, before,
          pages_used());
    if (pages_used() > before + 4)
        task_exit(CB_EXIT_REASON_FAILED, "pages are missing");
    print("stress: ok\n");
}
