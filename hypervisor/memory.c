/* SPDX-License-Identifier: GPL-2.0-only */
/* Memory as capabilities: ram is split into ram and frames, frames are mapped. */
#include "call.h"
#include "space.h"

/* Where the next child of `pages` pages, aligned to `align` pages, begins within the ram (in pages). */
static status_t ram_place(const struct slot *ram, u64 pages, u64 align, u64 *place)
{
    u64 first = ram->ram.base >> PAGE_SHIFT;

    *place = align_up(first + slot_ram_used(ram), align) - first;
    if (*place > ram->ram.pages || pages > ram->ram.pages - *place)
        return FAULT(NO_ROOM, 0);
    return CB_OK;
}

/*
 * The common part of ram_split and frame_create: takes a piece off the ram. Where it can still be reached, the call is to
 * be made again after the grace period *wait. Models: tests/model/settle.pml.
 */
static status_t ram_take(struct regs *r, enum cb_type type, u64 *wait)
{
    u64 pages = r->rdx, align = r->r8, place;
    struct slot *ram, *dst;
    struct domain *to;
    status_t status = call_domain(HIGH(r->rsi), CB_RIGHT_INSERT, 1, &to);

    if (!status)
        status = call_slot(CALL_SEL(r), CB_TYPE_RAM, CB_RIGHT_SPLIT, 0, &ram);
    if (status)
        return status;
    if (slot_has_children(ram) &&
        (slot_word_type(slot_word(ram->next)) == CB_TYPE_ACCOUNT || (ram->next->flags & SLOT_TOMBSTONE)))
        return FAULT(BUSY, 0);
    status = ram_place(ram, pages, align, &place);
    if (!status)
        status = slot_derivable(ram, 0);
    if (!status)
        status = slot_reserve(to, LOW(r->rsi), 1, &dst);
    if (status)
        return status;

    if (!grace_over(ram->ram.unmapped)) {
        *wait = ram->ram.unmapped;
        return CALL_AGAIN;
    }

    dst->ram.base = ram->ram.base + (place << PAGE_SHIFT);
    dst->ram.pages = pages;
    dst->ram.unmapped = 0;
    dst->attr = MEM_WB;
    slot_insert(dst, ram, slot_word_make(type, CB_RIGHTS_ALL, NULL));
    return CB_OK;
}

static status_t ram_call(struct regs *r, enum cb_type type)
{
    status_t status;
    u64 wait = 0;

    if (CALL_FLAGS(r))
        return FAULT(BAD_PARAM, 0);
    if (r->rdx == 0 || r->rdx > DIRECT_SIZE >> PAGE_SHIFT)
        return FAULT(BAD_PARAM, 2);
    if (!is_power_of_2(r->r8) || r->r8 > DIRECT_SIZE >> PAGE_SHIFT)
        return FAULT(BAD_PARAM, 3);
    lock_take(&tree_lock);
    status = ram_take(r, type, &wait);
    lock_drop(&tree_lock);
    return wait ? grace_settle(wait) : status;
}

status_t ram_split(struct regs *r)
{
    return ram_call(r, CB_TYPE_RAM);
}

status_t frame_create(struct regs *r)
{
    return ram_call(r, CB_TYPE_FRAME);
}

static status_t map_locked(struct regs *r, struct domain *to)
{
    u64 address = r->rdx, offset = LOW(r->r8), pages = HIGH(r->r8);
    u32 rights = CALL_FLAGS(r);
    struct slot *frame, *dst;
    status_t status = call_slot(CALL_SEL(r), CB_TYPE_FRAME, rights, 0, &frame);

    if (status)
        return status;
    if (!is_aligned(address, PAGE_SIZE) || address >= space_end(&to->space) ||
        pages > (space_end(&to->space) - address) >> PAGE_SHIFT)
        return FAULT(BAD_PARAM, 2);
    if (!pages || offset >= frame->frame.pages || pages > frame->frame.pages - offset)
        return FAULT(BAD_PARAM, 3);
    status = slot_derivable(frame, 0);
    if (!status)
        status = slot_reserve(to, LOW(r->rsi), 1, &dst);
    if (!status)
        status = space_map(&to->space, to->obj.account, address, frame->frame.base + (offset << PAGE_SHIFT), pages, rights,
                           frame->attr);
    if (status)
        return status;
    dst->mapping.address = address;
    dst->mapping.pages = pages;
    dst->mapping.domain = to;
    slot_insert(dst, frame, slot_word_make(CB_TYPE_MAPPING, 0, NULL));
    return CB_OK;
}

_Static_assert(CB_MAP_READ == CB_RIGHT_READ && CB_MAP_WRITE == CB_RIGHT_WRITE && CB_MAP_EXEC == CB_RIGHT_EXEC,
               "the flags of map are the rights they need");

status_t map(struct regs *r)
{
    struct domain *to;
    status_t status = call_domain(HIGH(r->rsi), CB_RIGHT_INSERT, 1, &to);

    if (status)
        return status;
    if ((CALL_FLAGS(r) & ~(CB_MAP_READ | CB_MAP_WRITE | CB_MAP_EXEC)) || !(CALL_FLAGS(r) & CB_MAP_READ))
        return FAULT(BAD_PARAM, 0);
    lock_take(&tree_lock);
    status = map_locked(r, to);
    lock_drop(&tree_lock);
    return status;
}
