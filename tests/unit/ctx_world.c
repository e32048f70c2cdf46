/* SPDX-License-Identifier: GPL-2.0-only */
#include "ctx_world.h"

#include <criterion/criterion.h>
#include <string.h>

#include "account.h"
#include "domain.h"
#include "event.h"
#include "fpu.h"
#include "log.h"
#include "reap.h"
#include "runqueue.h"
#include "timer.h"
#include "vcpu.h"
#include "x86.h"

struct cpu cpu, other;
struct thread handler, callers[CALLERS];
struct sched handler_sched, scheds[CALLERS];
struct portal portals[2];
struct thread thread_none;
unsigned kicks, interrupts, clock_reads;
struct ctx *retried;
void (*at_interrupt)(void);
static struct space_cpu home;

/* ---- What contexts need of the rest ---- */

u64 rdtsc(void)
{
    static u64 clock = 1000;

    clock_reads++;
    return clock++;
}

struct cpu *cpu_of(u32 id)
{
    return id ? &other : &cpu;
}

void cpu_kick(u32 id)
{
    cr_assert_eq(id, 1);
    kicks++;
}

void interrupts_take(void)
{
    interrupts++;
    if (at_interrupt)
        at_interrupt();
}

bool kernel_preempt(void)
{
    interrupts_take();
    return cpu_hazards() & HAZARD_EXIT;
}

void timer_arm(u64 deadline)
{
    cpu.armed = deadline;
}

void ipc_enter(struct ctx *h, const struct portal *p, u64 w0, u64 w1, u64 w2, u64 w3, u64 info)
{
    (void)p;
    h->regs.rsi = w0;
    h->regs.rdx = w1;
    h->regs.r8 = w2;
    h->regs.r9 = w3;
    h->regs.r10 = info;
}

void ipc_transfer(struct ctx *from, struct ctx *to, u64 info)
{
    (void)from, (void)to, (void)info;
}

void ipc_retry(struct ctx *c)
{
    retried = c;
    cr_assert_eq(cpu.current, c);
    world_call((unsigned)(thread_of(c) - callers), 0);
}

void event_leave(struct ctx *waiter)
{
    waiter->event = NULL;
}

void event_wake(struct ctx *waiter)
{
    (void)waiter;
}

void event_timeout(struct ctx *waiter)
{
    (void)waiter;
}

void vcpu_timer(struct vcpu *v)
{
    (void)v;
}

void vcpu_wake(struct vcpu *v)
{
    (void)v;
}

void vcpu_recall(struct vcpu *v)
{
    v->recalled = true;
}

bool vcpu_listen(struct vcpu *v)
{
    return !(atomic_load(&v->hazards) & VCPU_HAZARD_UPCALL);
}

void vcpu_call_done(struct vcpu *v)
{
    (void)v;
}

void vcpu_forget(struct vcpu *v)
{
    (void)v;
}

void grace_leave(struct ctx *c)
{
    (void)c;
}

void reap_abandon(struct ctx *c)
{
    (void)c;
}

void fpu_forget(struct ctx *c)
{
    (void)c;
}

void fpu_init_state(u8 *area)
{
    (void)area;
}

void *account_page(struct account *a)
{
    (void)a;
    return NULL;
}

void account_page_free(struct account *a, void *page)
{
    (void)a, (void)page;
}

void account_object_free(struct object *obj)
{
    (void)obj;
}

void log_printf(const char *format, ...)
{
    (void)format;
}

/* ---- The world ---- */

static void context(struct ctx *c, enum ctx_state state)
{
    memset(c, 0, sizeof(*c));
    c->obj.type = CB_TYPE_THREAD;
    c->home = &home;
    c->state = (u8)state;
    c->left = state == CTX_IDLE ? 0 : CTX_CHAIN_MAX;
    list_init(&c->waiters);
    list_init(&c->wait_node);
    list_init(&c->portal_node);
    list_init(&c->helpers);
    list_init(&c->grace_node);
}

static void bind(struct sched *s, struct ctx *c, u32 priority)
{
    memset(s, 0, sizeof(*s));
    s->priority = (u8)priority;
    s->bit = 1ull << priority % 64;
    s->slice = s->left = 1000000;
    s->bound = c;
    list_init(&s->node);
    list_init(&s->equals);
    list_init(&s->followers);
    c->sched = s;
}

void world_init(void)
{
    memset(&cpu, 0, sizeof(cpu));
    memset(&other, 0, sizeof(other));
    other.id = 1;
    runqueue_init(&cpu.runqueue);
    list_init(&cpu.grace_waiters);
    cpu.armed = UINT64_MAX;
    kicks = interrupts = 0;
    at_interrupt = NULL;
    memset(&handler, 0, sizeof(handler));
    context(&handler.ctx, CTX_IDLE);
    handler.handler = true;
    handler.remote.open = true;
    bind(&handler_sched, &handler.ctx, 10);
    handler_sched.state = SCHED_PARKED;
    for (unsigned i = 0; i < 2; i++) {
        memset(&portals[i], 0, sizeof(portals[i]));
        portals[i].handler = &handler;
        list_init(&portals[i].callers);
        list_init(&portals[i].waiters);
        list_init(&portals[i].node);
    }
    for (unsigned i = 0; i < CALLERS; i++) {
        memset(&callers[i], 0, sizeof(callers[i]));
        context(&callers[i].ctx, CTX_READY);
        bind(&scheds[i], &callers[i].ctx, 10);
    }
}

void world_exit(void)
{
    u32 hazards;

    do {
        hazards = atomic_fetch_and(&cpu.hazards, ~HAZARD_EXIT);
        if (hazards & HAZARD_POSTS)
            ctx_run_posts();
        if (hazards & HAZARD_RESCHED)
            sched_pick();
    } while (cpu_hazards() & HAZARD_EXIT);
    if (!cpu.current)
        sched_pick();
}

static struct vcpu vcpu;

struct vcpu *world_vcpu(void)
{
    memset(&vcpu, 0, sizeof(vcpu));
    context(&vcpu.ctx, CTX_READY);
    vcpu.ctx.obj.type = CB_TYPE_VCPU;
    vcpu.ctx.flags = CTX_FLAG_VCPU;
    bind(&scheds[0], &vcpu.ctx, 20);
    scheds[0].state = SCHED_RUNNING;
    cpu.sched = &scheds[0];
    cpu.current = &vcpu.ctx;
    return &vcpu;
}

void world_run(unsigned i)
{
    if (cpu.sched)
        sched_dequeue(cpu.sched);
    sched_dequeue(&scheds[i]);
    scheds[i].state = SCHED_RUNNING;
    cpu.sched = &scheds[i];
    cpu.sched_since = rdtsc();
    cpu.current = &callers[i].ctx;
}

void world_call_remotely(unsigned i, unsigned which)
{
    world_run(i);
    cr_assert_eq(remote_call(&callers[i].ctx, &portals[which], false), CALL_BLOCKED);
}

void world_reply(u64 word)
{
    cr_assert_eq(cpu.current, &handler.ctx);
    handler.ctx.state = CTX_IDLE;
    cpu.current = NULL;
    remote_reply(&handler.ctx, &(struct regs){ .rsi = word });
    world_exit();
}

void world_call(unsigned i, unsigned which)
{
    struct ctx *c = &callers[i].ctx, *h = &handler.ctx;

    c->callee = h;
    if (h->state == CTX_IDLE) {
        h->caller = c;
        h->portal = &portals[which];
        h->state = CTX_READY;
        h->left = CTX_CHAIN_MAX - 1;
        handler.handled++;
        c->state = CTX_CALLING;
        cpu.current = h;
        return;
    }
    c->state = CTX_HELPING;
    list_append(&h->waiters, &c->wait_node);
    list_append(&portals[which].waiters, &c->portal_node);
    cpu.current = NULL;
}

void world_answer(void)
{
    struct ctx *h = &handler.ctx, *c = h->caller;

    cr_assert_eq(cpu.current, h);
    h->state = CTX_IDLE;
    h->left = 0;
    h->caller = NULL;
    cpu.current = NULL;
    if (c)
        c->state = CTX_READY;
    if (c && !(cpu_hazards() & HAZARD_HELPING))
        cpu.current = c;
}

/* Is it in the run queue, or behind somebody who is? */
static bool is_queued(const struct sched *s)
{
    for (unsigned i = 0; i < CB_PRIORITIES; i++) {
        for (struct list *l = cpu.runqueue.queue[i].next; l != &cpu.runqueue.queue[i]; l = l->next) {
            const struct sched *q = CONTAINER_OF(l, struct sched, node);

            if (q == s)
                return true;
            for (struct list *f = q->followers.next; f != &q->followers; f = f->next) {
                const struct sched *first = CONTAINER_OF(f, struct sched, node);

                if (first == s)
                    return true;
                for (struct list *e = first->equals.next; e != &first->equals; e = e->next) {
                    if (CONTAINER_OF(e, struct sched, equals) == s)
                        return true;
                }
            }
        }
    }
    return false;
}

void world_check(void)
{
    for (unsigned i = 0; i < CALLERS; i++) {
        const struct ctx *c = &callers[i].ctx, *h = &handler.ctx;
        bool runs = c->state == CTX_READY || (c->state == CTX_CALLING && h->state == CTX_READY) ||
                    (c->state == CTX_HELPING && (h->state == CTX_READY || h->state == CTX_IDLE));

        if (runs && scheds[i].state != SCHED_UNBOUND)
            cr_assert(cpu.sched == &scheds[i] || is_queued(&scheds[i]), "caller %u, in state %u, is forgotten", i, c->state);
    }
}

unsigned queue_length(void)
{
    unsigned n = 0;

    for (unsigned i = 0; i < CB_PRIORITIES; i++) {
        for (struct list *l = cpu.runqueue.queue[i].next; l != &cpu.runqueue.queue[i]; l = l->next)
            n++;
    }
    return n;
}
