/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Ready-made CR3 words, a space's generation and its page tables, in all interleavings: domain.c, space.c and tlb.c as they
 * are. CPU 0 unmaps a page and waits until CPU 1 has passed; CPU 1 goes between two domains and uses the page. Its TLB
 * forgets nothing by itself, and is filled as soon as it can be (processors run ahead).
 */
#include <criterion/criterion.h>
#include <string.h>

#include <corbel/call.h>

#include "account.h"
#include "cpu_init.h"
#include "domain.h"
#include "io.h"
#include "kpage.h"
#include "mitigations.h"
#include "orders_cpus.h"
#include "pte.h"
#include "slot.h"
#include "trap.h"
#include "virt.h"

#define PAGES 16u
#define ADDRESS 0x1000ull
#define FRAME (1ull << 32)
#define WORD_TAG 0xfffull

static u64 memory[PAGES * PAGE_SIZE / sizeof(u64)] __attribute__((aligned(4096)));
static unsigned pages_used;
static struct domain domains[2]; /* the first one has the page */
static struct space_cpu homes[2][CPUS];
static struct account account;
static _Atomic u64 passed, freed; /* CPU 1 has passed; the frame is somebody else's */

/* ---- CPU 1 ---- */

static u64 cr3;
static struct {
    u64 tag;
    bool full, holds; /* holds: the page's translation */
} tlb[8];
static struct entry_page entry_page;

static unsigned tlb_of(u64 word)
{
    unsigned i = 0;

    while (tlb[i].full && tlb[i].tag != (word & WORD_TAG))
        i++;
    tlb[i].full = true;
    tlb[i].tag = word & WORD_TAG;
    return i;
}

u64 tables_read(void)
{
    return cr3;
}

/* The page is in the root for user mode. */
static bool root_has_page(void)
{
    const struct space_cpu *home = &homes[0][1];

    return (cr3 & TLB_WORD_ADDRESS) == (home->user_pml4 ? home->user_pml4 : home->pml4);
}

static bool page_hit(void)
{
    unsigned i = tlb_of(cr3), level;

    if (!tlb[i].holds && root_has_page())
        tlb[i].holds = space_find(&domains[0].space, ADDRESS, &level) & PTE_P;
    return tlb[i].holds;
}

void tables_load(u64 word)
{
    unsigned i = tlb_of(word);

    cr3 = word & ~TLB_WORD_KEEP;
    if (!(word & TLB_WORD_KEEP))
        tlb[i].holds = false;
    (void)page_hit();
}

void entry_flush_user(u64 user, u64 kernel)
{
    tlb[tlb_of(user)].holds = false;
    tables_load(kernel);
}

struct entry_page *tables_entry(void)
{
    return &entry_page;
}

/* User mode of the first domain. With a second root, the way there loads its word (entry.S). */
static void use_page(void)
{
    const struct space_cpu *home = cpu.home;
    bool hit;

    if (home->user_pml4)
        tables_load(__atomic_load_n(&home->words.user, __ATOMIC_RELAXED));
    hit = page_hit();
    orders_require(!hit || !atomic_load_explicit(&freed, memory_order_relaxed), "a page is used that is mapped no more");
    if (home->user_pml4)
        tables_load(entry_page.kernel);
}

/* ---- What the files need of the rest ---- */

char *direct_arena = (char *)memory;
u32 defences;
struct syscall_registers cpu_syscall;

void *account_page(struct account *a)
{
    (void)a;
    orders_require(pages_used < PAGES, "too few pages");
    return direct(pages_used++ * PAGE_SIZE);
}

void io_unload(void)
{
}

void mitigations_barrier(void)
{
}

/* ---- The sides ---- */

static void begin(bool two_roots)
{
    cpus_init();
    memset(memory, 0, sizeof(memory));
    memset(domains, 0, sizeof(domains));
    memset(homes, 0, sizeof(homes));
    memset(tlb, 0, sizeof(tlb));
    cr3 = 0;
    pages_used = 0;
    tlb_init(&cpus[1].pcids, 1, 2);
    for (unsigned i = 0; i < 2; i++) {
        struct space_cpu *home = &homes[i][1];

        domains[i].space.cpus = homes[i];
        orders_require(space_init(&domains[i].space, &account, SPACE_HOST) == CB_OK, "a space");
        home->domain = &domains[i];
        home->pml4 = home->words.kernel = (2 * i + 1) << 20;
        home->user_pml4 = home->words.user = two_roots ? (2 * i + 2) << 20 : 0;
    }
    orders_require(space_map(&domains[0].space, &account, ADDRESS, FRAME, 1, CB_MAP_READ, MEM_WB) == CB_OK, "the page");
}

static void begin_one(void)
{
    begin(false);
}

static void begin_two(void)
{
    begin(true);
}

static void unmaps(void)
{
    space_unmap(&domains[0].space, ADDRESS, 1);
    atomic_fetch_or(&cpu_of(1)->hazards, HAZARD_GRACE);
    while (!atomic_load(&passed))
        orders_pause();
    atomic_store(&freed, 1);
}

/* As exit_hazards() does. */
static void pass(void)
{
    if (!(cpu_hazards() & HAZARD_GRACE))
        return;
    cpu_hazard_over(HAZARD_GRACE);
    domain_refresh();
    orders_require(!tlb[tlb_of(cr3)].holds, "CPU 1 passes with a translation that was taken away");
    atomic_store(&passed, 1);
}

static void runs(unsigned i)
{
    pass();
    domain_load(&homes[i][1]);
    if (i == 0)
        use_page();
}

static void stays(void)
{
    runs(0);
    runs(0);
    while (!atomic_load(&passed)) {
        pass();
        orders_pause();
    }
    runs(0);
}

static void comes_back(void)
{
    runs(0);
    runs(1);
    while (!atomic_load(&passed)) {
        pass();
        orders_pause();
    }
    runs(0);
}

/* domain.c looks at the kernel's word alone. */
static void words_agree(void)
{
    const struct space_cpu *home = &homes[0][1];

    orders_require(!home->user_pml4 || !(home->words.kernel & TLB_WORD_KEEP) || (home->words.user & TLB_WORD_KEEP),
                   "the user's word flushes for ever");
}

static void search(void (*begins)(void), void (*side)(void))
{
    struct orders o = {
        .begin = begins, .side = { unmaps, side }, .end = words_agree, .shared = { { memory, sizeof(memory) } },
    };

    cpus_search(&o, 2);
}

Test(orders_space, one_that_stays)
{
    search(begin_one, stays);
}

Test(orders_space, one_that_comes_back)
{
    search(begin_one, comes_back);
}

Test(orders_space, two_roots_that_stay)
{
    search(begin_two, stays);
}

Test(orders_space, two_roots_that_come_back)
{
    search(begin_two, comes_back);
}
