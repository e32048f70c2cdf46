/* SPDX-License-Identifier: GPL-2.0-only */
/* What objects have counted. Values of other CPUs' objects are read while they change: each is one word. */
#include "account.h"
#include "call.h"
#include "event.h"
#include "irq.h"
#include "sched.h"
#include "thread.h"
#include "vcpu.h"

#define COUNTERS_AT_ONCE 5u

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
    status_t status = call_lookup(CALL_SEL(r), CB_TYPE_NULL, CB_RIGHT_READ, 0, &word);

    if (!countable(slot_word_type(word)))
        return FAULT(BAD_CAP, 0);
    if (status)
        return status;
    if (CALL_FLAGS(r))
        return FAULT(BAD_PARAM, 0);
    for (u64 i = 0; i < COUNTERS_AT_ONCE; i++)
        *results[i] = counter(slot_word_type(word), slot_word_object(word), first + i < first ? UINT64_MAX : first + i);
    return CB_OK;
}
