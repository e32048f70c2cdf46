/* SPDX-License-Identifier: GPL-2.0-only */
#include "trap.h"

#include <corbel/utcb.h>

#include "apic.h"
#include "call.h"
#include "cpu_init.h"
#include "event.h"
#include "fpu.h"
#include "io.h"
#include "irq.h"
#include "log.h"
#include "mce.h"
#include "mitigations.h"
#include "offsets.h"
#include "thread.h"
#include "x86.h"

/* offsets.h */
ASSERT_OFFSET(struct cpu, current, CPU_CURRENT);
ASSERT_OFFSET(struct cpu, hazards, CPU_HAZARDS);
ASSERT_OFFSET(struct cpu, home, CPU_HOME);
ASSERT_OFFSET(struct cpu, idle_here, CPU_IDLE_HERE);
ASSERT_OFFSET(struct cpu, scratch, CPU_SCRATCH);
ASSERT_OFFSET(struct ctx, home, CTX_HOME);
ASSERT_OFFSET(struct ctx, cpu, CTX_CPU);
ASSERT_OFFSET(struct ctx, state, CTX_STATE);
ASSERT_OFFSET(struct ctx, flags, CTX_STATE + 1);
ASSERT_OFFSET(struct ctx, left, CTX_STATE + 2);
ASSERT_OFFSET(struct ctx, caller, CTX_CALLER);
ASSERT_OFFSET(struct ctx, callee, CTX_CALLEE);
ASSERT_OFFSET(struct ctx, portal, CTX_PORTAL);
_Static_assert(sizeof(struct ctx) == CTX_SIZE, "offsets.h");
ASSERT_OFFSET(struct thread, fs_base, THREAD_FS_BASE);
ASSERT_OFFSET(struct thread, stack, THREAD_STACK);
ASSERT_OFFSET(struct thread, calls, THREAD_CALLS);
ASSERT_OFFSET(struct thread, handled, THREAD_HANDLED);
_Static_assert(CTX_READY == STATE_READY && CTX_IDLE == STATE_IDLE && CTX_CALLING == STATE_CALLING, "offsets.h");
ASSERT_OFFSET(struct event, pending, EVENT_PENDING);
ASSERT_OFFSET(struct event, receiver, EVENT_RECEIVER);
ASSERT_OFFSET(struct event, signals, EVENT_SIGNALS);
ASSERT_OFFSET(struct slot, badge, SLOT_BADGE);
_Static_assert((CTX_CALLING | CTX_FLAG_VCPU << 8) == STATE_VCPU_CALLING, "offsets.h");
_Static_assert((CTX_CALLING | (CTX_FLAG_VCPU | CTX_FLAG_EXIT) << 8) == STATE_IN_VCPU_EXIT, "offsets.h");
_Static_assert(CB_UTCB_WORDS == WORDS_MAX, "offsets.h");
_Static_assert(CB_CALL_call == NUMBER_CALL && CB_CALL_reply == NUMBER_REPLY && CB_CALL_null == 0, "offsets.h");
_Static_assert(CB_CALL_signal == NUMBER_SIGNAL && CB_CALL_wait == NUMBER_WAIT, "offsets.h");
_Static_assert(HAZARD_EXIT == HAZARD_EXIT_MASK && CALL_AGAIN == CALL_UNFINISHED, "offsets.h");
_Static_assert(CALL_BLOCKED == CALL_BLOCKED_PLAIN, "offsets.h");
_Static_assert(CB_SELECTORS == SELECTORS && sizeof(struct slot) == 64, "entry.S makes a place of a selector by a shift");
_Static_assert(WORD_PORTAL == (CB_TYPE_PORTAL | CB_RIGHT_CALL << SLOT_RIGHTS_SHIFT), "offsets.h");
_Static_assert(WORD_EVENT == (CB_TYPE_EVENT | CB_RIGHT_SIGNAL << SLOT_RIGHTS_SHIFT), "offsets.h");

#define EXCEPTIONS 32u

/* ---- Ways in ---- */

NORETURN void trap_call_end(struct ctx *c, status_t status)
{
    call_end(c, status);
    kernel_exit();
}

static void trap_interrupt(u32 vector)
{
    if (vector == VECTOR_TIMER) {
        cpu.armed = UINT64_MAX;
        cpu_hazard(HAZARD_TIMER);
    } else if (vector >= VECTOR_GSI && vector < VECTOR_GSI_END) {
        irq_interrupt(vector - VECTOR_GSI);
    } else if (vector != VECTOR_KICK && !apic_in_service(vector)) {
        return; /* spurious */
    }
    apic_eoi();
}

static void user_exception(struct ctx *c, u32 vector)
{
    u64 cr2 = vector == EXCEPTION_PF ? read_cr2() : 0;

    if (vector == EXCEPTION_NM)
        fpu_take(c);
    else if (vector != EXCEPTION_GP || !io_fault(c->domain))
        thread_exception(c, cr2);
}

NORETURN void trap_user(struct regs *r)
{
    u32 vector = (u32)r->vector;

    if (vector >= EXCEPTIONS)
        trap_interrupt(vector);
    else
        user_exception(cpu.current, vector);
    kernel_exit();
}

static NORETURN void kernel_exception(const struct regs *r)
{
    panic("exception %lu, error %lx, rip %lx, cr2 %lx, cr3 %lx\n"
          "  rax %lx rbx %lx rcx %lx rdx %lx rsi %lx rdi %lx rbp %lx rsp %lx\n"
          "  r8 %lx r9 %lx r10 %lx r11 %lx r12 %lx r13 %lx r14 %lx r15 %lx\n"
          "  cs %lx rflags %lx current %lx domain %lx",
          r->vector, r->error, r->rip, read_cr2(), read_cr3(),
          r->rax, r->rbx, r->rcx, r->rdx, r->rsi, r->rdi, r->rbp, r->rsp,
          r->r8, r->r9, r->r10, r->r11, r->r12, r->r13, r->r14, r->r15,
          r->cs, r->rflags, (u64)(uintptr_t)cpu.current, (u64)(uintptr_t)cpu.home);
}

void trap_kernel(struct regs *r)
{
    if (r->vector < EXCEPTIONS)
        kernel_exception(r);
    trap_interrupt((u32)r->vector);
}

/*
 * An NMI stops the CPU if another one has panicked; else nobody asked for it, and nothing is touched. A machine check comes
 * to all CPUs on some processors, and concerns one.
 */
void trap_ist(struct regs *r)
{
    u64 bank;

    if (r->vector == EXCEPTION_MC && mce_take(&bank) == MCE_GO_ON)
        return;
    if (r->vector != EXCEPTION_NMI)
        kernel_exception(r);
    if (panic_stops())
        cpu_stop();
}

/* ---- The way out ---- */

/* User code may write both bases at any time; GS base belongs to nobody. */
void thread_load_bases(const struct thread *t)
{
    u64 fs_base = __atomic_load_n(&t->fs_base, __ATOMIC_RELAXED);

    if (features.fsgsbase)
        __asm__ volatile("wrfsbase %0\n\twrgsbase %1" : : "r"(fs_base), "r"(0ull));
    else
        wrmsr(MSR_FS_BASE, fs_base);
}

/* A thread in user mode may run ahead of itself into what others have left. */
static NORETURN void resume_guarded(struct regs *r)
{
    bool syscall = r->vector == REGS_SYSCALL;

    if (defends(DEFENCE(ROOTS)) && syscall)
        entry_return_syscall_roots(r);
    if (defends(DEFENCE(ROOTS)))
        entry_return_roots(r);
    if (syscall)
        entry_return_syscall_guarded(r);
    entry_return_guarded(r);
}

NORETURN void thread_resume(struct ctx *c)
{
    thread_load_bases(thread_of(c));
    if (defends(DEFENCES_ENTRY))
        resume_guarded(&c->regs);
    /* SYSRET to an address that is not canonical would fault in kernel mode on Intel: rip is a user's (USER_END at most). */
    if (c->regs.vector == REGS_SYSCALL)
        entry_return_syscall(&c->regs);
    entry_return(&c->regs);
}
