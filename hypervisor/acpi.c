/* SPDX-License-Identifier: GPL-2.0-only */
#include "acpi.h"

#include "boot_data.h"
#include "kpage.h"
#include "log.h"

#define TABLE_MAX (1u << 20)
#define TABLES_MAX 256u

#define MADT_APIC 0u
#define MADT_IOAPIC 1u
#define MADT_OVERRIDE 2u
#define MADT_X2APIC 9u
#define MADT_ENABLED 0x1u

/* Offsets in the FADT (5.2.9), the HPET's table (IA-PC HPET Specification 1.0a, 3.2.4), DMAR and IVRS. */
#define FADT_PM_TIMER 76u
#define FADT_FLAGS 112u
#define FADT_TIMER_32 (1u << 8)
#define FADT_HARDWARE_REDUCED (1u << 20)
#define FADT_X_PM_TIMER 208u
#define HPET_ADDRESS 40u
#define DMAR_FLAGS 37u /* VT-d 4.0, 8.1 */
#define DMAR_X2APIC_OPT_OUT 0x2u
#define IOMMU_FIRST 48u /* in both */
#define IOMMU_BASE 8u   /* in DRHD and IVHD */
#define DMAR_DRHD 0u
#define IVRS_IVHD_OLD 0x10u /* AMD I/O Virtualization Technology 3.08, 5.2.2 */
#define IVRS_IVHD_EXTENDED 0x11u
#define IVRS_IVHD_NAMED 0x40u

#define SPACE_MEMORY 0u /* generic addresses (5.2.3.2): the first byte; the address itself is behind 4 bytes */
#define SPACE_IO 1u

struct rsdp { /* 5.2.5.3 */
    char signature[8];
    u8 checksum; /* of the first 20 bytes */
    char oem[6];
    u8 revision;
    u32 rsdt;
    u32 length; /* from here on, revision 2 */
    u64 xsdt;
    u8 checksum_all, reserved[3];
} __attribute__((packed));
_Static_assert(sizeof(struct rsdp) == 36, "ACPI 6.5, 5.2.5.3");
#define RSDP_OLD 20u
#define RSDP_MAX 4096u

struct header {
    char signature[4];
    u32 length;
    u8 revision, checksum;
    char oem[6], oem_table[8];
    u32 oem_revision, creator, creator_revision;
} __attribute__((packed));
_Static_assert(sizeof(struct header) == 36, "ACPI 6.5, 5.2.6");

#define MADT_FIRST (sizeof(struct header) + 8) /* behind APIC address and flags */

struct entry {
    u8 type, length;
};

struct entry_apic {
    struct entry head;
    u8 uid, id;
    u32 flags;
} __attribute__((packed));

struct entry_ioapic {
    struct entry head;
    u8 id, reserved;
    u32 base, gsi;
} __attribute__((packed));

struct entry_override {
    struct entry head;
    u8 bus, source;
    u32 gsi;
    u16 flags;
} __attribute__((packed));

struct entry_x2apic {
    struct entry head;
    u16 reserved;
    u32 id, flags, uid;
} __attribute__((packed));

struct acpi acpi;

static bool sum_ok(const void *p, u64 bytes)
{
    const u8 *b = p;
    u8 sum = 0;

    while (bytes--)
        sum = (u8)(sum + *b++);
    return sum == 0;
}

static bool text_is(const char *p, const char *text)
{
    while (*text)
        if (*p++ != *text++)
            return false;
    return true;
}

/* A table whose length and checksum are right; NULL: none. */
static const struct header *table_at(u64 at)
{
    const struct header *h = boot_view(at, sizeof(*h));

    if (!h || h->length < sizeof(*h) || h->length > TABLE_MAX || !boot_view(at, h->length) || !sum_ok(h, h->length)) {
        log_printf("acpi: the table at %lx is broken: ignored", at);
        return NULL;
    }
    return h;
}

static void add_cpu(u32 id, u32 flags)
{
    if (!(flags & MADT_ENABLED))
        return;
    for (u32 i = 0; i < acpi.cpu_count; i++)
        if (acpi.cpus[i] == id)
            return;
    if (acpi.cpu_count < ACPI_CPUS)
        acpi.cpus[acpi.cpu_count++] = id;
}

static void add_ioapic(const struct entry_ioapic *e)
{
    if (acpi.ioapic_count < ACPI_IOAPICS)
        acpi.ioapics[acpi.ioapic_count++] = (struct acpi_ioapic){ e->base, e->gsi };
}

static void add_override(const struct entry_override *e)
{
    if (acpi.override_count < ACPI_OVERRIDES)
        acpi.overrides[acpi.override_count++] = (struct acpi_override){ e->source, e->gsi, e->flags };
}

static void parse_entry(const struct entry *e)
{
    const struct entry_apic *apic = (const void *)e;
    const struct entry_x2apic *x2apic = (const void *)e;

    if (e->type == MADT_APIC && e->length >= sizeof(*apic))
        add_cpu(apic->id, apic->flags);
    else if (e->type == MADT_X2APIC && e->length >= sizeof(*x2apic))
        add_cpu(x2apic->id, x2apic->flags);
    else if (e->type == MADT_IOAPIC && e->length >= sizeof(struct entry_ioapic))
        add_ioapic((const void *)e);
    else if (e->type == MADT_OVERRIDE && e->length >= sizeof(struct entry_override))
        add_override((const void *)e);
}

/* Multiple APIC Description Table (5.2.12). */
static void parse_madt(const struct header *h)
{
    for (u64 at = MADT_FIRST; at + sizeof(struct entry) <= h->length;) {
        const struct entry *e = (const void *)((const char *)h + at);

        if (e->length < sizeof(*e) || e->length > h->length - at)
            break;
        parse_entry(e);
        at += e->length;
    }
}

/* A little-endian number within a table or one of its entries; 0: behind its end. */
static u64 number(const void *p, u64 length, u64 at, u32 bytes)
{
    u64 value = 0;

    for (u32 i = 0; at + bytes <= length && i < bytes; i++)
        value |= (u64)((const u8 *)p)[at + i] << (8 * i);
    return value;
}

/* Fixed ACPI Description Table: the power management timer. */
static void parse_fadt(const struct header *h)
{
    u32 flags = (u32)number(h, h->length, FADT_FLAGS, 4);
    u64 port = number(h, h->length, FADT_PM_TIMER, 4), extended = number(h, h->length, FADT_X_PM_TIMER + 4, 8);

    if (extended && number(h, h->length, FADT_X_PM_TIMER, 1) == SPACE_IO)
        port = extended;
    if ((flags & FADT_HARDWARE_REDUCED) || port > UINT16_MAX)
        return;
    acpi.pm_timer = (u16)port;
    acpi.pm_timer_32 = flags & FADT_TIMER_32;
}

static void parse_hpet(const struct header *h)
{
    if (number(h, h->length, HPET_ADDRESS, 1) == SPACE_MEMORY)
        acpi.hpet = number(h, h->length, HPET_ADDRESS + 4, 8);
}

static void add_iommu(u64 base, bool amd)
{
    for (u32 i = 0; i < acpi.iommu_count; i++)
        if (acpi.iommus[i].base == base) /* IVRS has several entries for each */
            return;
    if (base && acpi.iommu_count < ACPI_IOMMUS)
        acpi.iommus[acpi.iommu_count++] = (struct acpi_iommu){ base, amd };
}

/* DMA Remapping Reporting, or I/O Virtualization Reporting Structure: entries begin with type and length alike. */
static void parse_iommus(const struct header *h, bool amd)
{
    for (u64 at = IOMMU_FIRST, length; at + 4 <= h->length; at += length) {
        const u8 *e = (const u8 *)h + at;
        u64 type = number(e, 4, 0, amd ? 1 : 2);
        bool is_unit = amd ? type == IVRS_IVHD_OLD || type == IVRS_IVHD_EXTENDED || type == IVRS_IVHD_NAMED : type == DMAR_DRHD;

        length = number(e, 4, 2, 2);
        if (length < 4 || length > h->length - at)
            break;
        if (is_unit)
            add_iommu(number(e, length, IOMMU_BASE, 8), amd);
    }
}

static void parse_table(u64 at)
{
    const struct header *h = table_at(at);

    if (!h)
        return;
    if (text_is(h->signature, "APIC"))
        parse_madt(h);
    else if (text_is(h->signature, "FACP"))
        parse_fadt(h);
    else if (text_is(h->signature, "HPET"))
        parse_hpet(h);
    else if (text_is(h->signature, "IVRS"))
        parse_iommus(h, true);
    else if (text_is(h->signature, "DMAR")) {
        acpi.x2apic_opt_out = number(h, h->length, DMAR_FLAGS, 1) & DMAR_X2APIC_OPT_OUT;
        parse_iommus(h, false);
    }
}

/* The root table: addresses of `width` bytes. False: there is none. */
static bool parse_root(u64 at, u32 width)
{
    const struct header *h = table_at(at);

    if (!h)
        return false;
    for (u64 i = sizeof(*h); i + width <= MIN(h->length, TABLES_MAX * 8); i += width)
        parse_table(number(h, h->length, i, width));
    return true;
}

/* The XSDT's address, 0: the RSDP has none. */
static u64 xsdt_of(const struct rsdp *r)
{
    if (r->revision < 2 || !boot_view(boot.rsdp, sizeof(*r)) || r->length < sizeof(*r) || r->length > RSDP_MAX ||
        !boot_view(boot.rsdp, r->length) || !sum_ok(r, r->length))
        return 0;
    return r->xsdt;
}

void acpi_init(void)
{
    const struct rsdp *r = boot_view(boot.rsdp, RSDP_OLD);
    u64 xsdt;

    if (!r || !text_is(r->signature, "RSD PTR ") || !sum_ok(r, RSDP_OLD)) {
        log_printf("acpi: no tables: one CPU, no device interrupts");
        return;
    }
    xsdt = xsdt_of(r);
    if (!xsdt || !parse_root(xsdt, 8))
        (void)parse_root(r->rsdt, 4);
}
