/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Grace periods on several CPUs that come out of the kernel in any order, with all that they do on the way interleaved:
 * a period is over when each has passed it, and not before; nobody is asked by more than one interrupt; and who waits is
 * woken, though no CPU does anything of its own accord.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "call.h"
#include "random.h"
#include "reap.h"

#define CPUS 4u
#define WAITERS 40u /* of each CPU */
#define EPOCHS 4096u

enum step { OUTSIDE, LOOKED, CLEARED }; /* where a CPU is on its way out: exit_hazards() */

static struct {
    struct cpu cpu; /* while another one is `cpu` */
    struct ctx waiters[WAITERS];
    enum step step;
    u64 wanted;     /* what it has read */
    u32 hazards;    /* what it has found */
    u64 looked;     /* when it last read that */
    bool kicked;
} all[CPUS];

struct cpu cpu;
u32 cpu_count = CPUS;
static u64 now;             /* counts steps */
static u64 passed[CPUS];    /* when each looked, before it passed last */
static u64 begun[EPOCHS];   /* when the period began */
static bool interleaved;    /* this CPU is in grace.c */
static bool mixed;          /* others go on meanwhile */
static u64 base;            /* the first epoch here: grace.c keeps counting from one test to the next */
static unsigned kicks, woken;

static void meanwhile(void);

struct cpu *cpu_of(u32 id)
{
    meanwhile();
    return id == cpu.id ? &cpu : &all[id].cpu;
}

void cpu_kick(u32 id)
{
    cr_assert_neq(id, cpu.id);
    all[id].kicked = true;
    kicks++;
}

void sched_enqueue(struct sched *s)
{
    (void)s;
    woken++;
}

void sched_enqueue_helpers(struct ctx *c)
{
    (void)c;
    cr_assert_fail("nobody helps here");
}

status_t sched_block(struct list *helpers)
{
    struct ctx *c = CONTAINER_OF(helpers, struct ctx, helpers);

    list_init(&c->sched->node);
    list_init(&c->sched->equals);
    list_append(helpers, &c->sched->node);
    return CALL_BLOCKED;
}

/* ---- The world ---- */

static void copy(struct cpu *to, struct cpu *from)
{
    *to = *from;
    list_init(&to->grace_waiters);
    if (!list_empty(&from->grace_waiters))
        list_move(&to->grace_waiters, &from->grace_waiters);
}

/* CPU `id` goes on. */
static void be(u32 id)
{
    if (id == cpu.id)
        return;
    copy(&all[cpu.id].cpu, &cpu);
    copy(&cpu, &all[id].cpu);
}

static void setup(void)
{
    static struct sched scheds[CPUS][WAITERS];

    memset(all, 0, sizeof(all));
    memset(passed, 0, sizeof(passed));
    memset(&cpu, 0, sizeof(cpu));
    now = kicks = woken = 0;
    base = grace_wanted_now();
    for (u32 i = 0; i < CPUS; i++) {
        all[i].cpu.id = i;
        all[i].cpu.grace_seen = base;
        list_init(&all[i].cpu.grace_waiters);
        for (u32 n = 0; n < WAITERS; n++) {
            struct ctx *c = &all[i].waiters[n];

            c->sched = &scheds[i][n];
            c->state = CTX_READY;
            list_init(&c->grace_node);
            list_init(&c->helpers);
        }
    }
    copy(&cpu, &all[0].cpu);
}

TestSuite(grace, .init = setup);

/* Every CPU has come by since the period began, if it is said to be over. */
static void check_over(u64 epoch)
{
    if (!grace_over(epoch))
        return;
    for (u32 i = 0; i < CPUS; i++)
        cr_assert_gt(passed[i], begun[epoch - base], "CPU %u has not passed period %lu", i, (unsigned long)(epoch - base));
}

/* Who is asked has an interrupt on its way, or is on its own way out; and who sleeps sleeps for a period that has begun. */
static void check(void)
{
    for (u32 i = 0; i < CPUS; i++) {
        struct cpu *c = cpu_of(i);
        unsigned waiting = 0;
        u64 last = 0;

        for (struct list *l = c->grace_waiters.next; l != &c->grace_waiters; l = l->next) {
            const struct ctx *w = CONTAINER_OF(l, struct ctx, grace_node);

            cr_assert_eq(w->state, CTX_GRACE);
            cr_assert_leq(w->grace_epoch, grace_wanted_now());
            cr_assert_geq(w->grace_epoch, last, "who is woken first stands first");
            last = w->grace_epoch;
            waiting++;
            cr_assert(!grace_over(w->grace_epoch) || all[i].step != OUTSIDE || all[i].kicked || c->hazards,
                      "nobody will wake it");
        }
        cr_assert_eq(c->grace_waiting, waiting);
    }
}

static u64 begin(void)
{
    u64 epoch;

    cr_assert_lt(grace_next() - base, EPOCHS);
    begun[grace_next() - base] = now;
    epoch = grace_begin();
    cr_assert_eq(epoch, grace_wanted_now());
    return epoch;
}

/* kernel_exit(): the CPU, in the kernel, does not leave it while there are hazards. */
static void go_on(void)
{
    if (cpu_hazards() & HAZARD_EXIT)
        all[cpu.id].kicked = true;
}

/* One step of exit_hazards(), of which there are three. */
static void leave_step(void)
{
    u32 id = cpu.id;

    switch (all[id].step) {
    case OUTSIDE:
        all[id].kicked = false;
        all[id].wanted = grace_wanted_now();
        all[id].looked = now;
        all[id].step = LOOKED;
        break;
    case LOOKED:
        all[id].hazards = atomic_fetch_and(&cpu.hazards, ~HAZARD_EXIT);
        all[id].step = CLEARED;
        break;
    case CLEARED:
        if (all[id].hazards & HAZARD_GRACE) {
            bool outer = !interleaved;

            passed[id] = all[id].looked;
            interleaved |= outer;
            grace_pass(all[id].wanted);
            interleaved = interleaved && !outer;
        }
        all[id].step = OUTSIDE;
        go_on();
        break;
    }
}

/* grace.c is about to look at a CPU: others may do something before. */
static void meanwhile(void)
{
    static bool in_it;
    u32 self = cpu.id;

    if (!mixed || !interleaved || in_it || random_below(8))
        return;
    in_it = true;
    now++;
    be((u32)random_below(CPUS));
    if (cpu.id != self)
        leave_step();
    be(self);
    in_it = false;
}

/* A thread of this CPU, in the kernel, waits for a period: the next, or one that it has got to know. */
static void settle(void)
{
    struct ctx *c = &all[cpu.id].waiters[random_below(WAITERS)];
    u64 back = random_below(4), epoch = grace_next() - MIN(back, grace_next() - base - 1);
    status_t status;

    if (c->state != CTX_READY || !list_empty(&c->grace_node))
        return;
    cpu.current = c;
    begun[grace_next() - base] = now;
    interleaved = true;
    status = grace_settle(epoch);
    interleaved = false;
    if (status == CALL_AGAIN) {
        check_over(epoch);
        cr_assert(grace_over(epoch));
        cr_assert(list_empty(&c->grace_node));
    } else {
        cr_assert_eq(status, CALL_BLOCKED_AGAIN);
        cr_assert_geq(c->grace_epoch, epoch);
    }
}

static void die(void)
{
    struct ctx *c = &all[cpu.id].waiters[random_below(WAITERS)];

    if (c->state != CTX_GRACE)
        return;
    grace_leave(c);
    c->state = CTX_READY;
    list_init(&c->helpers);
}

/* In user mode a CPU goes into the kernel by itself, now and then; asleep it needs an interrupt. */
static void random_step(void)
{
    be((u32)random_below(CPUS));
    if (all[cpu.id].step != OUTSIDE) {
        leave_step();
        return;
    }
    switch (random_below(6)) {
    case 0: settle(); break;
    case 1: die(); break;
    case 2: (void)begin(); break;
    default:
        if (all[cpu.id].kicked || random_below(4) == 0)
            leave_step();
        return;
    }
    go_on();
}

/* Nobody does anything but what it must. False: there is nothing left. */
static bool forced_step(void)
{
    u32 first = (u32)random_below(CPUS);

    for (u32 n = 0; n < CPUS; n++) {
        be((first + n) % CPUS);
        if (all[cpu.id].step == OUTSIDE && !all[cpu.id].kicked)
            continue;
        leave_step();
        return true;
    }
    return false;
}

static void drain(void)
{
    for (unsigned n = 0; forced_step(); n++) {
        now++;
        cr_assert_lt(n, 10000, "interrupts without end");
        check();
    }
}

Test(grace, random_operations)
{
    mixed = true;
    for (unsigned round = 0; round < 60; round++) {
        setup();
        for (unsigned i = 0; i < 300; i++) {
            now++;
            random_step();
            check();
            for (u64 epoch = grace_wanted_now(); epoch > base && epoch + 4 > grace_wanted_now(); epoch--)
                check_over(epoch);
        }
        drain();
        for (u32 i = 0; i < CPUS; i++) {
            cr_assert(list_empty(&cpu_of(i)->grace_waiters), "CPU %u: somebody sleeps for ever", i);
            cr_assert_eq(cpu_of(i)->hazards, 0);
        }
    }
}

/* Whoever begins a period asks each CPU once; those who have been asked, and not come by, need no second interrupt. */
Test(grace, one_interrupt_for_many_periods)
{
    u64 last = 0;

    for (unsigned i = 0; i < 10; i++)
        last = begin();
    cr_assert_eq(kicks, CPUS - 1);
    cr_assert(cpu_hazards() & HAZARD_GRACE);
    cr_assert_not(grace_over(last));
    now = 1;
    go_on();
    drain();
    cr_assert(grace_over(last));
}

/* A thousand of them do not wake in one go. */
Test(grace, many_wake_in_rounds)
{
    u64 epoch = grace_next();

    for (u32 i = 0; i < WAITERS; i++) {
        cpu.current = &all[0].waiters[i];
        begun[grace_next() - base] = now;
        cr_assert_eq(grace_settle(epoch), CALL_BLOCKED_AGAIN);
    }
    cr_assert_eq(grace_wanted_now(), epoch, "one period is enough for all");
    for (u32 i = 1; i < CPUS; i++) {
        be(i);
        for (unsigned step = 0; step < 3; step++)
            leave_step();
    }
    be(0);
    for (unsigned rounds = 1;; rounds++) {
        unsigned before = woken;

        for (unsigned step = 0; step < 3; step++)
            leave_step();
        cr_assert_leq(woken - before, 16);
        if (woken == WAITERS)
            break;
        cr_assert(cpu_hazards() & HAZARD_GRACE);
        cr_assert_lt(rounds, WAITERS);
    }
}
