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

/* The calls themselves are tested on the running system; here only what they are made of. */
status_t call_slot(u32 sel, enum cb_type type, u32 rights, unsigned arg, struct slot **slot)
{
    (void)sel, (void)type, (void)rights, (void)slot;
    return FAULT(BAD_CAP, arg);
}

status_t call_account(u32 sel, struct account **a)
{
    (void)sel, (void)a;
    return FAULT(BAD_CAP, 0);
}

status_t call_destination(u64 value, unsigned arg, struct slot **dst)
{
    (void)value, (void)dst;
    return FAULT(BAD_CAP, arg);
}

status_t call_domain(u32 sel, u32 right, unsigned arg, struct domain **d)
{
    (void)sel, (void)right, (void)d;
    return FAULT(BAD_CAP, arg);
}

void call_install(struct slot *dst, struct object *obj, u64 badge)
{
    (void)dst, (void)obj, (void)badge;
}
