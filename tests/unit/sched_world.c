/* SPDX-License-Identifier: GPL-2.0-only */
#include "sched_world.h"

#include <criterion/criterion.h>
#include <string.h>

#include "budget.h"
#include "cpu.h"
#include "event.h"
#include "portal.h"
#include "random.h"
#include "runqueue.h"
#include "timer.h"
#include "x86.h"

struct cpu cpu;
struct actor actors[ACTORS];
unsigned actor_count;
u64 world_clock;
static u64 looked_at, looks;

/* ---- What the scheduler needs of the rest ---- */

u64 rdtsc(void)
{
    world_clock += random_below(SPENT);
    return world_clock;
}

struct cpu *cpu_of(u32 id)
{
    (void)id;
    return &cpu;
}

void timer_arm(u64 deadline)
{
    cpu.armed = deadline;
}

/* Nobody calls anybody here. */
void event_timeout(struct ctx *waiter)
{
    (void)waiter;
    cr_assert_fail("no thread has a deadline");
}

void vcpu_timer(struct vcpu *v)
{
    (void)v;
    cr_assert_fail("no vCPU");
}

bool kernel_preempt(void)
{
    return false;
}

bool remote_next(struct ctx *h)
{
    (void)h;
    return false;
}

void ipc_retry(struct ctx *c)
{
    (void)c;
}

void ctx_stop_helping(struct ctx *c)
{
    (void)c;
}

bool ctx_lose_callee(struct ctx *c, const char *why)
{
    (void)c, (void)why;
    return true;
}

void ctx_drop_callers(struct ctx *c)
{
    (void)c;
}

/* ---- The model ---- */

static bool is_ready(const struct actor *a)
{
    return a->thread.ctx.state == CTX_READY && a->sched.state != SCHED_THROTTLED;
}

/* While `running` ran (NULL: nothing did), the others that could have were out, and those that are vCPUs know that. */
static void model_out(const struct actor *running, u64 now)
{
    u64 ticks = now - looked_at;

    looked_at = now;
    looks++;
    for (unsigned i = 0; i < actor_count; i++) {
        struct actor *a = &actors[i];
        bool out = a != running && a->thread.ctx.state == CTX_READY;

        if (out)
            a->out += ticks;
        if (ctx_is_vcpu(&a->thread.ctx))
            cr_assert_eq(a->page.preempted, out, "actor %u has been told %u", i, a->page.preempted);
    }
}

/* Between two looks, it may have been out for a moment. */
static void model_stolen(void)
{
    for (unsigned i = 0; i < actor_count; i++) {
        const struct actor *a = &actors[i];
        u64 stolen = a->page.stolen + (a->page.preempted ? world_clock - a->sched.out_since : 0);

        if (ctx_is_vcpu(&a->thread.ctx))
            cr_assert_leq(stolen > a->out ? stolen - a->out : a->out - stolen, SLACK + looks * 2 * SPENT,
                          "actor %u: %lu stolen instead of %lu", i, (unsigned long)stolen, (unsigned long)a->out);
    }
}

/* Nobody is lost: what waits for a budget has a timer that will bring it back. */
static void model_throttled(struct actor *a)
{
    if (a->sched.state != SCHED_THROTTLED)
        return;
    memset(a->waited, 0, sizeof(a->waited));
    cr_assert(a->sched.budget->timer.queued);
    cr_assert_leq(a->sched.budget->timer.when, world_clock + a->sched.budget->period);
    cr_assert_leq(cpu.armed, a->sched.budget->timer.when);
}

/* No period sees more of a budget than that, whoever shares it; what comes late is little. */
static void model_spend(struct actor *a, u64 ticks)
{
    struct budget *b = a->sched.budget;
    struct actor *owner = b ? CONTAINER_OF(b, struct actor, budget) : NULL;
    u64 sum = 0, begin = world_clock + ticks - (b ? b->period : 0);

    if (!b || !ticks)
        return;
    owner->uses[owner->used++ % USES] = (struct use){ world_clock, world_clock + ticks };
    owner->spent += ticks;
    for (u64 i = owner->used; i-- > 0 && i + USES > owner->used && owner->uses[i % USES].to > begin;)
        sum += owner->uses[i % USES].to - MAX(owner->uses[i % USES].from, begin);
    cr_assert_leq(sum, b->amount + SLACK * (2 + b->amount / 50), "%lu of %lu", (unsigned long)sum, (unsigned long)b->amount);
}

/* `a` has run for so long: none of a higher priority was ready, and of its own, nobody waits for more than its slice. */
static void model_ran(struct actor *a, u64 ticks)
{
    a->ran += ticks;
    model_spend(a, ticks);
    memset(a->waited, 0, sizeof(a->waited));
    for (unsigned i = 0; i < actor_count; i++) {
        struct actor *w = &actors[i];

        if (w == a || !is_ready(w))
            continue;
        cr_assert_leq(w->sched.priority, a->sched.priority, "%u runs, though %u is ready", a->sched.priority,
                      w->sched.priority);
        if (w->sched.priority != a->sched.priority)
            continue;
        w->waited[a - actors] += ticks;
        cr_assert_leq(w->waited[a - actors], a->sched.slice + SLACK, "actor %u waits while %u has run for %lu", i,
                      (unsigned)(a - actors), (unsigned long)w->waited[a - actors]);
    }
}

static void model_idle(void)
{
    for (unsigned i = 0; i < actor_count; i++)
        cr_assert_not(is_ready(&actors[i]), "actor %u is ready, and nothing runs", i);
}

/* ---- The world ---- */

void world_init(void)
{
    memset(&cpu, 0, sizeof(cpu));
    memset(actors, 0, sizeof(actors));
    actor_count = 0;
    looked_at = world_clock = 1000;
    looks = 0;
    runqueue_init(&cpu.runqueue);
    cpu.armed = UINT64_MAX;
}

static void budget_init(struct budget *b, u64 amount, u64 period)
{
    b->amount = b->left = amount;
    b->period = period;
    b->late_max = period;
    b->timer.kind = TIMER_REFILL;
    list_init(&b->ready);
    list_init(&b->throttled);
}

struct actor *world_add(u8 priority, u64 budget, u64 period)
{
    struct actor *a = &actors[actor_count++];
    struct ctx *c = &a->thread.ctx;
    struct sched *s = &a->sched;

    list_init(&c->helpers);
    list_init(&c->waiters);
    c->left = CTX_CHAIN_MAX;
    c->state = CTX_READY;
    c->sched = s;
    s->bound = c;
    s->vcpu = random_below(2);
    c->flags = s->vcpu ? CTX_FLAG_VCPU : 0;
    if (s->vcpu)
        a->vcpu.page = &a->page;
    s->priority = priority;
    s->bit = 1ull << priority % 64;
    s->slice = budget;
    list_init(&s->node);
    list_init(&s->equals);
    list_init(&s->followers);
    list_init(&s->peer);
    if (budget < period) {
        s->budget = &a->budget;
        budget_init(&a->budget, budget, period);
    }
    a->work = UINT64_MAX;
    sched_enqueue(s);
    return a;
}

struct actor *world_share(struct actor *with, u8 priority, u64 slice)
{
    struct actor *a = world_add(priority, slice, slice);

    sched_dequeue(&a->sched);
    a->sched.budget = with->sched.budget;
    sched_enqueue(&a->sched);
    return a;
}

/* kernel_exit() */
static void leave(void)
{
    do {
        u32 hazards = cpu_hazards();

        cpu_hazard_over(HAZARD_EXIT);
        if (hazards & HAZARD_TIMER)
            sched_timers(rdtsc());
        if (hazards & HAZARD_RESCHED || !cpu.current)
            sched_pick();
    } while (cpu_hazards() & HAZARD_EXIT);
}

static void wake_due(void)
{
    for (unsigned i = 0; i < actor_count; i++) {
        struct ctx *c = &actors[i].thread.ctx;

        if (c->state != CTX_WAITING || actors[i].wake_at > world_clock)
            continue;
        c->state = CTX_READY;
        memset(actors[i].waited, 0, sizeof(actors[i].waited));
        if (random_below(2))
            ctx_unblock(c);
        else
            sched_hand_over(c);
    }
}

/* When something happens next, if what runs goes on. */
static u64 next_time(const struct actor *running, u64 end)
{
    if (cpu.armed != UINT64_MAX)
        end = MIN(end, cpu.armed + random_below(LATE));
    for (unsigned i = 0; i < actor_count; i++) {
        if (actors[i].thread.ctx.state == CTX_WAITING)
            end = MIN(end, actors[i].wake_at);
    }
    if (running && running->work != UINT64_MAX)
        end = MIN(end, world_clock + running->work);
    return MAX(end, world_clock);
}

/* What runs has done its work: it blocks, or yields. */
static void rest(struct actor *a)
{
    a->work = a->work_max ? random_below(a->work_max) + 1 : UINT64_MAX;
    if (a->yields && random_below(a->yields) == 0) {
        sched_yield();
        return;
    }
    a->wake_at = world_clock + 1 + random_below(a->sleep_max);
    (void)ctx_block(&a->thread.ctx, CTX_WAITING);
}

/* What it has run for is what it has been charged, but for what the kernel took in between. */
static void model_charged(const struct actor *a)
{
    u64 consumed = a->sched.consumed;

    cr_assert_geq(consumed + SLACK + (cpu.sched == &a->sched ? world_clock - cpu.sched_since : 0), a->ran,
                  "actor %u has run for %lu, and pays for %lu", (unsigned)(a - actors), (unsigned long)a->ran,
                  (unsigned long)consumed);
}

void world_run(u64 ticks)
{
    u64 end = world_clock + ticks;
    unsigned idle = 0;

    while (world_clock < end) {
        struct actor *a;
        u64 next;

        leave();
        for (unsigned i = 0; i < actor_count; i++)
            model_throttled(&actors[i]);
        a = cpu.sched ? CONTAINER_OF(cpu.sched, struct actor, sched) : NULL;
        next = next_time(a, end);
        model_out(a, next);
        idle = next > world_clock ? 0 : idle + 1;
        cr_assert_lt(idle, 1000, "the clock stands still");
        if (a) {
            cr_assert_eq(cpu.current, &a->thread.ctx);
            model_ran(a, next - world_clock);
            if (a->work != UINT64_MAX)
                a->work -= next - world_clock;
        } else {
            model_idle();
        }
        world_clock = next;
        if (cpu.armed <= world_clock) { /* the timer's interrupt */
            cpu.armed = UINT64_MAX;
            cpu_hazard(HAZARD_TIMER);
        }
        wake_due();
        if (cpu.sched == (a ? &a->sched : NULL) && a && a->work == 0)
            rest(a);
    }
    model_stolen();
    for (unsigned i = 0; i < actor_count; i++)
        model_charged(&actors[i]);
}
