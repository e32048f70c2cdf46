/* SPDX-License-Identifier: MIT */
/*
 * The instruction behind every call, for native tasks and, with CB_GUEST defined, for guests. A guest that runs on
 * AMD-V alone needs nothing else; one that is to run on VT-x too defines CB_INVOKE_INSN as a call of code of its own,
 * which changes no register and chooses between VMMCALL and VMCALL (corbel/guest.h, FEATURES).
 */
#ifndef CORBEL_INVOKE_H
#define CORBEL_INVOKE_H

#include <corbel/call.h>
#include <corbel/status.h>

/* Arguments 1 to 5 on entry, results 1 to 5 on return; `badge` is used by handlers only. */
struct cb_args {
    uint64_t a1, a2, a3, a4, a5;
};

#ifdef CB_GUEST
#ifndef CB_INVOKE_INSN
#define CB_INVOKE_INSN "vmmcall"
#endif
#define CB_INVOKE_LOST "rcx", "r11", "memory"
#else
#define CB_INVOKE_INSN "syscall"
#define CB_INVOKE_LOST "rcx", "r11", "memory"
#endif

/* A call that keeps callee-saved registers: all but call, reply and wait. */
static inline uint64_t cb_invoke(uint64_t word, struct cb_args *args)
{
    register uint64_t r8 __asm__("r8") = args->a3;
    register uint64_t r9 __asm__("r9") = args->a4;
    register uint64_t r10 __asm__("r10") = args->a5;
    uint64_t status;

    __asm__ volatile(CB_INVOKE_INSN
                     : "=a"(status), "+D"(word), "+S"(args->a1), "+d"(args->a2), "+r"(r8), "+r"(r9), "+r"(r10)
                     :
                     : CB_INVOKE_LOST);
    args->a3 = r8;
    args->a4 = r9;
    args->a5 = r10;
    return status;
}

/* call and wait: the kernel does not keep callee-saved registers. */
static inline uint64_t cb_invoke_blocking(uint64_t word, struct cb_args *args)
{
    register uint64_t r8 __asm__("r8") = args->a3;
    register uint64_t r9 __asm__("r9") = args->a4;
    register uint64_t r10 __asm__("r10") = args->a5;
    uint64_t status;

    __asm__ volatile("push %%rbp\n\t" CB_INVOKE_INSN "\n\tpop %%rbp"
                     : "=a"(status), "+D"(word), "+S"(args->a1), "+d"(args->a2), "+r"(r8), "+r"(r9), "+r"(r10)
                     :
                     : "rbx", "r12", "r13", "r14", "r15", CB_INVOKE_LOST);
    args->a3 = r8;
    args->a4 = r9;
    args->a5 = r10;
    return status;
}

#endif
