/* SPDX-License-Identifier: GPL-2.0-only */
/* Between entry.S and C: system calls, exceptions, interrupts, and the way back. */
#ifndef TRAP_H
#define TRAP_H

#include "regs.h"
#include "types.h"

struct portal;
struct thread;

/* entry.S */
extern const u64 entry_vectors[256]; /* entry points for the IDT */
void entry_syscall(void);      /* for LSTAR; takes WRFSBASE */
void entry_syscall_slow(void); /* the same, without fast paths */
NORETURN void entry_return(struct regs *r);         /* IRET */
NORETURN void entry_return_syscall(struct regs *r); /* SYSRET */
/* To an idle handler, with an exit, or with the message of a call in these registers; WRFSBASE works. */
NORETURN void entry_handler_call(const struct thread *t, const struct portal *p, const struct regs *r);
NORETURN void entry_handler(const struct thread *t, const struct portal *p, u64 reason, u64 insn_len);

/* Called by entry.S. */
struct ctx;
NORETURN void trap_call_end(struct ctx *c, status_t status); /* of a call that does not return at once */
NORETURN void trap_user(struct regs *r);
void trap_kernel(struct regs *r); /* returns to where it came from */
void trap_ist(struct regs *r);    /* NMI, #MC, #DF: on stacks of their own */

/* An interrupt, from wherever; vcpu backends call it for interrupts that they take by other means. */
void trap_interrupt(u32 vector);

/* Command line option `name=value`; NULL: not there. main.c */
const char *boot_option(const char *name);

#endif
