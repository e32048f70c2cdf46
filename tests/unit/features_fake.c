/* SPDX-License-Identifier: GPL-2.0-only */
/* The processor that the code under test believes to run on: one that says nothing. */
#include "cpu_init.h"

struct features features;

struct cpuid cpuid(u32 leaf, u32 subleaf)
{
    (void)leaf;
    (void)subleaf;
    return (struct cpuid){ 0 };
}

u64 rdmsr(u32 msr)
{
    (void)msr;
    return 0;
}

void wrmsr(u32 msr, u64 value)
{
    (void)msr;
    (void)value;
}
