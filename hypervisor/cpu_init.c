/* SPDX-License-Identifier: GPL-2.0-only */
#include "cpu_init.h"

#include "cpu.h"
#include "fpu.h"
#include "kpage.h"
#include "log.h"
#include "mitigations.h"
#include "pmc.h"
#include "runqueue.h"
#include "trap.h"
#include "x86.h"

#define IDT_ENTRIES 256u
#define GATE_INTERRUPT 0x8e00u
#define GATE_USER 0x6000u /* DPL 3 */
#define IST_NMI 1u
#define IST_MC 2u
#define IST_DF 3u

#define TSS_LIMIT 0x3000u /* bitmap in the second and third page, then one byte of ones (APM 2, 12.2.5) */
#define TSS_BITMAP 0x1000u
#define TSS_NO_BITMAP 0xffffu
#define TSS_BUSY (1ull << 41) /* in its descriptor */

#define PAT_VALUE 0x0007010600070106ull /* WB, WC, UC-, UC, and again (APM 2, 7.8.2); see pte.h */

/* What SYSCALL clears in RFLAGS. */
#define FMASK_VALUE (RFLAGS_TF | RFLAGS_IF | RFLAGS_DF | RFLAGS_IOPL | RFLAGS_NT | RFLAGS_RF | RFLAGS_AC)

#define BIT(word, bit) (((word) >> (bit)) & 1u)

struct tss {
    u32 reserved0;
    u64 rsp[3];
    u64 reserved1;
    u64 ist[7];
    u64 reserved2;
    u16 reserved3, bitmap;
} __attribute__((packed));
_Static_assert(sizeof(struct tss) == 0x68, "APM 2, 12.2.5");

struct table_register {
    u16 reserved[3], limit; /* so that `base` is aligned */
    u64 base;
};

#define TSS ((struct tss *)(uintptr_t)CPU_TSS)
#define GDT ((u64 *)(uintptr_t)CPU_GDT)
#define GDT_LIMIT (CPU_GDT_SIZE - 1) /* as exits from guests on VT-x set it (SDM 3C, 28.5.2) */

struct features features;
u32 cpu_entry_guarded;
struct syscall_registers cpu_syscall;

_Alignas(4096) struct gate cpu_idt[IDT_ENTRIES];
_Static_assert(sizeof(cpu_idt) == PAGE_SIZE, "kpage.c maps it as one page");

/* ---- What the CPU can do ---- */

static void probe_brand(u32 leaf_max)
{
    u32 *words = (u32 *)(void *)features.brand;

    if (leaf_max < 0x80000004)
        return;
    for (u32 i = 0; i < 3; i++) {
        struct cpuid r = cpuid(0x80000002 + i, 0);

        words[4 * i] = r.eax;
        words[4 * i + 1] = r.ebx;
        words[4 * i + 2] = r.ecx;
        words[4 * i + 3] = r.edx;
    }
}

static void probe(struct features *f)
{
    struct cpuid leaf0 = cpuid(0, 0), leaf1 = cpuid(1, 0), leaf7 = { 0 };
    struct cpuid extended = cpuid(0x80000001, 0);
    u32 leaf_max = cpuid(0x80000000, 0).eax;

    if (leaf0.eax >= 7)
        leaf7 = cpuid(7, 0);
    f->amd = leaf0.ecx == 0x444d4163 || leaf0.ecx == 0x656e6975; /* "cAMD", "uine" (Hygon) */
    f->intel = leaf0.ecx == 0x6c65746e;                          /* "ntel" */
    f->pcid = BIT(leaf1.ecx, 17);
    f->x2apic = BIT(leaf1.ecx, 21);
    f->tsc_deadline = BIT(leaf1.ecx, 24);
    f->xsave = BIT(leaf1.ecx, 26);
    f->fsgsbase = BIT(leaf7.ebx, 0);
    f->tsc_adjust = BIT(leaf7.ebx, 1);
    f->smep = BIT(leaf7.ebx, 7);
    f->smap = BIT(leaf7.ebx, 20);
    f->umip = BIT(leaf7.ecx, 2);
    f->xinuse = f->xsave && leaf0.eax >= 0xd && BIT(cpuid(0xd, 1).eax, 2);
    f->x87_pointers = !f->amd || (leaf_max >= 0x80000008 && BIT(cpuid(0x80000008, 0).ebx, 2));
    f->pages_1g = BIT(extended.edx, 26);
    f->rdtscp = BIT(extended.edx, 27);
    f->physical_bits = leaf_max >= 0x80000008 ? cpuid(0x80000008, 0).eax & 0xff : 36;
}

void cpu_probe(void)
{
    struct cpuid leaf1, extended;

    wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | APIC_BASE_ENABLE); /* while it is off, CPUID denies it (SDM 3A, 11.4.3) */
    leaf1 = cpuid(1, 0);
    extended = cpuid(0x80000001, 0);
    probe(&features);
    probe_brand(cpuid(0x80000000, 0).eax);
    if (!BIT(extended.edx, 20) || !BIT(extended.edx, 11) || !BIT(leaf1.edx, 13) || !BIT(leaf1.edx, 16) ||
        !BIT(leaf1.edx, 9))
        panic("the CPU lacks%s%s%s%s%s", BIT(extended.edx, 20) ? "" : " NX (the firmware's setup may have turned it off)",
              BIT(extended.edx, 11) ? "" : " SYSCALL", BIT(leaf1.edx, 13) ? "" : " PGE", BIT(leaf1.edx, 16) ? "" : " PAT",
              BIT(leaf1.edx, 9) ? "" : " a local APIC");
}

/* Does this CPU have all that the boot CPU has (and uses)? */
static bool probe_again(void)
{
    struct features f = { 0 };

    probe(&f);
    return f.pcid >= features.pcid && f.x2apic >= features.x2apic && f.tsc_deadline >= features.tsc_deadline &&
           f.tsc_adjust >= features.tsc_adjust &&
           f.xsave >= features.xsave && f.fsgsbase >= features.fsgsbase && f.smep >= features.smep &&
           f.smap >= features.smap && f.umip >= features.umip && f.pages_1g >= features.pages_1g &&
           f.rdtscp >= features.rdtscp &&
           f.xinuse <= features.xinuse && f.x87_pointers >= features.x87_pointers &&
           f.physical_bits >= features.physical_bits && f.amd == features.amd && f.intel == features.intel;
}

/* ---- Descriptor tables ---- */

static void gate_set(u32 vector, u32 flags)
{
    u64 entry = (defends(DEFENCE(ROOTS)) ? entry_vectors_roots : entry_vectors)[vector];

    cpu_idt[vector] = (struct gate){
        .offset0 = (u16)entry,
        .selector = SEL_KERNEL_CODE,
        .flags = (u16)flags,
        .offset1 = (u16)(entry >> 16),
        .offset2 = (u32)(entry >> 32),
    };
}

/* The same on all CPUs. */
static void idt_make(void)
{
    for (u32 i = 0; i < IDT_ENTRIES; i++)
        gate_set(i, GATE_INTERRUPT);
    gate_set(EXCEPTION_BP, GATE_INTERRUPT | GATE_USER);
    gate_set(EXCEPTION_NMI, GATE_INTERRUPT | IST_NMI);
    gate_set(EXCEPTION_MC, GATE_INTERRUPT | IST_MC);
    gate_set(EXCEPTION_DF, GATE_INTERRUPT | IST_DF);
}

static void tables_load(void)
{
    struct table_register gdtr = { .limit = GDT_LIMIT, .base = CPU_GDT };
    struct table_register idtr = { .limit = sizeof(cpu_idt) - 1, .base = (u64)(uintptr_t)cpu_idt };
    u64 tss = CPU_TSS;

    TSS->rsp[0] = defends(DEFENCE(ROOTS)) ? CPU_ENTRY_TOP : CPU_STACK_TOP;
    TSS->ist[IST_NMI - 1] = CPU_NMI_TOP;
    TSS->ist[IST_MC - 1] = CPU_MC_TOP;
    TSS->ist[IST_DF - 1] = CPU_DF_TOP;
    TSS->bitmap = TSS_NO_BITMAP;

    GDT[SEL_KERNEL_CODE / 8] = 0x00af9b000000ffff;
    GDT[SEL_KERNEL_DATA / 8] = 0x00cf93000000ffff;
    GDT[SEL_USER_DATA / 8] = 0x00cff3000000ffff;
    GDT[SEL_USER_CODE / 8] = 0x00affb000000ffff;
    GDT[SEL_TSS / 8] = (TSS_LIMIT & 0xffff) | (tss & 0xffffff) << 16 | 0x89ull << 40 | (tss >> 24 & 0xff) << 56;
    GDT[SEL_TSS / 8 + 1] = tss >> 32;

    __asm__ volatile("lgdt %0\n\t"
                     "lidt %1\n\t"
                     "lldt %w2\n\t"
                     "ltr %w3\n\t"
                     "push %4\n\t" /* reload CS */
                     "lea 1f(%%rip), %%rax\n\t"
                     "push %%rax\n\t"
                     "lretq\n"
                     "1:\tmov %w5, %%ss\n\t"
                     "mov %w2, %%ds\n\t"
                     "mov %w2, %%es\n\t"
                     "mov %w2, %%fs\n\t"
                     "mov %w2, %%gs"
                     :
                     : "m"(gdtr.limit), "m"(idtr.limit), "r"(0), "r"(SEL_TSS), "i"(SEL_KERNEL_CODE), "r"(SEL_KERNEL_DATA),
                       "m"(gdtr), "m"(idtr)
                     : "rax", "memory");
}

void cpu_set_io_bitmap(bool valid)
{
    TSS->bitmap = valid ? TSS_BITMAP : TSS_NO_BITMAP;
    if (!valid)
        return;
    /* An exit from a guest on VT-x leaves a limit before the bitmap (SDM 3C, 28.5.2). */
    GDT[SEL_TSS / 8] &= ~TSS_BUSY; /* LTR wants it so, and sets it */
    __asm__ volatile("ltr %w0" : : "r"(SEL_TSS) : "memory");
}

/* ---- Control registers ---- */

static u64 syscall_entry(void)
{
    bool fast = features.fsgsbase; /* they use it */

    if (defends(DEFENCE(ROOTS)))
        return (u64)(uintptr_t)(fast ? entry_syscall_roots : entry_syscall_only_slow_roots);
    if (defends(DEFENCES_ENTRY))
        return (u64)(uintptr_t)(fast ? entry_syscall_guarded : entry_syscall_only_slow_guarded);
    return (u64)(uintptr_t)(fast ? entry_syscall : entry_syscall_only_slow);
}

/* The same on all CPUs. */
static void syscall_choose(void)
{
    cpu_syscall = (struct syscall_registers){
        .star = (u64)SEL_KERNEL_CODE << 32 | (u64)(SEL_KERNEL_DATA | 3) << 48,
        .lstar = syscall_entry(),
        .fmask = FMASK_VALUE,
    };
}

static void registers_set(void)
{
    u64 cr4 = CR4_PAE | CR4_MCE | CR4_DE;

    cr4 |= defends(DEFENCE(ROOTS)) ? 0 : CR4_PGE; /* what the TLB knows, user mode could read */
    cr4 |= features.umip ? CR4_UMIP : 0;
    cr4 |= features.fsgsbase ? CR4_FSGSBASE : 0;
    cr4 |= features.smep ? CR4_SMEP : 0;
    cr4 |= features.smap ? CR4_SMAP : 0;
    cr4 |= features.pcid ? CR4_PCIDE : 0;
    write_cr0(CR0_PG | CR0_WP | CR0_NE | CR0_MP | CR0_PE | 0x10);
    write_cr4(cr4);
    wrmsr(MSR_PAT, PAT_VALUE);
    kpage_flush(); /* entries made with the old PAT */

    wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SCE | EFER_NXE);
    cpu_syscall_load(&cpu_syscall);
    wrmsr(MSR_SYSENTER_CS, 0); /* SYSENTER faults */
    wrmsr(MSR_FS_BASE, 0);
    wrmsr(MSR_GS_BASE, 0);
    wrmsr(MSR_KERNEL_GS_BASE, 0);
    if (features.rdtscp)
        wrmsr(MSR_TSC_AUX, 0); /* shown to everybody, by RDTSCP and RDPID */
}

bool cpu_init(void)
{
    if (!probe_again() || !mitigations_cpu_init())
        return false;
    if (cpu.id == 0) {
        idt_make();
        syscall_choose();
    }
    cpu_entry_guarded = !features.fsgsbase || defends(DEFENCES_ENTRY);
    if (!features.fsgsbase)
        cpu_hazard(HAZARD_BASES);
    tables_load();
    registers_set();
    list_init(&cpu.grace_waiters); /* here, not in kpage.c: lists point to themselves, and only this CPU uses them */
    runqueue_init(&cpu.runqueue);
    tlb_init(&cpu.pcids, 1, features.pcid ? TLB_TAGS_MAX : 0);
    fpu_cpu_init();
    pmc_cpu_init();
    return true;
}
