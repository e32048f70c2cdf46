/* SPDX-License-Identifier: GPL-2.0-only */
/* The boot code's view of physical memory: what lies above 4 GiB gets tables when it is looked at. */
#include <criterion/criterion.h>

#include "cpu_init.h"
#include "kpage.h"
#include "pte.h"
#include "space.h"

#define GIB(n) ((u64)(n) << 30)

struct features features = { .physical_bits = 40 };
u64 boot_pdpt[PTE_ENTRIES], boot_far_pds[2 * PTE_ENTRIES]; /* boot.S */
char *direct_arena;

static void setup(void)
{
    for (u32 i = 0; i < 4; i++)
        boot_pdpt[i] = PTE_P;
}

static void expect_gib(u64 gib, u32 table)
{
    cr_assert_eq(pte_address(boot_pdpt[gib]), pte_address(image_physical(boot_far_pds + table * PTE_ENTRIES)));
    for (u32 i = 0; i < PTE_ENTRIES; i++)
        cr_assert_eq(boot_far_pds[table * PTE_ENTRIES + i], (GIB(gib) + i * PAGE_2M) | PTE_P | PTE_W | PTE_LARGE);
}

Test(view, near, .init = setup)
{
    cr_assert_eq(boot_view(0x1000, 0x1000), (void *)0x1000);
    cr_assert_eq(boot_view(GIB(4) - 8, 8), (void *)(GIB(4) - 8));
    cr_assert_eq(boot_view(0, 8), NULL);
    cr_assert_eq(boot_pdpt[4], 0);
}

Test(view, far, .init = setup)
{
    cr_assert_eq(boot_view(GIB(9) - 4, 8), (void *)(GIB(9) - 4), "two tables");
    cr_assert_eq(boot_view(GIB(8) + 4, 8), (void *)(GIB(8) + 4), "which serve again");
    cr_assert_eq(boot_view(GIB(10), 8), NULL, "and there are no more");
    expect_gib(8, 0);
    expect_gib(9, 1);
    cr_assert_eq(boot_pdpt[10], 0);
}

Test(view, edges, .init = setup)
{
    cr_assert_eq(boot_view(GIB(512) - 8, 9), NULL, "what one table can map");
    cr_assert_eq(boot_view(UINT64_MAX - 4, 8), NULL);
    cr_assert_eq(boot_view(GIB(1), UINT64_MAX), NULL);
    features.physical_bits = 36;
    cr_assert_eq(boot_view(GIB(64), 8), NULL, "what the CPU can address");
    cr_assert_eq(boot_view(GIB(64) - 8, 8), (void *)(GIB(64) - 8));
}
