/* SPDX-License-Identifier: GPL-2.0-only */
#include "virt.h"

#include <corbel/boot.h>

#include "cpu.h"
#include "io.h"
#include "kpage.h"
#include "kstring.h"
#include "layout.h"
#include "log.h"
#include "shadow.h"
#include "x86.h"

#define JUMP_BYTES 5u /* virt_jump.S */

extern const char virt_jumps[], virt_jumps_end[];
extern const u64 virt_jumps_vmx[];

const struct virt_ops *virt;
const char *virt_missing = virt_absent;
bool virt_nested, virt_vapic;
const char virt_absent[] = "the processor has no hardware virtualization";

/* What boot sees is physical memory, which can be written; the kernel's text cannot. */
static void virt_jumps_write(void)
{
    u64 at = (u64)(uintptr_t)virt_jumps, end = (u64)(uintptr_t)virt_jumps_end;
    u8 *jump = boot_view(at - KERNEL_BASE, end - at);

    for (u32 i = 0; at + i * JUMP_BYTES < end; i++) {
        u32 distance = (u32)(virt_jumps_vmx[i] - (at + (i + 1) * JUMP_BYTES));

        memcpy(jump + i * JUMP_BYTES + 1, &distance, sizeof(distance));
    }
    write_cr3(read_cr3()); /* serializes: no instruction behind it has been fetched before */
}

static void virt_try(const struct virt_ops *ops, const char *refusal)
{
    if (!refusal)
        virt = ops;
    else if (refusal != virt_absent)
        virt_missing = refusal;
}

void virt_probe(void)
{
    virt_try(&svm_ops, svm_probe());
    if (!virt)
        virt_try(&vmx_ops, vmx_probe());
    if (virt == &vmx_ops)
        virt_jumps_write();
    if (virt)
        shadow_probe();
}

/* Tables that software walks have the format of nested ones, of which shadow entries are copies. */
enum space_format virt_format(void)
{
    return virt_nested ? virt->format : SPACE_NPT;
}

u64 virt_features(void)
{
    return virt->features | (virt_nested ? CB_FEATURE_NESTED : 0) | (virt_vapic ? CB_FEATURE_VAPIC : 0) |
           (space_splits_exec && virt_format() == SPACE_EPT ? CB_FEATURE_SMALL_EXEC : 0);
}

void virt_cpu_init(void)
{
    if (virt && !virt_turn_on())
        log_printf("corbel: CPU %u refuses %s: no vCPUs there", cpu.id, virt->name);
    if (cpu.virt)
        io_cpu_init();
}
