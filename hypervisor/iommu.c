/* SPDX-License-Identifier: GPL-2.0-only */
#include "iommu.h"

#include "acpi.h"
#include "kpage.h"
#include "log.h"
#include "pte.h"
#include "x86.h"

#define REGISTERS 0x100u

/* Intel (VT-d 4.0, 11.4): indices of 32-bit words. */
#define VTD_COMMAND 6u /* 0x18 */
#define VTD_STATUS 7u  /* 0x1c */
#define VTD_TRANSLATES (1u << 31)
#define VTD_QUEUE (1u << 26)
#define VTD_INTERRUPTS (1u << 25)
#define VTD_STAYS 0x96ffffffu /* the others are commands, which are over when their bit shows in the status */

/* AMD (I/O Virtualization Technology 3.08, 3.4.1): 0x18, 64 bits. */
#define AMD_CONTROL 6u
#define AMD_ENABLE 0x1u

#define POLLS_MAX 1000000u

/* One bit at a time (11.4.4.1). */
static bool vtd_clear(volatile u32 *regs, u32 bit)
{
    u32 polls = 0, status = mmio_read(regs + VTD_STATUS);

    if (!(status & bit))
        return false;
    mmio_write(regs + VTD_COMMAND, status & VTD_STAYS & ~bit);
    while (mmio_read(regs + VTD_STATUS) & bit && ++polls < POLLS_MAX)
        cpu_pause();
    return true;
}

static bool vtd_off(volatile u32 *regs)
{
    bool interrupts = vtd_clear(regs, VTD_INTERRUPTS), translates = vtd_clear(regs, VTD_TRANSLATES);

    (void)vtd_clear(regs, VTD_QUEUE);
    return interrupts || translates;
}

static bool amd_off(volatile u32 *regs)
{
    u32 control = mmio_read(regs + AMD_CONTROL);

    if (control & AMD_ENABLE)
        mmio_write(regs + AMD_CONTROL, control & ~AMD_ENABLE);
    return control & AMD_ENABLE;
}

void iommu_off(void)
{
    for (u32 i = 0; i < acpi.iommu_count; i++) {
        const struct acpi_iommu *io = &acpi.iommus[i];
        volatile u32 *regs = kpage_device(io->base, REGISTERS, PTE_UC);

        if (regs && (io->amd ? amd_off(regs) : vtd_off(regs)))
            log_printf("iommu: the firmware has left the one at %lx on: turned off", io->base);
    }
}
