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

Test(boot, acpi_broken)
{
    for (int round = 0; round < 50000; round++) {
        u64 tables[] = { RSDT, MADT, MCFG };
        u64 at = tables[random_below(3)];

        setup();
        make_tables();
        for (u64 n = random_below(4); n-- > 0;)
            view[at + random_below(MIN(VIEW_SIZE - at, 0x90))] = (u8)random_next();
        /* Often the checksum is right, so that it is not all that helps. */
        if (random_below(4))
            seal(at, at == RSDT ? 44 : at == MADT ? MADT_SIZE : 36, at + 9);
        acpi_init();
        cr_assert(acpi.cpu_count <= ACPI_CPUS && acpi.ioapic_count <= ACPI_IOAPICS);
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
    cr_assert_eq(bootmem_low_page(), 0x1000);
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
