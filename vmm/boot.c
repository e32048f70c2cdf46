/* SPDX-License-Identifier: GPL-2.0-only */
#include "boot.h"

#include <string.h>

#include "bzimage.h"

/* Documentation/arch/x86/zero-page.rst; arch/x86/include/uapi/asm/bootparam.h */
#define PARAMS_E820_ENTRIES 0x1e8u
#define PARAMS_E820_TABLE 0x2d0u
#define E820_RAM 1u
#define E820_RESERVED 2u
#define SETUP_DTB 2u
#define SETUP_RNG_SEED 9u
#define LOADER_UNDEFINED 0xffu
#define LOADFLAG_KEEP_SEGMENTS 0x40u /* meaningless at the 64-bit entry point; cleared with CAN_USE_HEAP */
#define LOADFLAG_CAN_USE_HEAP 0x80u

#define PAGE 4096u
#define PAGE_2M 0x200000ull
#define TABLE_GIB 4ull       /* what the page tables map */
#define PTE_PRESENT 0x1ull   /* APM 2, 5.3.3 */
#define PTE_WRITE 0x2ull
#define PTE_LARGE 0x80ull

struct e820 {
    uint64_t address, size;
    uint32_t type;
} __attribute__((packed));

struct setup_data {
    uint64_t next;
    uint32_t type, size;
};

static void put32(uint8_t *params, uint32_t offset, uint64_t value)
{
    uint32_t low = (uint32_t)value;

    memcpy(params + offset, &low, sizeof(low));
}

/* APM 2, 4.8: GDT with Linux's __BOOT_CS and __BOOT_DS. */
static void make_gdt(const struct gmem *mem)
{
    uint64_t *gdt = gmem_at(mem, BOOT_GDT, PAGE);

    gdt[BOOT_CS / 8] = BOOT_GDT_CODE;
    gdt[BOOT_DS / 8] = BOOT_GDT_DATA;
}

/* APM 2, 5.3: one table of each upper level, and one page directory of 2 MiB pages for each GiB. */
static void make_tables(const struct gmem *mem)
{
    uint64_t *table = gmem_at(mem, BOOT_TABLES, (2 + TABLE_GIB) * PAGE);
    uint64_t *directory_pointers = table + 512;
    uint64_t *directories = table + 1024;

    table[0] = (BOOT_TABLES + PAGE) | PTE_PRESENT | PTE_WRITE;
    for (uint64_t i = 0; i < TABLE_GIB; i++)
        directory_pointers[i] = (BOOT_TABLES + (2 + i) * PAGE) | PTE_PRESENT | PTE_WRITE;
    for (uint64_t i = 0; i < TABLE_GIB * 512; i++)
        directories[i] = i * PAGE_2M | PTE_PRESENT | PTE_WRITE | PTE_LARGE;
}

static void make_e820(const struct gmem *mem, const struct boot_source *from, uint8_t *params)
{
    const struct e820 table[] = {
        {0, BOOT_LOW_END, E820_RAM},
        /* A PC's firmware and screen would be here. It is memory all the same, for those who look for them. */
        {BOOT_LOW_END, BOOT_HIGH - BOOT_LOW_END, E820_RESERVED},
        {BOOT_HIGH, mem->size - BOOT_HIGH, E820_RAM},
        {from->special, from->special_size, E820_RESERVED},
    };

    memcpy(params + PARAMS_E820_TABLE, table, sizeof(table));
    params[PARAMS_E820_ENTRIES] = sizeof(table) / sizeof(table[0]);
}

static void add_setup_data(const struct gmem *mem, uint8_t *params, uint64_t at, uint32_t type, const void *data,
                           uint64_t size)
{
    struct setup_data header = {.type = type, .size = (uint32_t)size};
    uint8_t *to = gmem_at(mem, at, sizeof(header) + size);

    memcpy(&header.next, params + BZIMAGE_SETUP_DATA, sizeof(header.next));
    memcpy(to, &header, sizeof(header));
    memcpy(to + sizeof(header), data, size);
    memcpy(params + BZIMAGE_SETUP_DATA, &at, sizeof(at));
}

static const char *load_cmdline(const struct gmem *mem, const struct bzimage *bz, const char *cmdline,
                                uint8_t *params)
{
    size_t size = strlen(cmdline);

    if (size > bz->cmdline_size || size >= BOOT_CMDLINE_SIZE)
        return "is longer than the kernel accepts";
    memcpy(gmem_at(mem, BOOT_CMDLINE, BOOT_CMDLINE_SIZE), cmdline, size + 1);
    put32(params, BZIMAGE_CMDLINE, BOOT_CMDLINE);
    return NULL;
}

/* As high as the kernel allows, so that it is not in the kernel's way; that is below 4 GiB. */
static const char *load_initrd(const struct gmem *mem, const struct bzimage *bz, const struct boot_source *from,
                               uint64_t kernel_end, uint8_t *params)
{
    uint64_t end = mem->size < bz->initrd_end ? mem->size : bz->initrd_end;
    uint64_t at;

    if (from->initrd_size == 0)
        return NULL;
    if (end < from->initrd_size)
        return "does not fit into the guest's memory";
    at = (end - from->initrd_size) & ~(uint64_t)(PAGE - 1);
    if (at < kernel_end)
        return "does not fit into the guest's memory beside the kernel";
    memcpy(gmem_at(mem, at, from->initrd_size), from->initrd, from->initrd_size);
    put32(params, BZIMAGE_RAMDISK, at);
    put32(params, BZIMAGE_RAMDISK + 4, from->initrd_size);
    return NULL;
}

static const char *load_kernel(const struct gmem *mem, const struct boot_source *from, struct bzimage *bz,
                               uint64_t *address, uint8_t *params)
{
    uint64_t end = mem->size < TABLE_GIB << 30 ? mem->size : TABLE_GIB << 30;
    const char *why = bzimage_parse(bz, from->kernel, from->kernel_size);

    if (!why)
        why = bzimage_place(bz, BOOT_HIGH, end, address);
    if (why)
        return why;
    memcpy(gmem_at(mem, *address, bz->code_size), bz->code, bz->code_size);
    memcpy(params + BZIMAGE_HEADER, bz->image + BZIMAGE_HEADER, bz->header_size);
    /* What the file has in these fields is not for the kernel to believe. */
    params[BZIMAGE_LOADER] = LOADER_UNDEFINED;
    params[BZIMAGE_LOADFLAGS] &= (uint8_t)~(LOADFLAG_KEEP_SEGMENTS | LOADFLAG_CAN_USE_HEAP);
    put32(params, BZIMAGE_CODE32, *address);
    memset(params + BZIMAGE_RAMDISK, 0, 8);
    memset(params + BZIMAGE_SETUP_DATA, 0, 8);
    return NULL;
}

const char *boot_load(const struct gmem *mem, const struct boot_source *from, struct boot_entry *entry,
                      enum boot_part *part)
{
    uint8_t *params = gmem_at(mem, BOOT_PARAMS, PAGE);
    struct bzimage bz;
    uint64_t address;
    const char *why;

    *part = BOOT_PART_MEMORY;
    if (mem->size < 2 * BOOT_HIGH)
        return "is too little for any kernel";
    *part = BOOT_PART_KERNEL;
    why = load_kernel(mem, from, &bz, &address, params);
    if (why)
        return why;
    *part = BOOT_PART_INITRD;
    why = load_initrd(mem, &bz, from, address + bz.init_size, params);
    if (why)
        return why;
    *part = BOOT_PART_BOOTARGS;
    why = load_cmdline(mem, &bz, from->cmdline, params);
    if (why)
        return why;
    *part = BOOT_PART_FDT;
    if (from->fdt_size > BOOT_FDT_SIZE - sizeof(struct setup_data))
        return "the guest's device tree is too large";
    add_setup_data(mem, params, BOOT_FDT, SETUP_DTB, from->fdt, from->fdt_size);
    add_setup_data(mem, params, BOOT_SEED, SETUP_RNG_SEED, from->seed, BOOT_SEED_SIZE);
    make_e820(mem, from, params);
    make_gdt(mem);
    make_tables(mem);
    *entry = (struct boot_entry){.rip = address + BZIMAGE_ENTRY, .rsi = BOOT_PARAMS, .cr3 = BOOT_TABLES};
    return NULL;
}
