/* SPDX-License-Identifier: GPL-2.0-only */
#include "pmc.h"

#include <corbel/boot.h>

#include "cpu_init.h"
#include "log.h"
#include "trap.h"
#include "x86.h"

/* Intel: fixed counter 0 (SDM 3B, 20.2.2). */
#define LEAF_PMU 0xau
#define PMU_FIXED_VERSION 2u /* the first that has fixed counters and the global control */
#define MSR_FIXED_CTR0 0x309u
#define MSR_FIXED_CTR_CTRL 0x38du
#define MSR_PERF_GLOBAL_CTRL 0x38fu
#define FIXED_CTR0_ALL 0x3u /* at every privilege level */
#define GLOBAL_FIXED_CTR0 (1ull << 32)

/* AMD: core counter 0 (APM 2, 13.2.1), event "retired instructions". */
#define LEAF_EXTENDED 0x80000001u
#define EXTENDED_PERF_CORE (1u << 23) /* ecx */
#define MSR_PERF_CTL0 0xc0010200u
#define MSR_PERF_CTR0 0xc0010201u
#define PERF_RETIRED 0xc0u
#define PERF_USER (1u << 16)
#define PERF_KERNEL (1u << 17)
#define PERF_ENABLE (1u << 22)

static u64 feature;

static u64 feature_found(void)
{
    if (features.intel && cpuid(0, 0).eax >= LEAF_PMU) {
        struct cpuid pmu = cpuid(LEAF_PMU, 0);

        /* eax: version; ebx bit 1: no event for retired instructions; edx bits 4:0: fixed counters */
        if ((pmu.eax & 0xff) >= PMU_FIXED_VERSION && !(pmu.ebx & 2) && (pmu.edx & 0x1f))
            return CB_FEATURE_PMC_FIXED;
    }
    if (features.amd && (cpuid(LEAF_EXTENDED, 0).ecx & EXTENDED_PERF_CORE))
        return CB_FEATURE_PMC_CORE;
    return 0;
}

void pmc_probe(void)
{
    const char *option = boot_option("pmc");

    if (!option || option[0] != 'o' || option[1] != 'n')
        return;
    feature = feature_found();
    log_printf("corbel: instruction counter: %s",
               feature ? "open to all native tasks (pmc=on), a side channel" : "none on this CPU (pmc=on)");
}

void pmc_cpu_init(void)
{
    if (!feature)
        return;
    if (feature == CB_FEATURE_PMC_FIXED) {
        wrmsr(MSR_PERF_GLOBAL_CTRL, 0);
        wrmsr(MSR_FIXED_CTR0, 0);
        wrmsr(MSR_FIXED_CTR_CTRL, FIXED_CTR0_ALL);
        wrmsr(MSR_PERF_GLOBAL_CTRL, GLOBAL_FIXED_CTR0);
    } else {
        wrmsr(MSR_PERF_CTL0, 0);
        wrmsr(MSR_PERF_CTR0, 0);
        wrmsr(MSR_PERF_CTL0, PERF_ENABLE | PERF_KERNEL | PERF_USER | PERF_RETIRED);
    }
    write_cr4(read_cr4() | CR4_PCE);
}

u64 pmc_feature(void)
{
    return feature;
}
