/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Runs all tests of calltest/calltest.h, those of IPC in several ways; with bootargs, only those whose name contains
 * that text.
 */
#include "calltest/calltest.h"

#include <string.h>

#define SCRATCH 160u
#define THREADS 128u /* some tests have one on each CPU, besides others */
#define SPACE_PAGES 8192u

uint32_t test_frame;

static const struct {
    const char *name;
    void (*run)(void);
    bool ipc;      /* in each way */
    bool two_cpus;
} tests[] = {
#define TEST_ROW(name) {#name, test_##name, false, false},
#define IPC_TEST_ROW(name) {#name, test_##name, true, false},
#define REMOTE_TEST_ROW(name) {#name, test_##name, false, true},
    IPC_TESTS(IPC_TEST_ROW)
    REMOTE_TESTS(REMOTE_TEST_ROW)
    TESTS(TEST_ROW)
};

static char running[64];
static uint32_t passed, wrong;
static bool failed;
static uint32_t scratch_base, scratch_used;
static struct thread *threads[THREADS];
static uint64_t space;
static uint64_t space_used;

void test_fail(const char *file, int line, const char *format, ...)
{
    char text[300];
    va_list list;

    va_start(list, format);
    vsnprintf(text, sizeof(text), format, list);
    va_end(list);
    failed = true;
    print("test %s: FAILED %s:%d %s\n", running, file, line, text);
}

bool test_status(const char *file, int line, const char *what, uint64_t got, uint64_t want)
{
    if (got == want)
        return true;
    test_fail(file, line, "%s: %s (%u) instead of %s (%u)", what, cb_status_name(got), CB_STATUS_ARG(got),
              cb_status_name(want), CB_STATUS_ARG(want));
    return false;
}

uint32_t scratch_range(uint32_t count)
{
    uint32_t first = scratch_base + scratch_used;

    if (scratch_used + count > SCRATCH)
        panic("test %s uses more than %u selectors", running, SCRATCH);
    scratch_used += count;
    return first;
}

uint32_t scratch(void)
{
    return scratch_range(1);
}

uint64_t test_space(uint64_t pages)
{
    uint64_t address = space + space_used * CB_PAGE_SIZE;

    space_used += pages;
    if (space_used > SPACE_PAGES)
        panic("test %s uses more than %u pages of addresses", running, SPACE_PAGES);
    return address;
}

static struct thread *keep(struct thread *thread, uint64_t status)
{
    if (!test_status(__FILE__, __LINE__, "making a thread", status, CB_OK))
        return NULL;
    for (uint32_t i = 0; i < THREADS; i++) {
        if (threads[i] == NULL) {
            threads[i] = thread;
            return thread;
        }
    }
    panic("test %s uses more than %u threads", running, THREADS);
}

struct thread *test_thread_budget(uint32_t cpu, uint32_t priority, uint64_t budget, uint64_t period,
                                  thread_fn *function, void *argument)
{
    struct thread *thread;
    uint64_t status = thread_start_budget(cpu, priority, budget, period, function, argument, &thread);

    return keep(thread, status);
}

struct thread *test_thread(uint32_t cpu, uint32_t priority, thread_fn *function, void *argument)
{
    return test_thread_budget(cpu, priority, 10 * MS, 10 * MS, function, argument);
}

struct thread *test_handler(uint32_t cpu, thread_handler_fn *handler, void *argument)
{
    struct thread *thread;
    uint64_t status = thread_handler(cpu, handler, argument, &thread);

    return keep(thread, status);
}

void test_thread_end(struct thread *thread)
{
    for (uint32_t i = 0; i < THREADS; i++)
        if (threads[i] == thread)
            threads[i] = NULL;
    thread_destroy(thread);
}

uint32_t test_portal(const struct thread *handler, uint64_t badge, uint32_t groups)
{
    uint32_t sel = scratch();
    uint64_t status = cb_portal_create(CB_TASK_SEL_ACCOUNT, sel, handler->sel, (uint64_t)thread_portal_entry, badge,
                                       groups, LEVEL_DEFAULT);

    return test_status(__FILE__, __LINE__, "making a portal", status, CB_OK) ? sel : 0;
}

uint32_t test_event(void)
{
    uint32_t sel = scratch();

    return test_status(__FILE__, __LINE__, "making an event", cb_event_create(CB_TASK_SEL_ACCOUNT, sel), CB_OK) ? sel
                                                                                                                : 0;
}

uint32_t test_derive(uint32_t from, uint32_t rights, uint64_t badge)
{
    uint32_t sel = scratch();
    uint64_t status = cb_derive(from, sel, CB_SELF, rights, badge, 0);

    return test_status(__FILE__, __LINE__, "deriving", status, CB_OK) ? sel : 0;
}

bool test_await(const volatile uint32_t *word, uint32_t value)
{
    uint64_t deadline = clock_in(PATIENCE);

    while (*word != value && clock_tsc() < deadline)
        thread_sleep_us(200);
    return *word == value;
}

bool test_await_more(const volatile uint32_t *word, uint32_t value)
{
    uint64_t deadline = clock_in(PATIENCE);

    while (*word <= value && clock_tsc() < deadline)
        thread_sleep_us(200);
    return *word > value;
}

static volatile uint32_t settled;

static void settle(void *argument)
{
    (void)argument;
    settled = 1;
}

bool test_settle(uint32_t cpu)
{
    settled = 0;
    struct thread *thread = test_thread(cpu, 1, settle, NULL);
    bool done = thread && test_await(&settled, 1);

    if (thread)
        test_thread_end(thread);
    return done;
}

bool test_has_two_cpus(void)
{
    return task_info()->cpu_count > 1;
}

uint32_t test_other_cpu(void)
{
    return (CPU_MAIN + 1) % task_info()->cpu_count;
}

uint32_t test_type(uint32_t sel)
{
    struct cb_identity identity;

    return cb_identify(sel, &identity) == CB_OK ? (uint32_t)identity.type : UINT32_MAX;
}

static void clean_up(void)
{
    for (uint32_t i = 0; i < THREADS; i++)
        if (threads[i])
            test_thread_end(threads[i]);
    for (uint32_t i = 0; i < scratch_used; i++)
        (void)!cb_revoke(scratch_base + i, CB_REVOKE_SELF); /* refused where nothing is left */
    scratch_used = 0;
    space_used = 0;
}

static void run(uint32_t index, enum way how)
{
    way_begin(how);
    if (tests[index].ipc)
        snprintf(running, sizeof(running), "%s (%s)", tests[index].name, way_name(how));
    else
        snprintf(running, sizeof(running), "%s", tests[index].name);
    if ((tests[index].two_cpus || how == WAY_REMOTE) && !test_has_two_cpus()) {
        print("test %s: left out: there is only one CPU\n", running);
        return;
    }
    failed = false;
    tests[index].run();
    clean_up();
    if (failed)
        wrong++;
    else
        passed++;
    if (!failed)
        print("test %s: ok\n", running);
}

/* Has the slots' pages made now, so that the tests can compare what is left in the account. */
static void touch_scratch(void)
{
    for (uint32_t sel = scratch_base; sel < scratch_base + SCRATCH; sel++)
        if (cb_derive(CB_TASK_SEL_THREAD, sel, CB_SELF, 0, 0, 0) == CB_OK)
            (void)!cb_revoke(sel, CB_REVOKE_SELF);
}

void task_main(const struct cb_task_info *info)
{
    const char *only = task_bootargs();

    (void)info;
    scratch_base = sel_alloc_range(SCRATCH);
    touch_scratch();
    space = pages_space(SPACE_PAGES * CB_PAGE_SIZE, 0x200000);
    test_frame = sel_alloc();
    if (pages_frame(TEST_FRAME_PAGES, 1, test_frame) != CB_OK || !child_init())
        task_exit(CB_EXIT_REASON_FAILED, "there is not enough memory");
    for (uint32_t i = 0; i < sizeof(tests) / sizeof(*tests); i++) {
        if (strstr(tests[i].name, only) == NULL)
            continue;
        for (enum way how = WAY_PLAIN; how < (tests[i].ipc ? WAYS : WAY_PLAIN + 1); how++)
            run(i, how);
    }
    print("calltest: %u passed, %u failed\n", passed, wrong);
    if (wrong)
        task_exit(CB_EXIT_REASON_FAILED, "%u of %u tests failed", wrong, passed + wrong);
}
