/* SPDX-License-Identifier: GPL-2.0-only */
/* Across domains: giving, taking back, and the end of a domain. */
#include "calltest.h"

#define TEST CHILD_SEL_TEST

void test_child_delegate(void)
{
    struct child child;
    uint32_t event = test_event();
    uint64_t bits = 0;

    CHECK(event && child_make(&child, 0, CHILD_PAGES));
    CHECK_STATUS(child_call(&child, CB_CALL_WORD(CB_CALL_signal, 0, TEST), (struct cb_args){0}), STATUS(BAD_CAP, 0));
    CHECK_OK(cb_derive(event, TEST, child.domain, CB_RIGHT_SIGNAL, 0x20, 0));
    CHECK_OK(child_call(&child, CB_CALL_WORD(CB_CALL_signal, 0, TEST), (struct cb_args){0}));
    CHECK_OK(cb_wait(event, CB_WAIT_POLL, 0, &bits));
    CHECK_EQUAL(bits, 0x20);
    CHECK_STATUS(child_call(&child, CB_CALL_WORD(CB_CALL_wait, CB_WAIT_POLL, TEST), (struct cb_args){0}),
                 STATUS(BAD_RIGHT, 0));
}

/* Through two domains: what the first child passes on to the second goes with it. */
void test_child_revoke_event(void)
{
    struct child first, second;
    uint32_t event = test_event();

    CHECK(event && child_make(&first, 0, CHILD_PAGES) && child_make(&second, 1, CHILD_PAGES));
    CHECK_OK(cb_derive(event, TEST, first.domain, CB_RIGHTS_ALL, 0, 0));
    CHECK_OK(cb_derive(second.domain, TEST + 1, first.domain, CB_RIGHT_INSERT, 0, 0));
    CHECK_OK(child_call(&first, CB_CALL_WORD(CB_CALL_derive, 0, TEST),
                        (struct cb_args){CB_PAIR(TEST, TEST + 1), CB_RIGHT_SIGNAL, 0, 0, 0}));
    CHECK_OK(child_call(&second, CB_CALL_WORD(CB_CALL_signal, 0, TEST), (struct cb_args){0}));
    CHECK_OK(cb_revoke(event, 0));
    CHECK_STATUS(child_call(&first, CB_CALL_WORD(CB_CALL_signal, 0, TEST), (struct cb_args){0}), STATUS(BAD_CAP, 0));
    CHECK_STATUS(child_call(&second, CB_CALL_WORD(CB_CALL_signal, 0, TEST), (struct cb_args){0}),
                 STATUS(BAD_CAP, 0));
    CHECK_EQUAL(test_type(event), CB_TYPE_EVENT);
}

extern const uint8_t child_code[], child_resume[];

/* The child maps a frame it was given; when that is taken back, its next access is a page fault. */
void test_child_revoke_frame(void)
{
    struct child child;
    struct fault fault = {.resume = CHILD_CODE + (uint64_t)(child_resume - child_code)};
    struct thread *handler = test_handler(CPU_MAIN, fault_handler, &fault);
    uint32_t portal = handler ? test_portal(handler, 0, FAULT_GROUPS) : 0;
    uint32_t frame = test_derive(test_frame, CB_RIGHT_READ | CB_RIGHT_WRITE, 0);
    uint64_t window = test_space(1);

    CHECK(portal && frame && child_make(&child, 0, CHILD_PAGES));
    CHECK_OK(cb_thread_set(child.thread, CB_THREAD_EXCEPTION, portal));
    CHECK_OK(cb_map(test_frame, CB_MAP_READ | CB_MAP_WRITE, scratch(), CB_SELF, window, 2, 1));
    *(volatile uint8_t *)window = 0x5a;
    CHECK_OK(cb_derive(frame, TEST, child.domain, CB_RIGHT_READ, 2, 1));
    CHECK_OK(cb_derive(child.domain, TEST + 1, child.domain, CB_RIGHT_INSERT, 0, 0));
    CHECK_OK(child_call(&child, CB_CALL_WORD(CB_CALL_map, CB_MAP_READ, TEST),
                        (struct cb_args){TEST + 2, CHILD_DATA, CB_PAIR(0, 1), 0, 0}));
    CHECK_EQUAL(child_load(&child, CHILD_DATA), 0x5a);
    CHECK_EQUAL(fault.count, 0);
    CHECK_OK(cb_revoke(frame, 0));
    (void)child_load(&child, CHILD_DATA);
    CHECK_EQUAL(fault.count, 1);
    CHECK_EQUAL(fault.vector, 14);
    CHECK_EQUAL(fault.address, CHILD_DATA);
    CHECK_EQUAL(test_type(test_frame), CB_TYPE_FRAME);
    CHECK_EQUAL(*(volatile uint8_t *)window, 0x5a);
}

/* A domain that was given nothing can do nothing: all the calls of the table, with all its selectors. */
void test_child_no_rights(void)
{
    struct child child;

    CHECK(child_make(&child, 0, CHILD_PAGES));
    for (uint32_t call = CB_CALL_account_create; call < CB_CALL_halt; call++) {
        if (call == CB_CALL_identify || call == CB_CALL_revoke)
            continue;
        for (uint32_t sel = 0; sel < 4; sel++) {
            uint64_t status = child_call(&child, CB_CALL_WORD(call, call == CB_CALL_map, sel),
                                         (struct cb_args){TEST + 3, 1, 1, 1, 1});

            CHECK(CB_STATUS_CODE(status) == CB_BAD_CAP || CB_STATUS_CODE(status) == CB_BAD_CALL ||
                  CB_STATUS_CODE(status) == CB_BAD_PARAM);
        }
    }
    CHECK_OK(child_call(&child, CB_CALL_null, (struct cb_args){0}));
}

static bool await_type(uint32_t sel, uint32_t type)
{
    uint64_t deadline = clock_in(PATIENCE);

    while (test_type(sel) != type && clock_tsc() < deadline)
        thread_sleep_us(MS);
    return test_type(sel) == type;
}

#define XINUSE 2u
#define AVX_SSE 6u /* components */

static bool has_xinuse(void)
{
    uint32_t a = 1, b, c = 0, d;

    __asm__("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    if (!(c >> 27 & 1)) /* OSXSAVE */
        return false;
    a = 0xd;
    c = 1;
    __asm__("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    return a >> 2 & 1;
}

static uint32_t xinuse(void)
{
    uint32_t a, d;

    __asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(1));
    return a;
}

/* Does the processor say that nothing is in use when that is so? QEMU never does. */
static bool xinuse_works(void)
{
    static _Alignas(64) const uint8_t nothing[576] = {[24] = 0x80, [25] = 0x1f}; /* MXCSR */

    __asm__ volatile("xrstor64 (%0)" : : "r"(nothing), "a"(7), "d"(0) : "memory");
    return !(xinuse() & AVX_SSE);
}

/* What this thread has left in selectors stays its own, and so does which FPU state it uses. */
void test_child_registers(void)
{
    struct child child;
    struct child_look *look;
    bool works = has_xinuse() && xinuse_works();

    CHECK(child_make(&child, 0, CHILD_PAGES));
    look = child_look(&child);
    look->look = works ? XINUSE : 1;
    __asm__ volatile("movq %0, %%xmm5" : : "r"(1ull));
    __asm__ volatile("mov %w0, %%ds\n\tmov %w1, %%es\n\tmov %w2, %%gs" : : "r"(1), "r"(2), "r"(3));
    CHECK_OK(child_call(&child, CB_CALL_null, (struct cb_args){0}));
    CHECK_EQUAL(look->ds | look->es | look->gs, 0);
    if (works)
        CHECK_EQUAL(look->xinuse & AVX_SSE, 0);
}

void test_child_destroys_itself(void)
{
    struct child child;
    struct cb_identity before, after;

    CHECK_OK(cb_identify(CB_TASK_SEL_ACCOUNT, &before));
    CHECK(child_make(&child, 0, CHILD_PAGES));
    CHECK_OK(cb_derive(child.domain, TEST, child.domain, CB_RIGHT_DESTROY, 0, 0));
    child_post(&child, CB_CALL_WORD(CB_CALL_destroy, 0, TEST), (struct cb_args){0});
    CHECK(await_type(child.domain, CB_TYPE_NULL));
    CHECK_EQUAL(test_type(child.account), CB_TYPE_ACCOUNT);
    CHECK_OK(cb_destroy(child.account));
    CHECK_OK(cb_destroy(child.command_event));
    CHECK_OK(cb_destroy(child.done_event));
    CHECK_OK(cb_identify(CB_TASK_SEL_ACCOUNT, &after));
    CHECK_EQUAL(after.x, before.x);
}

/* With all of its account, in the middle of what it does; many times. */
void test_child_account_ends(void)
{
    struct cb_identity before, after;
    struct child child;

    CHECK_OK(cb_identify(CB_TASK_SEL_ACCOUNT, &before));
    CHECK(child_make(&child, 0, CHILD_PAGES));
    CHECK_OK(cb_derive(child.account, TEST, child.domain, CB_RIGHTS_ALL, 0, 0));
    CHECK_OK(child_call(&child, CB_CALL_WORD(CB_CALL_event_create, 0, TEST), (struct cb_args){.a1 = TEST + 1}));
    child_post(&child, CB_CALL_WORD(CB_CALL_wait, 0, TEST + 1), (struct cb_args){.a1 = CB_DEADLINE_NONE});
    CHECK(test_settle(CPU_MAIN));
    CHECK_OK(cb_destroy(child.account));
    CHECK_EQUAL(test_type(child.domain), CB_TYPE_NULL);
    CHECK_EQUAL(test_type(child.thread), CB_TYPE_NULL);
    CHECK_EQUAL(test_type(child.sched), CB_TYPE_NULL);
    CHECK_OK(cb_destroy(child.command_event));
    CHECK_OK(cb_destroy(child.done_event));
    CHECK_OK(cb_identify(CB_TASK_SEL_ACCOUNT, &after));
    CHECK_EQUAL(after.x, before.x);
}
