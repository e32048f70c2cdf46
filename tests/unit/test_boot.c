/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What firmware and boot loader say: the memory map against a naive one (a kind for every page), then broken ACPI
 * tables and multiboot information. A panic is allowed for the latter; reading outside of what was given is not
 * (the sanitizers see it).
 */
#include <criterion/criterion.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "acpi.h"
#include "boot_data.h"
#include "bootmem.h"
#include "cpu_init.h"
#include "kpage.h"
#include "log.h"
#include "multiboot.h"
#include "random.h"
#include "space.h"

#define VIEW_BASE 0x10000ull
#define VIEW_SIZE 0x4000ull
#define MAP_BITS 24u
#define MAP_PAGES (1u << (MAP_BITS - PAGE_SHIFT))

struct boot boot;
struct features features = { .physical_bits = MAP_BITS };
char *direct_arena;

static u8 *view; /* what boot_view() shows of physical memory, and nothing else */
static jmp_buf panicked;

void *boot_view(u64 physical, u64 bytes)
{
    if (physical < VIEW_BASE || physical >= VIEW_BASE + VIEW_SIZE || bytes > VIEW_BASE + VIEW_SIZE - physical)
        return NULL;
    return view + (physical - VIEW_BASE);
}

u64 kpage_image_end(void)
{
    return 0x240000;
}

void log_printf(const char *format, ...)
{
    (void)format;
}

void panic(const char *format, ...)
{
    (void)format;
    longjmp(panicked, 1);
}

static void setup(void)
{
    memset(&boot, 0, sizeof(boot));
    memset(&acpi, 0, sizeof(acpi));
    free(view);
    view = calloc(1, VIEW_SIZE);
}

static void check_map(const u8 *kinds)
{
    u64 at = 0;

    for (u32 i = 0; i < boot.range_count; i++) {
        const struct boot_range *r = &boot.ranges[i];

        cr_assert_eq(r->base, at << PAGE_SHIFT, "ranges are sorted, without gaps");
        cr_assert(r->pages);
        cr_assert(!i || r[-1].kind != r->kind, "neighbours differ");
        for (u64 end = at + r->pages; at < end; at++)
            cr_assert_eq(kinds[at], r->kind);
    }
    cr_assert_eq(at, MAP_PAGES);
}

Test(boot, memory_map)
{
    static u8 kinds[MAP_PAGES];

    for (int round = 0; round < 200; round++) {
        setup();
        bootmem_init();
        memset(kinds, BOOT_DEVICE, sizeof(kinds));
        for (int i = 0; i < 60; i++) {
            u64 first = random_below(MAP_PAGES + 1), pages = random_below(MAP_PAGES + 1 - first);
            enum boot_kind kind = (enum boot_kind)(1 + random_below(BOOT_KERNEL));

            bootmem_paint(first << PAGE_SHIFT, (first + pages) << PAGE_SHIFT, kind);
            memset(kinds + first, (int)kind, pages);
            check_map(kinds);
        }
    }
}

/* ---- ACPI ---- */

static void put32(u64 at, u64 value)
{
    for (int i = 0; i < 4; i++)
        view[at + (u64)i] = (u8)(value >> (8 * i));
}

static void seal(u64 at, u64 bytes, u64 checksum)
{
    u8 sum = 0;

    view[checksum] = 0;
    for (u64 i = 0; i < bytes; i++)
        sum = (u8)(sum + view[at + i]);
    view[checksum] = (u8)-sum;
}

static void table(u64 at, const char *signature, u32 bytes)
{
    memcpy(view + at, signature, 4);
    put32(at + 4, bytes);
}

#define RSDP 0x0ull
#define RSDT 0x103ull /* not aligned: firmware does such things */
#define MADT (VIEW_SIZE - 0x80) /* at the end of what can be seen */
#define MADT_SIZE 0x80u
#define MCFG 0x1000ull

static void make_tables(void)
{
    static const u8 entries[] = {
        0, 8, 0, 0, 1, 0, 0, 0,                             /* CPU 0 */
        0, 8, 1, 4, 1, 0, 0, 0,                             /* CPU 4 */
        0, 8, 2, 5, 0, 0, 0, 0,                             /* CPU 5, off */
        1, 12, 0, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0,          /* I/O APIC at 0xfec00000 */
        2, 10, 0, 9, 9, 0, 0, 0, 0x0d, 0,                   /* IRQ 9: level, active high */
        9, 16, 0, 0, 0x34, 0x12, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, /* CPU 0x1234 */
    };

    memcpy(view + RSDP, "RSD PTR ", 8);
    put32(RSDP + 16, VIEW_BASE + RSDT);
    seal(RSDP, 20, RSDP + 8);
    table(RSDT, "RSDT", 36 + 8);
    put32(RSDT + 36, VIEW_BASE + MADT);
    put32(RSDT + 40, VIEW_BASE + MCFG);
    seal(RSDT, 36 + 8, RSDT + 9);
    table(MADT, "APIC", MADT_SIZE);
    memcpy(view + MADT + 44, entries, sizeof(entries));
    seal(MADT, MADT_SIZE, MADT + 9);
    table(MCFG, "MCFG", 36);
    seal(MCFG, 36, MCFG + 9);
    boot.rsdp = VIEW_BASE + RSDP;
}

Test(boot, acpi)
{
    setup();
    make_tables();
    acpi_init();
    cr_assert_eq(acpi.cpu_count, 3);
    cr_assert_eq(acpi.cpus[1], 4);
    cr_assert_eq(acpi.cpus[2], 0x1234);
    cr_assert_eq(acpi.ioapic_count, 1);
    cr_assert_eq(acpi.ioapics[0].base, 0xfec00000);
    cr_assert_eq(acpi.override_count, 1);
    cr_assert_eq(acpi.overrides[0].flags, 0xd);
}

static void put64(u64 at, u64 value)
{
    put32(at, value);
    put32(at + 4, value >> 32);
}

#define XSDT 0x203ull
#define HPET 0x301ull
#define FADT 0x403ull
#define DMAR 0x605ull
#define IVRS 0x705ull

/* make_tables(), but the RSDT leads nowhere, and the XSDT to what `tables` names. */
static void make_tables_2(const u64 *tables, u32 count)
{
    u32 bytes = 36 + 8 * count;

    make_tables();
    put32(RSDT + 4, 36);
    seal(RSDT, 36, RSDT + 9);
    table(XSDT, "XSDT", bytes);
    for (u32 i = 0; i < count; i++)
        put64(XSDT + 36 + 8 * i, VIEW_BASE + tables[i]);
    seal(XSDT, bytes, XSDT + 9);
    view[RSDP + 15] = 2;
    put32(RSDP + 20, 36);
    put64(RSDP + 24, VIEW_BASE + XSDT);
    seal(RSDP, 20, RSDP + 8);
    seal(RSDP, 36, RSDP + 32);
}

/* The extended checksum is summed over all 36 bytes, three of which are reserved. */
Test(boot, acpi_revision_2)
{
    setup();
    make_tables_2((const u64[]){ MADT, MCFG }, 2);
    view[RSDP + 35] = 0x5a;
    seal(RSDP, 36, RSDP + 32);
    acpi_init();
    cr_assert_eq(acpi.cpu_count, 3);
    cr_assert_eq(acpi.ioapic_count, 1);
}

/* What is wrong with the new structures is made good by the old ones. */
Test(boot, acpi_revision_2_broken)
{
    static const u64 wrong[] = { RSDP + 32, RSDP + 23, XSDT + 9, XSDT + 4, XSDT + 7 };

    for (u32 i = 0; i < ARRAY_SIZE(wrong); i++) {
        setup();
        make_tables_2(NULL, 0);
        table(RSDT, "RSDT", 36 + 8);
        seal(RSDT, 36 + 8, RSDT + 9);
        view[wrong[i]] ^= 0x10;
        acpi_init();
        cr_assert_eq(acpi.cpu_count, 3, "byte %lx", (unsigned long)wrong[i]);
    }
}

Test(boot, acpi_revision_2_behind_the_end)
{
    setup();
    make_tables();
    boot.rsdp = VIEW_BASE + VIEW_SIZE - 20;
    memcpy(view + VIEW_SIZE - 20, view + RSDP, 20);
    view[VIEW_SIZE - 20 + 15] = 2;
    seal(VIEW_SIZE - 20, 20, VIEW_SIZE - 20 + 8);
    acpi_init();
    cr_assert_eq(acpi.cpu_count, 3);
}

/* An entry that says that it is longer than what is left of its table does not count. */
Test(boot, acpi_entry_behind_its_table)
{
    for (u32 cut = 1; cut < 16; cut++) {
        setup();
        make_tables();
        put32(MADT + 4, 44 + 3 * 8 + 12 + 10 + 16 - cut); /* the last one is an x2APIC's */
        seal(MADT, 44 + 3 * 8 + 12 + 10 + 16 - cut, MADT + 9);
        acpi_init();
        cr_assert_eq(acpi.cpu_count, 2, "cut by %u", cut);
        cr_assert_eq(acpi.override_count, 1);
    }
}

static void make_fadt(u32 bytes, u32 port, u32 flags)
{
    memset(view + FADT, 0, 0x114);
    table(FADT, "FACP", bytes);
    put32(FADT + 76, port);
    put32(FADT + 112, flags);
    seal(FADT, bytes, FADT + 9);
}

Test(boot, acpi_timers)
{
    setup();
    make_fadt(0x74, 0x608, 1u << 8);
    table(HPET, "HPET", 56);
    put64(HPET + 44, 0xfed00000);
    seal(HPET, 56, HPET + 9);
    make_tables_2((const u64[]){ FADT, HPET }, 2);
    acpi_init();
    cr_assert_eq(acpi.hpet, 0xfed00000);
    cr_assert_eq(acpi.pm_timer, 0x608);
    cr_assert(acpi.pm_timer_32);

    make_fadt(0x114, 0x608, 0); /* a new one, with an address of the new kind */
    view[FADT + 208] = 1;
    put64(FADT + 212, 0xb008);
    seal(FADT, 0x114, FADT + 9);
    acpi_init();
    cr_assert_eq(acpi.pm_timer, 0xb008);
    cr_assert(!acpi.pm_timer_32);

    memset(&acpi, 0, sizeof(acpi));
    make_fadt(0x74, 0x608, 1u << 20); /* "hardware reduced": there is none */
    acpi_init();
    cr_assert_eq(acpi.pm_timer, 0);

    make_fadt(0x4e, 0x608, 0); /* ends in the middle of the port */
    acpi_init();
    cr_assert_eq(acpi.pm_timer, 0);
}

Test(boot, acpi_iommus)
{
    setup();
    table(DMAR, "DMAR", 48 + 16 + 24 + 16);
    view[DMAR + 37] = 3;
    memcpy(view + DMAR + 48, (const u8[]){ 0, 0, 16, 0 }, 4);
    put64(DMAR + 56, 0xfed90000);
    memcpy(view + DMAR + 64, (const u8[]){ 1, 0, 24, 0 }, 4); /* reserved memory */
    put64(DMAR + 72, 0x1000);
    memcpy(view + DMAR + 88, (const u8[]){ 0, 0, 17, 0 }, 4); /* reaches behind the table */
    put64(DMAR + 96, 0xfed91000);
    seal(DMAR, 48 + 56, DMAR + 9);
    table(IVRS, "IVRS", 48 + 24 + 40);
    memcpy(view + IVRS + 48, (const u8[]){ 0x10, 0, 24, 0 }, 4);
    put64(IVRS + 56, 0xfec80000);
    memcpy(view + IVRS + 72, (const u8[]){ 0x11, 0, 40, 0 }, 4); /* the same one again */
    put64(IVRS + 80, 0xfec80000);
    seal(IVRS, 48 + 64, IVRS + 9);
    make_tables_2((const u64[]){ DMAR, IVRS }, 2);
    acpi_init();
    cr_assert(acpi.x2apic_opt_out);
    cr_assert_eq(acpi.iommu_count, 2);
    cr_assert_eq(acpi.iommus[0].base, 0xfed90000);
    cr_assert(!acpi.iommus[0].amd);
    cr_assert_eq(acpi.iommus[1].base, 0xfec80000);
    cr_assert(acpi.iommus[1].amd);
}

Test(boot, acpi_broken)
{
    for (int round = 0; round < 50000; round++) {
        u64 tables[] = { RSDT, MADT, MCFG, XSDT, FADT, HPET, DMAR, IVRS };
        static const u32 sizes[] = { 36, MADT_SIZE, 36, 36 + 5 * 8, 0x74, 56, 104, 112 };
        u32 which = (u32)random_below(ARRAY_SIZE(tables));
        u64 at = tables[which];

        setup();
        make_tables_2((const u64[]){ MADT, FADT, HPET, DMAR, IVRS }, 5);
        for (u32 i = 4; i < ARRAY_SIZE(tables); i++)
            table(tables[i], &"FACPHPETDMARIVRS"[4 * (i - 4)], sizes[i]);
        for (u64 n = random_below(4); n-- > 0;)
            view[at + random_below(MIN(VIEW_SIZE - at, 0x90))] = (u8)random_next();
        /* Often the checksum is right, so that it is not all that helps. */
        if (random_below(4))
            seal(at, sizes[which], at + 9);
        acpi_init();
        cr_assert(acpi.cpu_count <= ACPI_CPUS && acpi.ioapic_count <= ACPI_IOAPICS && acpi.iommu_count <= ACPI_IOMMUS);
        cr_assert(acpi.override_count <= ACPI_OVERRIDES);
    }
}

/* ---- Multiboot ---- */

#define MAGIC 0x36d76289u

static u64 tag(u64 at, u32 type, u32 bytes)
{
    put32(at, type);
    put32(at + 4, bytes);
    return at + 8;
}

static void memory_entry(u64 at, u64 base, u64 bytes, u32 type)
{
    put32(at, base);
    put32(at + 4, base >> 32);
    put32(at + 8, bytes);
    put32(at + 12, bytes >> 32);
    put32(at + 16, type);
}

/* Ends with the view. */
static u64 make_information(u32 *size)
{
    u64 start = VIEW_SIZE - 0xd8, p;

    *size = 0xd8;
    put32(start, *size);
    p = tag(start + 8, 1, 8 + 15);
    memcpy(view + p, "exit-port=0xf4", 15);
    p = tag(start + 0x20, 3, 16 + 5);
    put32(p, 0x300000);
    put32(p + 4, 0x300123);
    memcpy(view + p + 8, "root", 5);
    p = tag(start + 0x38, 6, 16 + 3 * 24);
    put32(p, 24);
    memory_entry(p + 8, 0, 0x9fc00, 1);
    memory_entry(p + 32, 0x9fc00, 0x60400, 2);
    memory_entry(p + 56, 0x100000, 0xf00000, 1);
    p = tag(start + 0x90, 8, 32);
    put32(p, 0xfd000000);
    put32(p + 8, 4096);
    put32(p + 12, 1024);
    put32(p + 16, 768);
    view[p + 20] = 32;
    view[p + 21] = 1;
    tag(start + 0xb0, 15, 8 + 20);
    tag(start + 0xd0, 0, 8);
    return VIEW_BASE + start;
}

Test(boot, multiboot)
{
    u32 size;

    setup();
    features.physical_bits = 36;
    multiboot_parse(MAGIC, make_information(&size));
    cr_assert_str_eq(boot.command_line, "exit-port=0xf4");
    cr_assert_eq(boot.module_count, 1);
    cr_assert_eq(boot.modules[0].base, 0x300000);
    cr_assert_eq(boot.modules[0].size, 0x123);
    cr_assert_str_eq(boot.modules[0].name, "root");
    cr_assert_eq(boot.screen.width, 1024);
    cr_assert_eq(boot.rsdp, VIEW_BASE + VIEW_SIZE - 0xd8 + 0xb8);
    cr_assert_eq(bootmem_ram_end(), 0x1000000);
    cr_assert(bootmem_has_memory(0x300000, 0x301000));
    cr_assert(!bootmem_has_memory(0xa0000, 0x100000));
    bootmem_reserve(100);
    cr_assert_eq(bootmem_base, 0x400000, "behind image and module");
}

/* A frame buffer that no address of the CPU reaches would be reserved bits in a page table. */
Test(boot, screen_behind_all_addresses)
{
    u32 size;
    u64 info;

    setup();
    features.physical_bits = 36;
    info = make_information(&size);
    put32(info - VIEW_BASE + 0x90 + 12, 0x10);
    multiboot_parse(MAGIC, info);
    cr_assert_eq(boot.screen.base, 0);
}

/* Nobody gets RAM below 1 MiB, and one page of it starts the other CPUs. */
Test(boot, low_memory)
{
    u32 size;

    setup();
    multiboot_parse(MAGIC, make_information(&size));
    bootmem_paint(0xb0000, 0x140000, BOOT_RAM);
    bootmem_paint(0xe0000, 0xe8000, BOOT_DEVICE);
    cr_assert_eq(bootmem_low_page(), 0x9e000);
    for (u32 i = 0; i < boot.range_count; i++)
        cr_assert(boot.ranges[i].kind != BOOT_RAM || boot.ranges[i].base >= 0x100000);
    cr_assert(bootmem_has_memory(0x100000, 0x140000), "and nothing above is taken");
    cr_assert_eq(bootmem_low_page(), 0, "it is taken once");
    bootmem_paint(0x90000, 0xb8000, BOOT_RAM);
    cr_assert_eq(bootmem_low_page(), 0x9f000, "no interrupt can name what is behind it");
}

/* What the hypervisor takes for itself is mapped at boot already. */
Test(boot, memory_above_4_gib_alone)
{
    setup();
    features.physical_bits = 36;
    bootmem_init();
    bootmem_paint(1ull << 32, 1ull << 33, BOOT_RAM);
    if (!setjmp(panicked)) {
        bootmem_reserve(16);
        cr_assert_fail("taken at %lx", (unsigned long)bootmem_base);
    }
    bootmem_paint(0xff800000, 0xffe00000, BOOT_RAM);
    bootmem_reserve(16);
    cr_assert_eq(bootmem_base, 0xff800000);
}

static void parse_entry(u64 base, u64 bytes, u32 type)
{
    u32 size;
    u64 info;

    setup();
    info = make_information(&size);
    memory_entry(info - VIEW_BASE + 0x38 + 16 + 24, base, bytes, type); /* instead of the reserved one */
    multiboot_parse(MAGIC, info);
}

/* No sum wraps around. What reaches beyond the addresses of the CPU is cut there. */
Test(boot, memory_map_at_the_top)
{
    static const u64 bases[] = { UINT64_MAX - 0xffe, UINT64_MAX - 0x1000, 1ull << 63, 1ull << MAP_BITS };

    for (u32 i = 0; i < ARRAY_SIZE(bases); i++) {
        for (u32 type = 1; type <= 2; type++) {
            parse_entry(bases[i], UINT64_MAX - bases[i], type);
            cr_assert_eq(bootmem_ram_end(), 0x1000000);
            cr_assert(!bootmem_has_memory(0xa0000, 0x100000));
        }
    }
    parse_entry(0xfff001, UINT64_MAX, 2); /* wraps, and is longer than all there is */
    cr_assert(!bootmem_has_memory(0xfff000, 0x1000000));
    cr_assert(bootmem_has_memory(0xffe000, 0xfff000));
}

static void parse_module(u32 begin, u32 end)
{
    u32 size;
    u64 info;

    setup();
    info = make_information(&size);
    put32(info - VIEW_BASE + 0x20 + 8, begin);
    put32(info - VIEW_BASE + 0x20 + 12, end);
    multiboot_parse(MAGIC, info);
}

Test(boot, module_that_ends_before_it_starts)
{
    parse_module(0x300000, 0x2ff000);
    cr_assert_eq(boot.module_count, 0);
    parse_module(0x300000, 0x2fffff);
    cr_assert_eq(boot.module_count, 0);
    parse_module(0x300000, 0x300000); /* an empty one is one */
    cr_assert_eq(boot.module_count, 1);
    cr_assert_eq(boot.modules[0].size, 0);
    parse_module(0x300800, 0x301000);
    cr_assert_eq(boot.module_count, 0, "not page-aligned");
}

static void parse_broken(void)
{
    u32 size;
    u64 info = make_information(&size);

    for (u64 n = 1 + random_below(4); n-- > 0;)
        view[info - VIEW_BASE + random_below(size)] = (u8)random_next();
    if (setjmp(panicked))
        return;
    multiboot_parse(MAGIC, info);
    cr_assert(boot.module_count <= BOOT_MODULES && boot.range_count <= BOOT_RANGES);
}

Test(boot, multiboot_broken)
{
    for (int round = 0; round < 50000; round++) {
        setup();
        parse_broken();
    }
}
