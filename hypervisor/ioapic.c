/* SPDX-License-Identifier: GPL-2.0-only */
/* A line's vector is VECTOR_GSI + GSI. Masking happens in interrupt handlers, so the lock is innermost. */
#include "ioapic.h"

#include "acpi.h"
#include "apic.h"
#include "cpu.h"
#include "kpage.h"
#include "lock.h"
#include "pte.h"
#include "x86.h"

#define REG_INDEX 0u /* 32-bit words, by which all others are reached */
#define REG_DATA 4u
#define REG_VERSION 0x01u
#define REG_ROUTE(line) (0x10u + 2 * (line))

#define ROUTE_ACTIVE_LOW 0x2000u
#define ROUTE_LEVEL 0x8000u
#define ROUTE_MASKED 0x10000u
#define ROUTE_DEST_SHIFT 24

/* MPS INTI flags (ACPI 6.5, 5.2.12.5). */
#define INTI_POLARITY(f) ((f) & 3u)
#define INTI_TRIGGER(f) ((f) >> 2 & 3u)
#define INTI_BUS 0u
#define INTI_ACTIVE_LOW 3u
#define INTI_LEVEL 3u

struct ioapic {
    volatile u32 *regs;
    u32 gsi, lines;
};

static struct ioapic ioapics[ACPI_IOAPICS];
static u32 ioapic_count;
static struct lock lock;

static u32 ioapic_read(const struct ioapic *io, u32 index)
{
    mmio_write(io->regs + REG_INDEX, index);
    return mmio_read(io->regs + REG_DATA);
}

static void ioapic_write(const struct ioapic *io, u32 index, u32 value)
{
    mmio_write(io->regs + REG_INDEX, index);
    mmio_write(io->regs + REG_DATA, value);
}

static const struct ioapic *ioapic_of(u32 gsi)
{
    for (u32 i = 0; i < ioapic_count; i++)
        if (gsi >= ioapics[i].gsi && gsi - ioapics[i].gsi < ioapics[i].lines)
            return &ioapics[i];
    return NULL;
}

void ioapic_init(void)
{
    for (u32 i = 0; i < acpi.ioapic_count; i++) {
        struct ioapic *io = &ioapics[ioapic_count];

        io->regs = kpage_device(acpi.ioapics[i].base, 32, PTE_UC);
        if (!io->regs)
            continue;
        io->gsi = acpi.ioapics[i].gsi;
        io->lines = (ioapic_read(io, REG_VERSION) >> 16 & 0xff) + 1;
        ioapic_count++;
        for (u32 line = 0; line < io->lines; line++)
            ioapic_write(io, REG_ROUTE(line), ROUTE_MASKED);
    }
}

bool ioapic_has(u32 gsi)
{
    return gsi < VECTOR_GSI_END - VECTOR_GSI && ioapic_of(gsi);
}

static void override_apply(u32 gsi, bool *level, bool *active_low)
{
    for (u32 i = 0; i < acpi.override_count; i++) {
        const struct acpi_override *o = &acpi.overrides[i];

        if (o->gsi != gsi)
            continue;
        if (INTI_POLARITY(o->flags) != INTI_BUS)
            *active_low = INTI_POLARITY(o->flags) == INTI_ACTIVE_LOW;
        if (INTI_TRIGGER(o->flags) != INTI_BUS)
            *level = INTI_TRIGGER(o->flags) == INTI_LEVEL;
    }
}

bool ioapic_level(u32 gsi, bool level)
{
    bool unused = false;

    override_apply(gsi, &level, &unused);
    return level;
}

void ioapic_route(u32 gsi, bool level, bool active_low)
{
    const struct ioapic *io = ioapic_of(gsi);
    u32 index = REG_ROUTE(gsi - io->gsi), low = VECTOR_GSI + gsi;

    override_apply(gsi, &level, &active_low);
    low |= (level ? ROUTE_LEVEL : 0) | (active_low ? ROUTE_ACTIVE_LOW : 0);
    lock_take(&lock);
    ioapic_write(io, index, ROUTE_MASKED);
    ioapic_write(io, index + 1, cpu_of(0)->apic_id << ROUTE_DEST_SHIFT);
    ioapic_write(io, index, low);
    lock_drop(&lock);
}

static void set_mask(u32 gsi, bool masked)
{
    const struct ioapic *io = ioapic_of(gsi);
    u32 index, low;

    if (!io)
        return;
    index = REG_ROUTE(gsi - io->gsi);
    lock_take(&lock);
    low = ioapic_read(io, index) & ~ROUTE_MASKED;
    ioapic_write(io, index, low | (masked ? ROUTE_MASKED : 0));
    lock_drop(&lock);
}

void ioapic_mask(u32 gsi)
{
    set_mask(gsi, true);
}

void ioapic_unmask(u32 gsi)
{
    set_mask(gsi, false);
}
