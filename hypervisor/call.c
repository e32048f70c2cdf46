/* SPDX-License-Identifier: GPL-2.0-only */
#include "call.h"

#include "event.h"
#include "portal.h"
#include "sched.h"
#include "thread.h"
#include "vcpu.h"

/*
 * An empty slot seen in the linear table may be a stale translation of the shared empty page: look at the slot
 * itself. Without the lock: the tables of a capability space only grow while its domain lives.
 */
static u64 call_word_slow(u32 sel)
{
    const struct slot *s = slot_find(cpu_domain(), sel);
    return s ? slot_word(s) : 0;
}

static status_t call_check(u64 word, enum cb_type type, u32 rights, unsigned arg)
{
    enum cb_type is = slot_word_type(word);

    if (is == CB_TYPE_NULL || (type != CB_TYPE_NULL && is != type))
        return FAULT(BAD_CAP, arg);
    if (rights & ~slot_word_rights(word))
        return FAULT(BAD_RIGHT, arg);
    return CB_OK;
}

status_t call_lookup_slow(u32 sel, enum cb_type type, u32 rights, unsigned arg, u64 *word)
{
    *word = slot_word(caps_linear(sel));
    if (!*word)
        *word = call_word_slow(sel);
    return call_check(*word, type, rights, arg);
}

status_t call_slot(u32 sel, enum cb_type type, u32 rights, unsigned arg, struct slot **slot)
{
    *slot = slot_find(cpu_domain(), sel);
    if (!*slot)
        return FAULT(BAD_CAP, arg);
    return call_check(slot_word(*slot), type, rights, arg);
}

status_t call_account(u32 sel, struct account **a)
{
    u64 word;
    status_t status = call_lookup(sel, CB_TYPE_ACCOUNT, CB_RIGHT_PAY, 0, &word);

    if (status)
        return status;
    *a = slot_word_object(word);
    return (*a)->obj.dying ? FAULT(DYING, 0) : slot_derivable((*a)->obj.root, 0);
}

status_t call_context(u32 sel, unsigned arg, struct ctx **c)
{
    u64 word;
    status_t status = call_lookup(sel, CB_TYPE_NULL, CB_RIGHT_CONTROL, arg, &word);
    enum cb_type type = slot_word_type(word);

    *c = slot_word_object(word);
    return type == CB_TYPE_THREAD || type == CB_TYPE_VCPU ? status : FAULT(BAD_CAP, arg);
}

status_t call_destination(u64 value, unsigned arg, struct slot **dst)
{
    if (HIGH(value))
        return FAULT(BAD_PARAM, arg);
    return slot_reserve(cpu_domain(), LOW(value), arg, dst);
}

status_t call_domain(u32 sel, u32 right, unsigned arg, struct domain **d)
{
    u64 word;
    status_t status;

    *d = cpu_domain();
    if (sel != CB_SELF) {
        status = call_lookup(sel, CB_TYPE_DOMAIN, right, arg, &word);
        if (status)
            return status;
        *d = slot_word_object(word);
    }
    return (*d)->obj.dying ? FAULT(DYING, arg) : CB_OK;
}

void call_install(struct slot *dst, struct object *obj, u64 badge)
{
    obj->root = dst;
    dst->badge = badge;
    slot_insert(dst, obj->account->obj.root, slot_word_make(obj->type, CB_RIGHTS_ALL, obj));
}

status_t call_null(struct regs *r)
{
    return CALL_FLAGS(r) ? FAULT(BAD_PARAM, 0) : CB_OK;
}

status_t call_yield(struct regs *r)
{
    if (CALL_FLAGS(r))
        return FAULT(BAD_PARAM, 0);
    sched_yield();
    return CB_OK;
}

/*
 * Comparisons (the Makefile forbids tables of jumps), not a table of functions: an indirect branch could be led astray
 * (docs/security.md).
 */
status_t call_make(struct regs *r)
{
    switch (r->rdi % CB_CALL_TABLE) {
#define CALL_CASE(number, name, type, right) case number: return HANDLER_##name(r);
    CB_CALLS(CALL_CASE)
#undef CALL_CASE
    default: return FAULT(BAD_CALL, 0);
    }
}
