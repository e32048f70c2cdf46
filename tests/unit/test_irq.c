/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Lines of devices that do what devices do, at random: no edge is lost, a level does not interrupt again before it has been
 * acknowledged, and one who is slow gets one signal at a time.
 */
#include "irq.h"

#include <criterion/criterion.h>
#include <string.h>

#include "apic.h"
#include "call.h"
#include "event.h"
#include "fake.h"
#include "ioapic.h"
#include "random.h"
#include "reap_fake.h"

#define BADGE 0x40ull
#define LINE 5u
#define LEVEL 1u

static struct event event;
static struct slot irqs, signaller;
static bool masked, routed;
static unsigned signals;

void ioapic_mask(u32 gsi)
{
    cr_assert_eq(gsi, LINE);
    masked = true;
}

void ioapic_unmask(u32 gsi)
{
    cr_assert_eq(gsi, LINE);
    masked = false;
}

bool ioapic_has(u32 gsi)
{
    return gsi < 24;
}

bool ioapic_level(u32 gsi, bool level)
{
    (void)gsi;
    return level;
}

void ioapic_route(u32 gsi, bool level, bool active_low)
{
    (void)gsi, (void)level, (void)active_low;
    routed = true;
    masked = false;
}

void event_signal(struct event *e, u64 badge)
{
    cr_assert(e == &event && badge == BADGE);
    signals++;
}

const struct slot *caps_linear(u32 sel)
{
    (void)sel;
    return &irqs;
}

status_t call_lookup_slow(u32 sel, enum cb_type type, u32 rights, unsigned arg, u64 *word)
{
    (void)sel, (void)type, (void)rights, (void)word;
    return FAULT(BAD_RIGHT, arg);
}

static status_t bind(u64 gsi, u64 flags)
{
    struct regs r = { .rdi = CB_CALL_WORD(CB_CALL_irq_bind, 0, 1), .rsi = gsi, .rdx = 2, .r8 = flags };

    return irq_bind(&r);
}

static void ack(void)
{
    struct regs r = { .rdi = CB_CALL_WORD(CB_CALL_irq_ack, 0, 1), .rsi = LINE };

    cr_assert_eq(irq_ack(&r), CB_OK);
}

static void setup(void)
{
    if (event.irqs)
        irq_event_kill(&event);
    memset(&event, 0, sizeof(event));
    atomic_store(&irqs.word, slot_word_make(CB_TYPE_IRQ, CB_RIGHTS_ALL, NULL));
    signaller.badge = BADGE;
    atomic_store(&signaller.word, slot_word_make(CB_TYPE_EVENT, CB_RIGHT_SIGNAL, &event));
    call_fake_slot = &signaller;
    masked = true;
    routed = false;
    signals = 0;
}

TestSuite(irq, .init = setup);

Test(irq, edges)
{
    bool news = false, owed = false; /* something has happened since the owner looked; it has a signal to acknowledge */

    cr_assert_eq(bind(LINE, 0), CB_OK);
    for (unsigned n = 0; n < 10000; n++) {
        unsigned before = signals;

        if (random_below(2)) {
            if (!masked) { /* an edge on a masked line is lost, as in hardware */
                news = true;
                irq_interrupt(LINE);
            } else {
                cr_assert(news, "a lost edge");
            }
        } else if (owed) {
            news = masked; /* it looks at the device, and finds all up to now; but masked means that more is known of */
            owed = false;
            ack();
            cr_assert_not(masked, "for ever");
        }
        cr_assert_leq(signals - before, 1);
        cr_assert(signals == before || !owed, "a second signal before the first is acknowledged");
        owed |= signals != before;
        cr_assert(!news || owed, "nobody knows");
    }
    cr_assert_gt(signals, 100);
}

Test(irq, levels)
{
    bool asserted = false, owed = false;

    cr_assert_eq(bind(LINE, LEVEL), CB_OK);
    for (unsigned n = 0; n < 10000; n++) {
        asserted |= random_below(3) == 0;
        if (asserted && !masked) {
            cr_assert_not(owed);
            irq_interrupt(LINE);
            cr_assert(masked, "a storm");
            owed = true;
        } else if (owed && random_below(2)) {
            asserted = random_below(2); /* the device has been served, perhaps not wholly */
            owed = false;
            ack();
            cr_assert_not(masked);
        }
    }
    cr_assert_gt(signals, 100);
}

Test(irq, an_acknowledgement_of_nothing)
{
    cr_assert_eq(bind(LINE, LEVEL), CB_OK);
    masked = true; /* by whoever */
    ack();
    cr_assert(masked, "opens no line that no signal has closed");
    cr_assert_eq(signals, 0);
}

Test(irq, nobody_is_bound)
{
    irq_interrupt(LINE);
    cr_assert(masked);
    cr_assert_eq(signals, 0);
    cr_assert_eq(bind(LINE, 0), CB_OK);
    cr_assert(routed);
    irq_interrupt(LINE);
    cr_assert_eq(signals, 1, "what came before is forgotten");
}

Test(irq, its_event_dies)
{
    cr_assert_eq(bind(LINE, 0), CB_OK);
    cr_assert_eq(bind(LINE, 0), FAULT(BUSY, 1));
    cr_assert_eq(event.irqs, 1);
    irq_event_kill(&event);
    cr_assert(masked);
    cr_assert_eq(event.irqs, 0);
    irq_interrupt(LINE); /* on its way already */
    cr_assert_eq(signals, 0);
    ack();
    cr_assert(masked, "nobody is there to take it");
}

Test(irq, what_is_refused)
{
    cr_assert_eq(bind(24, 0), FAULT(BAD_PARAM, 1));
    cr_assert_eq(bind(LINE | 1ull << 32, 0), FAULT(BAD_PARAM, 1));
    cr_assert_eq(bind(LINE, 4), FAULT(BAD_PARAM, 3));
    event.obj.dying = 1;
    cr_assert_eq(bind(LINE, 0), FAULT(DYING, 2));
    atomic_store(&irqs.word, slot_word_make(CB_TYPE_IRQ, 0, NULL));
    cr_assert_eq(bind(LINE, 0), FAULT(BAD_RIGHT, 0));
}
