/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Model-specific registers that the hypervisor does not handle itself. Those of the SYSCALL group are the vCPU's
 * state; of the others a few exist, because Linux uses them without asking CPUID first; the rest gives #GP.
 */
#ifndef VMM_MSR_H
#define VMM_MSR_H

#include <corbel/state.h>

#include <stdbool.h>

/* False: #GP. A write changes fields of the SYSCALL group. */
bool msr_read(const struct cb_state *state, uint32_t vcpu, uint32_t msr, uint64_t *value);
bool msr_write(struct cb_state *state, uint32_t msr, uint64_t value);

#endif
