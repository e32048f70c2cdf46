/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who runs. A scheduling context runs the end of the chain of calls that begins with the context it is bound to:
 * that is donation, and where a link of the chain is a wait for a busy handler, helping. Nothing about it is stored
 * with the scheduling context, so that a chain can change under it at any time; it is followed when the scheduling
 * context is picked.
 */
#include "sched.h"

#include "budget.h"
#include "cpu.h"
#include "ctx.h"
#include "event.h"
#include "helpers.h"
#include "portal.h"
#include "runqueue.h"
#include "thread.h"
#include "timer.h"
#include "vcpu.h"
#include "x86.h"

#define TIMERS_AT_ONCE 64u
#define PARKED_AT_ONCE 16u

static inline void sched_use_slice(struct sched *s, u64 ticks)
{
    s->consumed += ticks;
    s->left -= MIN(ticks, s->left);
}

static inline void sched_use(struct sched *s, u64 since, u64 now)
{
    sched_use_slice(s, now - since);
    if (s->budget)
        budget_use(s->budget, since, now);
}

/* Accounts the time since the last call to cpu->sched. */
static inline void sched_charge(u64 now)
{
    sched_use(cpu.sched, cpu.sched_since, now);
    cpu.sched_since = now;
}

void sched_bill(struct sched *s, u64 ticks, u64 now)
{
    sched_use(s, now - ticks, now);
    cpu.sched_since = MIN(cpu.sched_since + ticks, now); /* what runs does not pay for it */
}

/* How long may it run on, if others would run, too? */
static inline u64 sched_left(const struct sched *s)
{
    return s->budget ? MIN(s->left, s->budget->left) : s->left;
}

/* `s` is in the run queue now: does that matter to what runs? */
static inline void sched_queued(const struct sched *s)
{
    const struct sched *running = cpu.sched;

    if (!running || s->priority > running->priority)
        cpu_hazard(HAZARD_RESCHED);
    else if (s->priority == running->priority)
        timer_need(cpu.sched_since + running->left);
}

static void sched_throttle(struct sched *s)
{
    struct budget *b = s->budget;

    list_remove(&s->peer);
    s->state = SCHED_THROTTLED;
    list_append(&b->throttled, &s->node);
    if (b->timer.queued)
        return;
    timerq_insert(&cpu.timers, &b->timer, budget_next(b));
    timer_need(b->timer.when);
}

/*
 * May `s`, limited, be queued now? Else its budget is used up, and whoever shares it leaves the queue with it: so that
 * nobody finds them there one by one. What runs (and has just used it up) is about to come here itself.
 */
static bool sched_affords(struct sched *s, u64 now)
{
    struct budget *b = s->budget;
    struct list *next;

    budget_refill(b, now);
    if (b->left) {
        if (list_empty(&s->peer))
            list_append(&b->ready, &s->peer);
        return true;
    }
    list_remove(&s->peer);
    for (struct list *n = b->ready.next; n != &b->ready; n = next) {
        struct sched *peer = CONTAINER_OF(n, struct sched, peer);

        next = n->next;
        if (peer == cpu.sched)
            continue;
        runqueue_remove(&cpu.runqueue, peer);
        sched_throttle(peer);
    }
    sched_throttle(s);
    return false;
}

/* A vCPU's `s` is to run, but others do. The guest can look that up (corbel/event.h). */
static inline void sched_out(struct sched *s, u64 now)
{
    s->out_since = now;
    __atomic_store_n(&vcpu_of(s->bound)->page->preempted, 1, __ATOMIC_RELAXED);
}

/* That is over. */
static NOINLINE void sched_back(struct sched *s, u64 now)
{
    struct vcpu *v = vcpu_of(s->bound);

    v->stolen += now - s->out_since;
    s->out_since = 0;
    __atomic_store_n(&v->page->stolen, v->stolen, __ATOMIC_RELAXED);
    __atomic_store_n(&v->page->preempted, 0, __ATOMIC_RELAXED);
}

static void sched_queue(struct sched *s, bool front, u64 now)
{
    if (!front)
        s->left = s->slice;
    /* Who has followers is queued in any case: its budget is looked at when they have been let go. */
    if (s->budget && list_empty(&s->followers) && !sched_affords(s, now))
        return;
    s->state = SCHED_QUEUED;
    runqueue_insert(&cpu.runqueue, s, front);
    sched_queued(s);
}

void sched_enqueue(struct sched *s)
{
    if (s->budget || s->vcpu) {
        u64 now = rdtsc();

        if (s->vcpu && !s->out_since)
            sched_out(s, now);
        sched_queue(s, false, now);
        return;
    }
    s->state = SCHED_QUEUED;
    s->left = s->slice;
    runqueue_insert(&cpu.runqueue, s, false);
    sched_queued(s);
}

/* Something of the budget comes back: those who wait for it go on, in the order in which they began to. */
static void budget_expire(struct budget *b)
{
    u64 now = rdtsc();
    struct list *last = b->throttled.prev;
    struct sched *s;

    do {
        s = CONTAINER_OF(b->throttled.next, struct sched, node);
        list_remove(&s->node);
        sched_queue(s, false, now);
    } while (b->left && &s->node != last);
}

/* `s` neither runs any more, nor is it queued or throttled. */
static void sched_leave_budget(struct sched *s)
{
    struct budget *b = s->budget;

    list_remove(&s->peer);
    if (list_empty(&b->throttled))
        timerq_remove(&cpu.timers, &b->timer);
}

/*
 * `s`, in the run queue, has followers: the first of them is queued, and leads the others. An equal comes directly behind
 * `s`, as if all had been queued at once.
 */
static void sched_let_follow(struct sched *s)
{
    struct sched *next = helpers_lead(&s->followers);

    next->origin = s->origin;
    next->origin_handled = s->origin_handled;
    next->origin_changes = s->origin_changes;
    if (next->budget && list_empty(&next->followers)) {
        sched_queue(next, false, rdtsc());
        return;
    }
    next->state = SCHED_QUEUED;
    next->left = next->slice;
    if (next->priority == s->priority)
        list_prepend(&s->node, &next->node);
    else
        runqueue_insert(&cpu.runqueue, next, false);
}

void sched_enqueue_helpers(struct ctx *c)
{
    struct sched *s = helpers_lead(&c->helpers);

    s->origin = c;
    s->origin_handled = ctx_is_vcpu(c) ? 0 : thread_of(c)->handled;
    s->origin_changes = cpu.chain_changes;
    sched_enqueue(s);
}

void sched_dequeue(struct sched *s)
{
    switch ((enum sched_state)s->state) {
    case SCHED_QUEUED:
        if (!list_empty(&s->followers))
            sched_let_follow(s);
        runqueue_remove(&cpu.runqueue, s);
        break;
    case SCHED_PARKED: helpers_remove(s); break;
    case SCHED_THROTTLED: list_remove(&s->node); break;
    case SCHED_RUNNING:
        sched_charge(rdtsc());
        cpu.sched = NULL;
        cpu.current = NULL;
        cpu_hazard(HAZARD_RESCHED);
        break;
    case SCHED_UNBOUND: break;
    }
    if (s->budget)
        sched_leave_budget(s);
    s->state = SCHED_UNBOUND;
    s->out_since = 0;
}

/*
 * Takes the running scheduling context off the CPU. `last`: behind the others of its priority, as when its slice is
 * over.
 */
static void sched_put(bool last)
{
    struct sched *s = cpu.sched;
    u64 now = rdtsc();
    bool over;

    if (!s)
        return;
    sched_charge(now);
    over = s->left == 0;
    cpu.sched = NULL;
    if (s->vcpu)
        sched_out(s, now);
    sched_queue(s, !last && !over, now);
}

/*
 * Time that it has run on another CPU since it was last charged counts too. `since` is read again: else a charge
 * meanwhile would count twice.
 */
u64 sched_consumed(const struct sched *s)
{
    const struct cpu *home = cpu_of(s->cpu);
    u64 since, consumed, now;

    do {
        since = __atomic_load_n(&home->sched_since, __ATOMIC_ACQUIRE);
        consumed = __atomic_load_n(&s->consumed, __ATOMIC_ACQUIRE);
        now = rdtsc();
        if (__atomic_load_n(&home->sched, __ATOMIC_ACQUIRE) == s && now > since)
            consumed += now - since;
    } while (since != __atomic_load_n(&home->sched_since, __ATOMIC_ACQUIRE));
    return consumed;
}

void sched_yield(void)
{
    sched_put(true);
    cpu.current = NULL;
}

/* Does the running scheduling context share its CPU, so that the end of its slice matters? */
static bool sched_has_rival(const struct sched *s)
{
    return !list_empty(&cpu.runqueue.queue[s->priority]);
}

/* The end of its slice, where that matters, is a time to be woken at. */
static void sched_slice(void)
{
    const struct sched *s = cpu.sched;

    if (s->budget || sched_has_rival(s))
        timer_need(cpu.sched_since + sched_left(s));
}

/* `s`, in no queue, runs `c`. */
static ALWAYS_INLINE void sched_start(struct sched *s, struct ctx *c, u64 now)
{
    s->state = SCHED_RUNNING;
    if (s->out_since)
        sched_back(s, now);
    cpu.sched = s;
    cpu.sched_since = now;
    cpu.current = c;
}

static inline void sched_run(struct sched *s, struct ctx *c, bool helping, u64 now)
{
    sched_start(s, c, now);
    if (helping)
        cpu_hazard(HAZARD_HELPING);
    else if (cpu_hazards() & HAZARD_HELPING)
        cpu_hazard_over(HAZARD_HELPING);
    if (runqueue_pop(&cpu.runqueue, s) || s->budget) /* it has a rival, or a limit */
        timer_need(now + sched_left(s));
}

/*
 * The end of the chain that begins with `c`, NULL if it is too long; *helping: a link of it is a wait for a busy
 * handler, or it begins with one that is busy with somebody else's call.
 */
static struct ctx *chain_end(struct ctx *c, bool *helping)
{
    *helping = c->caller != NULL;
    for (unsigned n = 0; n < CTX_WALK_MAX; n++) {
        if (!ctx_callee(c) || (c->state == CTX_HELPING && c->callee->state == CTX_IDLE))
            return c;
        *helping |= c->state == CTX_HELPING;
        c = c->callee;
    }
    return NULL;
}

static void sched_park(struct sched *s, struct ctx *c)
{
    runqueue_remove(&cpu.runqueue, s);
    if (s->budget)
        sched_leave_budget(s);
    if (s->out_since)
        sched_back(s, rdtsc()); /* it could not have run */
    s->state = SCHED_PARKED;
    helpers_insert(&c->helpers, s);
}

/*
 * `s` leads others that were parked with it. If that context is blocked again, and they still lead there, they are all
 * parked again, unseen: the context has replied to nobody since, and no chain has been cut. Else the next one is
 * queued, and each finds out by itself.
 */
static void sched_pick_leader(struct sched *s)
{
    bool helping;
    struct ctx *c = chain_end(s->bound, &helping);

    if (c && c == s->origin && !ctx_is_vcpu(c) && ctx_is_blocked(c) && thread_of(c)->handled == s->origin_handled &&
        cpu.chain_changes == s->origin_changes) {
        helpers_merge(&c->helpers, s);
        sched_park(s, c);
        return;
    }
    sched_let_follow(s);
    if (s->budget) { /* which nobody has looked at */
        runqueue_remove(&cpu.runqueue, s);
        sched_queue(s, true, rdtsc());
    }
}

/* No handler, in no call, with no exit to be sent again: what is most often found. */
static bool ctx_runs_alone(const struct ctx *c)
{
    return (c->standing & ~(CTX_FLAG_VCPU << 8)) == (CTX_READY | CTX_CHAIN_MAX << 16);
}

/* A handler runs on its own scheduling context only for callers of other CPUs, or when nobody waits for it. */
static bool sched_rests(struct ctx *c)
{
    return !ctx_is_vcpu(c) && thread_of(c)->handler && !remote_next(c);
}

static ALWAYS_INLINE status_t block(struct sched *s, struct list *helpers, bool limited)
{
    u64 now = rdtsc();

    if (limited) {
        sched_use(s, cpu.sched_since, now);
        sched_leave_budget(s);
    } else {
        sched_use_slice(s, now - cpu.sched_since);
    }
    s->state = SCHED_PARKED;
    helpers_insert(helpers, s); /* a handler's own may rest there */
    s = runqueue_first(&cpu.runqueue);
    if (s && ctx_runs_alone(s->bound) && list_empty(&s->followers))
        sched_run(s, s->bound, false, now);
    else
        cpu.sched = NULL;
    return CALL_BLOCKED;
}

static NOINLINE status_t block_limited(struct sched *s, struct list *helpers)
{
    return block(s, helpers, true);
}

/* What has no limit, most often, does not pay for what has one. */
status_t sched_block(struct list *helpers)
{
    struct sched *s = cpu.sched;

    return s->budget ? block_limited(s, helpers) : block(s, helpers, false);
}

/* Is nothing to be considered before `s` runs? No hazard says that what is queued should run instead of what runs. */
static inline bool sched_is_next(const struct sched *s, u64 now)
{
    const struct sched *running = cpu.sched;

    if (cpu_hazards() & (HAZARD_RESCHED | HAZARD_HELPING))
        return false;
    if (running)
        return s->priority > running->priority && !running->budget && now - cpu.sched_since < running->left;
    return runqueue_is_empty(&cpu.runqueue);
}

/* `s`, which runs without a limit, in the middle of its slice, makes way for what is of a higher priority. */
static inline void sched_preempt(struct sched *s, u64 now)
{
    s->consumed += now - cpu.sched_since;
    s->left -= now - cpu.sched_since;
    s->state = SCHED_QUEUED;
    runqueue_insert(&cpu.runqueue, s, true);
    if (s->vcpu)
        sched_out(s, now);
}

static NOINLINE void sched_unblock(struct ctx *c)
{
    ctx_unblock(c);
}

void sched_hand_over(struct ctx *c)
{
    struct list *first = c->helpers.next;
    struct sched *s = CONTAINER_OF(first, struct sched, node), *running = cpu.sched;
    u64 now = rdtsc();

    if (s != c->sched || first->next != &c->helpers || !list_empty(&s->equals) || s->budget || !sched_is_next(s, now)) {
        sched_unblock(c);
        return;
    }
    if (running)
        sched_preempt(running, now);
    list_init(&c->helpers);
    sched_start(s, c, now);
    s->left = s->slice;
}

/* `s`, the first in the run queue, runs the end of its chain. False: it does not, and something else may be the first. */
static bool pick(struct sched *s)
{
    struct ctx *c = s->bound;
    bool helping, waited;

    if (sched_rests(c)) {
        sched_park(s, c);
        return false;
    }
    c = chain_end(s->bound, &helping);
    if (!c) {
        if (!ctx_lose_callee(s->bound, "waits for too many others"))
            ctx_drop_callers(s->bound);
        return false;
    }
    waited = c->state == CTX_HELPING;
    if (waited) {
        ctx_stop_helping(c);
        c->state = CTX_READY;
    }
    if (c->state != CTX_READY) {
        sched_park(s, c);
        return false;
    }
    sched_run(s, c, helping, rdtsc());
    if (waited || (c->flags & CTX_FLAG_AGAIN))
        ipc_retry(c);
    if (cpu.current)
        return true;
    sched_put(false);
    return false;
}

/*
 * Makes the first scheduling context that has something to run the running one. Those that have not pay for being
 * looked at; and when there have been many, interrupts are taken. False: it is to be called again.
 */
static bool pick_first(void)
{
    u64 since = 0, now;
    struct sched *s;

    for (unsigned n = 1; (s = runqueue_first(&cpu.runqueue)) != NULL; n++) {
        if (n % PARKED_AT_ONCE == 0 && kernel_preempt())
            return false;
        if (!list_empty(&s->followers)) {
            sched_pick_leader(s);
            continue;
        }
        if (ctx_runs_alone(s->bound)) {
            sched_run(s, s->bound, false, rdtsc());
            return true;
        }
        if (pick(s))
            return true;
        now = rdtsc();
        if (since)
            sched_bill(s, now - since, now);
        since = now;
    }
    return true;
}

void sched_pick(void)
{
    sched_put(false);
    cpu.current = NULL;
    if (!pick_first())
        cpu_hazard(HAZARD_RESCHED);
    else if (cpu_hazards() & HAZARD_RESCHED)
        cpu_hazard_over(HAZARD_RESCHED); /* whatever was queued up to now has been considered */
}

/* How many may have been queued by it? */
static unsigned timer_expire(struct timer *t)
{
    switch ((enum timer_kind)t->kind) {
    case TIMER_WAIT: event_timeout(CONTAINER_OF(t, struct ctx, timer)); break;
    case TIMER_VCPU: vcpu_timer(vcpu_of(CONTAINER_OF(t, struct ctx, timer))); break;
    case TIMER_REFILL: budget_expire(CONTAINER_OF(t, struct budget, timer)); return BUDGET_MEMBERS;
    }
    return 1;
}

/* If more are due, the hardware timer, armed for a time that has passed, brings us back here at once. */
void sched_timers(u64 now)
{
    for (unsigned n = 0; n < TIMERS_AT_ONCE;) {
        struct timer *t = cpu.timers.first;

        if (!t || t->when > now)
            break;
        timerq_remove(&cpu.timers, t);
        n += timer_expire(t);
    }
    if (cpu.timers.first)
        timer_need(cpu.timers.first->when);
    if (!cpu.sched)
        return;
    sched_charge(now);
    sched_slice();
    if (sched_left(cpu.sched) == 0 && (cpu.sched->budget || sched_has_rival(cpu.sched)))
        cpu_hazard(HAZARD_RESCHED);
}
