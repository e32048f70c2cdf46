/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Signals to a thread that waits, and to a vCPU that runs or halts, and flushes of a guest's TLB, on two CPUs in all
 * interleavings: event.c, ctx.c, vcpu_event.c, vcpu_run.c, tlb.c and exit.c as they are. CPU 0 signals or flushes, CPU 1
 * runs the thread or the guest.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "call.h"
#include "event.h"
#include "irq.h"
#include "log.h"
#include "orders_cpus.h"
#include "thread.h"
#include "vcpu.h"
#include "virt.h"

#define SEL 5u
#define BITS 3u /* two signals, of a bit each */
#define PORT 70u

static struct thread thread;     /* of CPU 1 */
static struct vcpu vcpu, flusher; /* of CPU 1 and CPU 0 */
static struct event event, other; /* both of the same vCPU, at PORT and the next one */
static struct domain domain;
static struct space_cpu home;
static struct cb_event_page page;
static struct slot slot_event, slot_vcpu, slot_domain;
static u64 got;                  /* what the thread, or the guest, has seen of signals */
static bool halts, uses;         /* the guest: when it has nothing to do; uses the page */
static _Atomic u64 mapped, freed; /* a page of the guest; it is somebody else's */
static bool holds;               /* the guest's TLB does */
static unsigned entries;

/* ---- What the files need of the rest ---- */

struct lock tree_lock;

const struct slot *caps_linear(u32 sel)
{
    return sel == SEL ? &slot_event : sel == SEL + 1 ? &slot_vcpu : &slot_domain;
}

void sched_pick(void)
{
    struct ctx *c = vcpu.ctx.home ? &vcpu.ctx : &thread.ctx;

    if (cpu.id == 1 && c->state == CTX_READY)
        cpu.current = c;
}

void domain_load(struct space_cpu *tables)
{
    (void)tables;
}

u64 grace_wanted_now(void)
{
    return 0;
}

void sched_hand_over(struct ctx *c)
{
    cpu.current = c;
}

void timerq_remove(struct timerq *q, struct timer *t)
{
    (void)q, (void)t;
}

void irq_event_kill(struct event *e)
{
    (void)e;
}

void log_event_kill(struct event *e)
{
    (void)e;
}

bool virt_interruptible(const struct vcpu *v)
{
    (void)v;
    return true;
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

/* ---- The thread ---- */

/* Takes bits until it has all, or until the event is no more. */
static NORETURN void thread_goes_on(void)
{
    for (;;) {
        struct regs *r = &thread.ctx.regs;
        status_t status = (status_t)r->rax;

        if (status == FAULT(ABORTED, 0))
            orders_leave();
        orders_require(status == CB_OK, "it may wait");
        got |= r->rsi;
        if (got == BITS)
            orders_leave();
        *r = (struct regs){ .rdi = (u64)SEL << 32, .rsi = CB_DEADLINE_NONE };
        status = event_wait(r);
        if (status == CALL_BLOCKED)
            kernel_exit();
        r->rax = status;
    }
}

NORETURN void thread_resume(struct ctx *c)
{
    orders_require(c == &thread.ctx, "the thread runs");
    thread_goes_on();
}

static void waits(void)
{
    thread.ctx.regs.rsi = 0;
    thread.ctx.regs.rax = CB_OK;
    thread_goes_on();
}

static void signals(void)
{
    event_signal(&event, 1);
    event_signal(&event, 2);
}

static void signals_once(void)
{
    event_signal(&event, 1);
}

static void signals_other_bit(void)
{
    event_signal(&event, 2);
}

static void signals_and_kills(void)
{
    event_signal(&event, 1);
    event.obj.dying = true;
    event_kill(&event);
}

/* ---- The guest ---- */

static void guest_takes(void)
{
    u64 bits;

    vcpu.inject = 0;
    __atomic_store_n(&page.upcall, 0, __ATOMIC_SEQ_CST);
    if (!__atomic_exchange_n(&page.summary, 0, __ATOMIC_SEQ_CST))
        return;
    bits = __atomic_exchange_n(&page.pending[PORT / 64], 0, __ATOMIC_SEQ_CST);
    got |= bits >> PORT % 64;
}

/* The first time, it leaves at once. */
static unsigned guest_uses(void)
{
    holds = holds || atomic_load_explicit(&mapped, memory_order_relaxed);
    do {
        bool over = atomic_load_explicit(&freed, memory_order_relaxed);

        orders_require(!over || !holds, "a page is used after the flush");
        if (over)
            orders_leave();
        if (!entries++)
            return VIRT_EXIT_INTERRUPT;
        orders_pause();
    } while (!cpus_interrupted());
    return VIRT_EXIT_INTERRUPT;
}

/* The flush that is due; then the guest, until an interrupt comes or it halts. */
unsigned virt_run(struct vcpu *v)
{
    if (vcpu_is_special(v)) {
        if (v->tag.flush)
            holds = false;
        atomic_fetch_and_explicit(&v->hazards, ~VCPU_HAZARD_STATE, memory_order_relaxed);
    }
    if (uses)
        return guest_uses();
    if ((v->inject & CB_INJECT_VALID) || !entries++) /* the first time, by itself */
        guest_takes();
    if (got == BITS)
        orders_leave();
    if (halts)
        return CB_EXIT_HLT;
    while (!cpus_interrupted())
        orders_pause();
    return VIRT_EXIT_INTERRUPT;
}

static void runs(void)
{
    halts = false;
    kernel_exit();
}

static void halts_often(void)
{
    halts = true;
    kernel_exit();
}

static void signals_ports(void)
{
    event_signal(&event, 1);
    event_signal(&other, 1);
}

static void binds(void)
{
    struct regs r = { .rdi = (u64)SEL << 32, .rsi = SEL + 1, .rdx = PORT };

    orders_require(event_bind(&r) == CB_OK, "it is bound");
}

static void flushes(void)
{
    struct regs r = { .rdi = (u64)(SEL + 2) << 32, .rsi = 1u << 1 };
    status_t status;

    atomic_store_explicit(&mapped, 0, memory_order_release);
    do
        status = vcpu_do_tlb_flush(&r);
    while (status == CALL_AGAIN);
    orders_require(status == CB_OK, "the flush");
    atomic_store(&freed, 1);
}

/* ---- The worlds ---- */

static void begin(void)
{
    cpus_init();
    memset(&thread, 0, sizeof(thread));
    memset(&vcpu, 0, sizeof(vcpu));
    memset(&flusher, 0, sizeof(flusher));
    memset(&event, 0, sizeof(event));
    memset(&other, 0, sizeof(other));
    memset(&domain, 0, sizeof(domain));
    memset(&page, 0, sizeof(page));
    tree_lock = (struct lock){ 0 };
    got = entries = 0;
    holds = uses = false;
    list_init(&event.vcpu_node);
    list_init(&other.vcpu_node);
    list_init(&thread.ctx.helpers);
    slot_event.word = slot_word_make(CB_TYPE_EVENT, CB_RIGHTS_ALL, &event);
    slot_vcpu.word = slot_word_make(CB_TYPE_VCPU, CB_RIGHTS_ALL, &vcpu);
    slot_domain.word = slot_word_make(CB_TYPE_DOMAIN, CB_RIGHTS_ALL, &domain);
}

static void begin_thread(void)
{
    begin();
    thread.ctx.cpu = 1;
    thread.ctx.state = CTX_READY;
    cpus[1].current = &thread.ctx;
}

static void vcpu_begin(struct vcpu *v, u32 id)
{
    v->ctx.cpu = id;
    v->ctx.state = CTX_READY;
    v->ctx.flags = CTX_FLAG_VCPU;
    v->ctx.domain = &domain;
    v->ctx.home = &home;
    v->number = id;
    v->started = true;
    v->ctrl = CB_CTRL_UPCALL;
    v->hazards = VCPU_HAZARD_STATE;
    v->tag_identity = 1 + id;
    v->page = &page;
    list_init(&v->ctx.helpers);
    list_init(&v->events);
    domain.vcpus[id] = v;
    cpus[id].current = &v->ctx;
    cpus[id].fpu_owner = &v->ctx;
    tlb_init(&cpus[id].asids, 1, 2);
}

static void begin_vcpu(void)
{
    begin();
    vcpu_begin(&vcpu, 1);
    event.receiver = other.receiver = &vcpu.ctx;
    event.port = PORT;
    other.port = PORT + 1;
}

static void begin_unbound(void)
{
    begin_vcpu();
    event.receiver = NULL;
}

static void port_pending(void)
{
    orders_require(page.pending[PORT / 64] & 1ull << PORT % 64 && page.upcall, "the signal is lost");
}

static void begin_flush(void)
{
    begin();
    vcpu_begin(&flusher, 0);
    vcpu_begin(&vcpu, 1);
    uses = true;
    mapped = 1;
}

static void receiver_left(void)
{
    orders_require(!event.receiver && (got == BITS || event.obj.dying), "the event is as it was");
}

static void search(void (*begins)(void), void (*first)(void), void (*second)(void), void (*end)(void))
{
    struct orders o = {
        .begin = begins, .side = { first, second }, .end = end, .shared = { { &event.obj, sizeof(event.obj) } },
    };

    cpus_search(&o, 2);
}

Test(orders_event, a_thread_misses_no_signal)
{
    search(begin_thread, signals, waits, receiver_left);
}

Test(orders_event, a_thread_hears_of_the_end)
{
    search(begin_thread, signals_and_kills, waits, receiver_left);
}

Test(orders_event, a_guest_that_runs_misses_no_signal)
{
    search(begin_vcpu, signals_ports, runs, NULL);
}

Test(orders_event, a_guest_that_halts_misses_no_signal)
{
    search(begin_vcpu, signals_ports, halts_often, NULL);
}

Test(orders_event, a_guest_flushes)
{
    search(begin_flush, flushes, runs, NULL);
}

Test(orders_event, binding_loses_no_signal)
{
    search(begin_unbound, signals_once, binds, port_pending);
}

Test(orders_event, two_signal_at_once)
{
    struct orders o = { .begin = begin_thread, .side = { signals_once, waits, signals_other_bit }, .end = receiver_left };

    cpus_search(&o, 3);
}
