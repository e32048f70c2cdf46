/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Flaws of processors, most of them in speculative execution, and defences: which ones a processor has, and which it needs.
 * Pure logic; mitigations.c carries it out, and docs/security.md says what each name means.
 */
#ifndef FLAWS_H
#define FLAWS_H

#include "types.h"

/* name, in words */
#define FLAWS(F) \
    F(MELTDOWN, "Meltdown") \
    F(LAZY_FP, "LazyFP") \
    F(L1TF, "L1TF") \
    F(MDS, "MDS") \
    F(TAA, "TAA") \
    F(MMIO, "MMIO stale data") \
    F(RFDS, "RFDS") \
    F(TSA, "TSA") \
    F(SPECTRE_V2, "Spectre v2") \
    F(BHI, "BHI") \
    F(RETBLEED, "Retbleed") \
    F(SRSO, "SRSO") \
    F(SMT_RSB, "cross-thread return predictions") \
    F(ZENBLEED, "Zenbleed") \
    F(DIV0, "DIV0") \
    F(MULTIHIT, "iTLB multihit") \
    F(SSB, "SSB")

#define DEFENCES(D) \
    D(ROOTS, "user page tables") \
    D(FPU, "FPU clearing") \
    D(VERW, "VERW") \
    D(L1D, "L1D flush") \
    D(IBPB, "IBPB") \
    D(RSB, "RSB filling") \
    D(DIV, "divider clearing") \
    D(IBRS, "IBRS") \
    D(AUTO_IBRS, "automatic IBRS") \
    D(STIBP, "STIBP") \
    D(BHI, "BHI_DIS_S") \
    D(RRSBA, "RRSBA_DIS_S") \
    D(SSBD, "SSBD") \
    D(ZEN2, "FP_BACKUP_FIX") \
    D(SMALL_EXEC, "small executable pages")

enum flaw_bit {
#define FLAW(name, text) FLAW_BIT_##name,
    FLAWS(FLAW)
#undef FLAW
    FLAW_COUNT
};

enum defence_bit {
#define DEFENCE(name, text) DEFENCE_BIT_##name,
    DEFENCES(DEFENCE)
#undef DEFENCE
    DEFENCE_COUNT
};

#define FLAW(name) (1u << FLAW_BIT_##name)
#define DEFENCE(name) (1u << DEFENCE_BIT_##name)

/* What a processor says about itself; what it does not have is 0. */
struct cpu_facts {
    bool intel, amd;        /* AMD: Hygon too */
    bool guest;             /* it is a virtual one: a hypervisor below keeps its settings */
    bool emulated;          /* by QEMU without KVM: no divider remembers anything */
    u32 family, model;      /* with their extended parts */
    u32 stepping;
    u32 microcode;          /* revision; Intel */
    u32 leaf7_ebx, leaf7_edx, leaf7_2_edx;
    u32 ext8_ebx;           /* CPUID 0x80000008 */
    u32 ext21_eax, ext21_ecx; /* CPUID 0x80000021 */
    u64 arch_capabilities;  /* IA32_ARCH_CAPABILITIES */
};

enum policy { POLICY_AUTO, POLICY_ON, POLICY_OFF };

/* FLAW() bits: those it has, as far as it is known. */
u32 flaws_of(const struct cpu_facts *f);

/* DEFENCE() bits: those it can execute, whether it needs them or not. */
u32 defences_offered(const struct cpu_facts *f);

/* The defences for a processor: all that are offered (ON), those that its flaws ask for (AUTO), or none. */
u32 defences_choose(const struct cpu_facts *f, enum policy policy);

/* The flaws for which these defences do nothing, or not enough. */
u32 flaws_left(const struct cpu_facts *f, u32 defences);

#endif
