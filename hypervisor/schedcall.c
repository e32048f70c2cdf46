/* SPDX-License-Identifier: GPL-2.0-only */
/* Scheduling contexts as objects: creation, binding, death. */
#include "call.h"
#include "sched.h"
#include "thread.h"
#include "tsc.h"

#define BUDGET_MIN 50u /* microseconds */
#define PERIOD_MIN 100u
#define PERIOD_MAX 1000000u

static u64 ticks(u64 microseconds)
{
    return microseconds * tsc_khz / 1000;
}

struct sched *sched_alloc(struct account *account, u32 cpu_id, u32 priority, u64 budget, u64 period)
{
    struct sched *s = account_object(account, sizeof(*s), CB_TYPE_SCHED);

    if (!s)
        return NULL;
    s->cpu = cpu_id;
    s->priority = (u8)priority;
    s->bit = 1ull << priority % 64;
    s->budget = ticks(budget);
    s->limited = budget < period;
    s->period = ticks(period);
    s->timer.kind = TIMER_REFILL;
    list_init(&s->node);
    return s;
}

/* Time comes from time: nobody gets a higher priority than that of a scheduling context it has. */
static status_t sched_check_priority(u32 priority, u32 ceiling)
{
    u64 word;
    status_t status = call_lookup(ceiling, CB_TYPE_SCHED, CB_RIGHT_CONTROL, 2, &word);

    if (status)
        return status;
    if (priority == 0 || priority > ((const struct sched *)slot_word_object(word))->priority)
        return FAULT(BAD_PARAM, 2);
    return CB_OK;
}

static status_t sched_create_locked(struct regs *r)
{
    u64 budget = r->r8, period = r->r9;
    struct account *account;
    struct sched *s;
    struct slot *dst;
    status_t status = call_account(CALL_SEL(r), &account);

    if (status)
        return status;
    if (HIGH(r->rsi) >= cpu_count)
        return FAULT(BAD_CPU, 1);
    status = sched_check_priority(LOW(r->rdx), HIGH(r->rdx));
    if (status)
        return status;
    if (period < PERIOD_MIN || period > PERIOD_MAX)
        return FAULT(BAD_PARAM, 4);
    if (budget < BUDGET_MIN || budget > period)
        return FAULT(BAD_PARAM, 3);
    status = call_destination(LOW(r->rsi), 1, &dst);
    if (status)
        return status;
    s = sched_alloc(account, (u32)index_masked(HIGH(r->rsi), cpu_count), LOW(r->rdx), budget, period);
    if (!s)
        return FAULT(NO_MEMORY, 0);
    call_install(dst, &s->obj, 0);
    return CB_OK;
}

CALL_LOCKED(sched_create)

static status_t sched_bind_locked(struct regs *r)
{
    struct sched *s;
    struct ctx *c;
    u64 word;
    status_t status = call_lookup(CALL_SEL(r), CB_TYPE_SCHED, CB_RIGHT_CONTROL, 0, &word);

    if (status)
        return status;
    s = slot_word_object(word);
    if (HIGH(r->rsi))
        return FAULT(BAD_PARAM, 1);
    status = call_context(LOW(r->rsi), 1, &c);
    if (status)
        return status;
    if (s->obj.dying || c->obj.dying)
        return FAULT(DYING, s->obj.dying ? 0 : 1);
    if (s->cpu != c->cpu)
        return FAULT(BAD_CPU, 1);
    if (s->bound || c->sched)
        return FAULT(BUSY, s->bound ? 0 : 1);
    s->bound = c;
    c->sched = s;
    if (!ctx_is_vcpu(c) && thread_of(c)->handler)
        remote_open(thread_of(c));
    ctx_post(c, CTX_OP_START);
    return CB_OK;
}

CALL_LOCKED(sched_bind)

bool sched_kill(struct sched *s)
{
    struct ctx *c = s->bound;

    if (!c)
        return true;
    if (!ctx_is_vcpu(c) && !remote_close(thread_of(c)))
        return false;
    ctx_post(c, CTX_OP_UNSCHED);
    return true;
}
