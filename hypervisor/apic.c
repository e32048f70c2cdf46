/* SPDX-License-Identifier: GPL-2.0-only */
#include "apic.h"

#include "acpi.h"
#include "bootmem.h"
#include "cpu.h"
#include "cpu_init.h"
#include "kpage.h"
#include "x86.h"

#define BASE_X2APIC (1ull << 10)
#define BASE_ADDRESS 0x000ffffffffff000ull

/* Register offsets in xAPIC mode; in x2APIC mode an MSR for every 16 bytes. */
enum {
    APIC_ID = 0x20,
    APIC_VERSION = 0x30,
    APIC_TPR = 0x80,
    APIC_EOI = 0xb0,
    APIC_SVR = 0xf0,
    APIC_ISR = 0x100, /* 8 registers */
    APIC_LVT_CMCI = 0x2f0,
    APIC_ICR = 0x300,
    APIC_ICR_HIGH = 0x310,
    APIC_LVT_TIMER = 0x320,
    APIC_LVT_THERMAL = 0x330,
    APIC_LVT_COUNTERS = 0x340,
    APIC_LVT_LINT0 = 0x350,
    APIC_LVT_LINT1 = 0x360,
    APIC_LVT_ERROR = 0x370,
    APIC_INITIAL = 0x380,
    APIC_CURRENT = 0x390,
    APIC_DIVIDE = 0x3e0,
    APIC_EXTENDED = 0x400,     /* AMD alone */
    APIC_LVT_EXTENDED = 0x500, /* as many as APIC_EXTENDED says */
};

#define SVR_ENABLE 0x100u
#define LVT_MASKED 0x10000u
#define LVT_NMI 0x400u
#define LVT_MODE 0x700u
#define LVT_SMI 0x200u
#define VERSION_LAST_LVT(version) ((version) >> 16 & 0xffu)
#define VERSION_EXTENDED (1u << 31)
#define EXTENDED_LVTS(extended) ((extended) >> 16 & 0xffu)
#define VECTORS 256u
#define LVT_DEADLINE 0x40000u
#define DIVIDE_BY_1 0xbu
#define ICR_PENDING 0x1000u
#define ICR_INIT 0x500u
#define ICR_STARTUP 0x600u
#define ICR_NMI 0x400u
#define ICR_ASSERT 0x4000u
#define ICR_OTHERS 0xc0000u

static volatile u32 *reg(u32 offset)
{
    return (volatile u32 *)(uintptr_t)(CPU_APIC + offset);
}

static u32 apic_read(u32 offset)
{
    return features.x2apic ? (u32)rdmsr(MSR_X2APIC + (offset >> 4)) : *reg(offset);
}

static void apic_write(u32 offset, u32 value)
{
    if (features.x2apic)
        wrmsr(MSR_X2APIC + (offset >> 4), value);
    else
        *reg(offset) = value;
}

u32 apic_id_max(void)
{
    return features.x2apic ? UINT32_MAX - 1 : 254;
}

static u32 apic_id(void)
{
    u32 id = apic_read(APIC_ID);

    return features.x2apic ? id : id >> 24;
}

/* The two 8259: moved away from the exceptions' vectors, since even masked they can raise spurious interrupts. */
static void silence_pics(void)
{
    static const u8 command[][2] = {
        { 0x20, 0x11 }, { 0x21, VECTOR_PIC }, { 0x21, 0x04 }, { 0x21, 0x01 }, { 0x21, 0xff },
        { 0xa0, 0x11 }, { 0xa1, VECTOR_PIC + 8 }, { 0xa1, 0x02 }, { 0xa1, 0x01 }, { 0xa1, 0xff },
    };

    for (u32 i = 0; i < ARRAY_SIZE(command); i++)
        outb(command[i][0], command[i][1]);
}

void apic_probe(void)
{
    u64 value = rdmsr(MSR_APIC_BASE), base = value & BASE_ADDRESS;

    /* Firmware that does not want x2APIC mode, but has turned it on, does not mean it. */
    if (acpi.x2apic_opt_out && !(value & BASE_X2APIC))
        features.x2apic = false;
    bootmem_paint(base, base + PAGE_SIZE, BOOT_KERNEL);
    for (u32 i = 0; i < acpi.ioapic_count; i++) {
        u64 page = align_down(acpi.ioapics[i].base, PAGE_SIZE);

        bootmem_paint(page, page + PAGE_SIZE, BOOT_KERNEL);
    }
    silence_pics();
}

/* No step from "off" to x2APIC mode, or back to xAPIC mode, is legal but by way of the third (SDM 3A, 11.12.1). */
static void mode_set(void)
{
    u64 value = rdmsr(MSR_APIC_BASE);

    if (!features.x2apic && (value & BASE_X2APIC)) {
        value &= ~(BASE_X2APIC | APIC_BASE_ENABLE);
        wrmsr(MSR_APIC_BASE, value);
    }
    if (!(value & APIC_BASE_ENABLE))
        wrmsr(MSR_APIC_BASE, value | APIC_BASE_ENABLE);
    if (features.x2apic)
        wrmsr(MSR_APIC_BASE, value | APIC_BASE_ENABLE | BASE_X2APIC);
    else
        kpage_map_apic(value & BASE_ADDRESS);
}

/* What raises SMIs is the firmware's own business. */
static void lvt_mask(u32 lvt)
{
    u32 value = apic_read(lvt);

    if ((value & LVT_MODE) != LVT_SMI)
        apic_write(lvt, value | LVT_MASKED);
}

/* What firmware has left on would raise interrupts that nobody serves. */
static void lvts_mask(void)
{
    u32 version = apic_read(APIC_VERSION), last = VERSION_LAST_LVT(version);

    if (last >= 4)
        lvt_mask(APIC_LVT_COUNTERS);
    if (last >= 5)
        lvt_mask(APIC_LVT_THERMAL);
    if (last >= 6)
        lvt_mask(APIC_LVT_CMCI);
    for (u32 i = 0; (version & VERSION_EXTENDED) && i < MIN(EXTENDED_LVTS(apic_read(APIC_EXTENDED)), 4); i++)
        lvt_mask(APIC_LVT_EXTENDED + 0x10 * i);
}

bool apic_in_service(u32 vector)
{
    return apic_read(APIC_ISR + vector / 32 * 0x10) >> vector % 32 & 1;
}

/* Interrupts that firmware has taken and not ended would keep back all of lower priority. */
static void in_service_end(void)
{
    for (u32 word = VECTORS / 32; word-- > 0;)
        for (u32 bits = apic_read(APIC_ISR + word * 0x10); bits; bits &= bits - 1)
            apic_eoi(); /* of the highest one */
}

void apic_init(void)
{
    mode_set();
    apic_write(APIC_TPR, 0);
    lvts_mask();
    apic_write(APIC_LVT_LINT0, LVT_MASKED);
    apic_write(APIC_LVT_LINT1, LVT_NMI);
    apic_write(APIC_LVT_ERROR, LVT_MASKED);
    apic_write(APIC_DIVIDE, DIVIDE_BY_1);
    apic_write(APIC_LVT_TIMER, LVT_MASKED | VECTOR_TIMER);
    apic_write(APIC_SVR, SVR_ENABLE | VECTOR_SPURIOUS);
    in_service_end();
    cpu.apic_id = apic_id();
}

void apic_eoi(void)
{
    apic_write(APIC_EOI, 0);
}

static void icr_write(u32 id, u32 low)
{
    if (features.x2apic) {
        /* Not serializing: what was stored before must be seen by who is interrupted (SDM 3A, 11.12.3). */
        __asm__ volatile("mfence; lfence" : : : "memory");
        wrmsr(MSR_X2APIC + (APIC_ICR >> 4), (u64)id << 32 | low);
        return;
    }
    while (*reg(APIC_ICR) & ICR_PENDING)
        cpu_pause();
    *reg(APIC_ICR_HIGH) = id << 24;
    *reg(APIC_ICR) = low;
}

void apic_send(u32 id, u32 vector)
{
    icr_write(id, ICR_ASSERT | vector);
}

void apic_send_init(u32 id)
{
    icr_write(id, ICR_ASSERT | ICR_INIT);
}

void apic_send_startup(u32 id, u32 page)
{
    icr_write(id, ICR_ASSERT | ICR_STARTUP | page);
}

void apic_send_nmi_others(void)
{
    icr_write(0, ICR_OTHERS | ICR_ASSERT | ICR_NMI);
}

void apic_timer_start(u32 ticks)
{
    apic_write(APIC_LVT_TIMER, VECTOR_TIMER | (ticks ? 0 : LVT_MASKED));
    apic_write(APIC_INITIAL, ticks);
}

u32 apic_timer_read(void)
{
    return apic_read(APIC_CURRENT);
}

void apic_timer_deadline_mode(void)
{
    apic_write(APIC_LVT_TIMER, LVT_DEADLINE | VECTOR_TIMER);
    /* In xAPIC mode the mode must have changed before the deadline is written (SDM 3A, 11.5.4.1). */
    __asm__ volatile("mfence" : : : "memory");
}
