/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Native tasks that are linked, and that use and provide services; which one it is says its name.
 *
 *   left    talks to `right` over the links "pair" (with memory) and "bare" (without), calls the services "echo" and
 *           "fussy", and then sees `right` start again, and end
 *   right   answers, wants to be started again, answers once more, and ends
 *   fussy   provides a service, after it has offered root all kinds of rubbish
 */
#include "corbel.h"

#include <string.h>

#define PATIENCE_US 60000000u /* emulators on a busy machine */
#define ROUNDS 3u
#define PAIR_SIZE 0x400000u
#define LARGE_PAGE 0x200000u
#define PATTERN(round) (0x9e3779b97f4a7c15ull * (round))
#define FUSSY_ANSWER 0xf0551ull

#define must(what)                                                                                    \
    do {                                                                                              \
        if (!(what))                                                                                  \
            task_exit(CB_EXIT_REASON_FAILED, "linked: line %u: not so: %s", (unsigned)__LINE__, #what); \
    } while (0)

static struct grant_link pair, bare;
static struct grant_service echo, fussy;

static void await(uint32_t event)
{
    uint64_t bits;

    must(cb_wait(event, 0, clock_in(PATIENCE_US), &bits) == CB_OK);
}

/* ---- Links ---- */

static void find_links(uint32_t side)
{
    struct grant_link none;
    uint64_t bits;

    must(grant_link("pair", &pair) && grant_link("bare", &bare));
    must(!grant_link("pai", &none) && !grant_link("echo", &none) && !grant_link_at(2, &none));
    must(grant_link_at(1, &none) && none.event == bare.event);
    must(pair.side == side && pair.size == PAIR_SIZE && (uint64_t)pair.address % LARGE_PAGE == 0);
    must(bare.side == 1 - side && bare.size == 0 && bare.memory == 0);
    /* Nothing but what it takes. */
    must(CB_STATUS_CODE(cb_signal(pair.event)) == CB_BAD_RIGHT);
    must(CB_STATUS_CODE(cb_wait(pair.signal, CB_WAIT_POLL, 0, &bits)) == CB_BAD_RIGHT);
    must(CB_STATUS_CODE(cb_destroy(pair.event)) == CB_BAD_RIGHT);
    must(CB_STATUS_CODE(cb_destroy(pair.signal)) == CB_BAD_RIGHT);
}

static uint64_t *word(uint32_t number)
{
    return (uint64_t *)pair.address + number;
}

#define LAST (PAIR_SIZE / 8 - 1)
#define AGAIN 2u /* word: `right` has been started before */

static void talk(uint32_t round)
{
    *word(0) = PATTERN(round);
    *word(LAST) = ~PATTERN(round);
    must(cb_signal(pair.signal) == CB_OK);
    await(pair.event);
    must(*word(1) == PATTERN(round) + 1 && *word(LAST - 1) == ~PATTERN(round) + 1);
}

static void answer(uint32_t round)
{
    await(pair.event);
    must(*word(0) == PATTERN(round) && *word(LAST) == ~PATTERN(round));
    *word(1) = *word(0) + 1;
    *word(LAST - 1) = *word(LAST) + 1;
    must(cb_signal(pair.signal) == CB_OK);
}

/* The task `right`: what it has done before, it knows from the memory that outlives it. */
static void be_right(void)
{
    if (*word(AGAIN)) {
        answer(ROUNDS + 1);
        return;
    }
    for (uint32_t round = 1; round <= ROUNDS; round++)
        answer(round);
    /* `bare` is a link of its own. */
    await(bare.event);
    must(cb_signal(bare.signal) == CB_OK);
    await(bare.event);
    *word(AGAIN) = 1;
    task_exit(CB_EXIT_REASON_REBOOT, "once more");
}

/* The other end has been told to end: its signal fails some time later, and all else is as it was. */
static void be_left_alone(void)
{
    uint64_t until = clock_in(PATIENCE_US), status;

    do {
        status = cb_signal(pair.signal);
        must(cb_yield() == CB_OK);
        must(clock_tsc() < until);
    } while (status == CB_OK);
    must(CB_STATUS_CODE(status) == CB_BAD_CAP);
    must(CB_STATUS_CODE(cb_wait(pair.event, 0, clock_in(1000), &status)) == CB_TIMEOUT);
    must(*word(1) == PATTERN(ROUNDS + 1) + 1);
    *word(1) = 0;
    must(*word(1) == 0);
}

/* ---- Services ---- */

static void call_echo(void)
{
    struct cb_utcb *utcb = thread_utcb();
    uint32_t portal = echo.portals[thread_self()->cpu];
    struct cb_args message = {1, PATTERN(1), ~0ull, 0, 0};

    must(cb_call(portal, &message) == CB_OK);
    must(message.a1 == 1 && message.a2 == PATTERN(1) && message.a3 == ~0ull && message.a4 == 0 && message.a5 == 0);
    for (uint32_t i = 0; i < CB_UTCB_WORDS; i++)
        utcb->words[i] = PATTERN(i);
    message = (struct cb_args){4, 3, 2, 1, CB_INFO(CB_UTCB_WORDS, 0, 0)};
    must(cb_call(portal, &message) == CB_OK);
    must(message.a1 == 4 && message.a4 == 1 && message.a5 == CB_INFO(CB_UTCB_WORDS, 0, 0));
    for (uint32_t i = 0; i < CB_UTCB_WORDS; i++)
        must(utcb->words[i] == PATTERN(i));
}

/* It has a handler on CPU 0 only. */
static void call_fussy(void)
{
    struct cb_args message = {0};

    must(cb_call(fussy.portals[thread_self()->cpu], &message) == CB_OK && message.a1 == FUSSY_ANSWER);
}

static void call_there(void *event)
{
    call_echo();
    call_fussy();
    must(cb_signal((uint32_t)(uint64_t)event) == CB_OK);
}

static void call_services(const struct cb_task_info *info)
{
    struct grant_service none;

    must(grant_service("echo", &echo) && grant_service("fussy", &fussy));
    must(!grant_service("pair", &none) && !grant_service_at(2, &none));
    for (uint32_t cpu = 0; cpu < info->cpu_count; cpu++) {
        uint32_t event = sel_alloc();
        struct thread *thread;

        must(cb_event_create(CB_TASK_SEL_ACCOUNT, event) == CB_OK);
        must(thread_start(cpu, 10, call_there, (void *)(uint64_t)event, &thread) == CB_OK);
        await(event);
        thread_destroy(thread);
    }
}

/* Word 0 of root's reply; `sel`: of the item, 0 for none. */
static uint64_t offer(uint64_t kind, uint64_t cpu, uint32_t sel, uint32_t rights)
{
    struct cb_args message = {CB_ROOT_SERVE, kind, cpu, 0, CB_INFO(0, sel != 0, 0)};

    thread_utcb()->items[0] = (struct cb_item){.sel = sel, .rights = rights};
    must(cb_call(CB_TASK_SEL_ROOT(thread_self()->cpu), &message) == CB_OK);
    return message.a1;
}

static void be_called(uint64_t badge, struct cb_args *message)
{
    *message = (struct cb_args){.a1 = FUSSY_ANSWER + badge};
}

static void serve(const struct cb_task_info *info)
{
    struct thread *handler;
    uint32_t portal, event = sel_alloc();

    must(cb_event_create(CB_TASK_SEL_ACCOUNT, event) == CB_OK);
    must(thread_handler(0, be_called, NULL, &handler) == CB_OK && thread_portal(handler, 0, 0, &portal) == CB_OK);
    must(thread_handler_serve(handler, 10) == CB_OK); /* for callers on other CPUs */
    must(offer(CB_SERVE_READY, 0, 0, 0) == 1);                                /* without any portal */
    must(offer(CB_SERVE_PORTAL, 0, 0, 0) == 1);                               /* none here either */
    must(offer(CB_SERVE_PORTAL, 0, event, CB_RIGHTS_ALL) == 1);               /* no portal */
    must(offer(CB_SERVE_PORTAL, 0, CB_TASK_SEL_RAM, CB_RIGHTS_ALL) == 1);     /* not derivable */
    must(offer(CB_SERVE_PORTAL, 0, portal, CB_RIGHT_CONTROL) == 1);           /* cannot be called */
    must(offer(CB_SERVE_PORTAL, info->cpu_count, portal, CB_RIGHT_CALL) == 1); /* no such CPU */
    must(offer(CB_SERVE_PORTAL, ~0ull, portal, CB_RIGHT_CALL) == 1);
    must(offer(CB_SERVE_CONSOLE, 0, portal, CB_RIGHT_CALL) == 1);             /* not the console */
    must(offer(99, 0, portal, CB_RIGHT_CALL) == 1);
    must(offer(CB_SERVE_PORTAL, 0, portal, CB_RIGHTS_ALL) == 0);
    must(offer(CB_SERVE_PORTAL, 0, portal, CB_RIGHT_CALL) == 1);              /* twice */
    must(offer(CB_SERVE_READY, 0, 0, 0) == 0);
    must(offer(CB_SERVE_READY, 0, 0, 0) == 1);
    for (;;)
        thread_sleep_until(CB_DEADLINE_NONE);
}

void task_main(const struct cb_task_info *info)
{
    if (strcmp(info->name, "fussy") == 0)
        serve(info);
    find_links(strcmp(info->name, "right") == 0);
    if (pair.side == 1) {
        be_right();
        return;
    }
    for (uint32_t i = 0; i <= LAST; i++)
        must(*word(i) == 0);
    for (uint32_t round = 1; round <= ROUNDS; round++)
        talk(round);
    must(cb_signal(bare.signal) == CB_OK);
    await(bare.event);
    call_services(info);
    must(cb_signal(bare.signal) == CB_OK);
    talk(ROUNDS + 1); /* with the next `right` */
    be_left_alone();
    print("linked: ok\n");
}
