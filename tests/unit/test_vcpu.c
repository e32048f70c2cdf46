/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What reaches a vCPU, what its VMM makes of its state, and what happens before it enters the guest, on a backend that
 * notes what it is told.
 */
#include "vcpu.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "call.h"
#include "cpu_init.h"
#include "fake.h"
#include "fpu.h"
#include "log.h"
#include "mce.h"
#include "random.h"
#include "reap_fake.h"
#include "shadow.h"
#include "timer.h"
#include "virt.h"
#include "virt_state.h"
#include "x86.h"

#define PORT 70u
#define NOW 5000u
#define VECTOR 0x40u

static struct vcpu vcpu;
static struct domain domain;
static struct space_cpu home;
static struct cb_event_page page;
static struct cb_state in, out;
static bool interruptible, abandoned;
static unsigned kicks, entries, sent, sent_insn_len, next_exit;
static u32 entered_inject;
static bool entered_window;

u64 fpu_features = XCR0_X87 | XCR0_SSE | XCR0_AVX | XCR0_AVX512;
bool virt_vapic = true;

/* ---- What is below ---- */

u64 rdtsc(void)
{
    return NOW;
}

void timer_arm(u64 deadline)
{
    cpu.armed = deadline;
}

void cpu_kick(u32 id)
{
    cr_assert_eq(id, vcpu.ctx.cpu);
    kicks++;
}

void ctx_post(struct ctx *c, u32 ops)
{
    c->post_ops |= ops;
}

void ctx_abort(struct ctx *c)
{
    (void)c;
}

void sched_enqueue(struct sched *s)
{
    (void)s;
}

void sched_enqueue_helpers(struct ctx *c)
{
    (void)c;
}

status_t sched_block(struct list *helpers)
{
    (void)helpers;
    return CALL_BLOCKED;
}

void sched_hand_over(struct ctx *c)
{
    cpu.current = c;
}

bool kernel_preempt(void)
{
    return false;
}

void interrupts_take(void)
{
}

void remote_interrupt(struct ctx *c)
{
    (void)c;
}

void remote_recall(struct ctx *c)
{
    (void)c;
}

void reap_abandon(struct ctx *c)
{
    (void)c;
    abandoned = true;
}

void log_printf(const char *format, ...)
{
    (void)format;
}

void panic(const char *format, ...)
{
    (void)format;
    abort();
}

enum mce_verdict mce_take(u64 *bank)
{
    *bank = 0;
    return MCE_GO_ON;
}

void fpu_take(struct ctx *c)
{
    cpu.fpu_owner = c;
}

u64 shadow_refresh(struct vcpu *v)
{
    (void)v;
    return 0;
}

void vcpu_deliver(struct vcpu *v, unsigned class)
{
    sent = class;
    sent_insn_len = v->insn_len;
}

status_t call_make(struct regs *r)
{
    (void)r;
    return CB_OK;
}

status_t event_do_signal(struct regs *r)
{
    (void)r;
    return CB_OK;
}

void kernel_exit(void)
{
    abort();
}

const struct slot *caps_linear(u32 sel)
{
    (void)sel;
    return NULL;
}

status_t call_lookup_slow(u32 sel, enum cb_type type, u32 rights, unsigned arg, u64 *word)
{
    (void)sel, (void)type, (void)rights, (void)word;
    return FAULT(BAD_CAP, arg);
}

/* ---- The backend ---- */

unsigned virt_run(struct vcpu *v)
{
    cr_assert_eq(v->mode, VCPU_INSIDE);
    cr_assert_eq(cpu.fpu_owner, &v->ctx, "with another's registers");
    entries++;
    entered_inject = v->inject;
    entered_window = v->want_window;
    v->inject = 0;
    if (!v->want_window) /* the next entry is like this one */
        atomic_fetch_and(&v->hazards, ~VCPU_HAZARD_STATE);
    return next_exit;
}

void virt_get(const struct vcpu *v, u32 groups, struct cb_state *to)
{
    (void)v, (void)groups, (void)to;
}

void virt_put(struct vcpu *v, u32 groups, const struct cb_state *from)
{
    (void)v, (void)groups, (void)from;
}

void virt_skip(struct vcpu *v, u32 bytes)
{
    (void)v, (void)bytes;
}

bool virt_stepped(const struct vcpu *v)
{
    (void)v;
    return false;
}

bool virt_shadowed(const struct vcpu *v)
{
    (void)v;
    return false;
}

bool virt_interruptible(const struct vcpu *v)
{
    (void)v;
    return interruptible;
}

void virt_enable_interrupts(struct vcpu *v)
{
    (void)v;
    interruptible = true;
}

/* ---- */

static void setup(void)
{
    memset(&cpu, 0, sizeof(cpu));
    memset(&vcpu, 0, sizeof(vcpu));
    memset(&page, 0, sizeof(page));
    memset(&in, 0, sizeof(in));
    tlb_init(&cpu.asids, 1, 4);
    features = (struct features){ .xsave = true, .rdtscp = true };
    home.domain = &domain;
    vcpu.ctx.domain = &domain;
    vcpu.ctx.home = cpu.home = &home;
    vcpu.ctx.flags = CTX_FLAG_VCPU;
    vcpu.ctx.state = CTX_READY;
    vcpu.ctx.timer.kind = TIMER_VCPU;
    list_init(&vcpu.ctx.helpers);
    vcpu.page = &page;
    vcpu.tag_identity = tlb_identity();
    vcpu.started = true;
    vcpu.ctrl = CB_CTRL_UPCALL;
    vcpu.upcall_vector = VECTOR;
    cpu.current = &vcpu.ctx;
    cpu.armed = UINT64_MAX;
    interruptible = true;
    abandoned = entered_window = false;
    kicks = entries = entered_inject = 0;
    sent = 1000;
    next_exit = VIRT_EXIT_INTERRUPT;
}

TestSuite(vcpu, .init = setup);

/* ---- Events ---- */

Test(vcpu, a_port)
{
    vcpu_signal(&vcpu, PORT);
    cr_assert_eq(page.pending[PORT / 64], 1ull << PORT % 64);
    cr_assert_eq(page.summary, 1ull << PORT / 64);
    cr_assert_eq(page.upcall, 1);
    cr_assert(vcpu.hazards & VCPU_HAZARD_UPCALL);
    cr_assert_eq(kicks, 0, "it looks by itself");
}

Test(vcpu, a_port_that_is_masked)
{
    page.mask[PORT / 64] = 1ull << PORT % 64;
    vcpu_signal(&vcpu, PORT);
    cr_assert_eq(page.pending[PORT / 64], 1ull << PORT % 64);
    cr_assert(page.summary == 0 && page.upcall == 0 && vcpu.hazards == 0);
    cr_assert_eq(vcpu_do_upcall(&vcpu.ctx.regs), CB_OK);
    cr_assert(page.summary == 0 && page.upcall == 0, "still masked");
    page.mask[PORT / 64] = 0;
    cr_assert_eq(vcpu_do_upcall(&vcpu.ctx.regs), CB_OK);
    cr_assert_eq(page.summary, 1ull << PORT / 64);
    cr_assert_eq(page.upcall, 1);
}

Test(vcpu, one_that_is_inside_elsewhere)
{
    vcpu.ctx.cpu = 1;
    atomic_store(&vcpu.mode, VCPU_INSIDE);
    vcpu_signal(&vcpu, PORT);
    vcpu_signal(&vcpu, PORT + 1);
    cr_assert_eq(kicks, 1);
}

Test(vcpu, one_that_is_halted)
{
    cr_assert(vcpu_halt(&vcpu, false));
    cr_assert_eq(vcpu.ctx.state, CTX_WAITING);
    vcpu_signal(&vcpu, PORT);
    cr_assert_eq(vcpu.ctx.post_ops, CTX_OP_WAKE);
    vcpu_wake(&vcpu);
    cr_assert_eq(vcpu.ctx.state, CTX_READY);
    cr_assert_eq(vcpu.mode, VCPU_OUT);
    cr_assert_not(vcpu_halt(&vcpu, false), "what is due already is not slept over");
}

static status_t timer(u64 deadline)
{
    struct regs r = { .rdi = CB_CALL_WORD(CB_CALL_timer, 0, 0), .rsi = deadline };

    return vcpu_do_timer(&r);
}

Test(vcpu, timers_go_by_the_guests_clock)
{
    vcpu.tsc_offset = 1000;
    cr_assert_eq(timer(NOW + 1000 + 7), CB_OK);
    cr_assert_eq(cpu.armed, NOW + 7);
    cr_assert(vcpu.ctx.timer.queued);
    cr_assert_eq(page.pending[0], 0);
    cr_assert_eq(timer(CB_DEADLINE_NONE), CB_OK);
    cr_assert_not(vcpu.ctx.timer.queued, "taken back");
    cr_assert_eq(timer(NOW + 1000), CB_OK);
    cr_assert_eq(page.pending[0], 1ull << CB_PORT_TIMER, "due already");
    cr_assert_not(vcpu.ctx.timer.queued);
    vcpu.tsc_offset = -(u64)NOW - 10; /* the guest's clock is behind zero */
    cr_assert_eq(timer(UINT64_MAX - 1), CB_OK);
    cr_assert_eq(vcpu.ctx.timer.when, NOW + 8);
}

/* ---- On the way in ---- */

Test(vcpu, an_upcall_is_injected_once)
{
    vcpu_signal(&vcpu, PORT);
    vcpu_run(&vcpu);
    cr_assert_eq(entered_inject, CB_INJECT_VALID | CB_INJECT_TYPE_INTR | VECTOR);
    cr_assert_eq(vcpu.mode, VCPU_OUT);
    page.upcall = 0; /* the guest's handler */
    vcpu_run(&vcpu);
    cr_assert_eq(entered_inject, 0);
    cr_assert_eq(entries, 2);
    vcpu_signal(&vcpu, PORT);
    page.upcall = 0; /* it has looked by itself */
    vcpu_run(&vcpu);
    cr_assert_eq(entered_inject, 0);
}

Test(vcpu, an_upcall_waits_for_the_guest)
{
    vcpu_run(&vcpu); /* nothing is special any more */
    interruptible = false;
    vcpu_signal(&vcpu, PORT);
    vcpu_run(&vcpu);
    cr_assert_eq(entered_inject, 0);
    cr_assert(entered_window);
    interruptible = true;
    vcpu_run(&vcpu);
    cr_assert_eq(entered_inject, CB_INJECT_VALID | CB_INJECT_TYPE_INTR | VECTOR);
    cr_assert_not(entered_window);
}

Test(vcpu, an_upcall_waits_for_what_is_in_the_queue)
{
    vcpu.inject = CB_INJECT_VALID | CB_INJECT_TYPE_EXCEPTION | EXCEPTION_UD;
    vcpu_signal(&vcpu, PORT);
    vcpu_run(&vcpu);
    cr_assert_eq(entered_inject, CB_INJECT_VALID | CB_INJECT_TYPE_EXCEPTION | EXCEPTION_UD);
    cr_assert(entered_window);
    vcpu_run(&vcpu);
    cr_assert_eq(entered_inject, CB_INJECT_VALID | CB_INJECT_TYPE_INTR | VECTOR);
}

Test(vcpu, recalls)
{
    vcpu.insn_len = 3;
    vcpu_recall(&vcpu);
    vcpu_run(&vcpu);
    cr_assert_eq(entries, 0);
    cr_assert_eq(sent, CB_EXIT_RECALL);
    cr_assert_eq(sent_insn_len, 0, "no instruction has left the guest");
    vcpu_run(&vcpu);
    cr_assert_eq(entries, 1, "once");
}

Test(vcpu, it_starts_with_its_vmm)
{
    vcpu.started = false;
    vcpu_set_special(&vcpu);
    vcpu_run(&vcpu);
    cr_assert_eq(sent, CB_EXIT_START);
    cr_assert_eq(entries, 0);
}

Test(vcpu, windows)
{
    next_exit = CB_EXIT_WINDOW;
    vcpu_run(&vcpu);
    cr_assert_eq(sent, 1000, "nobody has asked for it");
    vcpu.window_to_vmm = true;
    vcpu_set_special(&vcpu);
    vcpu_run(&vcpu);
    cr_assert(entered_window);
    cr_assert_eq(sent, CB_EXIT_WINDOW);
    cr_assert_not(vcpu.window_to_vmm);
}

/* ---- State ---- */

static void put(u32 groups)
{
    vcpu_state_put(&vcpu, groups, &in);
}

/* Whatever is written can be read back, and nothing else changes. */
Test(vcpu, registers)
{
    static const u32 groups[] = { CB_GROUP_ACDB, CB_GROUP_BSD, CB_GROUP_R8_R15 };

    for (u32 i = 0; i < ARRAY_SIZE(groups); i++) {
        struct regs before, all;

        for (u64 *p = (u64 *)(void *)&in; p < (u64 *)(void *)(&in + 1); p++)
            *p = random_next();
        memset(&vcpu.ctx.regs, 0, sizeof(vcpu.ctx.regs));
        put(groups[i]);
        before = vcpu.ctx.regs;
        for (u32 k = 0; k < ARRAY_SIZE(groups); k++) {
            memset(&out, 0, sizeof(out));
            vcpu_state_get(&vcpu, groups[k], &out);
            memset(&vcpu.ctx.regs, 0, sizeof(vcpu.ctx.regs));
            vcpu_state_put(&vcpu, groups[k], &out);
            all = vcpu.ctx.regs;
            cr_assert_eq(memcmp(&all, &before, sizeof(all)) == 0, k == i);
            vcpu.ctx.regs = before;
        }
        memset(&out, 0, sizeof(out));
        vcpu_state_get(&vcpu, groups[i], &out);
        if (groups[i] == CB_GROUP_R8_R15)
            cr_assert(out.r8 == in.r8 && out.r9 == in.r9 && out.r10 == in.r10 && out.r11 == in.r11 && out.r12 == in.r12 &&
                      out.r13 == in.r13 && out.r14 == in.r14 && out.r15 == in.r15);
        if (groups[i] == CB_GROUP_BSD)
            cr_assert(out.rbp == in.rbp && out.rsi == in.rsi && out.rdi == in.rdi);
        if (groups[i] == CB_GROUP_ACDB)
            cr_assert(out.rax == in.rax && out.rcx == in.rcx && out.rdx == in.rdx && out.rbx == in.rbx);
    }
}

static u32 injects(u32 inject)
{
    in.inject = inject;
    put(CB_GROUP_INJECT);
    return vcpu.inject;
}

Test(vcpu, what_can_be_injected)
{
    const u32 exception = CB_INJECT_VALID | CB_INJECT_TYPE_EXCEPTION;

    cr_assert_eq(injects(0x80), 0);
    cr_assert_eq(injects(CB_INJECT_VALID | 0x80), CB_INJECT_VALID | 0x80);
    cr_assert_eq(injects(CB_INJECT_VALID | CB_INJECT_TYPE_NMI | 0x80), CB_INJECT_VALID | CB_INJECT_TYPE_NMI | EXCEPTION_NMI);
    cr_assert_eq(injects(exception | EXCEPTION_GP | CB_INJECT_ERROR), exception | EXCEPTION_GP | CB_INJECT_ERROR);
    cr_assert_eq(injects(exception | EXCEPTION_NMI), 0);
    cr_assert_eq(injects(exception | 31), 0);
    cr_assert_eq(injects(CB_INJECT_VALID | 7u << 8 | 1), 0, "a type that there is not");
    cr_assert_eq(injects(CB_INJECT_VALID | CB_INJECT_TYPE_SOFT | 0x80 | CB_INJECT_ERROR), CB_INJECT_VALID | CB_INJECT_TYPE_SOFT | 0x80);
}

Test(vcpu, the_upcalls_vector)
{
    in.upcall_vector = 31;
    put(CB_GROUP_INJECT);
    cr_assert_eq(vcpu.upcall_vector, VECTOR);
    in.upcall_vector = 256;
    put(CB_GROUP_INJECT);
    cr_assert_eq(vcpu.upcall_vector, VECTOR);
    in.upcall_vector = 32;
    put(CB_GROUP_INJECT);
    cr_assert_eq(vcpu.upcall_vector, 32);
}

/* An exception was raised while an upcall was delivered: the upcall comes again. */
Test(vcpu, an_upcall_whose_delivery_faults)
{
    vcpu.inject = CB_INJECT_VALID | CB_INJECT_TYPE_INTR | VECTOR;
    cr_assert_eq(vcpu_inject_exception(&vcpu, EXCEPTION_PF, 2), VIRT_EXIT_HANDLED);
    cr_assert_eq(vcpu.inject, CB_INJECT_VALID | CB_INJECT_TYPE_EXCEPTION | EXCEPTION_PF | CB_INJECT_ERROR);
    cr_assert(vcpu.hazards & VCPU_HAZARD_UPCALL);
    atomic_store(&vcpu.hazards, 0);
    (void)vcpu_inject_exception(&vcpu, EXCEPTION_UD, 0);
    cr_assert_eq(vcpu.inject, CB_INJECT_VALID | CB_INJECT_TYPE_EXCEPTION | EXCEPTION_UD);
    cr_assert_not(vcpu.hazards & VCPU_HAZARD_UPCALL);
}

static u64 xcr0(u64 value)
{
    vcpu.xcr0 = 1;
    in.xcr0 = value;
    put(CB_GROUP_CTRL);
    return vcpu.xcr0;
}

Test(vcpu, control)
{
    cr_assert_eq(xcr0(3), 3);
    cr_assert_eq(xcr0(7), 7);
    cr_assert_eq(xcr0(5), 1, "AVX without SSE");
    cr_assert_eq(xcr0(2), 1, "without x87");
    cr_assert_eq(xcr0(7 | XCR0_AVX512), 7 | XCR0_AVX512);
    cr_assert_eq(xcr0(3 | XCR0_AVX512), 1, "AVX-512 without AVX");
    cr_assert_eq(xcr0(7 | (XCR0_AVX512 & -XCR0_AVX512)), 1, "a part of AVX-512");
    cr_assert_eq(xcr0(1ull << 9), 1, "what there is not");
    in.exception_bitmap = ~0u;
    put(CB_GROUP_CTRL);
    cr_assert_eq(vcpu.exception_bitmap, ~(1u << EXCEPTION_NMI | 1u << EXCEPTION_MC));
    cr_assert_null(vcpu.impossible);
    in.ctrl = CB_CTRL_VAPIC;
    put(CB_GROUP_CTRL);
    cr_assert_not_null(vcpu.impossible, "HLT would be answered here");
    in.ctrl = CB_CTRL_VAPIC | CB_CTRL_HLT | 0x100;
    put(CB_GROUP_CTRL);
    cr_assert_null(vcpu.impossible);
    cr_assert_eq(vcpu.ctrl, CB_CTRL_VAPIC | CB_CTRL_HLT);
}

/* Sent elsewhere in the middle of a hypercall, it is in none any more. */
Test(vcpu, a_new_place)
{
    vcpu.in_call = true;
    vcpu_set_special(&vcpu);
    put(CB_GROUP_ACDB);
    cr_assert(vcpu.in_call);
    put(CB_GROUP_RIP);
    cr_assert_not(vcpu.in_call);
    cr_assert(abandoned);
}
