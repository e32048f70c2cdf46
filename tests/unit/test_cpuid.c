/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * CPUID in the guest. What this machine has is not known here, so the tests say what must hold on any: nothing that
 * the host lacks, nothing that a guest cannot have, one topology in all leaves, and nothing where there is no leaf.
 */
#include <criterion/criterion.h>
#include <string.h>

#include <corbel/call.h>
#include <corbel/guest.h>

#include "cpuid.h"
#include "random.h"

#define BIT(n) (1u << (n))

static struct cpuid_machine machine = {
    .vcpu_count = 2,
    .event_page = 0x8000000,
    .console_page = 0x8060000,
    .console_signal = 1024,
    .console_port = 16,
    .tsc_khz = 2500000,
    .wall_ns = 0x123456789abcdef0,
};
static struct cpuid_vcpu vcpu = {.number = 1, .xcr0 = 1};

static struct cpuid_regs ask(uint32_t leaf, uint32_t subleaf)
{
    return cpuid_answer(&machine, &vcpu, leaf, subleaf);
}

static struct cpuid_regs host(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid_regs r;

    __asm__ volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf), "c"(subleaf));
    return r;
}

static void expect_nothing(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid_regs r = ask(leaf, subleaf);

    cr_assert((r.eax | r.ebx | r.ecx | r.edx) == 0, "leaf %x, subleaf %x", leaf, subleaf);
}

/* Shadow page tables do not follow a guest that keeps several translations of an address. */
Test(cpuid, no_pcids_on_shadow_page_tables)
{
    cr_assert_eq(ask(1, 0).ecx & BIT(17), 0);
    cr_assert_eq(ask(7, 0).ebx & BIT(10), 0);
    machine.nested = true;
    cr_assert_eq(ask(1, 0).ecx & BIT(17), host(1, 0).ecx & BIT(17));
    cr_assert_eq(ask(7, 0).ebx & BIT(10), host(7, 0).ebx & BIT(10));
}

Test(cpuid, no_feature_that_the_host_lacks)
{
    cr_assert_eq(ask(1, 0).ecx & ~host(1, 0).ecx & ~BIT(31) & ~BIT(27), 0);
    cr_assert_eq(ask(1, 0).edx & ~host(1, 0).edx & ~BIT(28), 0);
    cr_assert_eq(ask(7, 0).ebx & ~host(7, 0).ebx, 0);
    cr_assert_eq(ask(7, 0).ecx & ~host(7, 0).ecx, 0);
    cr_assert_eq(ask(7, 0).edx & ~host(7, 0).edx, 0);
    cr_assert_eq(ask(0xd, 1).eax & ~host(0xd, 1).eax, 0);
    cr_assert_eq(ask(0x80000001, 0).ecx & ~host(0x80000001, 0).ecx, 0);
    cr_assert_eq(ask(0x80000001, 0).edx & ~host(0x80000001, 0).edx, 0);
    cr_assert_eq(ask(0x80000008, 0).ebx & ~host(0x80000008, 0).ebx, 0);
}

/* APIC and its like, machine checks, MTRRs, performance counters, power management, virtualization: none is there. */
Test(cpuid, no_feature_that_a_guest_cannot_have)
{
    static const struct {
        uint32_t leaf;
        uint32_t ebx, ecx, edx;
    } never[] = {
        /* MONITOR VMX SMX EST TM2 PDCM x2APIC TSC_DEADLINE; MCE APIC MTRR MCA DS ACPI TM PBE */
        {1, 0, BIT(3) | BIT(5) | BIT(6) | BIT(7) | BIT(8) | BIT(15) | BIT(21) | BIT(24),
         BIT(7) | BIT(9) | BIT(12) | BIT(14) | BIT(21) | BIT(22) | BIT(29) | BIT(31)},
        /*
         * TSC_ADJUST SGX HLE PQM MPX RTM PQE PT; PKU WAITPKG CET_SS LA57 RDPID SGX_LC; SPEC_CTRL and what goes with
         * it, IBT
         */
        {7, BIT(1) | BIT(2) | BIT(4) | BIT(11) | BIT(12) | BIT(14) | BIT(15) | BIT(25),
         BIT(3) | BIT(5) | BIT(7) | BIT(16) | BIT(22) | BIT(30), BIT(18) | BIT(20) | BIT(26) | BIT(27) | BIT(28) | BIT(29) | BIT(31)},
        /* SVM EXTAPIC IBS SKINIT WDT NODEID PERFCTR; MCE APIC MTRR MCA RDTSCP */
        {0x80000001, 0, BIT(2) | BIT(3) | BIT(10) | BIT(12) | BIT(13) | BIT(19) | BIT(23) | BIT(24),
         BIT(7) | BIT(9) | BIT(12) | BIT(14) | BIT(27)},
        {0x80000008, BIT(12) | BIT(14) | BIT(15) | BIT(24), 0, 0},
    };

    for (unsigned i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
        struct cpuid_regs r = ask(never[i].leaf, 0);

        cr_assert_eq(r.ebx & never[i].ebx, 0, "leaf %x, ebx %x", never[i].leaf, r.ebx & never[i].ebx);
        cr_assert_eq(r.ecx & never[i].ecx, 0, "leaf %x, ecx %x", never[i].leaf, r.ecx & never[i].ecx);
        cr_assert_eq(r.edx & never[i].edx, 0, "leaf %x, edx %x", never[i].leaf, r.edx & never[i].edx);
    }
    cr_assert_eq(ask(0xd, 1).eax & BIT(3), 0, "XSAVES");
}

Test(cpuid, leaves_that_do_not_exist)
{
    static const uint32_t leaves[] = {3, 5, 6, 8, 9, 0xa, 0xc, 0xe, 0xf, 0x10, 0x12, 0x14, 0x1f, 0x100, 0x3fffffff,
                                      0x40000004, 0x400000ff, 0x40000100, 0x4fffffff, 0x7fffffff, 0x80000009,
                                      0x8000000a, 0x8000001f, 0x80860000, 0xc0000000, 0xffffffff};

    for (unsigned i = 0; i < sizeof(leaves) / sizeof(leaves[0]); i++)
        for (uint32_t subleaf = 0; subleaf < 4; subleaf++)
            expect_nothing(leaves[i], subleaf);
    expect_nothing(7, 1);
    expect_nothing(7, UINT32_MAX);
    expect_nothing(0xd, 8);
    expect_nothing(0xd, 9);
    expect_nothing(0xd, 63);
    expect_nothing(0xd, UINT32_MAX);
    cr_assert_eq(ask(0, 0).eax, 0xd);
    cr_assert_leq(ask(0x80000000, 0).eax, 0x80000008);
}

/* The number of CPUs and this one's: legacy count, APIC ID, cores, and the topology leaf say the same. */
Test(cpuid, one_topology)
{
    for (machine.vcpu_count = 1; machine.vcpu_count <= CB_GUEST_VCPUS; machine.vcpu_count++) {
        for (vcpu.number = 0; vcpu.number < machine.vcpu_count; vcpu.number++) {
            struct cpuid_regs one = ask(1, 0), threads = ask(0xb, 0), cores = ask(0xb, 1), end = ask(0xb, 2);

            cr_assert_eq(one.ebx >> 24, vcpu.number);
            cr_assert_geq(one.ebx >> 16 & 0xff, machine.vcpu_count);
            cr_assert_eq((one.edx & BIT(28)) != 0, machine.vcpu_count > 1);
            cr_assert_eq(threads.edx, vcpu.number);
            cr_assert_eq(threads.eax, 0);
            cr_assert_eq(threads.ebx, 1);
            cr_assert_eq(threads.ecx, 1u << 8);
            cr_assert_eq(cores.edx, vcpu.number);
            cr_assert_eq(cores.ebx, machine.vcpu_count);
            cr_assert_eq(cores.ecx, 2u << 8 | 1);
            cr_assert_geq(1u << cores.eax, machine.vcpu_count, "room for all numbers");
            cr_assert_lt(1u << cores.eax, 2 * machine.vcpu_count, "and no more");
            cr_assert_eq(one.ebx >> 16 & 0xff, 1u << cores.eax);
            cr_assert_eq(end.eax | end.ebx | (end.ecx & 0xff00), 0);
            if (host(0x80000000, 0).eax >= 0x80000008) {
                cr_assert_eq((ask(0x80000008, 0).ecx & 0xff) + 1, machine.vcpu_count);
                cr_assert_eq(ask(0x80000008, 0).ecx >> 12 & 15, cores.eax);
            }
            cr_assert_eq(ask(4, 0).eax >> 14 & 0xfff, 0, "caches are not shared");
        }
    }
}

Test(cpuid, corbels_own_leaves)
{
    struct cpuid_regs r = ask(CB_CPUID_BASE, 0);

    cr_assert(ask(1, 0).ecx & BIT(31), "there is a hypervisor");
    cr_assert_eq(r.eax, CB_CPUID_LAST);
    cr_assert_arr_eq(&r.ebx, "CorbelCorbel", 12);
    for (machine.vmcall = false;; machine.vmcall = true) {
        r = ask(CB_CPUID_FEATURES, 0);
        cr_assert_eq(r.eax, CB_ABI_VERSION);
        cr_assert_eq(r.ebx, 2);
        cr_assert_eq(r.ecx, 0x8000000 / 4096);
        cr_assert_eq(r.edx, machine.vmcall);
        if (machine.vmcall)
            break;
    }
    r = ask(CB_CPUID_CLOCK, 0);
    cr_assert_eq(r.eax, 2500000);
    cr_assert_eq(r.ebx, 0x9abcdef0);
    cr_assert_eq(r.ecx, 0x12345678);
    r = ask(CB_CPUID_CONSOLE, 0);
    cr_assert_eq(r.eax, 0x8060000 / 4096);
    cr_assert_eq(r.ebx, 1024);
    cr_assert_eq(r.ecx, 16);
}

/* SDM 1, 13.4: where each component ends, as the guest is told. */
static void expect_room(uint32_t xcr0)
{
    uint32_t end = 576, packed = 576;

    for (uint32_t i = 2; i < 8; i++) {
        struct cpuid_regs r = ask(0xd, i);

        if (!(xcr0 & BIT(i)))
            continue;
        end = r.ebx + r.eax > end ? r.ebx + r.eax : end;
        packed = (r.ecx & BIT(1) ? (packed + 63) / 64 * 64 : packed) + r.eax;
    }
    cr_assert_eq(ask(0xd, 0).ebx, end, "XCR0 %x", xcr0);
    cr_assert_eq(ask(0xd, 1).ebx, packed, "XCR0 %x", xcr0);
}

Test(cpuid, xsave)
{
    bool xsave = ask(1, 0).ecx & BIT(26);
    uint32_t allowed = ask(0xd, 0).eax;

    vcpu.cr4 = BIT(18);
    cr_assert_eq((ask(1, 0).ecx & BIT(27)) != 0, xsave, "OSXSAVE follows the guest's CR4");
    vcpu.cr4 = 0;
    cr_assert_eq(ask(1, 0).ecx & BIT(27), 0);
    if (!xsave) {
        expect_nothing(0xd, 0);
        cr_assert_eq(ask(1, 0).ecx & (BIT(12) | BIT(28) | BIT(29)), 0, "no vectors without XSAVE");
        return;
    }
    cr_assert_eq(allowed & ~0xe7u, 0, "only x87, SSE, AVX, AVX-512");
    cr_assert_eq(ask(0xd, 0).ebx, 576, "x87 alone");
    for (uint32_t xcr0 = 0; xcr0 < 256; xcr0++) {
        if (!cpuid_xcr0_valid(xcr0))
            continue;
        vcpu.xcr0 = xcr0;
        cr_assert_leq(ask(0xd, 0).ebx, ask(0xd, 0).ecx, "the largest area is that of all components");
        expect_room(xcr0);
    }
}

/* APM 2, 11.5.2: what XSETBV refuses. */
Test(cpuid, xcr0)
{
    uint32_t allowed = ask(0xd, 0).eax;

    cr_assert_not(cpuid_xcr0_valid(0), "x87 cannot be off");
    cr_assert_not(cpuid_xcr0_valid(2));
    cr_assert_not(cpuid_xcr0_valid(5), "AVX without SSE");
    for (unsigned n = 3; n < 64; n++)
        if (n < 5 || n > 7)
            cr_assert_not(cpuid_xcr0_valid(7 | 1ull << n), "component %u", n);
    for (uint32_t part = 0x20; part < 0xe0; part += 0x20)
        cr_assert_not(cpuid_xcr0_valid(7 | part), "AVX-512 in parts");
    cr_assert_not(cpuid_xcr0_valid(0xe3), "AVX-512 without AVX");
    for (uint32_t xcr0 = 0; xcr0 < 0x400; xcr0++)
        cr_assert(!cpuid_xcr0_valid(xcr0) || (xcr0 & ~allowed) == 0, "%x", xcr0);
    if (allowed) {
        cr_assert(cpuid_xcr0_valid(1));
        cr_assert(cpuid_xcr0_valid(3));
        cr_assert(cpuid_xcr0_valid(allowed));
    }
}

/* A guest-physical space has 48 bits: memory behind that must not seem to exist. */
Test(cpuid, address_sizes)
{
    cr_expect_eq(cpuid_address_sizes(0x3034), 0x3030);
    cr_expect_eq(cpuid_address_sizes(0x00393930), 0x3930);
    cr_expect_eq(cpuid_address_sizes(0x302e), 0x302e, "a processor with less keeps that");
    cr_expect_leq(ask(0x80000008, 0).eax & 0xff, 48);
}
