/* SPDX-License-Identifier: GPL-2.0-only */
#include "portal.h"

#include <corbel/state.h>
#include <corbel/utcb.h>

#include "call.h"
#include "offsets.h"
#include "thread.h"

struct thread thread_none = { .ctx = { .cpu = CPUS_MAX, .state = CTX_STOPPED } };

ASSERT_OFFSET(struct portal, handler, PORTAL_HANDLER);
ASSERT_OFFSET(struct portal, entry, PORTAL_ENTRY);
ASSERT_OFFSET(struct portal, badge, PORTAL_BADGE);
ASSERT_OFFSET(struct portal, exit_info, PORTAL_EXIT_INFO);
ASSERT_OFFSET(struct portal, standing, PORTAL_STANDING);

static status_t portal_create_locked(struct regs *r)
{
    struct account *account;
    struct portal *p;
    struct slot *dst;
    struct thread *t;
    u64 word;
    status_t status = call_lookup(HIGH(r->rsi), CB_TYPE_THREAD, CB_RIGHT_CONTROL, 1, &word);

    if (!status)
        status = call_account(CALL_SEL(r), &account);
    if (status)
        return status;
    t = slot_word_object(word);
    if (t->ctx.obj.dying)
        return FAULT(DYING, 1);
    if (!t->handler)
        return FAULT(BAD_PARAM, 1);
    if (r->rdx >= USER_END)
        return FAULT(BAD_PARAM, 2);
    if ((LOW(r->r9) & ~CB_GROUPS_VCPU) || HIGH(r->r9) >= CB_LEVELS)
        return FAULT(BAD_PARAM, 4);
    status = call_destination(LOW(r->rsi), 1, &dst);
    if (status)
        return status;
    p = account_object(account, sizeof(*p), CB_TYPE_PORTAL);
    if (!p)
        return FAULT(NO_MEMORY, 0);
    p->handler = t;
    p->entry = r->rdx;
    p->badge = r->r8;
    p->groups = LOW(r->r9);
    p->exit_info = CB_INFO(sizeof(struct cb_state) / 8, 0, (u64)p->groups);
    p->level = HIGH(r->r9);
    p->standing = CTX_STANDING(CTX_READY, 0, p->level);
    p->cpu = t->ctx.cpu;
    list_init(&p->callers);
    list_init(&p->waiters);
    list_append(&t->portals, &p->node);
    call_install(dst, &p->obj, 0);
    return CB_OK;
}

CALL_LOCKED(portal_create)

bool portal_kill(struct portal *p)
{
    struct cpu *home = cpu_of(p->cpu);

    if (!remote_close_portal(p))
        return false;
    if (!portal_handler(p))
        return true;
    list_remove(&p->node);
    lock_take(&home->post_lock);
    p->dead_next = p->handler->dead_portals;
    p->handler->dead_portals = p;
    lock_drop(&home->post_lock);
    ctx_post(&p->handler->ctx, CTX_OP_PORTAL_GONE);
    return true;
}

void portal_orphan(struct portal *p)
{
    list_remove(&p->node);
    __atomic_store_n(&p->handler, &thread_none, __ATOMIC_RELAXED);
    reap_object(&p->obj);
}

void portal_slot_clear(struct slot *s)
{
    if (slot_used(s))
        (void)slot_remove(s); /* nothing is below it, and it is no tombstone */
}

u64 portal_slot_word(const struct slot *s)
{
    u64 word = slot_word(s);

    if (slot_word_type(word) == CB_TYPE_PORTAL)
        return word;
    lock_take(&tree_lock);
    word = slot_word(s);
    lock_drop(&tree_lock);
    return word;
}

status_t portal_slot_set(struct slot *s, u64 sel, unsigned arg, u32 cpu_id)
{
    struct slot *source = NULL;
    const struct portal *p;
    status_t status;

    if (HIGH(sel))
        return FAULT(BAD_PARAM, arg);
    if (sel != CB_SEL_NULL) {
        status = call_slot(LOW(sel), CB_TYPE_PORTAL, CB_RIGHT_CALL, arg, &source);
        if (!status)
            status = slot_derivable(source, arg);
        if (status)
            return status;
        p = slot_word_object(slot_word(source));
        if (p->cpu != cpu_id)
            return FAULT(BAD_CPU, arg);
    }
    portal_slot_clear(s);
    if (source)
        slot_insert(s, source, slot_word(source));
    return CB_OK;
}
