/* SPDX-License-Identifier: GPL-2.0-only */
/* The calls on the hypervisor's log. */
#include <corbel/utcb.h>

#include "call.h"
#include "event.h"
#include "irq.h"
#include "log.h"

#define READ_MAX (CB_UTCB_WORDS * 8)

status_t log_do_read(struct regs *r)
{
    u64 word, position = r->rsi;
    status_t status = call_lookup(CALL_SEL(r), CB_TYPE_LOG, CB_RIGHT_READ, 0, &word);

    if (status)
        return status;
    if (CALL_FLAGS(r))
        return FAULT(BAD_PARAM, 0);
    r->rdx = log_copy(&position, (char *)cpu.current->utcb->words, READ_MAX);
    r->rsi = position;
    return CB_OK;
}

static status_t bind(u32 sel)
{
    struct event *e;
    struct slot *s;
    status_t status = call_slot(sel, CB_TYPE_EVENT, CB_RIGHT_SIGNAL, 1, &s);

    if (status)
        return status;
    if (log_has_event())
        return FAULT(BUSY, 0);
    e = slot_word_object(slot_word(s));
    if (e->obj.dying)
        return FAULT(DYING, 1);
    log_set_event(e, s->badge);
    return CB_OK;
}

status_t log_do_bind(struct regs *r)
{
    u64 word;
    status_t status = call_lookup(CALL_SEL(r), CB_TYPE_LOG, CB_RIGHT_CONTROL, 0, &word);

    if (status)
        return status;
    if (CALL_FLAGS(r))
        return FAULT(BAD_PARAM, 0);
    if (HIGH(r->rsi))
        return FAULT(BAD_PARAM, 1);
    lock_take(&tree_lock);
    status = bind(LOW(r->rsi));
    lock_drop(&tree_lock);
    return status;
}
