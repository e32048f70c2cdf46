/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Errors that were corrected, or that only wait in memory until somebody reads them, are not looked at further: no tool reads
 * them yet. One that a guest has met in its memory, and that the hardware has kept from spreading, ends that guest; all
 * others stop the machine. SDM 3B, 16.6 and 16.10; APM 2, 9.3 and 9.6.
 */
#include "mce.h"

#include "cpu_init.h"
#include "x86.h"

#define MSR_MCG_CAP 0x179u
#define MCG_BANKS(cap) ((u32)(cap) & 0xffu)
#define MCG_SER_P (1ull << 24)
#define MSR_MCG_STATUS 0x17au
#define MCG_RIPV (1ull << 0) /* what was interrupted can go on */
#define MCG_MCIP (1ull << 2)
#define MSR_BANK_STATUS(bank) (0x401u + 4 * (bank))
#define BANKS_MAX 64u

#define BANK_VALID (1ull << 63)
#define BANK_OVERFLOW (1ull << 62)
#define BANK_UNCORRECTED (1ull << 61)
#define BANK_CONTEXT_CORRUPT (1ull << 57)
#define BANK_SIGNALED (1ull << 56) /* Intel: by this machine check */
#define BANK_ACTION (1ull << 55)   /* Intel: the data were about to be used */

#define CPUID_1_EDX_MCA (1u << 14)
#define CPUID_80000007_EBX_SUCCOR (1u << 1)

enum mce_verdict mce_judge(u64 bank, bool recovers, bool intel)
{
    if (!(bank & BANK_VALID) || !(bank & BANK_UNCORRECTED))
        return MCE_GO_ON;
    if ((bank & (BANK_CONTEXT_CORRUPT | BANK_OVERFLOW)) || !recovers)
        return MCE_FATAL;
    if (intel && !((bank & BANK_SIGNALED) && (bank & BANK_ACTION)))
        return MCE_GO_ON; /* nobody has used it */
    return MCE_CONTEXT;
}

static bool mce_recovers(u64 cap)
{
    if (features.intel)
        return cap & MCG_SER_P;
    return cpuid(0x80000000u, 0).eax >= 0x80000007u && (cpuid(0x80000007u, 0).ebx & CPUID_80000007_EBX_SUCCOR);
}

bool mce_pending(void)
{
    return (cpuid(1, 0).edx & CPUID_1_EDX_MCA) && (rdmsr(MSR_MCG_STATUS) & MCG_MCIP);
}

enum mce_verdict mce_take(u64 *worst)
{
    u64 cap = rdmsr(MSR_MCG_CAP);
    bool recovers = mce_recovers(cap);
    enum mce_verdict verdict = MCE_GO_ON;

    *worst = 0;
    for (u32 i = 0; i < MIN(MCG_BANKS(cap), BANKS_MAX); i++) {
        u64 bank = rdmsr(MSR_BANK_STATUS(i));
        enum mce_verdict this = mce_judge(bank, recovers, features.intel);

        if (this > verdict) {
            verdict = this;
            *worst = bank;
        }
        if (this < MCE_FATAL && (bank & BANK_VALID))
            wrmsr(MSR_BANK_STATUS(i), 0);
    }
    if (verdict == MCE_GO_ON && !(rdmsr(MSR_MCG_STATUS) & MCG_RIPV))
        verdict = MCE_FATAL;
    if (verdict < MCE_FATAL)
        wrmsr(MSR_MCG_STATUS, 0);
    return verdict;
}
