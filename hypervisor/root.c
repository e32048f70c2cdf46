/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Root is made with what every domain is made with: objects paid by an account, capabilities, and the calls of the
 * table, which it "makes" here before it exists. Only its account, its domain and the capabilities that nothing
 * stands above are made by hand.
 */
#include "root.h"

#include <corbel/boot.h>
#include <corbel/call.h>

#include "boot_data.h"
#include "call.h"
#include "cpu_init.h"
#include "elf.h"
#include "kpage.h"
#include "log.h"
#include "kstring.h"
#include "pmc.h"
#include "thread.h"
#include "tsc.h"
#include "virt.h"

/* 16 MiB: root's objects, and those of tasks it does not give accounts of their own */
#define ROOT_ACCOUNT_PAGES 4096ull
#define ROOT_STACK_PAGES (CB_ROOT_STACK_SIZE / PAGE_SIZE)
#define ROOT_INFO_PAGES 24ull
#define ROOT_PAGES (ROOT_STACK_PAGES + ROOT_INFO_PAGES)
#define ROOT_PRIORITY 120u /* above all that it starts, the console included */
#define ROOT_BUDGET 10000u /* us, of as many */
#define ROOT_SEL_MAPPINGS 900u
#define ROOT_SEL_FRAME (CB_ROOT_SEL_SCHED(0) - 1) /* stack and boot information */

_Static_assert(sizeof(struct cb_boot_info) + (BOOT_RANGES + BOOT_MODULES + 1) * sizeof(struct cb_boot_entry) <=
               ROOT_INFO_PAGES * PAGE_SIZE, "the boot information fits");

static struct domain *root;
static u32 next_mapping = ROOT_SEL_MAPPINGS;
static u32 entry_count;
static u64 info_base; /* host-physical */

/* Takes `pages` pages, aligned to `align` bytes, from the end of a free range, so that the ranges stay sorted. */
static u64 root_take(u64 pages, u64 align)
{
    for (u32 i = boot.range_count; i-- > 0;) {
        struct boot_range *range = &boot.ranges[i];
        u64 end = range->base + (range->pages << PAGE_SHIFT), base;

        if (range->kind != BOOT_RAM || end > direct_limit || range->pages < pages)
            continue;
        base = align_down(end - (pages << PAGE_SHIFT), align);
        if (base < range->base)
            continue;
        range->pages = (base - range->base) >> PAGE_SHIFT;
        return base;
    }
    panic("root: no %lu pages of memory", (unsigned long)pages);
}

/* Writes to memory that the kernel does not own, page by page. */
static void root_write(u64 at, const void *data, u64 bytes)
{
    const u8 *from = data;

    while (bytes) {
        u64 offset = at % PAGE_SIZE, n = MIN(bytes, PAGE_SIZE - offset);

        memcpy((u8 *)kpage_window(at - offset) + offset, from, n);
        at += n;
        from += n;
        bytes -= n;
    }
    kpage_window_close();
}

static struct slot *root_slot(u32 sel)
{
    struct slot *s;

    if (slot_reserve(root, sel, 0, &s))
        panic("root: selector %u cannot be used", sel);
    return s;
}

static void root_insert(u32 sel, enum cb_type type, u32 rights)
{
    slot_insert(root_slot(sel), NULL, slot_word_make(type, rights, NULL));
}

static struct slot *root_frame(u32 sel, u64 base, u64 pages, u32 rights, u32 attr)
{
    struct slot *s = root_slot(sel);

    s->frame.base = base;
    s->frame.pages = pages;
    s->attr = attr;
    slot_insert(s, NULL, slot_word_make(CB_TYPE_FRAME, rights, NULL));
    return s;
}

static void root_call(const char *what, status_t (*call)(struct regs *), struct regs r)
{
    status_t status = call(&r);

    if (status)
        panic("root: %s: %s (argument %u)", what, cb_status_name(status), CB_STATUS_ARG(status));
}

static void root_map(u32 frame, u64 address, u64 offset, u64 pages, u32 rights)
{
    root_call("map", map, (struct regs){
        .rdi = CB_CALL_WORD(CB_CALL_map, rights, frame),
        .rsi = next_mapping++,
        .rdx = address,
        .r8 = CB_PAIR(offset, pages),
    });
}

/* Account and domain, by hand: nothing is there yet that could be named. */
static void root_make(void)
{
    u64 base = root_take(ROOT_ACCOUNT_PAGES, PAGE_2M);
    struct account *account;
    struct slot *s;

    account = account_top(base, ROOT_ACCOUNT_PAGES);
    account->permanent = true;
    root = domain_alloc(account, false);
    if (!root || domain_add_cpu(root, cpu.id))
        panic("root: its account is too small");

    s = root_slot(CB_ROOT_SEL_ACCOUNT);
    account->obj.root = s;
    slot_insert(s, NULL, slot_word_make(CB_TYPE_ACCOUNT, CB_RIGHTS_ALL & ~CB_RIGHT_DESTROY, account));
    domain_load(&root->space.cpus[cpu.id]);
    call_install(root_slot(CB_ROOT_SEL_DOMAIN), &root->obj, 0);
    root_insert(CB_ROOT_SEL_LOG, CB_TYPE_LOG, CB_RIGHT_READ | CB_RIGHT_CONTROL);
    root_insert(CB_ROOT_SEL_IRQ, CB_TYPE_IRQ, CB_RIGHT_CONTROL);
    root_insert(CB_ROOT_SEL_IOPORT, CB_TYPE_IOPORT, CB_RIGHT_CONTROL);
}

static void root_add_entry(enum cb_boot_kind kind, u64 base, u64 size, const char *name)
{
    u32 sel = CB_ROOT_SEL_FIRST_ENTRY + entry_count;
    struct cb_boot_entry e = { .kind = kind, .sel = sel, .base = base, .size = size };
    u64 pages = align_up(size, PAGE_SIZE) >> PAGE_SHIFT;
    u32 all = CB_RIGHT_READ | CB_RIGHT_WRITE | CB_RIGHT_EXEC;
    struct slot *s;

    for (unsigned i = 0; i + 1 < sizeof(e.name) && name[i]; i++)
        e.name[i] = name[i];
    switch (kind) {
    case CB_BOOT_RAM:
        s = root_slot(sel);
        s->ram.base = base;
        s->ram.pages = pages;
        slot_insert(s, NULL, slot_word_make(CB_TYPE_RAM, CB_RIGHT_SPLIT, NULL));
        break;
    case CB_BOOT_MODULE: root_frame(sel, base, pages, all, MEM_WB); break;
    case CB_BOOT_DEVICE: root_frame(sel, base, pages, CB_RIGHT_READ | CB_RIGHT_WRITE, MEM_UC); break;
    case CB_BOOT_ACPI: root_frame(sel, base, pages, CB_RIGHT_READ, MEM_WB); break;
    case CB_BOOT_FRAMEBUFFER: root_frame(sel, base, pages, CB_RIGHT_READ | CB_RIGHT_WRITE, MEM_WC); break;
    }
    root_write(info_base + sizeof(struct cb_boot_info) + entry_count * sizeof(e), &e, sizeof(e));
    entry_count++;
}

static void root_add_screen(void)
{
    const struct boot_screen *s = &boot.screen;
    char name[72];

    if (!s->base)
        return;
    log_format(name, sizeof(name), "%ux%ux32 %u", s->width, s->height, s->pitch);
    root_add_entry(CB_BOOT_FRAMEBUFFER, align_down(s->base, PAGE_SIZE),
                   align_up(s->base % PAGE_SIZE + (u64)s->pitch * s->height, PAGE_SIZE), name);
}

/* All memory and devices that are nobody's; root's own module first. */
static void root_add_entries(void)
{
    for (u32 i = 0; i < boot.module_count; i++)
        root_add_entry(CB_BOOT_MODULE, boot.modules[i].base, boot.modules[i].size, boot.modules[i].name);
    root_add_screen();
    for (u32 i = 0; i < boot.range_count; i++) {
        const struct boot_range *range = &boot.ranges[i];
        u64 size = range->pages << PAGE_SHIFT;

        if (!size)
            continue;
        if (range->kind == BOOT_RAM && range->base + size <= direct_limit)
            root_add_entry(CB_BOOT_RAM, range->base, size, "");
        else if (range->kind == BOOT_ACPI)
            root_add_entry(CB_BOOT_ACPI, range->base, size, "");
        else if (range->kind == BOOT_DEVICE)
            root_add_entry(CB_BOOT_DEVICE, range->base, size, "");
    }
}

static void root_write_info(void)
{
    struct cb_boot_info info = {
        .version = CB_ABI_VERSION,
        .entry_count = entry_count,
        .cpu_count = cpu_count,
        .tsc_khz = tsc_khz,
        .rsdp = boot.rsdp,
    };

    if (virt)
        info.features = virt_features();
    else
        log_format(info.no_vcpu, sizeof(info.no_vcpu), "%s", virt_missing);
    info.features |= pmc_feature();
    memcpy(info.command_line, boot.command_line, sizeof(info.command_line));
    root_write(info_base, &info, sizeof(info));
}

/* Maps the first module's segments where they lie. Returns the entry point. */
static u64 root_load(void)
{
    const struct boot_module *module = &boot.modules[0];
    struct elf_header header;
    struct elf_segment segments[ELF_SEGMENTS];
    const char *wrong;

    if (!boot.module_count)
        panic("root: the boot loader gave no module");
    wrong = elf_check(kpage_window(module->base), MIN(module->size, PAGE_SIZE), module->size, &header, segments);
    kpage_window_close();
    if (wrong)
        panic("root: module %s: %s", module->name, wrong);
    for (u32 i = 0; i < header.segment_count; i++) {
        const struct elf_segment *s = &segments[i];

        root_map(CB_ROOT_SEL_FIRST_ENTRY, s->address, s->offset >> PAGE_SHIFT, align_up(s->bytes, PAGE_SIZE) >> PAGE_SHIFT,
                 s->rights);
    }
    return header.entry;
}

static void root_clear(u64 base, u64 pages)
{
    for (u64 i = 0; i < pages; i++)
        memset(kpage_window(base + i * PAGE_SIZE), 0, PAGE_SIZE);
    kpage_window_close();
}

/* Stack and boot information, in memory of their own. */
static void root_map_memory(u64 base)
{
    root_frame(ROOT_SEL_FRAME, base, ROOT_PAGES, CB_RIGHT_READ | CB_RIGHT_WRITE, MEM_WB);
    root_map(ROOT_SEL_FRAME, CB_ROOT_STACK_TOP - CB_ROOT_STACK_SIZE, 0, ROOT_STACK_PAGES, CB_MAP_READ | CB_MAP_WRITE);
    root_map(ROOT_SEL_FRAME, CB_BOOT_INFO_ADDRESS, ROOT_STACK_PAGES, ROOT_INFO_PAGES, CB_MAP_READ);
}

/* All of each CPU's time, at the highest priority there will ever be. */
static void root_give_time(void)
{
    for (u32 id = 0; id < cpu_count; id++) {
        struct sched *sched = sched_alloc(root->obj.account, NULL, id, ROOT_PRIORITY, ROOT_BUDGET, ROOT_BUDGET);

        if (!sched)
            panic("root: its account is too small");
        call_install(root_slot(CB_ROOT_SEL_SCHED(id)), &sched->obj, 0);
    }
}

static void root_run(u64 entry)
{
    root_call("thread_create", thread_create, (struct regs){
        .rdi = CB_CALL_WORD(CB_CALL_thread_create, 0, CB_ROOT_SEL_ACCOUNT),
        .rsi = CB_PAIR(CB_ROOT_SEL_THREAD, CB_SELF),
        .rdx = cpu.id,
        .r8 = CB_ROOT_UTCB_ADDRESS,
        .r9 = entry,
        .r10 = CB_ROOT_STACK_TOP,
    });
    root_call("sched_bind", sched_bind, (struct regs){
        .rdi = CB_CALL_WORD(CB_CALL_sched_bind, 0, CB_ROOT_SEL_SCHED(cpu.id)),
        .rsi = CB_ROOT_SEL_THREAD,
    });
}

void root_start(void)
{
    u64 memory, entry;

    space_has_1g = features.pages_1g;
    caps_boot();
    root_make();
    memory = root_take(ROOT_PAGES, PAGE_SIZE);
    info_base = memory + (ROOT_STACK_PAGES << PAGE_SHIFT);
    root_clear(memory, ROOT_PAGES);
    root_add_entries();
    entry = root_load();
    root_map_memory(memory);
    root_write_info();
    root_give_time();
    root_run(entry);
}
