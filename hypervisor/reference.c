/* SPDX-License-Identifier: GPL-2.0-only */
#include "reference.h"

#include "acpi.h"
#include "kpage.h"
#include "pte.h"
#include "x86.h"

/* IA-PC HPET Specification 1.0a, 2.3: indices of 32-bit words. */
#define HPET_BYTES 0x100u
#define HPET_PERIOD 1u  /* 0x004: femtoseconds */
#define HPET_CONFIG 4u  /* 0x010 */
#define HPET_ENABLE 0x1u
#define HPET_COUNTER 60u /* 0x0f0 */
#define HPET_PERIOD_MAX 100000000u
#define FEMTOSECONDS 1000000000000000ull

#define PM_TIMER_HZ 3579545u /* ACPI 6.5, 4.8.3.3 */

#define PIT_HZ 1193182u
#define PIT_CHANNEL2 0x42u
#define PIT_COMMAND 0x43u
#define PIT_GATE_PORT 0x61u
#define PIT_GATE 0x01u
#define PIT_SPEAKER 0x02u
#define PIT_MODE_2 0xb4u /* channel 2, both bytes, counts down from 65,536 again and again */
#define PIT_LATCH 0x80u

static bool hpet_start(struct reference *r)
{
    u32 period;

    r->hpet = acpi.hpet ? kpage_device(acpi.hpet, HPET_BYTES, PTE_UC) : NULL;
    period = r->hpet ? mmio_read(r->hpet + HPET_PERIOD) : 0;
    if (!period || period > HPET_PERIOD_MAX)
        return false;
    r->hz = (FEMTOSECONDS + period / 2) / period;
    r->mask = UINT32_MAX;
    r->hpet_before = mmio_read(r->hpet + HPET_CONFIG);
    mmio_write(r->hpet + HPET_CONFIG, r->hpet_before | HPET_ENABLE);
    return true;
}

static void pit_start(void)
{
    outb(PIT_GATE_PORT, (u8)((inb(PIT_GATE_PORT) & ~PIT_SPEAKER) | PIT_GATE));
    outb(PIT_COMMAND, PIT_MODE_2);
    outb(PIT_CHANNEL2, 0);
    outb(PIT_CHANNEL2, 0);
}

bool reference_start(enum reference_kind kind, struct reference *r)
{
    r->kind = kind;
    switch (kind) {
    case REFERENCE_HPET:
        r->name = "HPET";
        return hpet_start(r);
    case REFERENCE_PM_TIMER:
        r->name = "PM timer";
        r->hz = PM_TIMER_HZ;
        r->mask = acpi.pm_timer_32 ? UINT32_MAX : 0xffffff;
        return acpi.pm_timer;
    default:
        r->name = "PIT";
        r->hz = PIT_HZ;
        r->mask = UINT16_MAX;
        pit_start();
        return true; /* whether it is there shows when it does not count */
    }
}

void reference_stop(const struct reference *r)
{
    if (r->kind == REFERENCE_HPET)
        mmio_write(r->hpet + HPET_CONFIG, r->hpet_before);
    else if (r->kind == REFERENCE_PIT)
        outb(PIT_GATE_PORT, (u8)(inb(PIT_GATE_PORT) & ~(PIT_GATE | PIT_SPEAKER)));
}

static u32 pit_read(void)
{
    u32 low;

    outb(PIT_COMMAND, PIT_LATCH);
    low = inb(PIT_CHANNEL2);
    return -(low | (u32)inb(PIT_CHANNEL2) << 8);
}

u32 reference_read(const struct reference *r)
{
    switch (r->kind) {
    case REFERENCE_HPET: return mmio_read(r->hpet + HPET_COUNTER);
    case REFERENCE_PM_TIMER: return inl(acpi.pm_timer);
    default: return pit_read();
    }
}
