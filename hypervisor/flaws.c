/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * CPUID and IA32_ARCH_CAPABILITIES: SDM 4, table 2-2; SDM 2A, CPUID; APM 3, appendix E. A processor says which flaws it
 * does not have, so families and models matter only for those that are older than the question.
 */
#include "flaws.h"

#define BIT(word, bit) (((word) >> (bit)) & 1u)

/* IA32_ARCH_CAPABILITIES */
#define RDCL_NO(f) BIT((f)->arch_capabilities, 0)
#define IBRS_ALL(f) BIT((f)->arch_capabilities, 1)
#define RSBA(f) BIT((f)->arch_capabilities, 2)
#define L1D_FLUSHED(f) BIT((f)->arch_capabilities, 3) /* by a hypervisor below */
#define SSB_NO(f) BIT((f)->arch_capabilities, 4)
#define MDS_NO(f) BIT((f)->arch_capabilities, 5)
#define PSCHANGE_NO(f) BIT((f)->arch_capabilities, 6)
#define TAA_NO(f) BIT((f)->arch_capabilities, 8)
#define MMIO_NO(f) (BIT((f)->arch_capabilities, 13) && BIT((f)->arch_capabilities, 14) && BIT((f)->arch_capabilities, 15))
#define FB_CLEAR(f) BIT((f)->arch_capabilities, 17)
#define BHI_NO(f) BIT((f)->arch_capabilities, 20)
#define RFDS_NO(f) BIT((f)->arch_capabilities, 27)
#define RFDS_CLEAR(f) BIT((f)->arch_capabilities, 28)

/* CPUID 7 */
#define RTM(f) BIT((f)->leaf7_ebx, 11)
#define MD_CLEAR(f) BIT((f)->leaf7_edx, 10)
#define SPEC_CTRL(f) BIT((f)->leaf7_edx, 26)
#define INTEL_STIBP(f) BIT((f)->leaf7_edx, 27)
#define FLUSH_CMD(f) BIT((f)->leaf7_edx, 28)
#define INTEL_SSBD(f) BIT((f)->leaf7_edx, 31)
#define RRSBA_CTRL(f) BIT((f)->leaf7_2_edx, 2)
#define BHI_CTRL(f) BIT((f)->leaf7_2_edx, 4)

/* CPUID 0x80000008 and 0x80000021 */
#define AMD_IBPB(f) BIT((f)->ext8_ebx, 12)
#define AMD_IBRS(f) BIT((f)->ext8_ebx, 14)
#define AMD_STIBP(f) BIT((f)->ext8_ebx, 15)
#define IBRS_ALWAYS(f) BIT((f)->ext8_ebx, 16)
#define AMD_SSBD(f) BIT((f)->ext8_ebx, 24)
#define AMD_SSB_NO(f) BIT((f)->ext8_ebx, 26)
#define BTC_NO(f) BIT((f)->ext8_ebx, 29)
#define VERW_CLEAR(f) BIT((f)->ext21_eax, 5)
#define AUTOMATIC_IBRS(f) BIT((f)->ext21_eax, 8)
#define SRSO_NO(f) BIT((f)->ext21_eax, 29)
#define TSA_NO(f) (BIT((f)->ext21_ecx, 1) && BIT((f)->ext21_ecx, 2))

static bool among(const struct cpu_facts *f, const u8 *models, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (f->intel && f->family == 6 && f->model == models[i])
            return true;
    }
    return false;
}

/* Bonnell, Saltwell: nothing is executed ahead. */
static bool in_order(const struct cpu_facts *f)
{
    static const u8 models[] = { 0x1c, 0x26, 0x27, 0x35, 0x36 };

    return among(f, models, sizeof(models));
}

/* Silvermont, Airmont, Knights Landing and Mill, Goldmont and Goldmont Plus: no L1TF. */
static bool small_core(const struct cpu_facts *f)
{
    static const u8 models[] = { 0x37, 0x4a, 0x4c, 0x4d, 0x57, 0x5a, 0x5c, 0x5d, 0x5f, 0x75, 0x7a, 0x85 };

    return among(f, models, sizeof(models));
}

/* Goldmont and Goldmont Plus: no MDS. */
static bool goldmont(const struct cpu_facts *f)
{
    static const u8 models[] = { 0x5c, 0x5f, 0x7a };

    return among(f, models, sizeof(models));
}

/* Skylake to Comet Lake, Cannon Lake: returns are predicted like other branches when the return stack is empty. */
static bool skylake(const struct cpu_facts *f)
{
    static const u8 models[] = { 0x4e, 0x55, 0x5e, 0x66, 0x8e, 0x9e, 0xa5, 0xa6 };

    return among(f, models, sizeof(models));
}

/* Zen 1 and Zen+: AMD's family 0x17, Hygon's 0x18. */
static bool zen1(const struct cpu_facts *f)
{
    return f->family == 0x18 || (f->family == 0x17 && (f->model < 0x30 || (f->model >= 0x50 && f->model < 0x60)));
}

static bool zen2(const struct cpu_facts *f)
{
    return f->family == 0x17 && !zen1(f);
}

static u32 flaws_intel(const struct cpu_facts *f)
{
    u32 flaws = FLAW(SPECTRE_V2);

    if (!RDCL_NO(f))
        flaws |= FLAW(MELTDOWN) | FLAW(LAZY_FP) | (small_core(f) || L1D_FLUSHED(f) ? 0 : FLAW(L1TF));
    if (!MDS_NO(f) && !goldmont(f))
        flaws |= FLAW(MDS);
    if (RTM(f) && !TAA_NO(f))
        flaws |= FLAW(TAA);
    if (!MMIO_NO(f) && !small_core(f))
        flaws |= FLAW(MMIO);
    if (RFDS_CLEAR(f) && !RFDS_NO(f))
        flaws |= FLAW(RFDS);
    if (IBRS_ALL(f) && !BHI_NO(f))
        flaws |= FLAW(BHI);
    if (skylake(f) || RSBA(f))
        flaws |= FLAW(RETBLEED);
    if (!PSCHANGE_NO(f) && !small_core(f))
        flaws |= FLAW(MULTIHIT);
    if (!SSB_NO(f))
        flaws |= FLAW(SSB);
    return flaws;
}

static u32 flaws_amd(const struct cpu_facts *f)
{
    u32 flaws = FLAW(SPECTRE_V2);

    if (VERW_CLEAR(f) && !TSA_NO(f))
        flaws |= FLAW(TSA);
    if (f->family >= 0x15 && f->family <= 0x18 && !BTC_NO(f))
        flaws |= FLAW(RETBLEED);
    if (f->family >= 0x17 && f->family <= 0x19 && !SRSO_NO(f))
        flaws |= FLAW(SRSO);
    if (zen1(f) || zen2(f))
        flaws |= FLAW(SMT_RSB);
    if (zen1(f) && !f->emulated)
        flaws |= FLAW(DIV0);
    if (zen2(f))
        flaws |= FLAW(ZENBLEED);
    if (!AMD_SSB_NO(f))
        flaws |= FLAW(SSB);
    return flaws;
}

u32 flaws_of(const struct cpu_facts *f)
{
    if (in_order(f))
        return 0;
    if (f->amd)
        return flaws_amd(f);
    if (f->intel)
        return flaws_intel(f);
    return FLAW(MELTDOWN) | FLAW(LAZY_FP) | FLAW(SPECTRE_V2) | FLAW(SSB); /* others: the common ones */
}

u32 defences_offered(const struct cpu_facts *f)
{
    u32 offered = DEFENCE(ROOTS) | DEFENCE(FPU) | DEFENCE(VERW) | DEFENCE(RSB) | DEFENCE(DIV);

    if (f->intel ? SPEC_CTRL(f) : AMD_IBPB(f))
        offered |= DEFENCE(IBPB);
    /* Set once and for all: only where that is enough. */
    if (f->intel ? SPEC_CTRL(f) && IBRS_ALL(f) : AMD_IBRS(f) && IBRS_ALWAYS(f))
        offered |= DEFENCE(IBRS);
    if (AUTOMATIC_IBRS(f))
        offered |= DEFENCE(AUTO_IBRS);
    if (f->intel ? SPEC_CTRL(f) && INTEL_STIBP(f) : AMD_STIBP(f))
        offered |= DEFENCE(STIBP);
    if (f->intel ? INTEL_SSBD(f) : AMD_SSBD(f))
        offered |= DEFENCE(SSBD);
    if (f->intel && FLUSH_CMD(f))
        offered |= DEFENCE(L1D);
    if (f->intel && SPEC_CTRL(f) && BHI_CTRL(f))
        offered |= DEFENCE(BHI);
    if (f->intel && SPEC_CTRL(f) && RRSBA_CTRL(f))
        offered |= DEFENCE(RRSBA);
    if (f->amd && zen2(f) && !f->guest)
        offered |= DEFENCE(ZEN2);
    if (f->intel)
        offered |= DEFENCE(SMALL_EXEC);
    return offered;
}

/* The defences against each flaw. */
static const u32 against[FLAW_COUNT] = {
    [FLAW_BIT_MELTDOWN] = DEFENCE(ROOTS),
    [FLAW_BIT_LAZY_FP] = DEFENCE(FPU),
    [FLAW_BIT_L1TF] = DEFENCE(L1D),
    [FLAW_BIT_MDS] = DEFENCE(VERW),
    [FLAW_BIT_TAA] = DEFENCE(VERW),
    [FLAW_BIT_MMIO] = DEFENCE(VERW),
    [FLAW_BIT_RFDS] = DEFENCE(VERW),
    [FLAW_BIT_TSA] = DEFENCE(VERW),
    [FLAW_BIT_SPECTRE_V2] = DEFENCE(IBPB) | DEFENCE(RSB) | DEFENCE(IBRS) | DEFENCE(AUTO_IBRS) | DEFENCE(STIBP),
    [FLAW_BIT_BHI] = DEFENCE(BHI) | DEFENCE(RRSBA),
    [FLAW_BIT_RETBLEED] = 0,
    [FLAW_BIT_SMT_RSB] = DEFENCE(RSB),
    [FLAW_BIT_ZENBLEED] = DEFENCE(ZEN2),
    [FLAW_BIT_DIV0] = DEFENCE(DIV),
    [FLAW_BIT_MULTIHIT] = DEFENCE(SMALL_EXEC),
    [FLAW_BIT_SSB] = 0, /* inside one domain */
};

u32 defences_choose(const struct cpu_facts *f, enum policy policy)
{
    u32 offered = defences_offered(f), flaws = flaws_of(f), wanted = 0;

    if (policy == POLICY_OFF)
        return 0;
    if (policy == POLICY_AUTO) {
        for (unsigned i = 0; i < FLAW_COUNT; i++)
            wanted |= flaws & 1u << i ? against[i] : 0;
        offered &= wanted;
        if (!(offered & DEFENCE(IBPB)))
            offered &= ~DEFENCE(RSB); /* others can lead branches astray then, returns or not */
    }
    if (offered & DEFENCE(AUTO_IBRS))
        offered &= ~DEFENCE(IBRS); /* they are two ways to have the same */
    return offered;
}

/* Does VERW clear anything on this processor (with this microcode) that the flaw gives away? */
static bool verw_clears(const struct cpu_facts *f, unsigned flaw)
{
    switch (flaw) {
    case FLAW_BIT_MDS:
    case FLAW_BIT_TAA: return MD_CLEAR(f);
    case FLAW_BIT_MMIO: return MD_CLEAR(f) || FB_CLEAR(f);
    case FLAW_BIT_RFDS: return RFDS_CLEAR(f);
    default: return VERW_CLEAR(f);
    }
}

static bool defended(const struct cpu_facts *f, unsigned flaw, u32 defences)
{
    switch (flaw) {
    /* By what the hypervisor is: it interprets nothing, has no indirect branches, and its calls are not deep. */
    case FLAW_BIT_SSB:
    case FLAW_BIT_BHI: return true;
    case FLAW_BIT_RETBLEED: return f->intel; /* AMD mispredicts any return */
    case FLAW_BIT_SPECTRE_V2: return defences & DEFENCE(IBPB); /* domains from each other */
    case FLAW_BIT_MDS:
    case FLAW_BIT_TAA:
    case FLAW_BIT_MMIO:
    case FLAW_BIT_RFDS:
    case FLAW_BIT_TSA: return (defences & DEFENCE(VERW)) && verw_clears(f, flaw);
    default: return defences & against[flaw];
    }
}

u32 flaws_left(const struct cpu_facts *f, u32 defences)
{
    u32 flaws = flaws_of(f);

    for (unsigned i = 0; i < FLAW_COUNT; i++) {
        if (defended(f, i, defences))
            flaws &= ~(1u << i);
    }
    return flaws;
}
