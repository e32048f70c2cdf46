/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Grace periods. Epochs are numbered; a period begins by raising the wanted epoch and interrupting every CPU, each
 * of which notes the epoch it saw when it is about to leave the kernel. The last one to do so wakes those who wait.
 */
#include "cpu.h"
#include "ctx.h"
#include "reap.h"

#define WAKE_MAX 16u /* contexts that one pass wakes */

static _Atomic u64 grace_wanted; /* last epoch begun */

u64 grace_next(void)
{
    return atomic_load(&grace_wanted) + 1;
}

/* Tells the CPU to pass; an interrupt only if it has not been told before. */
static void grace_ask(struct cpu *c)
{
    if (atomic_fetch_or(&c->hazards, HAZARD_GRACE) & HAZARD_GRACE)
        return;
    if (c->id != cpu.id)
        cpu_kick(c->id);
}

u64 grace_begin(void)
{
    u64 epoch = atomic_fetch_add(&grace_wanted, 1) + 1;

    for (u32 i = 0; i < cpu_count; i++)
        grace_ask(cpu_of(i));
    return epoch;
}

/* The last period that every CPU has passed. */
static u64 grace_done(void)
{
    u64 done = UINT64_MAX;

    for (u32 i = 0; i < cpu_count; i++) {
        u64 seen = atomic_load(&cpu_of(i)->grace_seen); /* once: MIN() would read it twice */

        done = MIN(done, seen);
    }
    return done;
}

bool grace_over(u64 epoch)
{
    return grace_done() >= epoch;
}

/*
 * A waiter that goes to sleep and the last CPU that passes: each writes its own word (waiters, seen), then reads
 * the other's, all sequentially consistent, so at least one of them sees the other. Waiters stand in the order of their
 * epochs.
 */
static void grace_wake(u64 done)
{
    for (unsigned n = 0; !list_empty(&cpu.grace_waiters); n++) {
        struct ctx *c = CONTAINER_OF(cpu.grace_waiters.next, struct ctx, grace_node);

        if (c->grace_epoch > done)
            return;
        if (n == WAKE_MAX) { /* the others in another round */
            cpu_hazard(HAZARD_GRACE);
            return;
        }
        grace_leave(c);
        c->state = CTX_READY;
        ctx_unblock(c);
    }
}

u64 grace_wanted_now(void)
{
    return atomic_load(&grace_wanted);
}

/* Models: tests/model/settle.pml. */
void grace_pass(u64 wanted)
{
    u64 before = grace_done(), done;

    atomic_store(&cpu.grace_seen, wanted);
    /* Begun since it was read: its hazard may have been cleared with the others. */
    if (atomic_load(&grace_wanted) != wanted)
        cpu_hazard(HAZARD_GRACE);
    done = grace_done();
    for (u32 i = 0; done != before && i < cpu_count; i++) {
        struct cpu *other = cpu_of(i);

        if (i != cpu.id && atomic_load(&other->grace_waiting))
            grace_ask(other);
    }
    grace_wake(done);
}

/* The period that whoever waits for `epoch` is to wait for: one that has begun, not before the last in the queue here. */
static u64 grace_choose(u64 epoch)
{
    struct list *last = cpu.grace_waiters.prev;

    if (epoch >= grace_next())
        epoch = grace_begin();
    if (last != &cpu.grace_waiters)
        epoch = MAX(epoch, CONTAINER_OF(last, struct ctx, grace_node)->grace_epoch);
    return epoch;
}

status_t grace_settle(u64 epoch)
{
    struct ctx *c = cpu.current;

    if (grace_over(epoch))
        return CALL_AGAIN;
    c->grace_epoch = grace_choose(epoch);
    list_append(&cpu.grace_waiters, &c->grace_node);
    atomic_fetch_add(&cpu.grace_waiting, 1);
    if (grace_over(c->grace_epoch)) {
        grace_leave(c);
        return CALL_AGAIN;
    }
    ctx_block(c, CTX_GRACE);
    return CALL_BLOCKED_AGAIN;
}

void grace_leave(struct ctx *c)
{
    list_remove(&c->grace_node);
    atomic_fetch_sub(&cpu.grace_waiting, 1);
}
