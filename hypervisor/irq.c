/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * tree_lock guards which event a line is bound to; interrupt handlers read the event once.
 *
 * From a signal to the call irq_ack nothing more is signalled. A level-triggered line is masked for that time. An
 * edge on a masked line would be lost, so edge-triggered lines stay open until a second one comes, which is
 * signalled again after irq_ack.
 */
#include "irq.h"

#include "apic.h"
#include "call.h"
#include "event.h"
#include "ioapic.h"

#define LINES (VECTOR_GSI_END - VECTOR_GSI)
#define FLAG_LEVEL 0x1u
#define FLAG_ACTIVE_LOW 0x2u

enum line_state {
    LINE_OPEN,
    LINE_SIGNALLED, /* not acknowledged yet */
    LINE_MISSED,    /* another one came meanwhile; masked */
};

static struct line {
    _Atomic(struct event *) event; /* NULL: not bound */
    u64 badge;                     /* constant while there is an event */
    bool level;                    /* the same */
    enum line_state state;         /* lock */
} lines[LINES];

static struct lock lock; /* inside tree_lock */

static struct event *line_event(u32 gsi)
{
    return atomic_load_explicit(&lines[gsi].event, memory_order_acquire); /* pairs with irq_bind() */
}

/* The line that the call on IRQ capabilities is about. */
static status_t call_line(const struct regs *r, u32 *gsi)
{
    u64 word;
    status_t status = call_target(r, CB_TYPE_IRQ, CB_RIGHT_CONTROL, &word);

    *gsi = LOW(r->rsi);
    if (!status && (HIGH(r->rsi) || !ioapic_has(*gsi)))
        status = FAULT(BAD_PARAM, 1);
    return status;
}

static status_t irq_bind_locked(struct regs *r)
{
    u32 gsi;
    struct event *e;
    struct slot *s;
    status_t status = call_line(r, &gsi);

    if (status)
        return status;
    if (HIGH(r->rdx))
        return FAULT(BAD_PARAM, 2);
    if (r->r8 & ~(u64)(FLAG_LEVEL | FLAG_ACTIVE_LOW))
        return FAULT(BAD_PARAM, 3);
    status = call_slot(LOW(r->rdx), CB_TYPE_EVENT, CB_RIGHT_SIGNAL, 2, &s);
    if (status)
        return status;
    if (line_event(gsi))
        return FAULT(BUSY, 1);
    e = slot_word_object(slot_word(s));
    if (e->obj.dying)
        return FAULT(DYING, 2);
    lines[gsi].badge = s->badge;
    lines[gsi].level = ioapic_level(gsi, r->r8 & FLAG_LEVEL);
    lines[gsi].state = LINE_OPEN;
    e->irqs++;
    /* Pairs with line_event(): badge and state belong to the event. */
    atomic_store_explicit(&lines[gsi].event, e, memory_order_release);
    ioapic_route(gsi, lines[gsi].level, r->r8 & FLAG_ACTIVE_LOW);
    return CB_OK;
}

CALL_LOCKED(irq_bind)

static void line_signal(u32 gsi)
{
    struct event *e = line_event(gsi);

    if (e)
        event_signal(e, lines[gsi].badge);
}

static void line_ack(u32 gsi)
{
    struct line *l = &lines[gsi];
    bool missed;

    lock_take(&lock);
    missed = l->state == LINE_MISSED;
    if ((missed || (l->level && l->state == LINE_SIGNALLED)) && line_event(gsi))
        ioapic_unmask(gsi);
    l->state = missed ? LINE_SIGNALLED : LINE_OPEN;
    lock_drop(&lock);
    if (missed)
        line_signal(gsi);
}

status_t irq_ack(struct regs *r)
{
    u32 gsi;
    status_t status = call_line(r, &gsi);

    if (!status)
        line_ack(gsi);
    return status;
}

void irq_interrupt(u32 gsi)
{
    struct line *l = &lines[gsi];
    bool first;

    lock_take(&lock);
    first = l->state == LINE_OPEN;
    l->state = first ? LINE_SIGNALLED : LINE_MISSED;
    if (l->level || !first || !line_event(gsi))
        ioapic_mask(gsi);
    lock_drop(&lock);
    if (first)
        line_signal(gsi);
}

void irq_event_kill(struct event *e)
{
    for (u32 gsi = 0; gsi < LINES && e->irqs; gsi++) {
        if (line_event(gsi) != e)
            continue;
        ioapic_mask(gsi);
        atomic_store_explicit(&lines[gsi].event, NULL, memory_order_relaxed);
        e->irqs--;
    }
}
