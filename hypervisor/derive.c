/* SPDX-License-Identifier: GPL-2.0-only */
#include "derive.h"

#include "call.h"

static status_t derive_check_event(const struct slot *src, u64 badge, u64 arg2)
{
    if (arg2)
        return FAULT(BAD_PARAM, 4);
    if (!(slot_word_rights(slot_word(src)) & CB_RIGHT_WAIT) && (badge & ~src->badge))
        return FAULT(BAD_PARAM, 3);
    return CB_OK;
}

static status_t derive_check_frame(const struct slot *src, u64 offset, u64 pages)
{
    if (offset >= src->frame.pages)
        return FAULT(BAD_PARAM, 3);
    if (pages > src->frame.pages - offset)
        return FAULT(BAD_PARAM, 4);
    return CB_OK;
}

/* May `src` be derived with these arguments? */
static status_t derive_check(const struct slot *src, u64 arg1, u64 arg2)
{
    switch (slot_word_type(slot_word(src))) {
    case CB_TYPE_NULL:
    case CB_TYPE_RAM:
    case CB_TYPE_MAPPING: return FAULT(BAD_CAP, 0);
    case CB_TYPE_EVENT: return derive_check_event(src, arg1, arg2);
    case CB_TYPE_FRAME: return derive_check_frame(src, arg1, arg2);
    default: return arg1 ? FAULT(BAD_PARAM, 3) : arg2 ? FAULT(BAD_PARAM, 4) : CB_OK;
    }
}

status_t derive_slot(struct slot *src, struct domain *to, u32 sel, u32 rights, u64 arg1, u64 arg2)
{
    u64 word = slot_word(src), keep;
    struct slot *dst;
    status_t status = derive_check(src, arg1, arg2);

    if (!status)
        status = slot_derivable(src, 0);
    if (!status)
        status = slot_reserve(to, sel, 1, &dst);
    if (status)
        return status;

    keep = word & ~((u64)(~rights & 0xff) << SLOT_RIGHTS_SHIFT);
    if (slot_word_type(word) == CB_TYPE_EVENT) {
        dst->badge = arg1 ? arg1 : src->badge;
    } else if (slot_word_type(word) == CB_TYPE_FRAME) {
        dst->frame.base = src->frame.base + (arg1 << PAGE_SHIFT);
        dst->frame.pages = arg2 ? arg2 : src->frame.pages - arg1;
        dst->frame.unmapped = 0;
        dst->attr = src->attr;
    }
    slot_insert(dst, src, keep);
    return CB_OK;
}

bool derive_item(struct domain *from, struct domain *to, u32 sel, const struct cb_item *item)
{
    status_t status = FAULT(BAD_CAP, 0);
    struct slot *src;

    lock_take(&tree_lock);
    src = slot_find(from, item->sel);
    if (src)
        status = derive_slot(src, to, sel, item->rights, item->arg1, item->arg2);
    lock_drop(&tree_lock);
    return status == CB_OK;
}

static status_t derive_locked(struct regs *r)
{
    struct domain *to;
    struct slot *src;
    status_t status = call_domain(HIGH(r->rsi), CB_RIGHT_INSERT, 1, &to);

    if (!status)
        status = call_slot(CALL_SEL(r), CB_TYPE_NULL, 0, 0, &src);
    if (status)
        return status;
    if (HIGH(r->rdx))
        return FAULT(BAD_PARAM, 2);
    return derive_slot(src, to, LOW(r->rsi), LOW(r->rdx), r->r8, r->r9);
}

CALL_LOCKED(derive)
