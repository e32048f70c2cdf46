/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Lists of features: APM 3, appendix E; SDM 2A, CPUID. Left out are those that need what a guest does not have (an
 * APIC, MTRRs, machine checks, performance counters, power management), model-specific registers that are not
 * part of a vCPU's state (TSC_AUX, SPEC_CTRL, XSS, ...), and hardware virtualization.
 */
#include "cpuid.h"

#include <corbel/call.h>
#include <corbel/guest.h>

#include <string.h>

#define BIT(n) (1u << (n))

#define LEAF_MAX 0x0du
#define LEAF_EXTENDED 0x80000000u
#define LEAF_EXTENDED_MAX 0x80000008u
#define GUEST_PHYSICAL_BITS 48u /* a guest-physical space has no more, whatever the processor has */

/* Leaf 1 */
#define ECX1_FMA BIT(12)
#define ECX1_PCID BIT(17)
#define ECX1_XSAVE BIT(26)
#define ECX1_OSXSAVE BIT(27)
#define ECX1_AVX BIT(28)
#define ECX1_F16C BIT(29)
#define ECX1_HYPERVISOR BIT(31)
/* SSE3 PCLMUL SSSE3 CMPXCHG16B PCID SSE4.1 SSE4.2 MOVBE POPCNT AES RDRAND */
#define ECX1_BASIC                                                                                               \
    (BIT(0) | BIT(1) | BIT(9) | BIT(13) | BIT(17) | BIT(19) | BIT(20) | BIT(22) | BIT(23) | BIT(25) | BIT(30))
#define ECX1_VECTOR (ECX1_FMA | ECX1_AVX | ECX1_F16C)
/* FPU VME DE PSE TSC MSR PAE CX8 SEP PGE CMOV PAT PSE36 CLFSH MMX FXSR SSE SSE2 SS */
#define EDX1_BASIC 0x0f8ba97fu
#define EDX1_HTT BIT(28)
#define CR4_OSXSAVE BIT(18)

/* Leaf 7, EBX: FSGSBASE BMI1 FDP_EXCPTN_ONLY SMEP BMI2 ERMS INVPCID FCS_FDS RDSEED ADX SMAP CLFLUSHOPT CLWB SHA */
#define EBX7_BASIC                                                                                               \
    (BIT(0) | BIT(3) | BIT(6) | BIT(7) | BIT(8) | BIT(9) | BIT(10) | BIT(13) | BIT(18) | BIT(19) | BIT(20) |     \
     BIT(23) | BIT(24) | BIT(29))
#define EBX7_INVPCID BIT(10)
#define EBX7_AVX2 BIT(5)
/* AVX512: F DQ IFMA CD BW VL */
#define EBX7_AVX512 (BIT(16) | BIT(17) | BIT(21) | BIT(28) | BIT(30) | BIT(31))
/* ECX: UMIP GFNI; VAES VPCLMULQDQ; AVX512 VBMI VBMI2 VNNI BITALG VPOPCNTDQ */
#define ECX7_BASIC (BIT(2) | BIT(8))
#define ECX7_AVX (BIT(9) | BIT(10))
#define ECX7_AVX512 (BIT(1) | BIT(6) | BIT(11) | BIT(12) | BIT(14))
#define EDX7_BASIC (BIT(4) | BIT(10)) /* FSRM, MD_CLEAR (VERW clears buffers; no register belongs to it) */

/* Leaf 0x80000001, ECX: LAHF ABM SSE4A MISALIGNSSE 3DNOWPREFETCH; XOP FMA4 */
#define ECX81_BASIC (BIT(0) | BIT(5) | BIT(6) | BIT(7) | BIT(8))
#define ECX81_VECTOR (BIT(11) | BIT(16))
/* as leaf 1, without SEP, CLFSH, SSE, SSE2, SS; and SYSCALL NX MMXEXT FXSR_OPT PDPE1GB LM */
#define EDX81_BASIC 0x27d3a97fu
#define EDX81_NX BIT(20)
#define EDX81_FXSR_OPT BIT(25)
#define EDX87_INVARIANT_TSC BIT(8)
#define EBX88_BASIC (BIT(0) | BIT(2)) /* CLZERO, XSAVE keeps the error pointers */

/* XCR0 (APM 2, 11.5.2) */
#define XCR0_X87 BIT(0)
#define XCR0_SSE BIT(1)
#define XCR0_AVX BIT(2)
#define XCR0_AVX512 (BIT(5) | BIT(6) | BIT(7))
#define XCR0_KNOWN (XCR0_X87 | XCR0_SSE | XCR0_AVX | XCR0_AVX512)
#define XCR0_COMPONENTS 8u
#define EFER_SCE BIT(0) /* APM 2, 3.1.7 */
#define EFER_LME BIT(8)
#define EFER_NXE BIT(11)
#define EFER_FFXSR BIT(14)
#define XSAVE_LEGACY 576u /* legacy area and header */
/* Leaf 0xd, subleaf 1: XSAVEOPT XSAVEC XGETBV1; not XSAVES: XSS is no vCPU state */
#define EAXD1_BASIC (BIT(0) | BIT(1) | BIT(2))

static struct cpuid_regs host(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid_regs r;

    __asm__ volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf), "c"(subleaf));
    return r;
}

/*
 * The state components that a guest may use: those that the hypervisor has enabled for native tasks, since these
 * are the ones that it saves and restores. 0: no XSAVE at all.
 */
uint32_t cpuid_xcr0(void)
{
    uint32_t low, high, allowed;

    if ((host(1, 0).ecx & ECX1_OSXSAVE) == 0)
        return 0;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    allowed = low & XCR0_KNOWN;
    if ((allowed & XCR0_AVX512) != XCR0_AVX512)
        allowed &= ~XCR0_AVX512;
    return allowed;
}

bool cpuid_xcr0_valid(uint64_t xcr0)
{
    uint64_t avx512 = xcr0 & XCR0_AVX512;

    if ((xcr0 & ~(uint64_t)cpuid_xcr0()) != 0 || (xcr0 & XCR0_X87) == 0)
        return false;
    if ((xcr0 & XCR0_AVX) != 0 && (xcr0 & XCR0_SSE) == 0)
        return false;
    return avx512 == 0 || (avx512 == XCR0_AVX512 && (xcr0 & XCR0_AVX) != 0);
}

uint64_t cpuid_efer(void)
{
    uint32_t edx = host(LEAF_EXTENDED + 1, 0).edx & EDX81_BASIC;

    return EFER_SCE | EFER_LME | ((edx & EDX81_NX) ? EFER_NXE : 0) | ((edx & EDX81_FXSR_OPT) ? EFER_FFXSR : 0);
}

uint32_t cpuid_address_sizes(uint32_t eax)
{
    uint32_t physical = eax & 0xff;

    return (eax & 0xff00) | (physical < GUEST_PHYSICAL_BITS ? physical : GUEST_PHYSICAL_BITS);
}

static uint32_t order(uint32_t count)
{
    uint32_t bits = 0;

    while (1u << bits < count)
        bits++;
    return bits;
}

static struct cpuid_regs leaf_1(const struct cpuid_machine *machine, const struct cpuid_vcpu *vcpu)
{
    struct cpuid_regs r = host(1, 0);
    uint32_t xcr0 = cpuid_xcr0();
    uint32_t ecx = r.ecx & ECX1_BASIC;

    if (!machine->nested)
        ecx &= ~ECX1_PCID;
    if (xcr0) {
        ecx |= ECX1_XSAVE;
        ecx |= (vcpu->cr4 & CR4_OSXSAVE) ? ECX1_OSXSAVE : 0;
    }
    if ((xcr0 & XCR0_AVX) != 0)
        ecx |= r.ecx & ECX1_VECTOR;
    /* Initial APIC ID; logical CPUs of the package; size of a cache line as the host has it. */
    r.ebx = vcpu->number << 24 | 1u << order(machine->vcpu_count) << 16 | (r.ebx & 0xff00);
    r.ecx = ecx | ECX1_HYPERVISOR;
    r.edx = (r.edx & EDX1_BASIC) | (machine->vcpu_count > 1 ? EDX1_HTT : 0);
    return r;
}

/* Intel's caches: as the host says, but not shared; all vCPUs are cores of one package. */
static struct cpuid_regs leaf_4(const struct cpuid_machine *machine, uint32_t subleaf)
{
    struct cpuid_regs r = host(4, subleaf);

    if ((r.eax & 31) != 0)
        r.eax = (r.eax & 0x3fff) | ((1u << order(machine->vcpu_count)) - 1) << 26;
    return r;
}

static struct cpuid_regs leaf_7(const struct cpuid_machine *machine, uint32_t subleaf)
{
    struct cpuid_regs r = host(7, 0);
    uint32_t xcr0 = cpuid_xcr0();
    uint32_t ebx = EBX7_BASIC, ecx = ECX7_BASIC;

    if (subleaf != 0)
        return (struct cpuid_regs){0};
    if (!machine->nested)
        ebx &= ~EBX7_INVPCID;
    if ((xcr0 & XCR0_AVX) != 0) {
        ebx |= EBX7_AVX2;
        ecx |= ECX7_AVX;
    }
    if ((xcr0 & XCR0_AVX512) != 0) {
        ebx |= EBX7_AVX512;
        ecx |= ECX7_AVX512;
    }
    return (struct cpuid_regs){.eax = 0, .ebx = r.ebx & ebx, .ecx = r.ecx & ecx, .edx = r.edx & EDX7_BASIC};
}

/* Topology: one package, one thread a core, and the vCPU's number as its APIC ID. */
static struct cpuid_regs leaf_b(const struct cpuid_machine *machine, const struct cpuid_vcpu *vcpu, uint32_t subleaf)
{
    struct cpuid_regs r = {.ecx = subleaf & 0xff, .edx = vcpu->number};

    if (subleaf == 0) { /* threads of a core */
        r.ebx = 1;
        r.ecx |= 1u << 8;
    } else if (subleaf == 1) { /* cores of the package */
        r.eax = order(machine->vcpu_count);
        r.ebx = machine->vcpu_count;
        r.ecx |= 2u << 8;
    }
    return r;
}

/* Bytes of an XSAVE area with these components. */
static uint32_t xsave_size(uint64_t components, bool compacted)
{
    uint32_t size = XSAVE_LEGACY;

    for (uint32_t i = 2; i < XCR0_COMPONENTS; i++) {
        struct cpuid_regs r;

        if ((components & BIT(i)) == 0)
            continue;
        r = host(0xd, i);
        if (compacted) {
            if ((r.ecx & BIT(1)) != 0) /* to be aligned to 64 bytes */
                size = (size + 63) & ~63u;
            size += r.eax;
        } else if (size < r.ebx + r.eax) {
            size = r.ebx + r.eax;
        }
    }
    return size;
}

static struct cpuid_regs leaf_d(const struct cpuid_vcpu *vcpu, uint32_t subleaf)
{
    uint32_t allowed = cpuid_xcr0();
    struct cpuid_regs r = {0};

    if (!allowed)
        return r;
    if (subleaf == 0) {
        r.eax = allowed;
        r.ebx = xsave_size(vcpu->xcr0, false);
        r.ecx = xsave_size(allowed, false);
    } else if (subleaf == 1) {
        r.eax = host(0xd, 1).eax & EAXD1_BASIC;
        r.ebx = xsave_size(vcpu->xcr0, true);
    } else if (subleaf < XCR0_COMPONENTS && (allowed & BIT(subleaf)) != 0) {
        r = host(0xd, subleaf);
        r.ecx &= BIT(1);
        r.edx = 0;
    }
    return r;
}

static struct cpuid_regs basic(const struct cpuid_machine *machine, const struct cpuid_vcpu *vcpu, uint32_t leaf,
                               uint32_t subleaf)
{
    struct cpuid_regs r;

    switch (leaf) {
    case 0:
        r = host(0, 0);
        r.eax = LEAF_MAX;
        return r;
    case 1: return leaf_1(machine, vcpu);
    case 2: return host(2, 0);
    case 4: return leaf_4(machine, subleaf);
    case 7: return leaf_7(machine, subleaf);
    case 0xb: return leaf_b(machine, vcpu, subleaf);
    case 0xd: return leaf_d(vcpu, subleaf);
    default: return (struct cpuid_regs){0};
    }
}

static struct cpuid_regs extended(const struct cpuid_machine *machine, uint32_t leaf)
{
    uint32_t vector = (cpuid_xcr0() & XCR0_AVX) ? ECX81_VECTOR : 0;
    struct cpuid_regs r = host(LEAF_EXTENDED, 0);

    if (leaf > r.eax)
        return (struct cpuid_regs){0};
    r = host(leaf, 0);
    switch (leaf & 0xff) {
    case 0:
        r.eax = r.eax < LEAF_EXTENDED_MAX ? r.eax : LEAF_EXTENDED_MAX;
        break;
    case 1:
        r.ecx &= ECX81_BASIC | vector;
        r.edx &= EDX81_BASIC;
        break;
    case 7: /* the paravirtual clock is the TSC, so it is a good one */
        r = (struct cpuid_regs){.edx = EDX87_INVARIANT_TSC};
        break;
    case 8: /* address sizes; cores of the package and bits of their number */
        r.eax = cpuid_address_sizes(r.eax);
        r.ebx &= EBX88_BASIC;
        r.ecx = (machine->vcpu_count - 1) | order(machine->vcpu_count) << 12;
        r.edx = 0;
        break;
    default: /* 2 to 4: the name; 5 and 6: caches */
        break;
    }
    return r;
}

static struct cpuid_regs corbel(const struct cpuid_machine *machine, uint32_t leaf)
{
    struct cpuid_regs r = {0};

    switch (leaf) {
    case CB_CPUID_BASE:
        r.eax = CB_CPUID_LAST;
        memcpy(&r.ebx, &CB_CPUID_SIGNATURE[0], 4);
        memcpy(&r.ecx, &CB_CPUID_SIGNATURE[4], 4);
        memcpy(&r.edx, &CB_CPUID_SIGNATURE[8], 4);
        break;
    case CB_CPUID_FEATURES:
        r.eax = CB_ABI_VERSION;
        r.ebx = machine->vcpu_count;
        r.ecx = (uint32_t)(machine->event_page / CB_PAGE_SIZE);
        r.edx = machine->vmcall;
        break;
    case CB_CPUID_CLOCK:
        r.eax = (uint32_t)machine->tsc_khz;
        r.ebx = (uint32_t)machine->wall_ns;
        r.ecx = (uint32_t)(machine->wall_ns >> 32);
        break;
    case CB_CPUID_CONSOLE:
        r.eax = (uint32_t)(machine->console_page / CB_PAGE_SIZE);
        r.ebx = machine->console_signal;
        r.ecx = machine->console_port;
        break;
    default:
        break;
    }
    return r;
}

struct cpuid_regs cpuid_answer(const struct cpuid_machine *machine, const struct cpuid_vcpu *vcpu, uint32_t leaf,
                               uint32_t subleaf)
{
    if (leaf >= CB_CPUID_BASE && leaf <= CB_CPUID_LAST)
        return corbel(machine, leaf);
    if (leaf >= LEAF_EXTENDED && leaf <= LEAF_EXTENDED_MAX)
        return extended(machine, leaf);
    if (leaf <= LEAF_MAX)
        return basic(machine, vcpu, leaf, subleaf);
    return (struct cpuid_regs){0};
}
