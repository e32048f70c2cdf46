/* SPDX-License-Identifier: GPL-2.0-only */
/* Hardware interrupts as events. */
#ifndef IRQ_H
#define IRQ_H

#include "types.h"

struct event;
struct regs;

status_t irq_bind(struct regs *r);
status_t irq_ack(struct regs *r);
void irq_interrupt(u32 gsi);                /* interrupt handler, before the end of interrupt */
void irq_event_kill(struct event *e);       /* tree_lock held: unbinds all its lines */

status_t ioport_grant(struct regs *r);      /* io.c */
struct domain;
struct vcpu;
#define IO_MAP_PAGES 3u                     /* AMD-V: a bit for each port, and three of ones; in whole pages */
void io_cpu_init(void);                     /* boot: this CPU's map for vCPUs */
/*
 * The current vCPU has left the guest at an access to ports. True: they are its domain's, and it has the CPU's map
 * now; the access is to be tried again.
 */
bool io_exit(struct vcpu *v, u32 port, u32 width);
void io_forget(const struct vcpu *v);       /* home CPU: it has died */
/* #GP in user mode: true if the I/O bitmap was loaded and the access should be tried again */
bool io_fault(struct domain *d);
void io_unload(void);                       /* another domain is loaded: its accesses must not use the old bitmap */
void io_free(struct domain *d);             /* reap.c */

status_t log_do_read(struct regs *r);       /* logcall.c */
status_t log_do_bind(struct regs *r);
status_t counters(struct regs *r);
status_t identify(struct regs *r);
status_t derive(struct regs *r);            /* derive.c */
status_t ram_split(struct regs *r);         /* memory.c */
status_t frame_create(struct regs *r);
status_t map(struct regs *r);
status_t domain_create(struct regs *r);     /* domain.c */

#endif
