/* SPDX-License-Identifier: GPL-2.0-only */
#include "reap_fake.h"

#include "call.h"

unsigned reap_fake_killed;

void reap_object(struct object *obj)
{
    obj->dying = 1;
    reap_fake_killed++;
}

u64 grace_next(void)
{
    return 1;
}

bool grace_over(u64 epoch)
{
    return epoch == 0;
}

status_t grace_settle(u64 epoch)
{
    (void)epoch;
    return CALL_AGAIN;
}

struct slot *call_fake_slot, *call_fake_destination;
struct account *call_fake_account;
struct domain *call_fake_domain;

status_t call_slot(u32 sel, enum cb_type type, u32 rights, unsigned arg, struct slot **slot)
{
    (void)sel, (void)type, (void)rights;
    *slot = call_fake_slot;
    return *slot ? CB_OK : FAULT(BAD_CAP, arg);
}

status_t call_account(u32 sel, struct account **a)
{
    (void)sel;
    *a = call_fake_account;
    return *a ? CB_OK : FAULT(BAD_CAP, 0);
}

status_t call_destination(u64 value, unsigned arg, struct slot **dst)
{
    (void)value;
    *dst = call_fake_destination;
    return *dst ? CB_OK : FAULT(BAD_CAP, arg);
}

status_t call_domain(u32 sel, u32 right, unsigned arg, struct domain **d)
{
    (void)sel, (void)right;
    *d = call_fake_domain;
    return *d ? CB_OK : FAULT(BAD_CAP, arg);
}

void call_install(struct slot *dst, struct object *obj, u64 badge)
{
    obj->root = dst;
    dst->badge = badge;
    atomic_store(&dst->word, slot_word_make(obj->type, CB_RIGHTS_ALL, obj));
}
