/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What one domain left in memory, the next one does not find: each page is cleared before it is called clean, and what
 * root took for that is given back, also in the middle, and when any of the calls underneath is refused.
 */
#include <criterion/criterion.h>
#include <setjmp.h>
#include <string.h>
#include <sys/mman.h>

#include "calls_fake.h"
#include "clear.h"
#include "sel.h"
#include "service.h"
#include "thread.h"

#define PAGES (2 * 16384u + 100) /* two whole parts, and some */
#define RAM 17u
#define EVENT 18u
#define CPU 3u
#define PRIORITY 44u

static uint8_t *memory;
static bool has_frame;
static unsigned selectors, areas, wakes, signals;
static uint32_t fails_in = UINT32_MAX;

static struct thread thread = {.event = EVENT};
static thread_fn *function; /* of the thread; NULL: there is none */
static void *argument;
static jmp_buf asleep;

static bool fails(void)
{
    return fails_in != UINT32_MAX && fails_in-- == 0;
}

/* ---- What clear.c calls ---- */

uint32_t sel_alloc(void)
{
    return fails() ? 0 : 100 + selectors++;
}

void sel_drop(uint32_t sel)
{
    selectors -= sel != 0;
    has_frame = false;
}

uint64_t cb_frame_create(uint32_t ram, uint32_t dst, uint32_t domain, uint64_t pages, uint64_t align)
{
    cr_assert(ram == RAM && dst == 100 && domain == CB_SELF && pages == PAGES && align == 1);
    has_frame = !fails();
    return has_frame ? CB_OK : CB_NO_MEMORY;
}

uint64_t area_map(struct area *area, uint32_t frame, uint32_t flags, uint64_t offset, uint64_t pages, uint64_t phase)
{
    *area = (struct area){0};
    cr_assert(has_frame && frame == 100 && flags == (CB_MAP_READ | CB_MAP_WRITE) && phase == 0 && areas == 0);
    cr_assert(pages && offset + pages <= PAGES, "page %lu of %u", offset + pages, PAGES);
    if (fails())
        return CB_NO_ROOM;
    area->address = memory + offset * 4096;
    areas++;
    return CB_OK;
}

void area_drop(struct area *area)
{
    areas -= area->address != NULL;
    *area = (struct area){0};
}

uint64_t thread_start(uint32_t cpu, uint32_t priority, thread_fn *run, void *with, struct thread **started)
{
    cr_assert(cpu == CPU && priority == PRIORITY, "it is the domain's work");
    if (fails())
        return CB_NO_MEMORY;
    function = run;
    argument = with;
    *started = &thread;
    return CB_OK;
}

void thread_destroy(struct thread *which)
{
    cr_assert(which == &thread && function);
    function = NULL;
}

void thread_sleep_until(uint64_t deadline)
{
    cr_assert_eq(deadline, CB_DEADLINE_NONE);
    longjmp(asleep, 1);
}

uint64_t cb_signal(uint32_t event)
{
    cr_assert(event == EVENT && function);
    signals++;
    return CB_OK;
}

void service_wake(void)
{
    wakes++;
}

/* ---- Tests ---- */

static void stain(void)
{
    if (memory == NULL)
        memory = mmap(NULL, PAGES * 4096ul, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(memory, MAP_FAILED);
    memset(memory, 0x5a, PAGES * 4096ul);
}

/* The pages from the start on that are clean. */
static uint64_t clean(void)
{
    static const uint8_t zeros[4096];
    uint64_t page = 0;

    while (page < PAGES && memcmp(memory + page * 4096, zeros, 4096) == 0)
        page++;
    return page;
}

static void run_thread(void)
{
    if (setjmp(asleep) == 0)
        function(argument);
}

static void expect_nothing_left(struct clear *clear)
{
    clear_end(clear);
    cr_assert(selectors == 0 && areas == 0 && function == NULL && !has_frame);
}

Test(clear, all_of_a_domains_memory)
{
    struct clear clear;
    enum clear_state state;
    unsigned parts = 0;

    stain();
    cr_assert_eq(clear_begin(&clear, RAM, PAGES, CPU, PRIORITY), CB_OK);
    while ((state = clear_look(&clear)) == CLEAR_BUSY) {
        cr_assert_eq(clear_look(&clear), CLEAR_BUSY, "the thread has not done anything yet");
        cr_assert_eq(signals, parts, "it is told of each part");
        run_thread();
        cr_assert_eq(wakes, ++parts, "and tells of each");
        run_thread();
        cr_assert_eq(wakes, parts, "somebody else woke it");
    }
    cr_assert(state == CLEAR_DONE && parts == 3 && areas == 0);
    cr_assert_eq(clean(), PAGES);
    expect_nothing_left(&clear);
}

Test(clear, a_domain_that_ends_meanwhile)
{
    struct clear clear;

    stain();
    cr_assert_eq(clear_begin(&clear, RAM, PAGES, CPU, PRIORITY), CB_OK);
    expect_nothing_left(&clear);
    cr_assert_eq(clear_begin(&clear, RAM, PAGES, CPU, PRIORITY), CB_OK);
    run_thread();
    cr_assert_eq(clear_look(&clear), CLEAR_BUSY);
    expect_nothing_left(&clear);
    expect_nothing_left(&clear); /* there is none any more */
}

Test(clear, each_call_refused)
{
    enum clear_state state = CLEAR_FAILED;

    stain();
    for (uint32_t call = 0; state == CLEAR_FAILED; call++) {
        struct clear clear;

        cr_assert_lt(call, 10u);
        fails_in = call;
        if (clear_begin(&clear, RAM, PAGES, CPU, PRIORITY) != CB_OK) {
            cr_assert(selectors == 0 && areas == 0 && function == NULL, "call %u", call);
            continue;
        }
        while ((state = clear_look(&clear)) == CLEAR_BUSY)
            run_thread();
        expect_nothing_left(&clear);
    }
    cr_assert_eq(state, CLEAR_DONE);
}

Test(clear, at_once)
{
    stain();
    has_frame = true;
    cr_assert(clear_now(100, PAGES - 5) && areas == 0);
    cr_assert_eq(clean(), PAGES - 5);
    for (fails_in = 0; fails_in < 3;) {
        uint32_t call = fails_in;

        cr_assert(!clear_now(100, PAGES) && areas == 0);
        fails_in = call + 1;
    }
}
