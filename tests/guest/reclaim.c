/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Taking back while others do their worst, on three CPUs that run at the same time. What could be a matter of time is
 * counted: how much one side gets done while another one does so much. One function for each test, one row in TESTS.
 */
#include "check.h"
#include "corbel.h"

#include <corbel/state.h>

#define TESTS(X) X(escalation) X(complete_when_seen) X(frames_beside_revokers) X(leaf_beside_destroyer) X(derivers)

#define PRIORITY 20u
#define PRIORITY_LOW 10u
#define PAGES_2M 512u
#define NO_BITS 0ull

static bool failed;
static volatile bool stop;
static volatile uint32_t phase, stopped; /* stopped: how many threads of the test have ended their work */

void test_fail(const char *file, int line, const char *format, ...)
{
    char text[128];
    va_list list;

    va_start(list, format);
    vsnprintf(text, sizeof(text), format, list);
    va_end(list);
    print("%s:%d: %s\n", file, line, text);
    failed = true;
}

#define CHECK_OK(call) CHECK_EQUAL(call, CB_OK)

static void await(const volatile uint32_t *word, uint32_t value)
{
    while (*word != value)
        lock_pause();
}

/* Until so many threads, also of lower priority, have ended. */
static void await_ends(uint32_t count)
{
    while (stopped != count)
        thread_sleep_us(1000);
}

static void ends(void)
{
    __atomic_fetch_add(&stopped, 1, __ATOMIC_SEQ_CST);
}

static void start(uint32_t cpu, uint32_t priority, thread_fn *function, void *argument)
{
    struct thread *thread;

    if (thread_start(cpu, priority, function, argument, &thread) != CB_OK)
        panic("a thread cannot be had");
}

/* ---- Ram becomes an account while another thread takes a mapping of it away, and a third CPU writes there ---- */

#define ROUNDS 40u
#define WRITTEN 64u /* words */

static uint32_t cap_ram, cap_frame, cap_mapping, cap_account;
static volatile uint64_t *target; /* where the frame is mapped */

extern const char writer_store[], writer_behind[];

/* Writes where the account will lie, until that faults in each round. */
static void writer(void *argument)
{
    (void)argument;
    for (uint32_t round = 1; round <= ROUNDS; round++) {
        await(&phase, round);
        for (uint32_t i = 0; phase == round; i = (i + 1) % WRITTEN)
            __asm__ volatile(".globl writer_store, writer_behind\n"
                             "writer_store: mov %1, %0\n"
                             "writer_behind:"
                             : "=m"(target[i])
                             : "r"(0x6261646261646261ull));
    }
    ends();
}

static void skip_store(uint64_t badge, struct cb_args *message)
{
    struct cb_state *state = (struct cb_state *)thread_utcb()->words;

    (void)badge;
    if (state->rip != (uint64_t)writer_store)
        panic("a fault at %lx", (unsigned long)state->rip);
    state->rip = (uint64_t)writer_behind;
    message->a5 = CB_INFO(0, 0, CB_GROUP_RIP);
}

static void revoker(void *argument)
{
    (void)argument;
    for (uint32_t round = 1; round <= ROUNDS; round++) {
        await(&phase, round);
        for (uint64_t n = random_u64() % 4096; n > 0; n--)
            __asm__ volatile("");
        if (cb_revoke(cap_frame, CB_REVOKE_SELF) != CB_OK)
            panic("the frame cannot be revoked");
    }
    ends();
}

static void escalation_round(uint32_t round)
{
    struct cb_identity identity;
    uint64_t status, busy = 0;

    CHECK_OK(cb_frame_create(cap_ram, cap_frame, CB_SELF, PAGES_2M, 1));
    CHECK_OK(cb_map(cap_frame, CB_MAP_READ | CB_MAP_WRITE, cap_mapping, CB_SELF, (uint64_t)target, 0, PAGES_2M));
    phase = round;
    do {
        status = cb_account_create(cap_ram, cap_account, 0);
        busy++;
    } while (status == CB_BUSY);
    CHECK_OK(status);
    for (unsigned i = 0; i < 100; i++) {
        CHECK_OK(cb_identify(cap_account, &identity));
        CHECK_EQUAL(identity.y, PAGES_2M);
        CHECK_EQUAL(identity.x, PAGES_2M - 1);
    }
    CHECK(busy > 0);
    CHECK_OK(cb_event_create(cap_account, cap_mapping));
    CHECK_OK(cb_destroy(cap_account));
}

static void test_escalation(void)
{
    struct thread *handler, *thread;
    uint32_t portal;

    target = (volatile uint64_t *)pages_space(PAGES_2M * CB_PAGE_SIZE, PAGES_2M * CB_PAGE_SIZE);
    CHECK_OK(cb_ram_split(CB_TASK_SEL_RAM, cap_ram, CB_SELF, PAGES_2M, PAGES_2M));
    CHECK_OK(thread_handler(2, skip_store, NULL, &handler));
    CHECK_OK(thread_portal(handler, 0, CB_GROUP_RIP, &portal));
    CHECK_OK(thread_start(2, PRIORITY, writer, NULL, &thread));
    CHECK_OK(cb_thread_set(thread->sel, CB_THREAD_EXCEPTION, portal));
    start(1, PRIORITY, revoker, NULL);
    for (uint32_t round = 1; round <= ROUNDS && !failed; round++)
        escalation_round(round);
    CHECK(!failed);
    phase = 0;
    await_ends(2);
}

/* ---- A capability to an event appears where others were: its badge is its own from the beginning ---- */

#define BATCHES 10u
#define APPEARANCES 300u /* in each */

static volatile uint32_t appearing; /* where an event is about to be */

static void signaller(void *argument)
{
    (void)argument;
    while (!stop)
        (void)!cb_signal(appearing);
    ends();
}

static void appear(uint32_t sel)
{
    uint64_t bits = NO_BITS, all = NO_BITS;

    CHECK_OK(cb_frame_create(CB_TASK_SEL_RAM, sel, CB_SELF, 1, 1)); /* which leaves its address in the slot */
    CHECK_OK(cb_revoke(sel, CB_REVOKE_SELF));
    appearing = sel;
    CHECK_OK(cb_event_create(cap_account, sel));
    while (!all)
        all = cb_wait(sel, CB_WAIT_POLL, 0, &bits) == CB_OK ? bits : 0;
    CHECK_EQUAL(all, 1);
}

static void test_complete_when_seen(void)
{
    uint32_t first = sel_alloc_range(APPEARANCES);

    for (uint32_t i = 0; i < APPEARANCES; i++) { /* the pages of all slots are there, in the signaller's view, too */
        CHECK_OK(cb_event_create(CB_TASK_SEL_ACCOUNT, first + i));
        CHECK_OK(cb_destroy(first + i));
    }
    appearing = first;
    start(1, PRIORITY, signaller, NULL);
    for (uint32_t n = 0; n < BATCHES; n++) {
        CHECK_OK(cb_account_create(CB_TASK_SEL_ACCOUNT, cap_account, APPEARANCES / 16));
        for (uint32_t i = 0; i < APPEARANCES && !failed; i++)
            appear(first + i);
        CHECK(!failed);
        CHECK_OK(cb_destroy(cap_account));
    }
    stop = true;
    await_ends(1);
}

/* ---- Frames of one's own ram, beside threads that map and revoke frames of theirs ---- */

#define REVOKERS 3u
#define FRAMES 2000u

static volatile uint64_t revoked[REVOKERS];

static void map_and_revoke(void *argument)
{
    uint32_t me = (uint32_t)(uintptr_t)argument, frame = sel_alloc(), mapping = sel_alloc();
    uint64_t at = pages_space(CB_PAGE_SIZE, CB_PAGE_SIZE);

    if (pages_frame(1, 1, frame) != CB_OK)
        panic("no frame");
    while (!stop) {
        if (cb_map(frame, CB_MAP_READ, mapping, CB_SELF, at, 0, 1) != CB_OK || cb_revoke(mapping, CB_REVOKE_SELF) != CB_OK)
            panic("map and revoke failed");
        revoked[me]++;
    }
    ends();
}

static uint64_t revoked_all(void)
{
    return revoked[0] + revoked[1] + revoked[2];
}

/* Each revocation needs the CPU that makes frames to pass: so others cannot get far while that does nothing. */
static void test_frames_beside_revokers(void)
{
    uint32_t frames = sel_alloc_range(FRAMES);
    uint64_t before;

    CHECK_OK(cb_ram_split(CB_TASK_SEL_RAM, cap_frame, CB_SELF, FRAMES, 1));
    for (uint32_t i = 0; i < REVOKERS; i++)
        start(1 + i % 2, PRIORITY, map_and_revoke, (void *)(uintptr_t)i);
    while (!revoked[0] || !revoked[1])
        lock_pause();
    before = revoked_all();
    for (uint32_t i = 0; i < FRAMES; i++)
        CHECK_OK(cb_frame_create(cap_frame, frames + i, CB_SELF, 1, 1));
    before = revoked_all() - before;
    print("frames_beside_revokers: %lu revocations beside %u frames\n", (unsigned long)before, FRAMES);
    CHECK(before < FRAMES * 3 / 4);
    stop = true;
    await_ends(REVOKERS);
    CHECK_OK(cb_revoke(cap_frame, CB_REVOKE_SELF));
}

/* ---- A leaf is revoked beside a thread that destroys large accounts ---- */

#define EVENTS 2400u
#define ACCOUNTS 4u
#define LEAVES 20u /* that must go while one account does */

static volatile uint32_t destroying; /* odd: an account is being destroyed */

static void destroyer(void *argument)
{
    uint32_t account = sel_alloc(), events = sel_alloc_range(EVENTS);

    (void)argument;
    for (uint32_t n = 0; n < ACCOUNTS; n++) {
        if (cb_account_create(CB_TASK_SEL_ACCOUNT, account, EVENTS / 20) != CB_OK)
            panic("no account");
        for (uint32_t i = 0; i < EVENTS; i++)
            if (cb_event_create(account, events + i) != CB_OK)
                panic("no event");
        destroying++;
        if (cb_destroy(account) != CB_OK)
            panic("the account cannot be destroyed");
        destroying++;
    }
    stop = true;
    ends();
}

static void test_leaf_beside_destroyer(void)
{
    uint32_t leaves = 0;

    CHECK_OK(cb_event_create(CB_TASK_SEL_ACCOUNT, cap_frame));
    start(1, PRIORITY, destroyer, NULL);
    while (!stop) {
        uint32_t before = destroying;

        CHECK_OK(cb_derive(cap_frame, cap_mapping, CB_SELF, CB_RIGHT_SIGNAL, 0, 0));
        CHECK_OK(cb_revoke(cap_mapping, CB_REVOKE_SELF));
        leaves += before % 2 == 1 && destroying == before;
    }
    await_ends(1);
    print("leaf_beside_destroyer: %u leaves while %u accounts went\n", leaves, ACCOUNTS);
    CHECK(leaves >= LEAVES * ACCOUNTS);
    CHECK_OK(cb_destroy(cap_frame));
}

/* ---- A revocation, with a tenth of a CPU, against three threads that derive below it ---- */

#define DERIVERS 3u
#define SLOTS 1500u          /* of each */
#define DERIVED_MAX 100000u  /* so many more, and the revocation is as good as endless */
#define PERIOD_US 10000u

static volatile uint32_t derived, full;

static void deriver(void *argument)
{
    uint32_t first = (uint32_t)(uintptr_t)argument;

    for (uint32_t i = 0; !stop; i++) {
        if (i == SLOTS)
            __atomic_fetch_add(&full, 1, __ATOMIC_SEQ_CST);
        if (cb_derive(cap_mapping, first + i % SLOTS, CB_SELF, CB_RIGHT_READ, 0, 0) == CB_OK)
            __atomic_fetch_add(&derived, 1, __ATOMIC_SEQ_CST);
    }
    ends();
}

static void revoke_slowly(void *argument)
{
    (void)argument;
    await(&full, DERIVERS);
    derived = 0;
    phase = 1;
    if (cb_revoke(cap_frame, CB_REVOKE_SELF) == CB_OK)
        phase = 2;
}

static void test_derivers(void)
{
    struct thread *thread;

    CHECK_OK(pages_frame(1, 1, cap_frame));
    CHECK_OK(cb_derive(cap_frame, cap_mapping, CB_SELF, CB_RIGHT_READ, 0, 0));
    for (uint32_t i = 0; i < DERIVERS; i++)
        start(i, PRIORITY_LOW, deriver, (void *)(uintptr_t)sel_alloc_range(SLOTS));
    CHECK_OK(thread_start_budget(0, PRIORITY, PERIOD_US / 10, PERIOD_US, revoke_slowly, NULL, &thread));
    while (phase != 2 && (phase == 0 || derived < DERIVED_MAX))
        thread_sleep_us(1000);
    print("derivers: %u derived below the revocation\n", derived);
    CHECK(phase == 2);
    stop = true;
    await_ends(DERIVERS);
}

/* ---- All of them ---- */

#define ROW(name) { #name, test_##name },
static const struct {
    const char *name;
    void (*test)(void);
} tests[] = { TESTS(ROW) };
#undef ROW

void task_main(const struct cb_task_info *info)
{
    unsigned passed = 0, failures = 0;

    if (info->cpu_count < 3)
        panic("three CPUs are needed");
    cap_ram = sel_alloc();
    cap_frame = sel_alloc();
    cap_mapping = sel_alloc();
    cap_account = sel_alloc();
    for (unsigned i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
        failed = stop = false;
        phase = stopped = 0;
        tests[i].test();
        print("test %s: %s\n", tests[i].name, failed ? "failed" : "ok");
        *(failed ? &failures : &passed) += 1;
        if (failed)
            break; /* its threads still run */
    }
    print("reclaim: %u passed, %u failed\n", passed, failures);
}
