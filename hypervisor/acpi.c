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

struct rsdp {
    char signature[8];
    u8 checksum;
    char oem[6];
    u8 revision;
    u32 rsdt;
    u32 length;
    u64 xsdt;
} __attribute__((packed));

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

static void parse_table(u64 at)
{
    const struct header *h = table_at(at);

    if (h && text_is(h->signature, "APIC"))
        parse_madt(h);
}

/* The root table: addresses of `width` bytes. */
static void parse_root(u64 at, u32 width)
{
    const struct header *h = table_at(at);
    const u8 *p = (const u8 *)h;

    for (u64 i = sizeof(*h); h && i + width <= MIN(h->length, TABLES_MAX * 8); i += width) {
        u64 table = 0;

        for (u32 b = 0; b < width; b++)
            table |= (u64)p[i + b] << (8 * b);
        parse_table(table);
    }
}

void acpi_init(void)
{
    const struct rsdp *r = boot_view(boot.rsdp, sizeof(*r));

    if (!r || !text_is(r->signature, "RSD PTR ") || !sum_ok(r, 20)) {
        log_printf("acpi: no tables: one CPU, no device interrupts");
        return;
    }
    if (r->revision >= 2 && r->xsdt && sum_ok(r, sizeof(*r)))
        parse_root(r->xsdt, 8);
    else
        parse_root(r->rsdt, 4);
}
