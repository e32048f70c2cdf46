/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The reaper. A dead object goes through phases, one bounded step at a time; in between it waits in limbo for a
 * grace period:
 *
 *   PHASE_ROOT      its first capability, and all derived from it, are removed
 *   PHASE_CONTENTS  a domain's contexts are killed and its capabilities removed, with what was derived from them
 *   PHASE_CUT       a context: its own CPU has let go of it, so that nothing leads to it any more (CTX_OP_KILL)
 *   PHASE_FREE      a grace period after nothing led to it any more: its memory goes back
 *
 * Whatever cannot go on yet (an account whose objects are still in limbo) tries again a grace period later.
 */
#include "reap.h"

#include "call.h"
#include "event.h"
#include "portal.h"
#include "thread.h"
#include "vcpu.h"

enum phase { PHASE_ALIVE, PHASE_ROOT, PHASE_CONTENTS, PHASE_CUT, PHASE_FREE };

struct queue {
    struct object *head, **tail;
};

/* All under tree_lock; the atomics are read without it by reap_pending(). */
static struct queue zombies = { .tail = &zombies.head };
static struct queue limbo = { .tail = &limbo.head }; /* oldest epoch first */
static struct slot *graves;
static u64 unmap_epoch;           /* grace period after which no translation taken away is in use */
static _Atomic u32 work_count;    /* zombies */
static _Atomic u64 limbo_epoch;   /* of the oldest in limbo or grave, 0: nobody there */

/*
 * Capabilities removed under one hold of the lock. Whoever derives what is being removed adds one in a hold, and
 * there are fewer such CPUs than this: removal gains on them.
 */
#define REVOKE_BATCH CPUS_MAX
/* grace periods after which all that a revocation set free has come back: contexts (two), domains' parts, accounts, ram */
#define SETTLE_ROUNDS 6u

static void queue_append(struct queue *q, struct object *obj)
{
    obj->next = NULL;
    *q->tail = obj;
    q->tail = &obj->next;
}

static struct object *queue_take(struct queue *q)
{
    struct object *obj = q->head;

    q->head = obj->next;
    if (!q->head)
        q->tail = &q->head;
    return obj;
}

static void limbo_update(void)
{
    u64 epoch = limbo.head ? limbo.head->epoch : 0;

    if (graves && (!epoch || graves->grave.epoch < epoch))
        epoch = graves->grave.epoch;
    atomic_store(&limbo_epoch, epoch);
}

static void limbo_enter(struct object *obj, enum phase then)
{
    obj->dying = (u8)then;
    obj->epoch = grace_next();
    queue_append(&limbo, obj);
    limbo_update();
}

void reap_object(struct object *obj)
{
    if (obj->dying)
        return;
    obj->dying = PHASE_ROOT;
    queue_append(&zombies, obj);
    atomic_fetch_add(&work_count, 1);
}

void reap_note_unmap(void)
{
    unmap_epoch = grace_next();
}

void reap_grave(struct slot *tombstone)
{
    struct slot **at = &graves;

    while (*at)
        at = &(*at)->grave.next;
    tombstone->grave.next = NULL;
    tombstone->grave.epoch = grace_next();
    *at = tombstone;
    limbo_update();
}

bool reap_pending(void)
{
    u64 epoch = atomic_load(&limbo_epoch);

    return atomic_load(&work_count) || (epoch && (epoch >= grace_next() || grace_over(epoch)));
}

/* Removes one leaf below `s`, or `s` itself. False: a tombstone is in the way. */
static bool remove_below(struct slot *s)
{
    return slot_remove(slot_leaf(s));
}

/*
 * One bounded step of cutting an object off from all that leads to it. True: that is done; it is freed a grace
 * period later.
 */
static bool object_kill(struct object *obj)
{
    switch (obj->type) {
    case CB_TYPE_THREAD: return thread_kill((struct thread *)obj);
    case CB_TYPE_VCPU: return vcpu_kill((struct vcpu *)obj);
    case CB_TYPE_SCHED: return sched_kill((struct sched *)obj);
    case CB_TYPE_PORTAL: return portal_kill((struct portal *)obj);
    case CB_TYPE_EVENT: event_kill((struct event *)obj); return true;
    default: return true;
    }
}

static void context_free(struct ctx *c)
{
    if (!ctx_is_quiet(c))
        limbo_enter(&c->obj, PHASE_FREE);
    else if (ctx_is_vcpu(c))
        vcpu_free(vcpu_of(c));
    else
        thread_free(thread_of(c));
}

/* Returns true if the object needs no further phase now. */
static bool object_free(struct object *obj)
{
    switch (obj->type) {
    case CB_TYPE_THREAD:
    case CB_TYPE_VCPU: context_free((struct ctx *)obj); return true;
    case CB_TYPE_DOMAIN: return domain_free_step((struct domain *)obj);
    case CB_TYPE_ACCOUNT:
        switch (account_release((struct account *)obj)) {
        case ACCOUNT_DONE: return true;
        case ACCOUNT_MORE: return false;
        case ACCOUNT_GRACE: limbo_enter(obj, PHASE_FREE); return true;
        }
        return true;
    default: account_object_free(obj); return true;
    }
}

/*
 * A domain's contexts become zombies, and the domain queues behind them: when it is its turn again, they have been
 * cut off, and nothing runs in it once the next grace period is over.
 */
static bool domain_stop_step(struct domain *d)
{
    struct list *first = d->contexts.next;

    if (first != &d->contexts) {
        list_remove(first);
        reap_object(&CONTAINER_OF(first, struct ctx, domain_node)->obj);
        return false;
    }
    d->obj.dying = PHASE_CONTENTS;
    atomic_fetch_add(&work_count, 1);
    queue_append(&zombies, &d->obj);
    return true;
}

/* Removes a domain's capabilities, with all that was derived from them. True: it waits in limbo now. */
static bool domain_empty_step(struct domain *d)
{
    for (unsigned n = 0; n < REVOKE_BATCH && d->teardown < CB_SELECTORS; n++) {
        struct slot *page = caps_page(d, d->teardown);
        struct slot *s = page ? &page[d->teardown % CAPS_PER_PAGE] : NULL;

        if (!page) {
            d->teardown += CAPS_PER_PAGE;
        } else if (!slot_used(s)) {
            d->teardown++;
        } else if (!remove_below(s)) {
            limbo_enter(&d->obj, PHASE_CONTENTS);
            return true;
        }
    }
    if (d->teardown < CB_SELECTORS)
        return false;
    limbo_enter(&d->obj, PHASE_FREE);
    return true;
}

/* Removes a batch of what hangs below an object's first capability, and that last. False: a tombstone is in the way. */
static bool uproot(struct object *obj)
{
    for (unsigned n = 0; n < REVOKE_BATCH && obj->root; n++) {
        if (!remove_below(obj->root) && obj->root)
            return false;
    }
    return true;
}

/*
 * A context's own CPU takes it out of what leads to it (an event's receiver) in the middle of the grace period that
 * begins with its death. Another CPU that has passed by then may just have found it: it takes a second period.
 */
static bool is_context(const struct object *obj)
{
    return obj->type == CB_TYPE_THREAD || obj->type == CB_TYPE_VCPU;
}

/*
 * One step of the zombie at the head of the queue, which has been taken from it. True: it is in limbo, queued
 * again, or no more; false: it is to go on next.
 */
static bool zombie_step(struct object *obj)
{
    switch ((enum phase)obj->dying) {
    case PHASE_ROOT:
        if (!uproot(obj)) {
            limbo_enter(obj, PHASE_ROOT);
            return true;
        }
        if (obj->root)
            return false;
        if (obj->type == CB_TYPE_DOMAIN)
            return domain_stop_step((struct domain *)obj);
        if (!object_kill(obj))
            return false;
        limbo_enter(obj, is_context(obj) ? PHASE_CUT : PHASE_FREE);
        return true;
    case PHASE_CONTENTS:
        return domain_empty_step((struct domain *)obj);
    case PHASE_CUT:
        limbo_enter(obj, PHASE_FREE);
        return true;
    default:
        return object_free(obj);
    }
}

/* What has waited long enough in limbo goes on. */
static void limbo_leave(void)
{
    while (limbo.head && grace_over(limbo.head->epoch)) {
        queue_append(&zombies, queue_take(&limbo));
        atomic_fetch_add(&work_count, 1);
    }
    while (graves && grace_over(graves->grave.epoch)) {
        struct slot *s = graves;

        graves = s->grave.next;
        slot_unlink(s);
    }
    limbo_update();
}

void reap_step(void)
{
    u64 epoch;
    struct object *obj;

    lock_take(&tree_lock);
    limbo_leave();
    epoch = atomic_load(&limbo_epoch);
    if (!zombies.head && epoch >= grace_next()) {
        grace_begin();
    } else if (zombies.head) {
        obj = queue_take(&zombies);
        if (zombie_step(obj)) {
            atomic_fetch_sub(&work_count, 1);
        } else {
            obj->next = zombies.head;
            zombies.head = obj;
            if (!obj->next)
                zombies.tail = &obj->next;
        }
    }
    lock_drop(&tree_lock);
}

/* Does anything removed so far still wait for a grace period? The latest one it needs, 0 for none. tree_lock held. */
static u64 unsettled(void)
{
    u64 epoch = grace_over(unmap_epoch) ? 0 : unmap_epoch;

    for (const struct slot *s = graves; s; s = s->grave.next)
        epoch = MAX(epoch, s->grave.epoch);
    if (limbo.head)
        epoch = MAX(epoch, CONTAINER_OF(limbo.tail, struct object, next)->epoch);
    return epoch;
}

/* Waits until epoch is over; begins it if nobody has. */
static status_t settle_wait(u64 epoch)
{
    return grace_wait(epoch >= grace_next() ? grace_begin() : epoch);
}

bool reap_settle_unmaps(status_t *status)
{
    u64 epoch;

    lock_take(&tree_lock);
    epoch = unmap_epoch;
    lock_drop(&tree_lock);
    if (grace_over(epoch))
        return false;
    *status = settle_wait(epoch);
    return true;
}

/*
 * The second half of revoke and destroy: frees what has been cut off, over as many grace periods as that takes. The
 * context's `grace_rounds` tells that a call made again is in this half.
 */
static status_t settle(struct ctx *c)
{
    u64 epoch;

    c->grace_rounds = MAX(c->grace_rounds, 1);
    while (reap_pending()) {
        reap_step();
        if (kernel_preempt())
            return CALL_AGAIN;
    }
    lock_take(&tree_lock);
    epoch = unsettled();
    lock_drop(&tree_lock);
    if (epoch && c->grace_rounds < SETTLE_ROUNDS) {
        c->grace_rounds++;
        return settle_wait(epoch);
    }
    c->grace_rounds = 0;
    return CB_OK;
}

/* Removes what was derived from `s`, and `s` if `self`, for one hold of the lock. True: all is gone. */
static bool revoke_batch(struct slot *s, bool self, bool *blocked)
{
    s->flags |= SLOT_REVOKING;
    for (unsigned n = 0; n < REVOKE_BATCH; n++) {
        struct slot *leaf = slot_leaf(s);

        if (leaf == s && !self) {
            s->flags &= ~SLOT_REVOKING;
            return true;
        }
        if (!slot_remove(leaf)) {
            *blocked = true;
            return leaf == s;
        }
        if (leaf == s)
            return true;
    }
    return false;
}

status_t revoke(struct regs *r)
{
    struct ctx *c = cpu.current;
    bool blocked = false, done;
    struct slot *s;
    status_t status;

    if (c->grace_rounds)
        return settle(c);
    if (CALL_FLAGS(r) & ~CB_REVOKE_SELF)
        return FAULT(BAD_PARAM, 0);
    do {
        lock_take(&tree_lock);
        status = call_slot(CALL_SEL(r), CB_TYPE_NULL, 0, 0, &s);
        done = status || revoke_batch(s, CALL_FLAGS(r) & CB_REVOKE_SELF, &blocked);
        lock_drop(&tree_lock);
        if (status)
            return status;
        if (blocked && !done)
            return reap_pending() ? (reap_step(), CALL_AGAIN) : settle_wait(grace_begin());
        if (!done && kernel_preempt())
            return CALL_AGAIN;
    } while (!done);
    return settle(c);
}

status_t destroy(struct regs *r)
{
    struct ctx *c = cpu.current;
    struct slot *s;
    status_t status;

    if (c->grace_rounds)
        return settle(c);
    if (CALL_FLAGS(r))
        return FAULT(BAD_PARAM, 0);
    lock_take(&tree_lock);
    status = call_slot(CALL_SEL(r), CB_TYPE_NULL, 0, 0, &s);
    if (!status) {
        u64 word = slot_word(s);

        if (!slot_word_is_object(word))
            status = FAULT(BAD_CAP, 0);
        else if (!(slot_word_rights(word) & CB_RIGHT_DESTROY))
            status = FAULT(BAD_RIGHT, 0);
        else
            reap_object(slot_word_object(word));
    }
    lock_drop(&tree_lock);
    return status ? status : settle(c);
}
