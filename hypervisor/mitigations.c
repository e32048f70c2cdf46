/* SPDX-License-Identifier: GPL-2.0-only */
#include "mitigations.h"

#include "cpu_init.h"
#include "layout.h"
#include "log.h"
#include "offsets.h"
#include "space.h"
#include "trap.h"
#include "x86.h"

_Static_assert(DEFENCE(IBPB) == DEFENCE_IBPB_MASK && DEFENCE(RSB) == DEFENCE_RSB_MASK && DEFENCE(DIV) == DEFENCE_DIV_MASK &&
               DEFENCE(VERW) == DEFENCE_VERW_MASK && DEFENCE(L1D) == DEFENCE_L1D_MASK &&
               DEFENCES_SWITCH == DEFENCES_SWITCH_MASK, "offsets.h");

#define MSR_SPEC_CTRL 0x48u
#define MSR_BIOS_SIGN_ID 0x8bu
#define MSR_ARCH_CAPABILITIES 0x10au
#define EFER_AUTO_IBRS (1ull << 21)
#define MSR_DE_CFG 0xc0011029u
#define DE_CFG_LFENCE_SERIALIZES (1ull << 1)
#define DE_CFG_FP_BACKUP_FIX (1ull << 9)
#define CPUID_80000021_EAX_LFENCE (1u << 2) /* it always does */
#define CPUID_1_ECX_HYPERVISOR (1u << 31)

#define SPEC_CTRL_IBRS 0x1u
#define SPEC_CTRL_STIBP 0x2u
#define SPEC_CTRL_SSBD 0x4u
#define SPEC_CTRL_RRSBA_DIS_S 0x40u
#define SPEC_CTRL_BHI_DIS_S 0x400u

#define LEAF7_EDX_ARCH_CAPABILITIES (1u << 29)
#define TEXT_MAX 200u

u32 defences;

static struct cpu_facts facts; /* the boot CPU's */

/* SDM 3A, 10.11.7.1: CPUID writes the revision into the MSR. */
static u32 microcode_revision(void)
{
    wrmsr(MSR_BIOS_SIGN_ID, 0);
    (void)cpuid(1, 0);
    return (u32)(rdmsr(MSR_BIOS_SIGN_ID) >> 32);
}

static void facts_read(struct cpu_facts *f)
{
    u32 basic = cpuid(0, 0).eax, extended = cpuid(0x80000000, 0).eax, signature = cpuid(1, 0).eax;
    u32 family = signature >> 8 & 0xf, model = signature >> 4 & 0xf;
    bool guest = cpuid(1, 0).ecx & CPUID_1_ECX_HYPERVISOR;

    *f = (struct cpu_facts){ .intel = features.intel, .amd = features.amd, .guest = guest };
    f->emulated = guest && cpuid(CPUID_HYPERVISOR, 0).ebx == TCG_SIGNATURE;
    f->stepping = signature & 0xf;
    f->microcode = f->intel ? microcode_revision() : 0;
    f->family = family == 0xf ? family + (signature >> 20 & 0xff) : family;
    f->model = family == 6 || family == 0xf ? model | (signature >> 12 & 0xf0) : model;
    if (basic >= 7) {
        f->leaf7_ebx = cpuid(7, 0).ebx;
        f->leaf7_edx = cpuid(7, 0).edx;
        f->leaf7_2_edx = cpuid(7, 0).eax >= 2 ? cpuid(7, 2).edx : 0;
    }
    if (extended >= 0x80000008)
        f->ext8_ebx = cpuid(0x80000008, 0).ebx;
    if (extended >= 0x80000021) {
        f->ext21_eax = cpuid(0x80000021, 0).eax;
        f->ext21_ecx = cpuid(0x80000021, 0).ecx;
    }
    if (f->intel && (f->leaf7_edx & LEAF7_EDX_ARCH_CAPABILITIES))
        f->arch_capabilities = rdmsr(MSR_ARCH_CAPABILITIES);
}

/* Is `word` the value of option `name`? */
static bool option_is(const char *name, const char *word)
{
    const char *value = boot_option(name);

    while (value && *word && *value == *word)
        value++, word++;
    return value && !*word && (!*value || *value == ' ');
}

void mitigations_probe(void)
{
    enum policy policy = POLICY_AUTO;

    if (option_is("mitigations", "on"))
        policy = POLICY_ON;
    else if (option_is("mitigations", "off"))
        policy = POLICY_OFF;
    facts_read(&facts);
    defences = defences_choose(&facts, policy);
    space_splits_exec = defends(DEFENCE(SMALL_EXEC));
}

const struct cpu_facts *mitigations_facts(void)
{
    return &facts;
}

bool mitigations_one_thread(void)
{
    return option_is("smt", "off");
}

static u64 spec_ctrl(void)
{
    return (defends(DEFENCE(IBRS)) ? SPEC_CTRL_IBRS : 0) | (defends(DEFENCE(STIBP)) ? SPEC_CTRL_STIBP : 0) |
           (defends(DEFENCE(SSBD)) ? SPEC_CTRL_SSBD : 0) | (defends(DEFENCE(RRSBA)) ? SPEC_CTRL_RRSBA_DIS_S : 0) |
           (defends(DEFENCE(BHI)) ? SPEC_CTRL_BHI_DIS_S : 0);
}

/*
 * Guests are told that LFENCE serializes, whatever the mitigations: this sees to it. Family 0x0f has no such register, and
 * its LFENCE does; what a hypervisor below offers is its own.
 */
static void lfence_init(const struct cpu_facts *f)
{
    if (f->amd && f->family > 0x0f && !f->guest && !(f->ext21_eax & CPUID_80000021_EAX_LFENCE))
        wrmsr(MSR_DE_CFG, rdmsr(MSR_DE_CFG) | DE_CFG_LFENCE_SERIALIZES);
}

bool mitigations_cpu_init(void)
{
    struct cpu_facts here;

    facts_read(&here);
    if ((defences & ~defences_offered(&here)) || (flaws_of(&here) & ~flaws_of(&facts)))
        return false;
    if (spec_ctrl())
        wrmsr(MSR_SPEC_CTRL, spec_ctrl());
    if (defends(DEFENCE(AUTO_IBRS)))
        wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_AUTO_IBRS);
    if (defends(DEFENCE(ZEN2)))
        wrmsr(MSR_DE_CFG, rdmsr(MSR_DE_CFG) | DE_CFG_FP_BACKUP_FIX);
    lfence_init(&here);
    return true;
}

/* ---- In words ---- */

struct text {
    char at[TEXT_MAX];
    u32 length;
};

static void text_add(struct text *t, const char *word)
{
    while (*word && t->length + 1 < TEXT_MAX)
        t->at[t->length++] = *word++;
}

static void text_list(struct text *t, u32 bits, const char *const names[], u32 count)
{
    for (u32 i = 0; i < count; i++) {
        if (!(bits & 1u << i))
            continue;
        text_add(t, t->length ? ", " : "");
        text_add(t, names[i]);
    }
}

void mitigations_greet(void)
{
#define NAME(name, words) words,
    static const char *const defence_names[] = { DEFENCES(NAME) }, *const flaw_names[] = { FLAWS(NAME) };
#undef NAME
    struct text on = { .length = 0 }, missing = { .length = 0 };

    text_list(&on, defences, defence_names, DEFENCE_COUNT);
    text_list(&missing, flaws_left(&facts, defences), flaw_names, FLAW_COUNT);
    log_printf("corbel: mitigations: %s", defences ? on.at : "none");
    if (missing.length)
        log_printf("corbel: flaws that they leave open: %s", missing.at);
}
