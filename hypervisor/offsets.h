/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What C defines and assembly needs: places in structures, and numbers. Each is checked, in trap.c, svm_run.c or beside
 * its structure.
 */
#ifndef OFFSETS_H
#define OFFSETS_H

/* struct cpu; its address is the symbol `cpu`. */
#define CPU_CURRENT 0
#define CPU_HAZARDS 8
#define CPU_HOME 16
#define CPU_IDLE_HERE 24
#define CPU_SCRATCH 32
#define CPU_VIRT_PHYSICAL 48

/* struct ctx; from CTX_CPU on, eight bytes that are compared and written together. */
#define CTX_HOME 224
#define CTX_CPU 232
#define CTX_STATE 236
#define CTX_CALLER 240
#define CTX_CALLEE 248
#define CTX_PORTAL 256
#define CTX_SIZE 640

/* struct thread */
#define THREAD_FS_BASE (CTX_SIZE + 0)
#define THREAD_STACK (CTX_SIZE + 8)
#define THREAD_CALLS (CTX_SIZE + 16)
#define THREAD_HANDLED (CTX_SIZE + 24)

/* struct portal */
#define PORTAL_HANDLER 48
#define PORTAL_ENTRY 56
#define PORTAL_BADGE 64
#define PORTAL_EXIT_INFO 72
#define PORTAL_STANDING 80

/* struct event */
#define EVENT_PENDING 48
#define EVENT_RECEIVER 56
#define EVENT_SIGNALS 64

/* struct slot */
#define SLOT_BADGE 40

/* struct space_cpu */
#define SPACE_CPU_CR3 0
#define SPACE_CPU_USER 8

/* struct entry_page, at CPU_ENTRY (kpage.h) */
#define ENTRY_KERNEL 0
#define ENTRY_RSP 8
#define ENTRY_USER 16
#define ENTRY_IST 24

/* `defences` (mitigations.h) */
#define DEFENCE_VERW_MASK 0x4
#define DEFENCE_L1D_MASK 0x8
#define DEFENCE_IBPB_MASK 0x10
#define DEFENCE_RSB_MASK 0x20
#define DEFENCE_DIV_MASK 0x40
#define DEFENCES_SWITCH_MASK 0x70

/* enum ctx_state */
#define STATE_READY 1
#define STATE_IDLE 2
#define STATE_CALLING 3
#define STATE_VCPU_CALLING 0x103 /* CTX_CALLING, with the flags of a vCPU */
#define STATE_IN_VCPU_EXIT 0x303 /* CTX_CALLING, with the flags of a vCPU in an exit */

/* corbel/call.h, corbel/cap.h */
#define NUMBER_CALL 1
#define NUMBER_REPLY 2
#define NUMBER_SIGNAL 3
#define NUMBER_WAIT 4
#define SELECTORS 0x10000
#define WORDS_MAX 384
/* The low half-word of a slot: a capability that can be called; and what of it matters. */
#define WORD_PORTAL 0x0409
#define WORD_PORTAL_MASK 0x04ff
#define WORD_EVENT 0x020a /* an event that can be signalled */
#define WORD_EVENT_MASK 0x02ff

/* cpu.h, ctx.h */
#define HAZARD_EXIT_MASK 0xff
#define CALL_UNFINISHED 0x10000
#define CALL_BLOCKED_PLAIN 0x20000

#endif
