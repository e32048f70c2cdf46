/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Known processors: the bits of CPUID and IA32_ARCH_CAPABILITIES that matter here, as their makers' documents give
 * them, and what follows.
 */
#include <criterion/criterion.h>

#include "flaws.h"

/* CPUID 7, EDX */
#define EDX_MD_CLEAR (1u << 10)
#define EDX_SPEC_CTRL (1u << 26)
#define EDX_STIBP (1u << 27)
#define EDX_FLUSH_CMD (1u << 28)
#define EDX_ARCH_CAPABILITIES (1u << 29)
#define EDX_SSBD (1u << 31)
#define EDX_2018 (EDX_SPEC_CTRL | EDX_STIBP | EDX_FLUSH_CMD | EDX_SSBD)
#define EDX_2019 (EDX_2018 | EDX_MD_CLEAR)
#define EBX_RTM (1u << 11)

#define BY_VERW (FLAW(MDS) | FLAW(TAA) | FLAW(MMIO) | FLAW(RFDS) | FLAW(TSA))

#define V2 (DEFENCE(IBPB) | DEFENCE(RSB) | DEFENCE(STIBP))

static const struct known {
    const char *name;
    struct cpu_facts facts;
    u32 flaws, defences, left;
} known[] = {
    { "Core 2 (Penryn), no microcode",
      { .intel = true, .family = 6, .model = 0x17 },
      FLAW(MELTDOWN) | FLAW(LAZY_FP) | FLAW(L1TF) | FLAW(MDS) | FLAW(MMIO) | FLAW(SPECTRE_V2) | FLAW(MULTIHIT) | FLAW(SSB),
      DEFENCE(ROOTS) | DEFENCE(FPU) | DEFENCE(VERW) | DEFENCE(SMALL_EXEC),
      FLAW(L1TF) | FLAW(MDS) | FLAW(MMIO) | FLAW(SPECTRE_V2) },
    { "Haswell server, microcode of 2019",
      { .intel = true, .family = 6, .model = 0x3f, .leaf7_edx = EDX_2019 },
      FLAW(MELTDOWN) | FLAW(LAZY_FP) | FLAW(L1TF) | FLAW(MDS) | FLAW(MMIO) | FLAW(SPECTRE_V2) | FLAW(MULTIHIT) | FLAW(SSB),
      DEFENCE(ROOTS) | DEFENCE(FPU) | DEFENCE(VERW) | DEFENCE(L1D) | V2 | DEFENCE(SMALL_EXEC),
      0 },
    { "Broadwell, microcode of 2019",
      { .intel = true, .family = 6, .model = 0x3d, .leaf7_ebx = EBX_RTM, .leaf7_edx = EDX_2019 },
      FLAW(MELTDOWN) | FLAW(LAZY_FP) | FLAW(L1TF) | FLAW(MDS) | FLAW(TAA) | FLAW(MMIO) | FLAW(SPECTRE_V2) | FLAW(MULTIHIT) | FLAW(SSB),
      DEFENCE(ROOTS) | DEFENCE(FPU) | DEFENCE(VERW) | DEFENCE(L1D) | V2 | DEFENCE(SMALL_EXEC),
      0 },
    { "Skylake client, microcode of 2019",
      { .intel = true, .family = 6, .model = 0x5e, .leaf7_ebx = EBX_RTM, .leaf7_edx = EDX_2019 },
      FLAW(MELTDOWN) | FLAW(LAZY_FP) | FLAW(L1TF) | FLAW(MDS) | FLAW(TAA) | FLAW(MMIO) | FLAW(SPECTRE_V2) |
          FLAW(RETBLEED) | FLAW(MULTIHIT) | FLAW(SSB),
      DEFENCE(ROOTS) | DEFENCE(FPU) | DEFENCE(VERW) | DEFENCE(L1D) | V2 | DEFENCE(SMALL_EXEC),
      0 },
    { "Skylake server: RSBA",
      { .intel = true, .family = 6, .model = 0x55, .leaf7_ebx = EBX_RTM,
        .leaf7_edx = EDX_2019 | EDX_ARCH_CAPABILITIES, .arch_capabilities = 0x20004 },
      FLAW(MELTDOWN) | FLAW(LAZY_FP) | FLAW(L1TF) | FLAW(MDS) | FLAW(TAA) | FLAW(MMIO) | FLAW(SPECTRE_V2) |
          FLAW(RETBLEED) | FLAW(MULTIHIT) | FLAW(SSB),
      DEFENCE(ROOTS) | DEFENCE(FPU) | DEFENCE(VERW) | DEFENCE(L1D) | V2 | DEFENCE(SMALL_EXEC),
      0 },
    { "Cascade Lake: RDCL_NO, IBRS_ALL, L1D flush not needed, MDS_NO; TSX",
      { .intel = true, .family = 6, .model = 0x55, .leaf7_ebx = EBX_RTM,
        .leaf7_edx = EDX_2019 | EDX_ARCH_CAPABILITIES, .arch_capabilities = 0x2b },
      FLAW(TAA) | FLAW(MMIO) | FLAW(SPECTRE_V2) | FLAW(BHI) | FLAW(RETBLEED) | FLAW(MULTIHIT) | FLAW(SSB),
      DEFENCE(VERW) | V2 | DEFENCE(IBRS) | DEFENCE(SMALL_EXEC),
      0 },
    { "Ice Lake: TAA_NO; no BHI_CTRL",
      { .intel = true, .family = 6, .model = 0x6a, .leaf7_edx = EDX_2019 | EDX_ARCH_CAPABILITIES, .arch_capabilities = 0x2016b },
      FLAW(MMIO) | FLAW(SPECTRE_V2) | FLAW(BHI) | FLAW(SSB),
      DEFENCE(VERW) | V2 | DEFENCE(IBRS),
      0 },
    { "Alder Lake: BHI_CTRL, RRSBA_CTRL",
      { .intel = true, .family = 6, .model = 0x97, .leaf7_edx = EDX_2019 | EDX_ARCH_CAPABILITIES,
        .leaf7_2_edx = 0x14, .arch_capabilities = 0x0000e16b },
      FLAW(SPECTRE_V2) | FLAW(BHI) | FLAW(SSB),
      V2 | DEFENCE(IBRS) | DEFENCE(BHI) | DEFENCE(RRSBA),
      0 },
    { "Alder Lake-N with RFDS_CLEAR",
      { .intel = true, .family = 6, .model = 0xbe, .leaf7_edx = EDX_2019 | EDX_ARCH_CAPABILITIES,
        .leaf7_2_edx = 0x14, .arch_capabilities = 0x1000e16b },
      FLAW(RFDS) | FLAW(SPECTRE_V2) | FLAW(BHI) | FLAW(SSB),
      DEFENCE(VERW) | V2 | DEFENCE(IBRS) | DEFENCE(BHI) | DEFENCE(RRSBA),
      0 },
    { "Goldmont Plus",
      { .intel = true, .family = 6, .model = 0x7a, .leaf7_edx = EDX_SPEC_CTRL | EDX_STIBP | EDX_SSBD },
      FLAW(MELTDOWN) | FLAW(LAZY_FP) | FLAW(SPECTRE_V2) | FLAW(SSB),
      DEFENCE(ROOTS) | DEFENCE(FPU) | V2,
      0 },
    { "Bonnell, in order",
      { .intel = true, .family = 6, .model = 0x1c },
      0, 0, 0 },
    { "Zen 1 as QEMU emulates it",
      { .amd = true, .guest = true, .emulated = true, .family = 0x17, .model = 1 },
      FLAW(SPECTRE_V2) | FLAW(RETBLEED) | FLAW(SRSO) | FLAW(SMT_RSB) | FLAW(SSB),
      0,
      FLAW(SPECTRE_V2) | FLAW(RETBLEED) | FLAW(SRSO) | FLAW(SMT_RSB) },
    { "Zen 1, no microcode",
      { .amd = true, .family = 0x17, .model = 1 },
      FLAW(SPECTRE_V2) | FLAW(RETBLEED) | FLAW(SRSO) | FLAW(SMT_RSB) | FLAW(DIV0) | FLAW(SSB),
      DEFENCE(DIV),
      FLAW(SPECTRE_V2) | FLAW(RETBLEED) | FLAW(SRSO) | FLAW(SMT_RSB) },
    { "Zen 2: IBPB, IBRS, STIBP, SSBD",
      { .amd = true, .family = 0x17, .model = 0x31, .ext8_ebx = 0x0100d000 },
      FLAW(SPECTRE_V2) | FLAW(RETBLEED) | FLAW(SRSO) | FLAW(SMT_RSB) | FLAW(ZENBLEED) | FLAW(SSB),
      V2 | DEFENCE(ZEN2),
      FLAW(RETBLEED) | FLAW(SRSO) },
    { "Zen 2 below a hypervisor, whose matter its settings are",
      { .amd = true, .guest = true, .family = 0x17, .model = 0x71, .ext8_ebx = 0x0100d000 },
      FLAW(SPECTRE_V2) | FLAW(RETBLEED) | FLAW(SRSO) | FLAW(SMT_RSB) | FLAW(ZENBLEED) | FLAW(SSB),
      V2,
      FLAW(RETBLEED) | FLAW(SRSO) | FLAW(ZENBLEED) },
    { "Hygon",
      { .amd = true, .family = 0x18, .model = 1, .ext8_ebx = 0x0100d000 },
      FLAW(SPECTRE_V2) | FLAW(RETBLEED) | FLAW(SRSO) | FLAW(SMT_RSB) | FLAW(DIV0) | FLAW(SSB),
      V2 | DEFENCE(DIV),
      FLAW(RETBLEED) | FLAW(SRSO) },
    { "Zen 3: BTC_NO, IBRS always on preferred",
      { .amd = true, .family = 0x19, .model = 0x21, .ext8_ebx = 0x2101d000 },
      FLAW(SPECTRE_V2) | FLAW(SRSO) | FLAW(SSB),
      V2 | DEFENCE(IBRS),
      FLAW(SRSO) },
    { "Zen 4: automatic IBRS, VERW_CLEAR",
      { .amd = true, .family = 0x19, .model = 0x61, .ext8_ebx = 0x2101d000, .ext21_eax = 0x120 },
      FLAW(TSA) | FLAW(SPECTRE_V2) | FLAW(SRSO) | FLAW(SSB),
      DEFENCE(VERW) | V2 | DEFENCE(AUTO_IBRS),
      FLAW(SRSO) },
    { "Zen 5: SRSO_NO, TSA_SQ_NO, TSA_L1_NO",
      { .amd = true, .family = 0x1a, .model = 0x44, .ext8_ebx = 0x2501d000, .ext21_eax = 0x20000120, .ext21_ecx = 6 },
      FLAW(SPECTRE_V2),
      V2 | DEFENCE(AUTO_IBRS),
      0 },
    { "an unknown vendor",
      { .family = 7, .model = 0x3b },
      FLAW(MELTDOWN) | FLAW(LAZY_FP) | FLAW(SPECTRE_V2) | FLAW(SSB),
      DEFENCE(ROOTS) | DEFENCE(FPU),
      FLAW(SPECTRE_V2) },
};

Test(flaws, known_processors)
{
    for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        const struct known *k = &known[i];

        cr_expect_eq(flaws_of(&k->facts), k->flaws, "%s: flaws %x, not %x", k->name, flaws_of(&k->facts), k->flaws);
        cr_expect_eq(defences_choose(&k->facts, POLICY_AUTO), k->defences, "%s: defences %x, not %x", k->name,
                     defences_choose(&k->facts, POLICY_AUTO), k->defences);
        cr_expect_eq(flaws_left(&k->facts, k->defences), k->left, "%s: %x left, not %x", k->name,
                     flaws_left(&k->facts, k->defences), k->left);
    }
}

/* What is forced on is what can be executed; nothing is chosen that is not offered, and nothing if all is off. */
Test(flaws, policies)
{
    for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        const struct cpu_facts *f = &known[i].facts;
        u32 offered = defences_offered(f), on = defences_choose(f, POLICY_ON);

        cr_expect_eq(defences_choose(f, POLICY_OFF), 0);
        cr_expect_eq(flaws_left(f, 0), flaws_of(f) & ~(FLAW(SSB) | FLAW(BHI) | (f->intel ? FLAW(RETBLEED) : 0)), "%s",
                     known[i].name);
        cr_expect_eq(defences_choose(f, POLICY_AUTO) & ~on, 0, "%s", known[i].name);
        cr_expect_eq(on & ~offered, 0, "%s", known[i].name);
        cr_expect_eq(offered & ~on & ~DEFENCE(IBRS), 0, "%s", known[i].name);
        cr_expect(on & DEFENCE(ROOTS));
    }
}

/* A register that CPUID does not announce is never touched. */
Test(flaws, silent_processor)
{
    for (unsigned vendor = 0; vendor < 3; vendor++) {
        const struct cpu_facts f = { .intel = vendor == 1, .amd = vendor == 2, .family = 6 };

        cr_expect_eq(defences_offered(&f), DEFENCE(ROOTS) | DEFENCE(FPU) | DEFENCE(VERW) | DEFENCE(RSB) | DEFENCE(DIV) |
                                               (f.intel ? DEFENCE(SMALL_EXEC) : 0));
    }
}

/* VERW helps against a flaw only if the microcode says that it clears what the flaw shows. */
Test(flaws, verw_without_microcode)
{
    struct cpu_facts f = { .intel = true, .family = 6, .model = 0x3f, .leaf7_edx = EDX_2018 };

    cr_expect_eq(flaws_left(&f, defences_choose(&f, POLICY_AUTO)) & BY_VERW, FLAW(MDS) | FLAW(MMIO));
    f.leaf7_edx |= EDX_MD_CLEAR;
    cr_expect_eq(flaws_left(&f, defences_choose(&f, POLICY_AUTO)) & BY_VERW, 0);
}
