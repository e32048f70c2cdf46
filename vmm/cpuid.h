/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What CPUID says in the guest: the host's answer, reduced to the features that are known to work in a guest,
 * and Corbel's own leaves (corbel/guest.h). A feature is absent unless it is listed.
 */
#ifndef VMM_CPUID_H
#define VMM_CPUID_H

#include <stdbool.h>
#include <stdint.h>

struct cpuid_regs {
    uint32_t eax, ebx, ecx, edx;
};

struct cpuid_machine {
    uint32_t vcpu_count;
    bool vmcall;           /* hypercalls are VMCALL, not VMMCALL */
    bool nested;           /* second-level paging in hardware: the guest has its TLB to itself, PCIDs included */
    uint64_t event_page;   /* guest-physical addresses */
    uint64_t console_page;
    uint32_t console_signal, console_port;
    uint64_t tsc_khz, wall_ns;
};

struct cpuid_vcpu {
    uint32_t number;
    uint64_t cr4, xcr0;    /* as they are now */
};

struct cpuid_regs cpuid_answer(const struct cpuid_machine *machine, const struct cpuid_vcpu *vcpu, uint32_t leaf,
                               uint32_t subleaf);

/* All that a guest may set in XCR0; 0: it has no XSAVE. */
uint32_t cpuid_xcr0(void);

/* All that a guest may set in EFER. */
uint64_t cpuid_efer(void);

/* Whether a guest may set XCR0 to this. */
bool cpuid_xcr0_valid(uint64_t xcr0);

/* Leaf 0x80000008, EAX, as guests see it: linear and physical address bits. */
uint32_t cpuid_address_sizes(uint32_t eax);

#endif
