/* SPDX-License-Identifier: GPL-2.0-only */
/* Hardware interrupts as events. */
#ifndef IRQ_H
#define IRQ_H

#include "types.h"

struct event;

void irq_interrupt(u32 gsi);          /* interrupt handler, before the end of interrupt */
void irq_event_kill(struct event *e); /* tree_lock held: unbinds all its lines */

#endif
