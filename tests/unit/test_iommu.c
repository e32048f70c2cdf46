/* SPDX-License-Identifier: GPL-2.0-only */
/* IOMMUs that firmware has left on: models of their registers, which do what they are told some time later. */
#include <criterion/criterion.h>
#include <string.h>

#include "acpi.h"
#include "iommu.h"
#include "kpage.h"
#include "log.h"
#include "x86.h"

struct acpi acpi;

static volatile u32 regs[2][64]; /* Intel's, AMD's */
static u32 commands, delay, lines;

void *kpage_device(u64 physical, u64 bytes, u64 attributes)
{
    (void)attributes;
    cr_assert(bytes <= sizeof(regs[0]));
    return (void *)(uintptr_t)regs[physical == 0xfec80000];
}

u32 mmio_read(const volatile u32 *reg)
{
    if (reg == &regs[0][7] && delay && --delay == 0)
        regs[0][7] = regs[0][6];
    return *reg;
}

/* A command changes one bit (VT-d 4.0, 11.4.4.1). */
void mmio_write(volatile u32 *reg, u32 v)
{
    if (reg == &regs[0][6]) {
        u32 changes = (v ^ regs[0][7]) & 0x96000000;

        cr_assert(changes && !(changes & (changes - 1)), "%x to %x", regs[0][7], v);
        cr_assert(!(v & 0x69000000), "no command that is over is given again");
        cr_assert(changes != 1u << 26 || !(v & 1u << 25), "the queue is the last to go");
        commands++;
        delay = 3;
    }
    *reg = v;
}

void log_printf(const char *format, ...)
{
    (void)format;
    lines++;
}

static void off(u32 intel, u32 amd)
{
    memset((void *)(uintptr_t)regs, 0, sizeof(regs));
    regs[0][7] = intel;
    regs[1][6] = amd;
    commands = lines = 0;
    acpi.iommu_count = 2;
    acpi.iommus[0] = (struct acpi_iommu){ 0xfed90000, false };
    acpi.iommus[1] = (struct acpi_iommu){ 0xfec80000, true };
    iommu_off();
}

Test(iommu, off)
{
    off(0x86000000 | 0x40000000 | 0x01000000, 0x1f01); /* translation, queue, remapping; the tables' pointers were set */
    cr_assert_eq(regs[0][7] & 0x86000000, 0);
    cr_assert_eq(regs[1][6], 0x1f00);
    cr_assert_eq(commands, 3);
    cr_assert_eq(lines, 2);
}

/* Interrupt remapping alone is what loses interrupts. */
Test(iommu, off_interrupts)
{
    off(0x06000000, 0);
    cr_assert_eq(regs[0][7] & 0x86000000, 0);
    cr_assert_eq(lines, 1);
}

Test(iommu, stays_off)
{
    off(0x01000000, 0x1f00);
    cr_assert_eq(commands, 0);
    cr_assert_eq(regs[1][6], 0x1f00);
    cr_assert_eq(lines, 0);
}
