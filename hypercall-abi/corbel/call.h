/* SPDX-License-Identifier: MIT */
/*
 * The call table, each call defined once. The numbers, the hypervisor's dispatch, the stubs and the
 * specification's check expand from it; hypercall-abi/spec.md says what each call does.
 *
 * A native thread makes a call with SYSCALL, a guest with VMMCALL (AMD) or VMCALL (Intel) at CPL 0.
 *
 *   in   rdi  bits 7:0 call number, bits 31:8 flags of the call, bits 63:32 selector
 *        rsi, rdx, r8, r9, r10   arguments 1 to 5, or message words 0 to 3 and the message information
 *   out  rax  status word (corbel/status.h)
 *        rsi, rdx, r8, r9, r10   results 1 to 5, or message words and message information
 *
 * A native thread loses rcx and r11 in every call, and in `call`, `reply` and `wait` also rbx, rbp and
 * r12 to r15 (the kernel saves only what it must; the stub saves what the compiler still needs). In calls
 * that name no result, the argument registers keep their values. A guest loses rcx and r11 as well.
 */
#ifndef CORBEL_CALL_H
#define CORBEL_CALL_H

#include <corbel/types.h>

/*
 * X(number, name, type of the capability that the selector names, right it must carry)
 * NULL and 0: the call names no capability; it acts on its caller alone.
 */
#define CB_CALLS(X)                                          \
    X(0, null, NULL, 0)                                      \
    X(1, call, PORTAL, CB_RIGHT_CALL)                        \
    X(2, reply, NULL, 0)                                     \
    X(3, signal, EVENT, CB_RIGHT_SIGNAL)                     \
    X(4, wait, EVENT, CB_RIGHT_WAIT)                         \
    X(5, yield, NULL, 0)                                     \
    X(8, account_create, NULL, 0)  /* account or ram */      \
    X(9, domain_create, ACCOUNT, CB_RIGHT_PAY)               \
    X(10, thread_create, ACCOUNT, CB_RIGHT_PAY)              \
    X(11, vcpu_create, ACCOUNT, CB_RIGHT_PAY)                \
    X(12, sched_create, ACCOUNT, CB_RIGHT_PAY)               \
    X(13, portal_create, ACCOUNT, CB_RIGHT_PAY)              \
    X(14, event_create, ACCOUNT, CB_RIGHT_PAY)               \
    X(16, ram_split, RAM, CB_RIGHT_SPLIT)                    \
    X(17, frame_create, RAM, CB_RIGHT_SPLIT)                 \
    X(18, map, FRAME, 0)                                     \
    X(20, derive, NULL, 0)   /* any type */                  \
    X(21, revoke, NULL, 0)   /* any type */                  \
    X(22, destroy, NULL, 0)  /* any object */                \
    X(23, identify, NULL, 0) /* any type */                  \
    X(24, counters, NULL, 0) /* account, thread, vcpu, sched, event */ \
    X(28, sched_bind, SCHED, CB_RIGHT_CONTROL)               \
    X(29, thread_set, THREAD, CB_RIGHT_CONTROL)              \
    X(30, recall, NULL, 0)   /* thread or vcpu */            \
    X(31, vcpu_exit, VCPU, CB_RIGHT_CONTROL)                 \
    X(32, event_bind, EVENT, CB_RIGHT_WAIT)                  \
    X(36, irq_bind, IRQ, CB_RIGHT_CONTROL)                   \
    X(37, irq_ack, IRQ, CB_RIGHT_CONTROL)                    \
    X(38, ioport_grant, IOPORT, CB_RIGHT_CONTROL)            \
    X(40, log_read, LOG, CB_RIGHT_READ)                      \
    X(41, log_bind, LOG, CB_RIGHT_CONTROL)                   \
    X(48, halt, NULL, 0)                                     \
    X(49, timer, NULL, 0)                                    \
    X(50, upcall, NULL, 0)                                   \
    X(51, tlb_flush, DOMAIN, CB_RIGHT_FLUSH)

#define CB_CALL_TABLE 64 /* a power of two; a number is taken modulo it, unused ones give BAD_CALL */

enum cb_call {
#define CB_CALL_ENUM(number, name, type, right) CB_CALL_##name = number,
    CB_CALLS(CB_CALL_ENUM)
#undef CB_CALL_ENUM
};

/* The word for rdi. */
#define CB_CALL_WORD(call, flags, sel) ((uint64_t)(call) | (uint64_t)(flags) << 8 | (uint64_t)(sel) << 32)

/* Two 32-bit values in one argument: the low one first. */
#define CB_PAIR(low, high) ((uint64_t)(uint32_t)(low) | (uint64_t)(high) << 32)

/* Flags, per call. */
#define CB_CALL_UPCALLS 0x1u       /* call, by a vCPU: give INTERRUPTED when an upcall is due; the call goes on */
#define CB_CALL_RESUME 0x2u        /* ... with UPCALLS: waits for the one that was interrupted */
#define CB_CALL_DROP 0x4u          /* ... alone: breaks that off */
#define CB_WAIT_POLL 0x1u          /* wait: do not block, give EMPTY instead */
#define CB_REVOKE_SELF 0x1u        /* revoke: the named capability itself as well */
#define CB_DOMAIN_GUEST 0x1u       /* domain_create: the address space is guest-physical */
#define CB_MAP_READ 0x1u           /* map: rights of the mapping */
#define CB_MAP_WRITE 0x2u
#define CB_MAP_EXEC 0x4u
#define CB_HALT_ENABLE 0x1u        /* halt: set RFLAGS.IF before returning */
#define CB_DEADLINE_NONE (~0ull)     /* wait, timer: never */

/* thread_set: what is set. */
#define CB_THREAD_FS_BASE 0u       /* value: the address FS base points to, canonical, user half */
#define CB_THREAD_EXCEPTION 1u     /* value: selector of the portal that faults are sent to, 0 for none */

#define CB_LEVELS 32u      /* of portals: calls go down */
#define CB_PRIORITIES 128u /* higher runs first */

#endif
