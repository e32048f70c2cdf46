/* SPDX-License-Identifier: GPL-2.0-only */
/* Faults and exceptions of native threads, as messages. */
#include "calltest.h"

#include <string.h>

#define VECTOR_DE 0u
#define VECTOR_BP 3u
#define VECTOR_UD 6u
#define VECTOR_GP 13u
#define VECTOR_PF 14u

/* Without a place to go on at, the thread is parked by holding on to it: the gate opens when the test ends. */
void fault_handler(uint64_t badge, struct cb_args *message)
{
    struct fault *fault = thread_self()->argument;
    struct cb_state *state = (struct cb_state *)thread_utcb()->words;
    uint64_t bits;

    (void)badge;
    if (fault == NULL)
        return;
    fault->vector = state->qual[0];
    fault->error = state->qual[1];
    fault->address = state->qual[2];
    fault->rip = state->rip;
    fault->count++;
    message->a5 = 0;
    if (fault->resume) {
        state->rip = fault->resume;
        message->a5 = CB_INFO(0, 0, CB_GROUP_RIP);
    } else {
        (void)!cb_wait(thread_self()->event, 0, CB_DEADLINE_NONE, &bits);
    }
}

/* One fault of a thread that runs `function`; its portal is that of the struct fault. */
struct culprit {
    uint32_t portal;
    thread_fn *function;
};

static void commit(void *argument)
{
    const struct culprit *culprit = argument;

    if (cb_thread_set(thread_self()->sel, CB_THREAD_EXCEPTION, culprit->portal) == CB_OK)
        culprit->function(NULL);
}

static bool provoke(struct fault *fault, struct culprit *culprit)
{
    struct thread *handler = test_handler(CPU_MAIN, fault_handler, fault);

    culprit->portal = handler ? test_portal(handler, 0, FAULT_GROUPS) : 0;
    return culprit->portal && test_thread(CPU_MAIN, PRIORITY_MID, commit, culprit) && test_await(&fault->count, 1);
}

static volatile uint64_t bad_address;

static void read_badly(void *argument)
{
    (void)argument;
    (void)*(volatile uint8_t *)bad_address;
}

static void write_badly(void *argument)
{
    (void)argument;
    *(volatile uint8_t *)bad_address = 1;
}

static void jump_badly(void *argument)
{
    ((thread_fn *)bad_address)(argument);
}

/* Errors of page faults: 1 present, 2 write, 4 user, 16 fetch. */
void test_fault_page(void)
{
    uint64_t read_only = test_space(1), nothing = test_space(1);
    struct fault none = {0}, kernel = {0}, rights = {0}, fetch = {0};

    CHECK_OK(cb_map(test_frame, CB_MAP_READ, scratch(), CB_SELF, read_only, 0, 1));
    bad_address = nothing + 5;
    CHECK(provoke(&none, &(struct culprit){.function = read_badly}));
    CHECK(none.vector == VECTOR_PF && none.address == nothing + 5);
    CHECK_EQUAL(none.error & 23, 4);
    bad_address = 0xffffffff80000000;
    CHECK(provoke(&kernel, &(struct culprit){.function = read_badly}));
    CHECK(kernel.vector == VECTOR_PF && kernel.address == 0xffffffff80000000);
    bad_address = read_only;
    CHECK(provoke(&rights, &(struct culprit){.function = write_badly}));
    CHECK(rights.vector == VECTOR_PF && rights.address == read_only);
    CHECK_EQUAL(rights.error & 23, 7);
    CHECK(provoke(&fetch, &(struct culprit){.function = jump_badly}));
    CHECK(fetch.vector == VECTOR_PF && fetch.address == read_only && fetch.rip == read_only);
}

static void divide(void *argument)
{
    (void)argument;
    __asm__ volatile("xor %%edx, %%edx; xor %%ecx, %%ecx; div %%ecx" ::: "eax", "ecx", "edx");
}

static void undefined(void *argument)
{
    (void)argument;
    __asm__ volatile("ud2");
}

static void breakpoint(void *argument)
{
    (void)argument;
    __asm__ volatile("int3");
}

static void privileged(void *argument)
{
    (void)argument;
    __asm__ volatile("hlt");
}

static void debug_registers(void *argument)
{
    (void)argument;
    __asm__ volatile("mov %%dr7, %%rax" ::: "rax");
}

static void software_interrupt(void *argument)
{
    (void)argument;
    __asm__ volatile("int $0x80");
}

void test_fault_vectors(void)
{
    static const struct {
        thread_fn *function;
        uint64_t vector;
    } rows[] = {
        {divide, VECTOR_DE},     {undefined, VECTOR_UD},       {breakpoint, VECTOR_BP},
        {privileged, VECTOR_GP}, {debug_registers, VECTOR_GP}, {software_interrupt, VECTOR_GP},
    };

    for (uint32_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct fault fault = {0};

        CHECK(provoke(&fault, &(struct culprit){.function = rows[i].function}));
        CHECK_EQUAL(fault.vector, rows[i].vector);
    }
}

static volatile uint32_t resumed;

static void resume_here(void)
{
    resumed = 1;
    for (;;)
        thread_sleep_until(CB_DEADLINE_NONE);
}

/* The reply moves the thread to another place. */
void test_fault_resume(void)
{
    struct fault fault = {.resume = (uint64_t)resume_here};

    resumed = 0;
    CHECK(provoke(&fault, &(struct culprit){.function = undefined}));
    CHECK(test_await(&resumed, 1));
    CHECK_EQUAL(fault.count, 1);
}

static volatile uint32_t alive;

static void die(void *argument)
{
    alive = 1;
    (void)argument;
    if (cb_thread_set(thread_self()->sel, CB_THREAD_EXCEPTION, 0) == CB_OK)
        __asm__ volatile("ud2");
    alive = 2;
}

/* Without a portal, the thread ends, and nothing else. */
void test_fault_kills(void)
{
    alive = 0;
    struct thread *thread = test_thread(CPU_MAIN, PRIORITY_MAIN, die, NULL);

    CHECK(thread);
    CHECK(test_await(&alive, 1));
    CHECK(test_settle(CPU_MAIN));
    CHECK_EQUAL(alive, 1);
    test_thread_end(thread);
}

static volatile uint32_t right_self, checked;

static void check_self(void *argument)
{
    struct thread *const *expected = argument;

    for (uint32_t i = 0; i < 50; i++) {
        if (__atomic_load_n(expected, __ATOMIC_RELAXED) == thread_self() && thread_self()->cpu == CPU_MAIN)
            __atomic_add_fetch(&right_self, 1, __ATOMIC_RELAXED);
        thread_sleep_us(200);
    }
    __atomic_add_fetch(&checked, 1, __ATOMIC_RELAXED);
}

/* Each thread keeps its FS base, through switches and system calls. */
void test_fault_fs_base(void)
{
    static struct thread *threads[3];

    right_self = checked = 0;
    for (uint32_t i = 0; i < 3; i++) {
        uint64_t status = thread_start(CPU_MAIN, PRIORITY_MID, check_self, &threads[i], &threads[i]);

        CHECK_OK(status);
    }
    bool done = test_await(&checked, 3);

    for (uint32_t i = 0; i < 3; i++)
        thread_destroy(threads[i]);
    CHECK(done);
    CHECK_EQUAL(right_self, 150);
}

/* ---- Levels ---- */

#define NESTED 30u

static uint32_t nested[NESTED + 2]; /* portals, by level */
static volatile uint64_t nested_status, served_status;

/* The client's own: each calls the next lower one. */
static void descend(uint64_t badge, struct cb_args *message)
{
    nested_status = cb_call(nested[badge - 1], message);
}

static void call_last(uint64_t badge, struct cb_args *message)
{
    served_status = cb_call(nested[badge - 1], message);
}

/* Its exception goes to a handler that lets it go on behind the instruction. */
static void stumble(uint64_t badge, struct cb_args *message)
{
    (void)badge;
    __asm__ volatile("ud2");
    message->a1++;
}

static void help_up(uint64_t badge, struct cb_args *message)
{
    struct cb_state *state = (struct cb_state *)thread_utcb()->words;

    (void)badge;
    state->rip += 2;
    message->a5 = CB_INFO(CB_INFO_WORDS(message->a5), 0, CB_GROUP_RIP);
}

static bool make_level(uint32_t level, thread_handler_fn *function, struct thread **handler)
{
    *handler = test_handler(CPU_MAIN, function, NULL);
    nested[level] = scratch();
    return *handler && test_status(__FILE__, __LINE__, "making a portal",
                                   cb_portal_create(CB_TASK_SEL_ACCOUNT, nested[level], (*handler)->sel,
                                                    (uint64_t)thread_portal_entry, level, 0, level),
                                   CB_OK);
}

/*
 * A client that nests as many calls of its own as can be, before it calls a service: the service makes its own call, and
 * is helped at a fault, as if it had been called at once. And nobody calls upwards.
 */
void test_fault_deep(void)
{
    struct cb_args message = {.a1 = 1};
    struct thread *handler, *last, *helper = test_handler(CPU_MAIN, help_up, NULL);
    uint32_t exceptions = helper ? test_portal(helper, 0, CB_GROUP_RIP) : 0;

    CHECK(exceptions && make_level(0, stumble, &last) && make_level(1, call_last, &handler));
    CHECK_OK(cb_thread_set(last->sel, CB_THREAD_EXCEPTION, exceptions));
    for (uint32_t level = 2; level < CB_LEVELS; level++)
        CHECK(make_level(level, descend, &handler));
    nested_status = served_status = UINT64_MAX;
    CHECK_OK(cb_call(nested[1], &message));
    CHECK_OK(served_status);
    CHECK_EQUAL(message.a1, 2);
    served_status = UINT64_MAX;
    CHECK_OK(cb_call(nested[CB_LEVELS - 1], &message));
    CHECK_OK(nested_status);
    CHECK_OK(served_status);
    CHECK_EQUAL(message.a1, 3);
    nested[0] = nested[CB_LEVELS - 1];
    CHECK_OK(cb_call(nested[1], &message));
    CHECK_STATUS(served_status, STATUS(BUSY, 0));
}
