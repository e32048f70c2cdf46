/* SPDX-License-Identifier: GPL-2.0-only */
/* Between entry.S and C: system calls, exceptions, interrupts, and the way back. */
#ifndef TRAP_H
#define TRAP_H

#include "regs.h"
#include "types.h"

struct portal;
struct thread;

/* entry.S and its other forms. For LSTAR: with fast paths, which take WRFSBASE, and without. Out again: by IRET, by SYSRET. */
#define ENTRY_FORM(form) \
    void entry_syscall##form(void); \
    void entry_syscall_only_slow##form(void); \
    NORETURN void entry_return##form(struct regs *r); \
    NORETURN void entry_return_syscall##form(struct regs *r);
ENTRY_FORM()
ENTRY_FORM(_guarded)
ENTRY_FORM(_roots)
#undef ENTRY_FORM
extern const u64 entry_vectors[256], entry_vectors_roots[256]; /* entry points for the IDT */
/* To an idle handler, with the message of a call in these registers, or with an exit; unless cpu_entry_guarded. */
NORETURN void entry_handler_call(const struct thread *t, const struct regs *r, u64 unused, const struct portal *p);
NORETURN void entry_handler(const struct thread *t, u64 reason, u64 insn_len, const struct portal *p);
void entry_flush_user(u64 user, u64 kernel); /* flushes the tag of a word of a user root; loads that of a kernel root */

/* Called by entry.S. */
struct ctx;
NORETURN void trap_call_end(struct ctx *c, status_t status); /* of a call that does not return at once */
NORETURN void trap_user(struct regs *r);
void trap_kernel(struct regs *r); /* returns to where it came from */
void trap_ist(struct regs *r);    /* NMI, #MC, #DF: on stacks of their own */

/* Command line option `name=value`; NULL: not there. main.c */
const char *boot_option(const char *name);

#endif
