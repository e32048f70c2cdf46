/* SPDX-License-Identifier: GPL-2.0-only */
#include "kpage.h"

#include "bootmem.h"
#include "cpu.h"
#include "cpu_init.h"
#include "ctx.h"
#include "log.h"
#include "mitigations.h"
#include "offsets.h"
#include "pte.h"
#include "space.h"
#include "x86.h"

#define DEVICE_BASE (KERNEL_BASE + 0x10000000ull)
#define DEVICE_END CPU_LOCAL
#define PDPT_IMAGE 510u
#define PDPT_CPU 511u

#define PTE_DATA (PTE_P | PTE_W | PTE_A | PTE_D | PTE_NX)
#define PTE_TABLE (PTE_P | PTE_W | PTE_A)

/* One CPU's pages, in this order. */
#define CPU_PAGES ((sizeof(struct cpu) + PAGE_SIZE - 1) / PAGE_SIZE)
#define STACK_PAGES (CPU_STACK_SIZE / PAGE_SIZE)
#define TABLE_PAGES 4u /* PML4, PDPT, page directory, page table */
#define IST_PAGES 3u
#define VIRT_PAGES 7u /* virt_cpu_init() */
#define PAGES_PER_CPU (TABLE_PAGES + CPU_PAGES + STACK_PAGES + IST_PAGES + 2 + VIRT_PAGES)
#define USER_PAGES 4u /* with a root for user mode: PDPT, page directory, page table; CPU_ENTRY */
#define USER_SHARED_PAGES 2u
_Static_assert(CPU_PAGES <= 4, "layout.h leaves four pages for struct cpu");

extern u64 boot_tables[], boot_tables_end[], boot_pdpt[]; /* boot.S, boot_view.c */
extern const char image_start[], image_text_end[], image_rodata_end[], image_end[], entry_text[], entry_text_end[];

ASSERT_OFFSET(struct entry_page, kernel, ENTRY_KERNEL);
ASSERT_OFFSET(struct entry_page, rsp, ENTRY_RSP);
ASSERT_OFFSET(struct entry_page, user, ENTRY_USER);
ASSERT_OFFSET(struct entry_page, ist, ENTRY_IST);

u64 direct_limit;
_Atomic u64 kernel_generation;
u32 cpu_count;

static struct cpu *cpus[CPUS_MAX];
static u64 direct_pml4[PML4_DIRECT_COUNT]; /* PML4 entries, the same everywhere */
static _Alignas(4096) u64 image_pd[PTE_ENTRIES];
static _Alignas(4096) u64 image_pt[PTE_ENTRIES];
static u64 device_next = DEVICE_BASE;
static u64 ones; /* host-physical: a page of ones ends the I/O bitmap */
static u64 zeroes; /* likewise: behind the GDT */
static u64 user_image_pd; /* host-physical: what a root for user mode has of the image */

struct cpu *cpu_of(u32 id)
{
    return cpus[id];
}

u64 kpage_image_end(void)
{
    return image_physical(image_end);
}

/* ---- Direct map ---- */

static u64 *direct_pdpt(u64 at)
{
    u64 entry = direct_pml4[pte_index(at, 4)];

    return entry ? direct(pte_address(entry)) : NULL;
}

/* The page directory entry for the granule at `at`. */
static u64 *direct_entry(u64 at)
{
    const u64 *pdpt = direct_pdpt(at);

    if (at >= direct_limit || !pdpt[pte_index(at, 3)])
        panic("direct map: %lx is no memory", at);
    return (u64 *)direct(pte_address(pdpt[pte_index(at, 3)])) + pte_index(at, 2);
}

/* Tables for every GiB that has memory, so that direct_map() never needs any. */
static void direct_tables(void)
{
    direct_limit = MIN(align_up(bootmem_ram_end(), PAGE_1G), DIRECT_SIZE);
    for (u64 at = 0; at < direct_limit; at += PAGE_1G) {
        if (!bootmem_has_memory(at, at + PAGE_1G))
            continue;
        if (!direct_pdpt(at))
            direct_pml4[pte_index(at, 4)] = physical(bootmem_pages(1)) | PTE_TABLE;
        direct_pdpt(at)[pte_index(at, 3)] = physical(bootmem_pages(1)) | PTE_TABLE;
    }
}

void direct_map(u64 base, u64 pages)
{
    for (u64 at = base; at < base + pages * PAGE_SIZE; at += PAGE_2M)
        *direct_entry(at) = at | PTE_DATA | PTE_G | PTE_LARGE;
}

void direct_unmap(u64 base, u64 pages)
{
    for (u64 at = base; at < base + pages * PAGE_SIZE; at += PAGE_2M)
        *direct_entry(at) = 0;
    /* Pairs with kpage_refresh(): who sees the new generation flushes after the entries have gone. */
    atomic_fetch_add_explicit(&kernel_generation, 1, memory_order_release);
}

/* ---- Tables shared by all CPUs ---- */

static void image_map(u64 *table, const void *from, const void *to, u64 bits)
{
    for (u64 at = image_physical(from); at < image_physical(to); at += PAGE_SIZE)
        table[pte_index(at, 1)] = at | bits;
}

static void image_tables(void)
{
    u64 global = PTE_P | PTE_A | PTE_G;

    image_map(image_pt, image_start, image_text_end, global);
    image_map(image_pt, image_text_end, image_rodata_end, global | PTE_NX);
    image_map(image_pt, image_rodata_end, image_end, global | PTE_NX | PTE_W | PTE_D);
    image_pd[pte_index(KERNEL_LOAD, 2)] = image_physical(image_pt) | PTE_TABLE;
}

void *kpage_device(u64 at, u64 bytes, u64 attributes)
{
    u64 first = align_down(at, PAGE_SIZE), start = device_next;

    if (at + bytes < at || bytes > DEVICE_END - device_next - PAGE_SIZE)
        return NULL;
    for (; first < at + bytes; first += PAGE_SIZE, device_next += PAGE_SIZE) {
        u64 *entry = &image_pd[pte_index(device_next, 2)];

        if (!*entry)
            *entry = physical(bootmem_pages(1)) | PTE_TABLE;
        ((u64 *)direct(pte_address(*entry)))[pte_index(device_next, 1)] = first | PTE_DATA | PTE_G | attributes;
    }
    return (void *)(uintptr_t)(start + at % PAGE_SIZE);
}

/* ---- One CPU's tables ---- */

/* Makes pages for `address` in a CPU's table for CPU_LOCAL. */
static void *cpu_map(u64 *table, u64 address, u64 pages)
{
    void *p = bootmem_pages(pages);

    for (u64 i = 0; i < pages; i++)
        table[pte_index(address, 1) + i] = (physical(p) + i * PAGE_SIZE) | PTE_DATA | PTE_G;
    return p;
}

/* The page table entry for one of a CPU's own pages, below its PDPT. */
static u64 *cpu_entry(u64 pdpt_at, u64 address)
{
    const u64 *pdpt = direct(pdpt_at);
    const u64 *pd = direct(pte_address(pdpt[PDPT_CPU]));

    return (u64 *)direct(pte_address(pd[0])) + pte_index(address, 1);
}

/* ---- Of roots for user mode: what the processor itself reads on the way in, and the way in ---- */

static void user_image_tables(void)
{
    u64 *pd = bootmem_pages(1), *table = bootmem_pages(1);

    image_map(table, entry_text, entry_text_end, PTE_P | PTE_A);
    image_map(table, cpu_idt, (const u8 *)cpu_idt + PAGE_SIZE, PTE_P | PTE_A | PTE_NX);
    pd[pte_index(KERNEL_LOAD, 2)] = physical(table) | PTE_TABLE;
    user_image_pd = physical(pd);
}

static void user_cpu_tables(struct cpu *c)
{
    static const struct {
        u64 address, forbidden;
    } pages[] = {
        { CPU_ENTRY, 0 },
        { CPU_NMI_TOP - PAGE_SIZE, 0 },
        { CPU_MC_TOP - PAGE_SIZE, 0 },
        { CPU_DF_TOP - PAGE_SIZE, 0 },
        { CPU_TSS, PTE_W | PTE_D },
        { CPU_TSS + 3 * PAGE_SIZE, PTE_W | PTE_D },
    };
    u64 *pdpt = bootmem_pages(1), *pd = bootmem_pages(1);
    u64 *gdt, *kernel_gdt = cpu_entry(c->kernel_pdpt, CPU_GDT);

    pd[0] = physical(bootmem_pages(1)) | PTE_TABLE;
    pdpt[PDPT_IMAGE] = user_image_pd | PTE_TABLE;
    pdpt[PDPT_CPU] = physical(pd) | PTE_TABLE;
    c->user_pdpt = physical(pdpt);
    for (unsigned i = 0; i < ARRAY_SIZE(pages); i++)
        *cpu_entry(c->user_pdpt, pages[i].address) =
            *cpu_entry(c->kernel_pdpt, pages[i].address) & ~(pages[i].forbidden | PTE_G);
    gdt = cpu_entry(c->user_pdpt, CPU_GDT);
    for (u64 i = 0; i < CPU_GDT_SIZE / PAGE_SIZE; i++)
        gdt[i] = kernel_gdt[i] & ~(PTE_W | PTE_D | PTE_G);
}

void kpage_user_pml4_init(u64 *pml4, u32 cpu_id)
{
    pml4[PML4_KERNEL] = cpus[cpu_id]->user_pdpt | PTE_TABLE;
}

/* ---- All of it ---- */

void kpage_cpu(u32 id)
{
    u64 *pml4 = bootmem_pages(1), *pdpt = bootmem_pages(1), *pd = bootmem_pages(1), *table = bootmem_pages(1);
    struct cpu *c = cpu_map(table, CPU_LOCAL, CPU_PAGES);

    cpu_map(table, CPU_STACK_TOP - CPU_STACK_SIZE, STACK_PAGES);
    cpu_map(table, CPU_NMI_TOP - PAGE_SIZE, 1);
    cpu_map(table, CPU_MC_TOP - PAGE_SIZE, 1);
    cpu_map(table, CPU_DF_TOP - PAGE_SIZE, 1);
    cpu_map(table, CPU_TSS, 1);
    table[pte_index(CPU_TSS + 3 * PAGE_SIZE, 1)] = ones | PTE_P | PTE_A | PTE_G | PTE_NX;
    cpu_map(table, CPU_GDT, 1);
    for (u64 at = PAGE_SIZE; at < CPU_GDT_SIZE; at += PAGE_SIZE)
        table[pte_index(CPU_GDT + at, 1)] = zeroes | PTE_P | PTE_A | PTE_G | PTE_NX;
    pd[0] = physical(table) | PTE_TABLE;
    pdpt[PDPT_IMAGE] = image_physical(image_pd) | PTE_TABLE;
    pdpt[PDPT_CPU] = physical(pd) | PTE_TABLE;

    c->id = id;
    c->idle_here = id | (u64)CTX_IDLE << 32;
    c->pml4 = physical(pml4);
    c->kernel_pdpt = physical(pdpt);
    c->armed = UINT64_MAX;
    cpus[id] = c;
    kpage_pml4_init(pml4, id);
    if (defends(DEFENCE(ROOTS))) {
        struct entry_page *entry = cpu_map(table, CPU_ENTRY, 1);

        entry->ist = c->pml4;
        user_cpu_tables(c);
    }
}

void kpage_pml4_init(u64 *pml4, u32 cpu_id)
{
    for (u32 i = 0; i < PML4_DIRECT_COUNT; i++)
        pml4[PML4_DIRECT + i] = direct_pml4[i];
    pml4[PML4_KERNEL] = cpus[cpu_id]->kernel_pdpt | PTE_TABLE;
}

u64 kpage_estimate(u64 direct_end, u32 cpu_total)
{
    u64 direct_pages = align_up(direct_end, PAGE_1G) / PAGE_1G + PML4_DIRECT_COUNT;
    u64 device_pages = (u64)boot.screen.pitch * boot.screen.height / PAGE_2M + 2;

    u64 user_pages = defends(DEFENCE(ROOTS)) ? USER_PAGES : 0;

    return 2 + USER_SHARED_PAGES + direct_pages + device_pages + MIN(cpu_total, CPUS_MAX) * (PAGES_PER_CPU + user_pages);
}

void kpage_boot(void)
{
    u64 *pml4;
    u8 *p = bootmem_pages(1);

    for (u64 i = 0; i < PAGE_SIZE; i++)
        p[i] = 0xff;
    ones = physical(p);
    zeroes = physical(bootmem_pages(1));
    image_tables();
    if (defends(DEFENCE(ROOTS)))
        user_image_tables();
    direct_tables();
    direct_map(bootmem_base, (bootmem_end - bootmem_base) / PAGE_SIZE);
    kpage_cpu(0);
    pml4 = direct(cpus[0]->pml4);
    pml4[PML4_USER] = image_physical(boot_pdpt) | PTE_TABLE;
    write_cr3(cpus[0]->pml4);
}

void kpage_seal(void)
{
    *(u64 *)direct(cpu_of(0)->pml4) = 0;
    for (u64 *p = boot_tables; p < boot_tables_end; p++)
        *p = 0;
    kpage_flush();
}

/* ---- This CPU's changing pages ---- */

static void *window_set(u64 entry)
{
    void *window = (void *)(uintptr_t)CPU_WINDOW;

    *cpu_entry(cpu.kernel_pdpt, CPU_WINDOW) = entry;
    invlpg(window);
    return window;
}

void *kpage_window(u64 at)
{
    return window_set(at | PTE_DATA);
}

void kpage_window_close(void)
{
    (void)window_set(0);
}

void kpage_io_bitmap(u64 low, u64 high)
{
    const char *bitmap = (const char *)(uintptr_t)(CPU_TSS + PAGE_SIZE);
    u64 *entries = cpu_entry(cpu.user_pdpt ? cpu.user_pdpt : cpu.kernel_pdpt, CPU_TSS + PAGE_SIZE);

    entries[0] = low ? low | PTE_DATA : 0;
    entries[1] = high ? high | PTE_DATA : 0;
    invlpg(bitmap);
    invlpg(bitmap + PAGE_SIZE);
}

void kpage_map_apic(u64 at)
{
    *cpu_entry(cpu.kernel_pdpt, CPU_APIC) = at | PTE_DATA | PTE_UC;
    invlpg((const void *)(uintptr_t)CPU_APIC);
}

void kpage_flush(void)
{
    u64 cr4 = read_cr4();

    /* A change of PGE drops everything, whatever its PCID (APM 2, 5.5.3; SDM 3A, 4.10.4.1). */
    write_cr4(cr4 ^ CR4_PGE);
    write_cr4(cr4);
}

void kpage_refresh(void)
{
    u64 now = atomic_load_explicit(&kernel_generation, memory_order_acquire);

    if (cpu.kernel_gen == now)
        return;
    cpu.kernel_gen = now;
    kpage_flush();
}
