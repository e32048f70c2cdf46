/* SPDX-License-Identifier: GPL-2.0-only */
#include "trap.h"

#include "apic.h"
#include "call.h"
#include "cpu.h"
#include "cpu_init.h"
#include "fpu.h"
#include "irq.h"
#include "log.h"
#include "thread.h"
#include "x86.h"

ASSERT_OFFSET(struct cpu, current, 0);

#define EXCEPTIONS 32u

/* ---- Ways in ---- */

NORETURN void trap_syscall(void)
{
    call_dispatch();
    kernel_exit();
}

void trap_interrupt(u32 vector)
{
    if (vector == VECTOR_TIMER) {
        cpu.armed = UINT64_MAX;
        cpu_hazard(HAZARD_TIMER);
    } else if (vector >= VECTOR_GSI && vector < VECTOR_GSI_END) {
        irq_interrupt(vector - VECTOR_GSI);
    } else if (vector != VECTOR_KICK) {
        return; /* spurious: not in service */
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
          r->cs, r->rflags, (u64)(uintptr_t)cpu.current, (u64)(uintptr_t)cpu.domain);
}

void trap_kernel(struct regs *r)
{
    if (r->vector < EXCEPTIONS)
        kernel_exception(r);
    trap_interrupt((u32)r->vector);
}

/* An NMI stops the CPU if another one has panicked; else nobody asked for it, and nothing is touched. */
void trap_ist(struct regs *r)
{
    if (r->vector != EXCEPTION_NMI)
        kernel_exception(r);
    while (panic_stops())
        __asm__ volatile("cli; hlt");
}

/* ---- The way out ---- */

/* User code may write both bases at any time, so they are loaded each time; GS base belongs to nobody. */
static void load_bases(u64 fs_base)
{
    if (features.fsgsbase)
        __asm__ volatile("wrfsbase %0\n\twrgsbase %1" : : "r"(fs_base), "r"(0ull));
    else
        wrmsr(MSR_FS_BASE, fs_base);
}

NORETURN void thread_resume(struct ctx *c)
{
    cpu_set_frame(&c->regs + 1);
    load_bases(thread_of(c)->fs_base);
    /* SYSRET to a non-canonical address would fault in kernel mode on Intel. */
    if (c->regs.vector == REGS_SYSCALL && c->regs.rip < USER_END)
        entry_return_syscall(&c->regs);
    entry_return(&c->regs);
}
