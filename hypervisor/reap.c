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
 *
 * Each step begins with taking an object from its queue, and ends with its being on one, or freed, in one hold of the lock.
 */
#include "reap.h"

#include "call.h"
#include "event.h"
#include "portal.h"
#include "thread.h"
#include "vcpu.h"

enum phase { PHASE_ALIVE, PHASE_ROOT, PHASE_CONTENTS, PHASE_CUT, PHASE_FREE };

/* All under tree_lock. */
static struct reap_job orphans;      /* what nobody waits for */
static struct list jobs = { &jobs, &jobs }; /* the others that are not empty, through `node` */
static struct reap_job *job = &orphans; /* that which is being worked for: what dies meanwhile becomes part of it */
static bool in_vain;                 /* the step can only be made again later, since something else has not ended yet */

/* Read without the lock by reap_pending(): the period after which there is work for orphans; 0: now, NEVER: there is none. */
static _Atomic u64 orphans_epoch = UINT64_MAX;
#define NEVER UINT64_MAX

static void queue_append(struct reap_queue *q, struct object *obj)
{
    obj->next = NULL;
    if (q->head)
        q->tail->next = obj;
    else
        q->head = obj;
    q->tail = obj;
}

static void queue_prepend(struct reap_queue *q, struct object *obj)
{
    if (!q->head)
        q->tail = obj;
    obj->next = q->head;
    q->head = obj;
}

static void queue_move(struct reap_queue *from, struct reap_queue *to)
{
    if (!from->head)
        return;
    if (to->head)
        to->tail->next = from->head;
    else
        to->head = from->head;
    to->tail = from->tail;
    from->head = NULL;
}

/* The period that has to be over before a step of the job can be made. */
static u64 job_epoch(const struct reap_job *j)
{
    return j->zombies.head ? 0 : j->limbo.head ? j->limbo.head->epoch : NEVER;
}

/* The job has got more, or less. */
static void job_changed(struct reap_job *j)
{
    u64 epoch = job_epoch(j);

    if (j == &orphans)
        atomic_store(&orphans_epoch, epoch);
    else if (epoch == NEVER)
        list_remove(&j->node);
    else if (list_empty(&j->node))
        list_append(&jobs, &j->node);
}

static void job_move(struct reap_job *from, struct reap_job *to)
{
    queue_move(&from->zombies, &to->zombies);
    queue_move(&from->limbo, &to->limbo);
    job_changed(from);
    job_changed(to);
}

/* Whose job is what the context sets free? That of one that dies goes to its killer. */
static struct reap_job *job_of(struct ctx *c)
{
    return c->obj.dying ? &orphans : &c->job;
}

static void limbo_enter(struct object *obj, enum phase then)
{
    obj->dying = (u8)then;
    obj->epoch = grace_next();
    queue_append(&job->limbo, obj);
}

/* It can only try again later, since something else has not ended yet. */
static void limbo_again(struct object *obj)
{
    in_vain = true;
    limbo_enter(obj, (enum phase)obj->dying);
}

void reap_object(struct object *obj)
{
    if (obj->dying)
        return;
    obj->dying = PHASE_ROOT;
    queue_append(&job->zombies, obj);
    job_changed(job);
}

bool reap_pending(void)
{
    u64 epoch = atomic_load(&orphans_epoch);

    return epoch != NEVER && (epoch >= grace_next() || grace_over(epoch));
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
        limbo_again(&c->obj);
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
    case CB_TYPE_SCHED:
        if (!sched_free((struct sched *)obj))
            limbo_enter(obj, PHASE_FREE);
        return true;
    case CB_TYPE_DOMAIN: return domain_free_step((struct domain *)obj);
    case CB_TYPE_ACCOUNT:
        switch (account_release((struct account *)obj)) {
        case ACCOUNT_DONE: return true;
        case ACCOUNT_MORE: return false;
        case ACCOUNT_GRACE: limbo_again(obj); return true;
        }
        return true;
    default: account_object_free(obj); return true;
    }
}

/*
 * A domain's contexts become zombies, and the domain queues behind each: when all have been cut off, nothing runs in it
 * once the next grace period is over. Those that somebody else kills are waited for.
 */
static bool domain_stop_step(struct domain *d)
{
    for (unsigned n = 0; n < REAP_BATCH && !list_empty(&d->contexts); n++) {
        struct ctx *c = CONTAINER_OF(d->contexts.next, struct ctx, domain_node);
        bool dying = c->obj.dying;

        list_remove(&c->domain_node);
        list_append(&d->contexts, &c->domain_node);
        if (dying)
            continue;
        reap_object(&c->obj);
        queue_append(&job->zombies, &d->obj);
        return true;
    }
    if (list_empty(&d->contexts)) {
        d->obj.dying = PHASE_CONTENTS;
        return false;
    }
    limbo_again(&d->obj);
    return true;
}

/* Removes what hangs below a slot, for one hold of the lock, and the slot at last, unless that stays as a tombstone. */
static enum slot_prune uproot(struct slot *s)
{
    enum slot_prune result = slot_prune(s);

    if (result == SLOT_DONE && slot_shrink(s))
        return SLOT_MORE;
    return result == SLOT_DONE && !slot_remove(s) ? SLOT_BLOCKED : result;
}

/* Removes a domain's capabilities, with all that was derived from them. True: it waits in limbo now. */
static bool domain_empty_step(struct domain *d)
{
    for (unsigned n = 0; n < CAPS_PER_PAGE && d->teardown < CB_SELECTORS; n++) {
        struct slot *page = caps_page(d, d->teardown);
        struct slot *s = page ? &page[d->teardown % CAPS_PER_PAGE] : NULL;

        if (page && slot_used(s)) {
            if (uproot(s) != SLOT_BLOCKED)
                return false;
            limbo_again(&d->obj);
            return true;
        }
        d->teardown += page ? 1u : (u32)CAPS_PER_PAGE;
    }
    if (d->teardown < CB_SELECTORS)
        return false;
    limbo_enter(&d->obj, PHASE_FREE);
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

/* One step of what has lost its first capability. True: the same as of zombie_step(). */
static bool corpse_step(struct object *obj)
{
    if (obj->type == CB_TYPE_DOMAIN)
        return domain_stop_step((struct domain *)obj);
    if (!object_kill(obj))
        return false;
    if (is_context(obj)) {
        struct reap_job *its = &((struct ctx *)obj)->job;

        if (its == job) /* it has killed itself */
            job = &orphans;
        job_move(its, job);
    }
    limbo_enter(obj, is_context(obj) ? PHASE_CUT : PHASE_FREE);
    return true;
}

/* One step of a zombie, which is on no queue. True: it is in limbo, queued again, or no more; false: it is to go on next. */
static bool zombie_step(struct object *obj)
{
    switch ((enum phase)obj->dying) {
    case PHASE_ROOT:
        if (!obj->root)
            return corpse_step(obj);
        if (uproot(obj->root) == SLOT_BLOCKED && obj->root) {
            limbo_again(obj);
            return true;
        }
        return false;
    case PHASE_CONTENTS:
        return domain_empty_step((struct domain *)obj);
    case PHASE_CUT:
        limbo_enter(obj, PHASE_FREE);
        return true;
    default:
        return object_free(obj);
    }
}

/* One bounded step of a job. NOTHING: all of it waits. IN_VAIN: what it was made for does. tree_lock held. */
enum step { STEP_NOTHING, STEP_IN_VAIN, STEP_DONE };
static enum step job_step(struct reap_job *j)
{
    struct reap_queue *q = j->zombies.head ? &j->zombies : &j->limbo;
    struct object *obj = q->head;

    if (!grace_over(job_epoch(j)))
        return STEP_NOTHING;
    q->head = obj->next;
    in_vain = false;
    job = j;
    if (!zombie_step(obj))
        queue_prepend(&j->zombies, obj);
    job = &orphans;
    job_changed(j);
    return in_vain ? STEP_IN_VAIN : STEP_DONE;
}

void reap_step(void)
{
    u64 epoch;

    lock_take(&tree_lock);
    epoch = job_epoch(&orphans);
    if (job_step(&orphans) == STEP_NOTHING && epoch != NEVER && epoch >= grace_next())
        grace_begin();
    lock_drop(&tree_lock);
}

void reap_abandon(struct ctx *c)
{
    if (!c->reaping)
        return;
    lock_take(&tree_lock);
    job_move(&c->job, &orphans);
    lock_drop(&tree_lock);
    c->reaping = c->settling = false;
}

/* A step of what others wait for, or nobody: for those whose own work cannot go on before. False: there is none now. */
static bool help(void)
{
    struct reap_job *j = &orphans;
    enum step step;

    lock_take(&tree_lock);
    if (!reap_pending() && !list_empty(&jobs)) {
        j = CONTAINER_OF(jobs.next, struct reap_job, node);
        list_remove(&j->node);
        list_append(&jobs, &j->node);
    }
    step = job_step(j);
    lock_drop(&tree_lock);
    return step == STEP_DONE;
}

/*
 * Does the context's job, as far as it can be done now. OK: all is done. CALL_AGAIN and so on: what the call handler
 * returns.
 */
static status_t work(struct ctx *c)
{
    enum step step;
    u64 epoch;

    do {
        lock_take(&tree_lock);
        step = job_step(&c->job);
        epoch = job_epoch(&c->job);
        lock_drop(&tree_lock);
        c->got_on |= step == STEP_DONE;
        if (step != STEP_NOTHING && kernel_preempt())
            return CALL_AGAIN;
    } while (step != STEP_NOTHING);
    if (!grace_over(c->grace_epoch))
        return grace_settle(c->grace_epoch);
    if (epoch == NEVER)
        return CB_OK;
    if (!c->got_on && help())
        return CALL_AGAIN;
    c->got_on = false;
    return grace_settle(epoch);
}

/*
 * The second half of revoke and destroy: frees what has been cut off, over as many grace periods as that takes. The
 * context's `settling` tells that a call made again is in this half.
 */
static status_t settle(struct ctx *c)
{
    status_t status;

    c->settling = true;
    status = work(c);
    if (!status)
        c->reaping = c->settling = false;
    return status;
}

/* The first half begins, or goes on. */
static void begin(struct ctx *c)
{
    if (!c->reaping && reap_pending())
        reap_step(); /* where no CPU ever idles, this is when it is done */
    c->reaping = true;
}

static enum slot_prune revoke_batch(struct ctx *c, struct slot *s, bool self)
{
    enum slot_prune result;

    job = job_of(c);
    result = slot_prune(s);
    if (result == SLOT_DONE && self && slot_shrink(s))
        result = SLOT_MORE;
    if (result == SLOT_DONE) {
        c->grace_epoch = slot_unmapped(s);
        if (self)
            (void)slot_remove(s); /* or it is a tombstone, and the caller has no more capability */
    }
    job = &orphans;
    return result;
}

status_t revoke(struct regs *r)
{
    enum slot_prune result = SLOT_DONE;
    struct ctx *c = cpu.current;
    struct slot *s;
    status_t status;

    if (c->settling)
        return settle(c);
    if (CALL_FLAGS(r) & ~CB_REVOKE_SELF)
        return FAULT(BAD_PARAM, 0);
    begin(c);
    lock_take(&tree_lock);
    status = call_slot(CALL_SEL(r), CB_TYPE_NULL, 0, 0, &s);
    if (!status)
        result = revoke_batch(c, s, CALL_FLAGS(r) & CB_REVOKE_SELF);
    lock_drop(&tree_lock);
    if (status) {
        reap_abandon(c);
        return status;
    }
    if (result == SLOT_DONE)
        return settle(c);
    if (result == SLOT_MORE)
        return CALL_AGAIN;
    status = work(c);
    if (status)
        return status;
    return help() ? CALL_AGAIN : grace_settle(grace_next());
}

status_t destroy(struct regs *r)
{
    struct ctx *c = cpu.current;
    struct slot *s;
    status_t status;

    if (c->settling)
        return settle(c);
    if (CALL_FLAGS(r))
        return FAULT(BAD_PARAM, 0);
    begin(c);
    lock_take(&tree_lock);
    status = call_slot(CALL_SEL(r), CB_TYPE_NULL, 0, 0, &s);
    if (!status) {
        u64 word = slot_word(s);

        if (!slot_word_is_object(word))
            status = FAULT(BAD_CAP, 0);
        else if (!(slot_word_rights(word) & CB_RIGHT_DESTROY))
            status = FAULT(BAD_RIGHT, 0);
        job = job_of(c);
        if (!status)
            reap_object(slot_word_object(word));
        job = &orphans;
    }
    lock_drop(&tree_lock);
    if (status)
        reap_abandon(c);
    return status ? status : settle(c);
}
