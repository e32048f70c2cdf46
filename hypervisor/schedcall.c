/* SPDX-License-Identifier: GPL-2.0-only */
/* Scheduling contexts as objects: creation, binding, death. */
#include "call.h"
#include "sched.h"
#include "thread.h"
#include "tsc.h"

#define BUDGET_MIN 50u /* microseconds */
#define PERIOD_MIN 100u
#define PERIOD_MAX 1000000u
#define LATE_MAX 100000u /* far longer than any stretch without interrupts: then the machine stood still */

static u64 ticks(u64 microseconds)
{
    return microseconds * tsc_khz / 1000;
}

static void budget_init(struct budget *b, u64 amount, u64 period)
{
    b->amount = b->left = ticks(amount);
    b->period = ticks(period);
    b->late_max = ticks(LATE_MAX);
    b->timer.kind = TIMER_REFILL;
    list_init(&b->ready);
    list_init(&b->throttled);
}

struct sched *sched_alloc(struct account *account, struct sched *ceiling, u32 cpu_id, u32 priority, u64 budget, u64 period)
{
    bool limited = budget < period;
    struct sched *s = account_object(account, sizeof(*s) + (limited ? sizeof(struct budget) : 0), CB_TYPE_SCHED);

    if (!s)
        return NULL;
    s->cpu = cpu_id;
    s->priority = (u8)priority;
    s->bit = 1ull << priority % 64;
    s->slice = ticks(budget);
    list_init(&s->node);
    list_init(&s->equals);
    list_init(&s->followers);
    list_init(&s->peer);
    list_init(&s->children);
    list_init(&s->sibling);
    if (ceiling) {
        list_append(&ceiling->children, &s->sibling);
        s->budget = ceiling->budget;
    }
    if (limited) {
        s->budget = s->own;
        budget_init(s->own, budget, period);
    }
    if (s->budget)
        s->budget->members++;
    return s;
}

/*
 * Time comes from time: of the CPU of the scheduling context that it is made under, of no higher priority, and with
 * no more than its budget.
 */
static status_t sched_check(const struct sched *ceiling, u64 priority, u64 budget, u64 period)
{
    if (ceiling->obj.dying)
        return FAULT(DYING, 1);
    if (priority == 0 || priority > ceiling->priority)
        return FAULT(BAD_PARAM, 2);
    if (period < PERIOD_MIN || period > PERIOD_MAX)
        return FAULT(BAD_PARAM, 4);
    if (budget < BUDGET_MIN || budget > period || (ceiling->budget && budget < period))
        return FAULT(BAD_PARAM, 3);
    if (ceiling->budget && ceiling->budget->members == BUDGET_MEMBERS)
        return FAULT(BUSY, 1);
    return CB_OK;
}

static status_t sched_create_locked(struct regs *r)
{
    struct account *account;
    struct sched *s, *ceiling;
    struct slot *dst;
    u64 word;
    status_t status = call_account(CALL_SEL(r), &account);

    if (!status)
        status = call_lookup(HIGH(r->rsi), CB_TYPE_SCHED, CB_RIGHT_CONTROL, 1, &word);
    if (status)
        return status;
    ceiling = slot_word_object(word);
    status = sched_check(ceiling, r->rdx, r->r8, r->r9);
    if (!status)
        status = call_destination(LOW(r->rsi), 1, &dst);
    if (status)
        return status;
    s = sched_alloc(account, ceiling, ceiling->cpu, LOW(r->rdx), r->r8, r->r9);
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
    s->vcpu = ctx_is_vcpu(c);
    c->sched = s;
    if (!ctx_is_vcpu(c) && thread_of(c)->handler)
        remote_open(thread_of(c));
    ctx_post(c, CTX_OP_START);
    return CB_OK;
}

CALL_LOCKED(sched_bind)

/* Time that was given is taken back, with all that was made of it. */
static bool sched_kill_children(struct sched *s)
{
    for (unsigned n = 0; n < REAP_BATCH && !list_empty(&s->children); n++) {
        struct list *first = s->children.next;

        list_remove(first);
        reap_object(&CONTAINER_OF(first, struct sched, sibling)->obj);
    }
    return list_empty(&s->children);
}

bool sched_kill(struct sched *s)
{
    struct ctx *c = s->bound;

    if (!sched_kill_children(s))
        return false;
    if (c && !ctx_is_vcpu(c) && !remote_close(thread_of(c)))
        return false;
    list_remove(&s->sibling);
    if (c)
        ctx_post(c, CTX_OP_UNSCHED);
    return true;
}

bool sched_free(struct sched *s)
{
    if (s->budget && s->budget == s->own && s->budget->members > 1)
        return false;
    if (s->budget)
        s->budget->members--;
    account_object_free(&s->obj);
    return true;
}
