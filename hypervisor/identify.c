/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What capabilities say about themselves, and what objects have counted. Counters of other CPUs' objects are read while
 * they change: each is one word.
 */
#include "call.h"
#include "event.h"
#include "sched.h"
#include "thread.h"
#include "vcpu.h"

#define COUNTERS_AT_ONCE 5u

/* What a capability tells about itself: results 3 and 4 of the call. */
static void identify_details(const struct slot *s, enum cb_type type, u64 *x, u64 *y)
{
    const void *obj = slot_word_object(slot_word(s));

    switch (type) {
    case CB_TYPE_RAM:
        *x = s->ram.pages;
        *y = s->ram.pages - slot_ram_used(s);
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

static u64 counter(enum cb_type type, const void *obj, u64 n)
{
    switch (type) {
    case CB_TYPE_VCPU:
        if (n >= CB_VCPU_COUNTER_COUNT)
            return 0;
        return ((const struct vcpu *)obj)->counters[index_masked(n, CB_VCPU_COUNTER_COUNT)];
    case CB_TYPE_SCHED: return n == 0 ? sched_consumed(obj) : 0;
    case CB_TYPE_EVENT: return n == 0 ? atomic_load(&((const struct event *)obj)->signals) : 0;
    case CB_TYPE_ACCOUNT:
        return n == 0 ? ((const struct account *)obj)->quota : n == 1 ? ((const struct account *)obj)->used : 0;
    case CB_TYPE_THREAD:
        return n == 0 ? ((const struct thread *)obj)->calls : n == 1 ? ((const struct thread *)obj)->handled : 0;
    default: return 0;
    }
}

static bool countable(enum cb_type type)
{
    return type == CB_TYPE_VCPU || type == CB_TYPE_SCHED || type == CB_TYPE_EVENT || type == CB_TYPE_ACCOUNT ||
           type == CB_TYPE_THREAD;
}

status_t counters(struct regs *r)
{
    u64 word, first = r->rsi;
    u64 *results[COUNTERS_AT_ONCE] = { &r->rsi, &r->rdx, &r->r8, &r->r9, &r->r10 };
    status_t status = call_target(r, CB_TYPE_NULL, CB_RIGHT_READ, &word);

    if (!countable(slot_word_type(word)))
        return FAULT(BAD_CAP, 0);
    if (status)
        return status;
    for (u64 i = 0; i < COUNTERS_AT_ONCE; i++)
        *results[i] = counter(slot_word_type(word), slot_word_object(word), first + i < first ? UINT64_MAX : first + i);
    return CB_OK;
}
