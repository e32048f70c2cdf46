/* SPDX-License-Identifier: GPL-2.0-only */
/* Everything is copied: neither the information nor the boot loader's memory is looked at again. */
#include "multiboot.h"

#include "boot_data.h"
#include "bootmem.h"
#include "cpu_init.h"
#include "kpage.h"
#include "layout.h"
#include "log.h"

#define MULTIBOOT2_MAGIC 0x36d76289u
#define INFO_MAX (1u << 20)

enum {
    TAG_END = 0,
    TAG_COMMAND_LINE = 1,
    TAG_MODULE = 3,
    TAG_MEMORY_MAP = 6,
    TAG_FRAMEBUFFER = 8,
    TAG_RSDP_OLD = 14,
    TAG_RSDP_NEW = 15,
};

enum { MEMORY_RAM = 1, MEMORY_ACPI = 3, MEMORY_NVS = 4 };

#define FRAMEBUFFER_RGB 1u
#define FRAMEBUFFER_MAX (256u << 20)

struct tag {
    u32 type, size;
};

struct tag_module {
    struct tag tag;
    u32 start, end;
    char name[];
};

struct memory_entry {
    u64 base, length;
    u32 type, reserved;
};

struct tag_memory_map {
    struct tag tag;
    u32 entry_size, version;
};

struct tag_framebuffer {
    struct tag tag;
    u64 base;
    u32 pitch, width, height;
    u8 bpp, type;
    u16 reserved;
};

static void text_copy(char *to, u64 room, const char *from, u64 bytes)
{
    u64 i;

    for (i = 0; i < bytes && i < room - 1 && from[i]; i++)
        to[i] = from[i];
    to[i] = 0;
}

static void parse_module(const struct tag_module *t)
{
    struct boot_module *m = &boot.modules[boot.module_count];

    if (t->tag.size < sizeof(*t) || t->end < t->start || !is_aligned(t->start, PAGE_SIZE)) {
        log_printf("boot: a module is not page-aligned, or ends before it starts: ignored");
        return;
    }
    if (boot.module_count == BOOT_MODULES) {
        log_printf("boot: more than %u modules: the others are ignored", BOOT_MODULES);
        return;
    }
    boot.module_count++;
    m->base = t->start;
    m->size = t->end - t->start;
    text_copy(m->name, sizeof(m->name), t->name, t->tag.size - sizeof(*t));
}

/* What the firmware's types mean: RAM shrinks to whole pages, all else grows. */
static void paint_memory(const struct memory_entry *e)
{
    u64 limit = 1ull << features.physical_bits, end;

    if (e->base >= limit || !e->length)
        return;
    end = e->base + MIN(e->length, limit - e->base);
    if (e->type == MEMORY_RAM)
        bootmem_paint(align_up(e->base, PAGE_SIZE), align_down(end, PAGE_SIZE), BOOT_RAM);
    else
        bootmem_paint(align_down(e->base, PAGE_SIZE), align_up(end, PAGE_SIZE),
                      e->type == MEMORY_ACPI || e->type == MEMORY_NVS ? BOOT_ACPI : BOOT_DEVICE);
}

/* RAM first: where entries overlap, a part that is not RAM wins. */
static void parse_memory_map(const struct tag_memory_map *t)
{
    const char *entries = (const char *)(t + 1);

    if (t->tag.size < sizeof(*t) || t->entry_size < sizeof(struct memory_entry) || !is_aligned(t->entry_size, 8))
        panic("the boot loader's memory map is broken");
    for (int ram = 1; ram >= 0; ram--) {
        for (u32 at = 0; at + t->entry_size <= t->tag.size - sizeof(*t); at += t->entry_size) {
            const struct memory_entry *e = (const void *)(entries + at);

            if ((e->type == MEMORY_RAM) == ram)
                paint_memory(e);
        }
    }
}

static void parse_framebuffer(const struct tag_framebuffer *t)
{
    u64 limit = (1ull << features.physical_bits) - FRAMEBUFFER_MAX;

    if (t->tag.size < sizeof(*t) || t->type != FRAMEBUFFER_RGB || t->pitch > 1u << 20 || t->width > t->pitch / 4 ||
        (u64)t->pitch * t->height > FRAMEBUFFER_MAX || !is_aligned(t->base, 4) || t->bpp != 32 || t->base > limit)
        return;
    boot.screen.base = t->base;
    boot.screen.pitch = t->pitch;
    boot.screen.width = t->width;
    boot.screen.height = t->height;
}

/* The copy of the RSDP in the information serves as the RSDP: that works alike with BIOS and UEFI. */
static void parse_rsdp(const struct tag *t, u64 at)
{
    if (t->type == TAG_RSDP_NEW || !boot.rsdp)
        boot.rsdp = at + sizeof(*t);
}

static void parse_tag(const struct tag *t, u64 at)
{
    switch (t->type) {
    case TAG_COMMAND_LINE:
        text_copy(boot.command_line, sizeof(boot.command_line), (const char *)(t + 1), t->size - sizeof(*t));
        break;
    case TAG_MODULE:
        parse_module((const void *)t);
        break;
    case TAG_MEMORY_MAP:
        parse_memory_map((const void *)t);
        break;
    case TAG_FRAMEBUFFER:
        parse_framebuffer((const void *)t);
        break;
    case TAG_RSDP_OLD:
    case TAG_RSDP_NEW:
        parse_rsdp(t, at);
        break;
    default:
        break;
    }
}

/* What is in use already. The first page is the interrupt table of real mode; as an address it means "none". */
static void paint_used(void)
{
    bootmem_paint(0, PAGE_SIZE, BOOT_KERNEL);
    bootmem_paint(KERNEL_LOAD, kpage_image_end(), BOOT_KERNEL);
    bootmem_paint(align_down(boot.info, PAGE_SIZE), align_up(boot.info + boot.info_size, PAGE_SIZE), BOOT_ACPI);
    for (u32 i = 0; i < boot.module_count; i++) {
        const struct boot_module *m = &boot.modules[i];

        bootmem_paint(m->base, align_up(m->base + m->size, PAGE_SIZE), BOOT_MODULE);
    }
}

void multiboot_parse(u32 magic, u64 info)
{
    const u32 *head = boot_view(info, 8);

    if (magic != MULTIBOOT2_MAGIC || !is_aligned(info, 8) || !head || head[0] < 16 || head[0] > INFO_MAX ||
        !boot_view(info, head[0]))
        panic("not started by a multiboot2 boot loader");
    boot.info = info;
    boot.info_size = head[0];
    bootmem_init();
    for (u32 at = 8; at + sizeof(struct tag) <= boot.info_size;) {
        const struct tag *t = (const void *)((const char *)head + at);

        if (t->type == TAG_END || t->size < sizeof(*t) || t->size > boot.info_size - at)
            break;
        parse_tag(t, info + at);
        at += (u32)align_up(t->size, 8);
    }
    paint_used();
}
