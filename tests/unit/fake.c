/* SPDX-License-Identifier: GPL-2.0-only */
#include "fake.h"

#include <stdlib.h>
#include <string.h>

#include "caps.h"
#include "cpu.h"
#include "random.h"
#include "slot.h"

char *direct_arena;
_Atomic u64 kernel_generation;
u64 direct_limit = FAKE_MEMORY;
struct cpu cpu;
u32 cpu_count = 1;

static struct slot account_slots[16];
static unsigned account_count;

void direct_map(u64 base, u64 pages)
{
    (void)base;
    (void)pages;
}

void direct_unmap(u64 base, u64 pages)
{
    (void)base;
    (void)pages;
}

void fake_init(void)
{
    free(direct_arena);
    direct_arena = aligned_alloc(PAGE_2M, FAKE_MEMORY);
    memset(direct_arena, 0xa5, FAKE_MEMORY);
    memset(account_slots, 0, sizeof(account_slots));
    account_count = 0;
    slot_init();
    caps_boot();
}

struct account *fake_account(u64 base, u64 pages)
{
    struct account *a = account_top(base, pages);
    struct slot *s = &account_slots[account_count++];

    a->obj.root = s;
    slot_insert(s, NULL, slot_word_make(CB_TYPE_ACCOUNT, CB_RIGHTS_ALL, a));
    return a;
}

struct domain *fake_domain(struct account *a, u32 sel)
{
    struct domain *d = account_object(a, sizeof(*d), CB_TYPE_DOMAIN);
    struct slot *s;

    if (!d)
        return NULL;
    list_init(&d->contexts);
    d->caps = caps_alloc(a);
    d->space.cpus = account_page(a);
    if (!d->caps || !d->space.cpus || space_init(&d->space, a, SPACE_HOST) || slot_reserve(d, sel, 0, &s))
        return NULL;
    d->obj.root = s;
    slot_insert(s, a->obj.root, slot_word_make(CB_TYPE_DOMAIN, CB_RIGHTS_ALL, d));
    return d;
}

u64 fake_random(void)
{
    return random_next();
}

u64 fake_below(u64 limit)
{
    return random_below(limit);
}
