/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What reaches a vCPU from outside without its VMM: upcalls, wake-ups, its timer, TLB flushes.
 *
 * A vCPU on its way into the guest or to sleep writes `mode` and then looks for news; whoever has news writes it
 * and then looks at `mode`, all sequentially consistent: so at least one of them sees the other. tests/model/vcpu.pml
 * searches all interleavings of this, of flushes and of a vCPU's death.
 *
 * The event page is the guest's to write at any time: atomic accesses only, and nothing that it says matters to
 * anybody else.
 */
#include "call.h"
#include "timer.h"
#include "vcpu_enter.h"
#include "virt.h"
#include "x86.h"

#define FLUSH_MASK ((1ull << CB_GUEST_VCPUS) - 1)

_Atomic u64 vcpu_flush_clock;

/* An upcall is due. False: somebody has said so already. */
static inline bool vcpu_raise_hazard(struct vcpu *v)
{
    __atomic_store_n(&v->page->upcall, 1, __ATOMIC_SEQ_CST);
    return !(atomic_fetch_or(&v->hazards, VCPU_HAZARD_UPCALL) & VCPU_HAZARD_UPCALL);
}

/* An upcall is due: tells the vCPU, unless somebody already has. */
static void vcpu_raise(struct vcpu *v)
{
    if (!vcpu_raise_hazard(v))
        return;
    switch ((enum vcpu_mode)atomic_load(&v->mode)) {
    case VCPU_INSIDE:
        if (v->ctx.cpu != cpu.id)
            cpu_kick(v->ctx.cpu);
        break;
    case VCPU_HALTED:
        ctx_post(&v->ctx, CTX_OP_WAKE);
        break;
    case VCPU_OUT:
        break;
    }
}

/* Makes the port pending. False: it is masked. */
static inline bool vcpu_set_pending(const struct vcpu *v, u32 port)
{
    struct cb_event_page *page = v->page;
    u64 bit = 1ull << port % 64;
    u32 word = port / 64 % CB_PORT_WORDS;

    __atomic_fetch_or(&page->pending[word], bit, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&page->mask[word], __ATOMIC_SEQ_CST) & bit)
        return false;
    __atomic_fetch_or(&page->summary, 1ull << word, __ATOMIC_SEQ_CST);
    return true;
}

void vcpu_signal(struct vcpu *v, u32 port)
{
    if (vcpu_set_pending(v, port))
        vcpu_raise(v);
}

/* Is something pending that the guest has not seen? */
static bool vcpu_upcall_due(struct vcpu *v)
{
    if (!(atomic_load(&v->hazards) & VCPU_HAZARD_UPCALL))
        return false;
    /*
     * The guest may have looked by itself: then nothing is due. Somebody may raise again in between, so take it
     * back first.
     */
    atomic_fetch_and(&v->hazards, ~VCPU_HAZARD_UPCALL);
    if (!__atomic_load_n(&v->page->upcall, __ATOMIC_SEQ_CST))
        return atomic_load(&v->hazards) & VCPU_HAZARD_UPCALL;
    atomic_fetch_or(&v->hazards, VCPU_HAZARD_UPCALL);
    return true;
}

bool vcpu_listen(struct vcpu *v)
{
    atomic_store(&v->mode, VCPU_HALTED);
    if (!vcpu_upcall_due(v))
        return true;
    vcpu_out(v);
    return false;
}

bool vcpu_halt(struct vcpu *v, bool deaf)
{
    v->counters[CB_VCPU_COUNTER_HALT]++;
    if (!deaf && !vcpu_listen(v))
        return false;
    ctx_block(&v->ctx, CTX_WAITING);
    return true;
}

/* It waited. `at_once`: what runs may have to make way now. */
static inline void vcpu_resume(struct vcpu *v, bool at_once)
{
    vcpu_out(v);
    v->ctx.state = CTX_READY;
    if (!at_once)
        ctx_unblock(&v->ctx);
    else
        sched_hand_over(&v->ctx);
}

void vcpu_signal_here(struct vcpu *v, u32 port)
{
    if (!vcpu_set_pending(v, port) || !vcpu_raise_hazard(v) || atomic_load(&v->mode) != VCPU_HALTED)
        return;
    /* A thread's system call returns to whoever made it, unless a hazard is set. */
    vcpu_resume(v, ctx_is_vcpu(cpu.current));
}

void vcpu_wake(struct vcpu *v)
{
    bool waits = v->ctx.state == CTX_WAITING, calls = v->ctx.state == CTX_REMOTE && v->ctx.remote.upcalls;

    if ((!waits && !calls) || atomic_load(&v->mode) != VCPU_HALTED || !vcpu_upcall_due(v))
        return;
    if (waits)
        vcpu_resume(v, true);
    else
        remote_interrupt(&v->ctx);
}

void vcpu_recall(struct vcpu *v)
{
    __atomic_store_n(&v->recalled, true, __ATOMIC_SEQ_CST);
    vcpu_set_special(v);
    remote_recall(&v->ctx);
    if (v->ctx.state == CTX_WAITING)
        vcpu_resume(v, true);
    else
        ctx_abort(&v->ctx); /* a call; an exit is left to its handler */
}

void vcpu_timer(struct vcpu *v)
{
    vcpu_signal(v, CB_PORT_TIMER);
}

/* The calls. */

static struct vcpu *caller(void)
{
    return ctx_is_vcpu(cpu.current) ? vcpu_of(cpu.current) : NULL;
}

status_t vcpu_do_halt(struct regs *r)
{
    struct vcpu *v = caller();

    if (!v)
        return FAULT(BAD_CALL, 0);
    if (CALL_FLAGS(r) & ~CB_HALT_ENABLE)
        return FAULT(BAD_PARAM, 0);
    if (CALL_FLAGS(r) & CB_HALT_ENABLE)
        virt_enable_interrupts(v);
    (void)vcpu_halt(v, false); /* the call is over even if it blocks: waking up only lets the guest go on */
    return CB_OK;
}

status_t vcpu_do_timer(struct regs *r)
{
    struct vcpu *v = caller();
    u64 now, ahead;

    if (!v)
        return FAULT(BAD_CALL, 0);
    if (CALL_FLAGS(r))
        return FAULT(BAD_PARAM, 0);
    timerq_remove(&cpu.timers, &v->ctx.timer);
    if (r->rsi == CB_DEADLINE_NONE)
        return CB_OK;
    now = rdtsc();
    if (r->rsi <= now + v->tsc_offset) {
        vcpu_timer(v);
        return CB_OK;
    }
    ahead = r->rsi - (now + v->tsc_offset);
    timerq_insert(&cpu.timers, &v->ctx.timer, ahead < UINT64_MAX - now ? now + ahead : UINT64_MAX - 1);
    timer_need(v->ctx.timer.when);
    return CB_OK;
}

status_t vcpu_do_upcall(struct regs *r)
{
    struct vcpu *v = caller();
    u64 summary = 0;

    if (!v)
        return FAULT(BAD_CALL, 0);
    if (CALL_FLAGS(r))
        return FAULT(BAD_PARAM, 0);
    for (u32 word = 0; word < CB_PORT_WORDS; word++) {
        u64 pending = __atomic_load_n(&v->page->pending[word], __ATOMIC_RELAXED);

        if (pending && (pending & ~__atomic_load_n(&v->page->mask[word], __ATOMIC_RELAXED)))
            summary |= 1ull << word;
    }
    if (summary) {
        __atomic_fetch_or(&v->page->summary, summary, __ATOMIC_SEQ_CST);
        vcpu_raise(v);
    }
    return CB_OK;
}

/* The vCPU with the lowest number in `mask`, which loses it; NULL: there is no such vCPU. */
static struct vcpu *flush_next(struct domain *d, u64 *mask)
{
    unsigned number = (unsigned)__builtin_ctzll(*mask);

    *mask &= *mask - 1;
    return __atomic_load_n(&d->vcpus[number], __ATOMIC_ACQUIRE);
}

/* Asks the vCPUs for a flush, and interrupts those that are in the guest: their numbers. */
static u64 flush_begin(struct domain *d, u64 mask, u64 *clock)
{
    u64 inside = 0;
    struct vcpu *v;

    for (u64 left = mask; left;) {
        v = flush_next(d, &left);
        if (v)
            atomic_fetch_add(&v->flushes, 1);
    }
    *clock = atomic_fetch_add(&vcpu_flush_clock, 1) + 1;
    for (u64 left = mask; left;) {
        v = flush_next(d, &left);
        if (v && atomic_load(&v->mode) == VCPU_INSIDE) {
            cpu_kick(v->ctx.cpu);
            inside |= 1ull << v->number;
        }
    }
    return inside;
}

/* Can `v` still use translations from before the flush `clock`? */
static bool flush_awaited(struct vcpu *v, u64 clock)
{
    return atomic_load(&v->mode) == VCPU_INSIDE && atomic_load(&v->entered) < clock;
}

/*
 * A vCPU that is not in the guest flushes at its next entry; those that are leave it within an interrupt's time,
 * and only they are waited for, with interrupts open. Made again after an interruption, the call merely flushes
 * once more.
 */
status_t vcpu_do_tlb_flush(struct regs *r)
{
    u64 word, clock, left;
    struct domain *d;
    status_t status;

    if (!caller())
        return FAULT(BAD_CALL, 0);
    status = call_target(r, CB_TYPE_DOMAIN, CB_RIGHT_FLUSH, &word);
    if (status)
        return status;
    d = slot_word_object(word);
    left = flush_begin(d, r->rsi & FLUSH_MASK, &clock);
    while (left) {
        struct vcpu *v = flush_next(d, &left);

        while (v && flush_awaited(v, clock)) {
            cpu_pause();
            if (kernel_preempt())
                return CALL_AGAIN;
        }
    }
    return CB_OK;
}
