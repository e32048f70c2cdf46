/* SPDX-License-Identifier: GPL-2.0-only */
/* Instructions, control register bits and model-specific registers that C has no words for. */
#ifndef X86_H
#define X86_H

#include "types.h"

#define CR0_PE (1ull << 0)
#define CR0_MP (1ull << 1)
#define CR0_EM (1ull << 2)
#define CR0_TS (1ull << 3)
#define CR0_NE (1ull << 5)
#define CR0_WP (1ull << 16)
#define CR0_NW (1ull << 29)
#define CR0_CD (1ull << 30)
#define CR0_PG (1ull << 31)

/* Not write-through, but not disabled either: no processor has caches like that. */
static inline bool cr0_is_odd(u64 cr0)
{
    return (cr0 & CR0_NW) && !(cr0 & CR0_CD);
}

#define CR4_DE (1ull << 3)
#define CR4_PSE (1ull << 4)
#define CR4_PAE (1ull << 5)
#define CR4_MCE (1ull << 6)
#define CR4_PGE (1ull << 7)
#define CR4_PCE (1ull << 8)
#define CR4_OSFXSR (1ull << 9)
#define CR4_OSXMMEXCPT (1ull << 10)
#define CR4_UMIP (1ull << 11)
#define CR4_FSGSBASE (1ull << 16)
#define CR4_PCIDE (1ull << 17)
#define CR4_OSXSAVE (1ull << 18)
#define CR4_SMEP (1ull << 20)
#define CR4_SMAP (1ull << 21)
#define CR4_PKE (1ull << 22)
#define CR4_CET (1ull << 23)

#define RFLAGS_1 0x2ull /* always set */
#define RFLAGS_TF (1ull << 8)
#define RFLAGS_IF (1ull << 9)
#define RFLAGS_DF (1ull << 10)
#define RFLAGS_IOPL (3ull << 12)
#define RFLAGS_NT (1ull << 14)
#define RFLAGS_RF (1ull << 16)
#define RFLAGS_AC (1ull << 18)

#define EFER_SCE (1ull << 0)
#define EFER_LME (1ull << 8)
#define EFER_LMA (1ull << 10)
#define EFER_NXE (1ull << 11)
#define EFER_SVME (1ull << 12)

#define MSR_APIC_BASE 0x1bu
#define APIC_BASE_ENABLE (1ull << 11) /* some machines cannot set it again */
#define MSR_TSC_ADJUST 0x3bu
#define MSR_TSC_DEADLINE 0x6e0u
#define MSR_X2APIC 0x800u
#define MSR_SYSENTER_CS 0x174u
#define MSR_PAT 0x277u
#define MSR_EFER 0xc0000080u
#define MSR_STAR 0xc0000081u
#define MSR_LSTAR 0xc0000082u
#define MSR_FMASK 0xc0000084u
#define MSR_FS_BASE 0xc0000100u
#define MSR_GS_BASE 0xc0000101u
#define MSR_KERNEL_GS_BASE 0xc0000102u
#define MSR_TSC_AUX 0xc0000103u

enum exception {
    EXCEPTION_DB = 1,
    EXCEPTION_NMI = 2,
    EXCEPTION_BP = 3,
    EXCEPTION_OF = 4,
    EXCEPTION_UD = 6,
    EXCEPTION_NM = 7,
    EXCEPTION_DF = 8,
    EXCEPTION_GP = 13,
    EXCEPTION_PF = 14,
    EXCEPTION_AC = 17,
    EXCEPTION_MC = 18,
};

struct cpuid {
    u32 eax, ebx, ecx, edx;
};

#ifdef UNIT_TEST /* the tests' machine */
struct cpuid cpuid(u32 leaf, u32 subleaf);
u64 rdmsr(u32 msr);
void wrmsr(u32 msr, u64 value);
u64 rdtsc(void);
u8 inb(u16 port);
u32 inl(u16 port);
void outb(u16 port, u8 v);
u32 mmio_read(const volatile u32 *reg);
void mmio_write(volatile u32 *reg, u32 v);
#else
static inline struct cpuid cpuid(u32 leaf, u32 subleaf)
{
    struct cpuid r;

    __asm__ volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf), "c"(subleaf));
    return r;
}

static inline u64 rdmsr(u32 msr)
{
    u32 low, high;

    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
    return (u64)high << 32 | low;
}

static inline void wrmsr(u32 msr, u64 value)
{
    __asm__ volatile("wrmsr" : : "c"(msr), "a"((u32)value), "d"((u32)(value >> 32)) : "memory");
}

static inline u64 rdtsc(void)
{
    u32 low, high;

    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (u64)high << 32 | low;
}

static inline u8 inb(u16 port)
{
    u8 v;

    __asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}

static inline u32 inl(u16 port)
{
    u32 v;

    __asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}

static inline void outb(u16 port, u8 v)
{
    __asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port));
}

static inline u32 mmio_read(const volatile u32 *reg)
{
    return *reg;
}

static inline void mmio_write(volatile u32 *reg, u32 v)
{
    *reg = v;
}
#endif

/* The same, without the detour of its halves through one register. */
typedef u32 __attribute__((may_alias)) msr_half;

static inline void rdmsr_to(u32 msr, u64 *value)
{
    msr_half *halves = (msr_half *)value;

    __asm__ volatile("rdmsr" : "=a"(halves[0]), "=d"(halves[1]) : "c"(msr));
}

static inline void wrmsr_from(u32 msr, const u64 *value)
{
    const msr_half *halves = (const msr_half *)value;

    __asm__ volatile("wrmsr" : : "c"(msr), "a"(halves[0]), "d"(halves[1]) : "memory");
}

#define X86_CR(n)                                                              \
    static inline u64 read_cr##n(void)                                         \
    {                                                                          \
        u64 v;                                                                 \
                                                                               \
        __asm__ volatile("mov %%cr" #n ", %0" : "=r"(v) : : "memory");         \
        return v;                                                              \
    }                                                                          \
    static inline void write_cr##n(u64 v)                                      \
    {                                                                          \
        __asm__ volatile("mov %0, %%cr" #n : : "r"(v) : "memory");             \
    }
X86_CR(0)
X86_CR(2)
X86_CR(3)
X86_CR(4)
#undef X86_CR

static inline void clts(void)
{
    __asm__ volatile("clts" : : : "memory");
}

/* XCR0. */
static inline u64 xgetbv(void)
{
    u32 low, high;

    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (u64)high << 32 | low;
}

static inline void xsetbv(u64 v)
{
    __asm__ volatile("xsetbv" : : "c"(0), "a"((u32)v), "d"((u32)(v >> 32)) : "memory");
}

static inline void invlpg(const void *address)
{
    __asm__ volatile("invlpg (%0)" : : "r"(address) : "memory");
}

static inline void cpu_pause(void)
{
    __builtin_ia32_pause();
}

/* They mean nothing in 64 bits, but user mode can load one of several values. FS and GS bases are to be loaded afterwards. */
static inline void selectors_clear(void)
{
    __asm__ volatile("mov %w0, %%ds\n\tmov %w0, %%es\n\tmov %w0, %%fs\n\tmov %w0, %%gs" : : "r"(0));
}

/* Open for a moment: what is pending is taken here. */
#ifdef UNIT_TEST
void interrupts_take(void); /* what the test lets happen then */
void interrupts_await(void);
#else
static inline void interrupts_take(void)
{
    __asm__ volatile("sti; nop; cli" : : : "memory");
}

/* Sleeps until one comes; one that is pending wakes it at once. */
static ALWAYS_INLINE void interrupts_await(void)
{
    __asm__ volatile("sti; hlt; cli" : : : "memory");
}
#endif

/* This CPU stops for good. */
static inline NORETURN void cpu_stop(void)
{
    for (;;)
        __asm__ volatile("cli; hlt");
}

static inline void interrupts_off(void)
{
    __asm__ volatile("cli" : : : "memory");
}

#endif
