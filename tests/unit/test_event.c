/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Events, one step at a time: what is signalled before, while and after somebody receives. What comes in between steps is
 * for the models (tests/model/event.pml, bind.pml).
 */
#include "event.h"

#include <criterion/criterion.h>
#include <string.h>

#include "call.h"
#include "caps.h"
#include "fake.h"
#include "irq.h"
#include "log.h"
#include "reap_fake.h"
#include "timer.h"
#include "vcpu.h"
#include "x86.h"

#define BADGE 0x10ull
#define NOW 1000u
#define DOMAIN 1u
#define EVENT 2u
#define VCPU 3u
#define SIGNALLER 4u /* of the event, with BADGE */
#define PORT 7u

static struct domain *domain;
static struct event *event;
static struct vcpu vcpu;
static struct ctx waiter;
static u32 posted;          /* to the waiter */
static unsigned ports[CB_PORTS]; /* signals that the vCPU got */
static unsigned ready;      /* how often the waiter was put into the run queue */
static const struct slot *stale; /* what the linear table shows instead of SIGNALLER */
static bool goes; /* the next capability that is looked up is revoked at that moment */

/* ---- What is below ---- */

void ctx_post(struct ctx *c, u32 ops)
{
    cr_assert_eq(c, &waiter);
    posted |= ops;
}

void vcpu_signal(struct vcpu *v, u32 port)
{
    cr_assert_eq(v, &vcpu);
    ports[port]++;
}

void vcpu_signal_here(struct vcpu *v, u32 port)
{
    vcpu_signal(v, port);
}

void irq_event_kill(struct event *e)
{
    cr_assert_eq(e, event);
}

void log_event_kill(struct event *e)
{
    cr_assert_eq(e, event);
}

u64 rdtsc(void)
{
    return NOW;
}

void timer_arm(u64 deadline)
{
    cpu.armed = deadline;
}

void sched_enqueue(struct sched *s)
{
    (void)s;
    ready++;
}

void sched_enqueue_helpers(struct ctx *c)
{
    (void)c;
}

status_t sched_block(struct list *helpers)
{
    static struct sched sched;

    list_init(&sched.node);
    list_init(&sched.equals);
    list_append(helpers, &sched.node);
    return CALL_BLOCKED;
}

void ctx_finish(struct ctx *c, status_t status)
{
    c->state = CTX_READY;
    c->regs.rax = status;
    ctx_unblock(c);
}

const struct slot *caps_linear(u32 sel)
{
    return sel == SIGNALLER && stale ? stale : slot_find(domain, sel);
}

status_t call_lookup_slow(u32 sel, enum cb_type type, u32 rights, unsigned arg, u64 *word)
{
    *word = slot_word(slot_find(domain, sel));
    if (goes)
        (void)slot_remove(slot_find(domain, sel));
    goes = false;
    return slot_word_is(*word, type, rights) ? CB_OK : FAULT(BAD_CAP, arg);
}

/* ---- */

static struct slot *give(u32 sel, enum cb_type type, u32 rights, void *object)
{
    struct slot *s;

    cr_assert_eq(slot_reserve(domain, sel, 0, &s), CB_OK);
    slot_insert(s, NULL, slot_word_make(type, rights, object));
    return s;
}

static void setup(void)
{
    struct account *a;

    fake_init();
    memset(&cpu, 0, sizeof(cpu));
    memset(&vcpu, 0, sizeof(vcpu));
    memset(&waiter, 0, sizeof(waiter));
    memset(ports, 0, sizeof(ports));
    posted = ready = 0;
    stale = NULL;
    goes = false;
    a = fake_account(0, 512);
    domain = fake_domain(a, DOMAIN);
    domain->space.cpus[0].domain = domain;
    cpu.home = &domain->space.cpus[0];
    cpu.armed = UINT64_MAX;
    cpu.current = &waiter;
    event = account_object(a, sizeof(*event), CB_TYPE_EVENT);
    list_init(&event->vcpu_node);
    list_init(&vcpu.events);
    list_init(&waiter.helpers);
    vcpu.ctx.flags = CTX_FLAG_VCPU;
    waiter.state = CTX_READY;
    give(EVENT, CB_TYPE_EVENT, CB_RIGHTS_ALL, event);
    give(VCPU, CB_TYPE_VCPU, CB_RIGHTS_ALL, &vcpu);
    give(SIGNALLER, CB_TYPE_EVENT, CB_RIGHT_SIGNAL, event)->badge = BADGE;
}

TestSuite(event, .init = setup);

static status_t wait_until(u64 deadline, u32 flags)
{
    waiter.regs = (struct regs){ .rdi = CB_CALL_WORD(CB_CALL_wait, flags, EVENT), .rsi = deadline };
    cpu.current = &waiter;
    return event_wait(&waiter.regs);
}

static status_t wait(void)
{
    return wait_until(CB_DEADLINE_NONE, 0);
}

static status_t bind(u64 port)
{
    struct regs r = { .rdi = CB_CALL_WORD(CB_CALL_event_bind, 0, EVENT), .rsi = CB_PAIR(VCPU, 0), .rdx = port };

    return event_bind(&r);
}

static status_t signal_it(void)
{
    struct regs r = { .rdi = CB_CALL_WORD(CB_CALL_signal, 0, SIGNALLER) };

    return event_do_signal(&r);
}

/* The waiter runs again, with these bits. */
static void check_got(u64 bits)
{
    cr_assert_eq(waiter.state, CTX_READY);
    cr_assert_eq(waiter.regs.rax, CB_OK);
    cr_assert_eq(waiter.regs.rsi, bits);
    cr_assert_eq(ready, 1);
    cr_assert_null(waiter.event);
    cr_assert_null(atomic_load(&event->receiver));
    cr_assert_not(waiter.timer.queued);
}

Test(event, what_came_before_is_taken_at_once)
{
    event_signal(event, BADGE);
    event_signal(event, BADGE << 1);
    cr_assert_eq(wait(), CB_OK);
    cr_assert_eq(waiter.regs.rsi, BADGE | BADGE << 1);
    cr_assert_eq(event->signals, 2);
    cr_assert_eq(wait(), CALL_BLOCKED, "taken twice");
}

Test(event, who_waits_on_another_cpu_is_told)
{
    cr_assert_eq(wait(), CALL_BLOCKED);
    waiter.cpu = 1;
    cr_assert_eq(signal_it(), CB_OK);
    cr_assert(posted & CTX_OP_WAKE);
    cr_assert_eq(waiter.state, CTX_WAITING, "somebody else's context");
    event_signal(event, BADGE << 1);
    event_wake(&waiter);
    check_got(BADGE | BADGE << 1);
    event_wake(&waiter); /* a post that comes late */
    cr_assert_eq(ready, 1);
}

Test(event, who_waits_here_goes_on_at_once)
{
    cr_assert_eq(wait_until(NOW + 5, 0), CALL_BLOCKED);
    cr_assert_eq(signal_it(), CB_OK);
    cr_assert_eq(posted, 0);
    check_got(BADGE);
    cr_assert_eq(event->signals, 1);
    cr_assert_eq(wait(), CALL_BLOCKED, "taken twice");
}

/* What others have left there comes with it. */
Test(event, bits_that_wait_for_their_post)
{
    cr_assert_eq(wait(), CALL_BLOCKED);
    event_signal(event, BADGE << 1); /* in an interrupt handler: posted */
    cr_assert(posted & CTX_OP_WAKE);
    cr_assert_eq(signal_it(), CB_OK);
    check_got(BADGE | BADGE << 1);
    cr_assert_eq(event->pending, 0);
}

Test(event, deadlines)
{
    cr_assert_eq(wait_until(NOW, 0), FAULT(TIMEOUT, 0));
    cr_assert_null(event->receiver, "who does not wait is still found");
    cr_assert_eq(wait_until(NOW + 1, 0), CALL_BLOCKED);
    cr_assert_eq(cpu.armed, NOW + 1);
    cr_assert_eq(cpu.timers.first, &waiter.timer);
    event_timeout(&waiter);
    cr_assert_eq(waiter.regs.rax, FAULT(TIMEOUT, 0));
    cr_assert_eq(waiter.state, CTX_READY);
    cr_assert_eq(ready, 1);
    cr_assert_null(event->receiver);
    cr_assert_null(cpu.timers.first);
    event_signal(event, BADGE);
    cr_assert_eq(wait_until(NOW - 1, 0), CB_OK, "what is there is given, however late it is");
    cr_assert_eq(waiter.regs.rsi, BADGE);
}

Test(event, bits_at_the_last_moment_are_no_timeout)
{
    cr_assert_eq(wait_until(NOW + 1, 0), CALL_BLOCKED);
    event_signal(event, BADGE);
    timerq_remove(&cpu.timers, &waiter.timer);
    event_timeout(&waiter);
    check_got(BADGE);
}

Test(event, polling)
{
    cr_assert_eq(wait_until(CB_DEADLINE_NONE, CB_WAIT_POLL), FAULT(EMPTY, 0));
    cr_assert_null(event->receiver);
    event_signal(event, BADGE);
    cr_assert_eq(wait_until(CB_DEADLINE_NONE, CB_WAIT_POLL), CB_OK);
    cr_assert_eq(waiter.regs.rsi, BADGE);
    cr_assert_eq(wait_until(CB_DEADLINE_NONE, CB_WAIT_POLL << 1), FAULT(BAD_PARAM, 0));
}

Test(event, one_waits)
{
    struct ctx first = waiter;

    atomic_store(&event->receiver, &first);
    cr_assert_eq(wait(), FAULT(BUSY, 0));
    cr_assert_eq(wait_until(NOW + 1, 0), FAULT(BUSY, 0));
    cr_assert_eq(event->receiver, &first);
}

Test(event, its_end_ends_the_wait)
{
    cr_assert_eq(wait(), CALL_BLOCKED);
    event->obj.dying = 1;
    event_kill(event);
    cr_assert(posted & CTX_OP_EVENT_GONE);
    event_leave(&waiter); /* ctx_abort() */
    waiter.state = CTX_READY;
    cr_assert_eq(wait(), FAULT(ABORTED, 0), "nobody begins to wait for it");
    cr_assert_null(event->receiver);
}

Test(event, signals_from_before_it_is_bound_arrive)
{
    event_signal(event, BADGE);
    cr_assert_eq(bind(PORT), CB_OK);
    cr_assert_eq(ports[PORT], 1);
    cr_assert_eq(event->pending, 0);
    event_signal(event, BADGE);
    cr_assert_eq(ports[PORT], 2);
    cr_assert_eq(event->pending, 0, "nobody will take that");
    cr_assert_eq(wait(), FAULT(BUSY, 0));
}

Test(event, bound_without_news)
{
    cr_assert_eq(bind(PORT), CB_OK);
    cr_assert_eq(ports[PORT], 0);
    cr_assert_eq(vcpu.events.next, &event->vcpu_node);
}

Test(event, what_cannot_be_bound)
{
    cr_assert_eq(bind(CB_PORT_TIMER), FAULT(BAD_PARAM, 2));
    cr_assert_eq(bind(CB_PORTS), FAULT(BAD_PARAM, 2));
    vcpu.ctx.obj.dying = 1;
    cr_assert_eq(bind(PORT), FAULT(DYING, 1));
    vcpu.ctx.obj.dying = 0;
    event->obj.dying = 1;
    cr_assert_eq(bind(PORT), FAULT(DYING, 0));
    event->obj.dying = 0;
    cr_assert_eq(bind(PORT), CB_OK);
    cr_assert_eq(bind(PORT + 1), FAULT(BUSY, 0), "who signals reads the port without a lock");
    cr_assert_eq(event->port, PORT);
    event_unbind(event);
    cr_assert_eq(wait(), CALL_BLOCKED);
    cr_assert_eq(bind(PORT), FAULT(BUSY, 0));
}

/* What was for the vCPU is nobody else's; what comes afterwards is. */
Test(event, unbound)
{
    cr_assert_eq(bind(PORT), CB_OK);
    atomic_fetch_or(&event->pending, BADGE); /* as event_set() leaves it if the vCPU came in between */
    event_unbind(event);
    cr_assert_eq(event->pending, 0);
    cr_assert(list_empty(&vcpu.events));
    event_signal(event, BADGE << 2);
    cr_assert_eq(wait(), CB_OK);
    cr_assert_eq(waiter.regs.rsi, BADGE << 2);
    cr_assert_eq(ports[PORT], 0);
}

Test(event, a_bound_one_dies)
{
    cr_assert_eq(bind(PORT), CB_OK);
    event->obj.dying = 1;
    event_kill(event);
    cr_assert(list_empty(&vcpu.events));
    cr_assert_null(event->receiver);
    cr_assert_eq(posted, 0);
}

/* The linear table may show what was there before; then the slot's own badge counts, if the capability is still that. */
Test(event, the_badge_belongs_to_the_capability)
{
    struct slot old = { .badge = BADGE << 3 };

    stale = &old;
    cr_assert_eq(signal_it(), CB_OK);
    cr_assert_eq(event->pending, BADGE);
    goes = true;
    cr_assert_eq(signal_it(), FAULT(BAD_CAP, 0));
    cr_assert_eq(event->pending, BADGE);
}
