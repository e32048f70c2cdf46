/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Grace periods. Epochs are numbered; a period begins by raising the wanted epoch and interrupting every CPU, each
 * of which notes the epoch it saw when it is about to leave the kernel. The last one to do so wakes those who wait.
 */
#include "cpu.h"
#include "ctx.h"
#include "reap.h"

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

bool grace_over(u64 epoch)
{
    for (u32 i = 0; i < cpu_count; i++) {
        if (atomic_load(&cpu_of(i)->grace_seen) < epoch)
            return false;
    }
    return true;
}

/*
 * A waiter that goes to sleep and the last CPU that passes: each writes its own word (waiters, seen), then reads
 * the other's, all sequentially consistent, so at least one of them sees the other.
 */
static void grace_wake(void)
{
    struct list *next;

    for (struct list *l = cpu.grace_waiters.next; l != &cpu.grace_waiters; l = next) {
        struct ctx *c = CONTAINER_OF(l, struct ctx, grace_node);

        next = l->next;
        if (!grace_over(c->grace_epoch))
            continue;
        grace_leave(c);
        c->state = CTX_READY;
        ctx_unblock(c);
    }
}

u64 grace_wanted_now(void)
{
    return atomic_load(&grace_wanted);
}

void grace_pass(u64 wanted)
{
    atomic_store(&cpu.grace_seen, wanted);
    /* Begun since it was read: its hazard may have been cleared with the others. */
    if (atomic_load(&grace_wanted) != wanted)
        cpu_hazard(HAZARD_GRACE);
    if (grace_over(wanted)) {
        for (u32 i = 0; i < cpu_count; i++) {
            struct cpu *other = cpu_of(i);

            if (i != cpu.id && atomic_load(&other->grace_waiting))
                grace_ask(other);
        }
    }
    grace_wake();
}

status_t grace_wait(u64 epoch)
{
    struct ctx *c = cpu.current;

    c->grace_epoch = epoch;
    list_append(&cpu.grace_waiters, &c->grace_node);
    atomic_fetch_add(&cpu.grace_waiting, 1);
    if (grace_over(epoch)) {
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
