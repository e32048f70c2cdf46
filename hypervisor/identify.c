/* SPDX-License-Identifier: GPL-2.0-only */
#include "account.h"
#include "call.h"
#include "ctx.h"
#include "irq.h"
#include "sched.h"
#include "slot.h"

/* What a capability tells about itself: results 3 and 4 of the call. */
static void identify_details(const struct slot *s, enum cb_type type, u64 *x, u64 *y)
{
    const void *obj = slot_word_object(slot_word(s));

    switch (type) {
    case CB_TYPE_RAM:
        *x = s->ram.pages;
        *y = slot_has_children(s) ? s->ram.pages - s->ram.used : s->ram.pages;
        break;
    case CB_TYPE_FRAME: *x = s->frame.pages; break;
    case CB_TYPE_MAPPING: *x = s->mapping.pages; *y = s->mapping.address; break;
    case CB_TYPE_ACCOUNT: {
        const struct account *a = obj;

        *x = a->quota - a->used;
        *y = a->quota;
        break;
    }
    case CB_TYPE_EVENT: *x = s->badge; break;
    case CB_TYPE_THREAD:
    case CB_TYPE_VCPU: *x = ((const struct ctx *)obj)->cpu; break;
    case CB_TYPE_SCHED: *x = ((const struct sched *)obj)->cpu; break;
    default: break;
    }
}

status_t identify(struct regs *r)
{
    enum cb_type type = CB_TYPE_NULL;
    u64 x = 0, y = 0;
    u32 rights = 0;
    struct slot *s;

    if (CALL_FLAGS(r))
        return FAULT(BAD_PARAM, 0);
    lock_take(&tree_lock);
    if (!call_slot(CALL_SEL(r), CB_TYPE_NULL, 0, 0, &s)) {
        type = slot_word_type(slot_word(s));
        rights = slot_word_rights(slot_word(s));
        identify_details(s, type, &x, &y);
    }
    lock_drop(&tree_lock);
    r->rsi = type;
    r->rdx = rights;
    r->r8 = x;
    r->r9 = y;
    return CB_OK;
}
