/* SPDX-License-Identifier: GPL-2.0-only */
/* What each CPU has: run queue, timers, posted work, grace periods. */
#include "dump.h"

#include "event.h"
#include "pte.h"
#include "vcpu.h"

#define AREA "cpus"
#define TIMERS_MAX 100000u

static const struct sched *sched_view(const struct thing *t)
{
    return (const struct sched *)(const void *)t->obj;
}

const struct budget *sched_own(const struct thing *t)
{
    const struct sched *s = sched_view(t);

    return (u64)s->budget == t->kernel + offsetof(struct sched, own) ? s->own : NULL;
}

static const struct ctx *ctx_view(const struct thing *t)
{
    return (const struct ctx *)(const void *)t->obj;
}

static struct thing *ctx_expect(const struct ctx *kernel, u32 cpu_id, const char *what)
{
    struct thing *t = thing_find(kernel);

    if (t && (t->obj->type == CB_TYPE_THREAD || t->obj->type == CB_TYPE_VCPU) && ctx_view(t)->cpu == cpu_id)
        return t;
    bad(AREA, "CPU %u: %s: %p is no thread or vCPU that lives here", cpu_id, what, (const void *)kernel);
    return NULL;
}

/* ---- Run queue ---- */

static void check_queue(const struct cpu *c, u32 priority)
{
    const struct list *head = KMEMBER(CPU_LOCAL, struct cpu, runqueue.queue[priority]), *n;
    bool bit = c->runqueue.bitmap[priority / 64] >> priority % 64 & 1;
    struct list_walk w;
    u32 queued = 0;

    for (n = list_begin(&w, head, AREA); n; n = list_next(&w), queued++) {
        struct thing *s = thing_expect(KCONTAINER(n, struct sched, node), CB_TYPE_SCHED, AREA, "what is queued");

        if (!s)
            continue;
        s->in_queue++;
        check_followers(s);
        if (sched_view(s)->state != SCHED_QUEUED || sched_view(s)->cpu != c->id || sched_view(s)->priority != priority)
            bad(AREA, "CPU %u: scheduling context %lx, in state %u, is in the wrong queue", c->id, s->kernel,
                sched_view(s)->state);
    }
    if (bit != (queued != 0))
        bad(AREA, "CPU %u: the bit of priority %u is %u, with %u in the queue", c->id, priority, bit, queued);
    seen("queued scheduling contexts", queued);
}

/* ---- Timers ---- */

struct timer_walk {
    u32 cpu_id, count;
    u64 last;                /* when the one before is due */
    const struct timer *first;
};

/* What a timer belongs to is where its kind says. */
static void timer_owner(const struct timer *kernel, const struct timer *t, u32 cpu_id)
{
    struct thing *owner;

    if (t->kind == TIMER_REFILL) {
        owner = thing_expect(KCONTAINER(kernel, struct sched, own[0].timer), CB_TYPE_SCHED, AREA, "whose budget is refilled");
        if (owner && (!sched_own(owner) || sched_view(owner)->cpu != cpu_id))
            bad(AREA, "CPU %u: scheduling context %lx has no budget to be refilled here", cpu_id, owner->kernel);
    } else {
        owner = ctx_expect(KCONTAINER(kernel, struct ctx, timer), cpu_id, "whose timer it is");
        if (owner && t->kind == TIMER_WAIT && ctx_view(owner)->state != CTX_WAITING)
            bad(AREA, "CPU %u: %lx has a deadline, but does not wait", cpu_id, owner->kernel);
    }
    if (owner)
        owner->in_timers++;
}

static void timer_tree(struct timer_walk *w, const struct timer *kernel, const struct timer *parent, u32 rank, u32 depth)
{
    const struct timer *t = kernel ? AT(kernel) : NULL;

    if (!t)
        return;
    if (t->parent != parent || t->rank > rank || !t->queued || depth > 1000 || w->count++ > TIMERS_MAX) {
        bad(AREA, "CPU %u: the timers are no tree at %p", w->cpu_id, (const void *)kernel);
        return;
    }
    timer_tree(w, t->child[0], kernel, t->rank, depth + 1);
    if (!w->first)
        w->first = kernel;
    if (t->when < w->last)
        bad(AREA, "CPU %u: the timers are out of order at %p", w->cpu_id, (const void *)kernel);
    w->last = t->when;
    timer_owner(kernel, t, w->cpu_id);
    timer_tree(w, t->child[1], kernel, t->rank, depth + 1);
}

void check_timers(u32 cpu_id)
{
    const struct timerq *q = &dump_cpu(cpu_id)->timers;
    struct timer_walk w = { .cpu_id = cpu_id };

    timer_tree(&w, q->root, NULL, UINT32_MAX, 0);
    if (q->first != w.first)
        bad(AREA, "CPU %u: the first timer is %p, not %p", cpu_id, (const void *)w.first, (const void *)q->first);
    seen("timers", w.count);
}

/* ---- The rest of a CPU ---- */

static void check_posts(const struct cpu *c)
{
    u32 n = 0;

    for (const struct ctx *post = c->posts; post && n < thing_count; n++) {
        struct thing *t = ctx_expect(post, c->id, "who has work posted");

        if (!t)
            return;
        if (!ctx_view(t)->post_ops)
            bad(AREA, "CPU %u: %lx is queued for work that it has not", c->id, t->kernel);
        post = ctx_view(t)->post_next;
    }
    if (n)
        unquiet(AREA, "CPU %u: %u contexts with posted work", c->id, n);
}

static void check_grace(const struct cpu *c)
{
    u64 wanted = SYMBOL(u64, "grace.c", grace_wanted);
    const struct list *n;
    struct list_walk w;
    u32 waiting = 0;

    for (n = list_begin(&w, KMEMBER(CPU_LOCAL, struct cpu, grace_waiters), AREA); n; n = list_next(&w), waiting++) {
        struct thing *t = ctx_expect(KCONTAINER(n, struct ctx, grace_node), c->id, "who waits for a grace period");

        if (!t)
            continue;
        t->in_grace++;
        if (ctx_view(t)->state != CTX_GRACE || ctx_view(t)->grace_epoch > wanted)
            bad(AREA, "CPU %u: %lx waits for a grace period that will not come", c->id, t->kernel);
    }
    if (waiting != c->grace_waiting)
        bad(AREA, "CPU %u: %u contexts wait for grace periods, %u are counted", c->id, waiting, (u32)c->grace_waiting);
    if (c->grace_seen > wanted)
        bad(AREA, "CPU %u has passed grace period %lu of %lu", c->id, (u64)c->grace_seen, wanted);
    if (c->grace_seen < wanted && c->online)
        unquiet(AREA, "CPU %u has not passed grace period %lu", c->id, wanted);
}

static void check_running(const struct cpu *c)
{
    struct thing *s = c->sched ? thing_expect(c->sched, CB_TYPE_SCHED, AREA, "what runs") : NULL;

    if (s && (sched_view(s)->state != SCHED_RUNNING || sched_view(s)->cpu != c->id))
        bad(AREA, "CPU %u runs scheduling context %lx, in state %u", c->id, s->kernel, sched_view(s)->state);
    if (s)
        s->in_queue++;
    if (c->current)
        ctx_expect(c->current, c->id, "what runs");
    if (c->fpu_owner)
        ctx_expect(c->fpu_owner, c->id, "whose FPU state is loaded");
    if (c->current || s || (c->hazards & HAZARD_EXIT))
        unquiet(AREA, "CPU %u is not idle", c->id);
    if (c->post_lock.next != c->post_lock.serving)
        unquiet(AREA, "CPU %u: the lock of its posts is taken", c->id);
}

/* The map for vCPUs allows nothing that the domain of the one that uses it may not. */
static void check_ports(const struct cpu *c)
{
    const struct thing *t = c->io_vcpu ? ctx_expect(&c->io_vcpu->ctx, c->id, "who uses ports") : NULL;
    const struct domain *d = t ? AT(ctx_view(t)->domain) : NULL;
    const u8 *map = dump_at(c->io_map, 2 * PAGE_SIZE), *low = d ? dump_at(d->io_bitmap, PAGE_SIZE) : NULL,
             *high = d ? dump_at(d->io_bitmap_high, PAGE_SIZE) : NULL;

    if (!t)
        return;
    for (u32 i = 0; map && low && high && i < 2 * PAGE_SIZE; i++) {
        if (~map[i] & (i < PAGE_SIZE ? low[i] : high[i - PAGE_SIZE]))
            bad(AREA, "CPU %u: vCPU %lx uses ports at %x that are not its domain's", c->id, t->kernel, i * 8);
    }
    seen("vCPUs that use ports", 1);
}

/* What a budget holds back, and what of it is out; what is left, and what comes back, are all of it. */
static void check_budget(const struct thing *t)
{
    const struct budget *b = sched_own(t);
    const struct list *n;
    struct list_walk w;
    u64 sum = b->left;
    u32 throttled = 0;

    for (n = list_begin(&w, KMEMBER(t->kernel, struct sched, own[0].throttled), AREA); n; n = list_next(&w), throttled++) {
        struct thing *s = thing_expect(KCONTAINER(n, struct sched, node), CB_TYPE_SCHED, AREA, "what is throttled");

        if (s && (u64)sched_view(s)->budget != (u64)sched_view(t)->budget)
            bad(AREA, "scheduling context %lx waits for a budget that is not its own", s->kernel);
        if (s)
            s->in_throttled++;
    }
    for (u32 i = 0; i < b->count; i++)
        sum += b->pieces[(b->first + i) % BUDGET_PIECES].amount;
    if (b->count > BUDGET_PIECES || sum != b->amount || b->members > BUDGET_MEMBERS || throttled > b->members)
        bad(AREA, "the budget of %lx is %lu, not %lu, with %u throttled of %u", t->kernel, sum, b->amount, throttled, b->members);
    if (b->timer.queued != (throttled != 0) || t->in_timers != (throttled != 0))
        bad(AREA, "the budget of %lx has %u throttled, and %u timers", t->kernel, throttled, t->in_timers);
    seen("budgets", 1);
}

/* Behind the TSS is the bitmap of the domain that uses ports here, or none: its pages may be somebody else's by now. */
static void check_bitmap(const struct cpu *c)
{
    const struct thing *t = c->io_domain ? thing_expect(c->io_domain, CB_TYPE_DOMAIN, AREA, "who uses ports") : NULL;
    const struct domain *d = t ? (const struct domain *)(const void *)t->obj : NULL;
    const u64 *entries = dump_cpu_entry(c->user_pdpt ? c->user_pdpt : c->kernel_pdpt, CPU_TSS + PAGE_SIZE);

    if (!entries || pte_address(entries[0]) != (d ? dump_translate((u64)d->io_bitmap) : 0) ||
        pte_address(entries[1]) != (d ? dump_translate((u64)d->io_bitmap_high) : 0))
        bad(AREA, "CPU %u has an I/O bitmap behind its TSS that is not that of the domain which uses ports", c->id);
}

/* Each is just where its state says. */
static void check_sched(const struct thing *t)
{
    const struct sched *s = sched_view(t);
    u32 queue = s->state == SCHED_QUEUED || s->state == SCHED_RUNNING, throttled = s->state == SCHED_THROTTLED,
        helpers = s->state == SCHED_PARKED;

    seen("scheduling contexts", 1);
    seen("throttled scheduling contexts", throttled);
    seen("parked scheduling contexts", helpers);
    if (t->in_queue != queue || t->in_throttled != throttled || t->in_helpers != helpers)
        bad(AREA, "scheduling context %lx, in state %u, is in %u run queues, throttled %u times, parked %u times", t->kernel,
            s->state, t->in_queue, t->in_throttled, t->in_helpers);
    if (s->state != SCHED_UNBOUND && !s->bound)
        bad(AREA, "scheduling context %lx, in state %u, is nobody's", t->kernel, s->state);
    if (s->bound) {
        struct thing *c = thing_find(s->bound);

        if (!c || (u64)ctx_view(c)->sched != t->kernel)
            unquiet(AREA, "scheduling context %lx is bound to what does not know of it", t->kernel);
    }
}

void check_cpus(void)
{
    for (u32 id = 0; id < dump_cpu_count(); id++) {
        const struct cpu *c = dump_cpu(id);

        if (!c || c->id != id) {
            bad(AREA, "CPU %u has no data", id);
            continue;
        }
        dump_choose_cpu(id);
        for (u32 priority = 0; priority < CB_PRIORITIES; priority++)
            check_queue(c, priority);
        check_timers(id);
        check_posts(c);
        check_grace(c);
        check_running(c);
        check_ports(c);
        check_bitmap(c);
        if (!dump_window(id) || *dump_window(id))
            bad(AREA, "CPU %u has its window open", id);
        seen("CPUs", 1);
    }
    for (u32 i = 0; i < thing_count; i++) {
        if (things[i].obj->type == CB_TYPE_SCHED && sched_own(&things[i]))
            check_budget(&things[i]);
    }
    for (u32 i = 0; i < thing_count; i++) {
        u8 type = things[i].obj->type;

        if (type == CB_TYPE_SCHED)
            check_sched(&things[i]);
        if ((type == CB_TYPE_THREAD || type == CB_TYPE_VCPU) &&
            things[i].in_grace != (ctx_view(&things[i])->state == CTX_GRACE))
            bad(AREA, "%lx, in state %u, waits for %u grace periods", things[i].kernel, ctx_view(&things[i])->state,
                things[i].in_grace);
        if ((type == CB_TYPE_THREAD || type == CB_TYPE_VCPU) && things[i].in_timers != ctx_view(&things[i])->timer.queued)
            bad(AREA, "%lx: its timer is in %u queues", things[i].kernel, things[i].in_timers);
    }
}
