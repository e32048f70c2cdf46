/* SPDX-License-Identifier: GPL-2.0-only */
/* The derivation tree, its removal, and the capability spaces against a naive model: a table of nodes with parents. */
#include <criterion/criterion.h>
#include <string.h>

#include "caps.h"
#include "derive.h"
#include "fake.h"
#include "reap_fake.h"
#include "slot.h"

#define DOMAINS 3u
#define SELECTORS 200u /* spread over the space, so that several pages and both tables are used */
#define STRIDE 321u

struct node {
    bool used;
    int parent; /* index of a node, -1: a root */
    u32 rights;
    u64 base, pages;
};

static struct domain *domains[DOMAINS];
static struct node nodes[DOMAINS * SELECTORS];

static u32 node_sel(unsigned i)
{
    return 2 + i % SELECTORS * STRIDE;
}

static struct slot *node_slot(unsigned i)
{
    return slot_find(domains[i / SELECTORS], node_sel(i));
}

static int node_of(const struct slot *s)
{
    for (unsigned i = 0; i < ARRAY_SIZE(nodes); i++) {
        if (node_slot(i) == s)
            return (int)i;
    }
    return -1;
}

static void setup(void)
{
    struct account *a;

    fake_init();
    reap_fake_killed = 0;
    memset(nodes, 0, sizeof(nodes));
    a = fake_account(0, 4096);
    for (unsigned d = 0; d < DOMAINS; d++)
        domains[d] = fake_domain(a, 1);
}

static void root_make(unsigned i)
{
    struct slot *s;

    cr_assert_eq(slot_reserve(domains[i / SELECTORS], node_sel(i), 1, &s), CB_OK);
    nodes[i] = (struct node){ .used = true, .parent = -1, .rights = 7, .base = i * PAGE_2M, .pages = 512 };
    s->frame.base = nodes[i].base;
    s->frame.pages = 512;
    slot_insert(s, NULL, slot_word_make(CB_TYPE_FRAME, 7, NULL));
}

static void model_derive(unsigned from, unsigned to)
{
    u32 rights = (u32)fake_below(8);
    u64 offset = fake_below(nodes[from].pages + 1), pages = fake_below(nodes[from].pages + 1);
    bool fits = offset < nodes[from].pages && pages <= nodes[from].pages - offset;
    status_t status = derive_slot(node_slot(from), domains[to / SELECTORS], node_sel(to), rights, offset, pages);

    if (!fits) {
        cr_assert_eq(CB_STATUS_CODE(status), CB_BAD_PARAM);
    } else if (nodes[to].used) {
        cr_assert_eq(CB_STATUS_CODE(status), CB_OCCUPIED);
    } else {
        cr_assert_eq(status, CB_OK, "%s", cb_status_name(status));
        nodes[to] = (struct node){
            .used = true,
            .parent = (int)from,
            .rights = rights & nodes[from].rights,
            .base = nodes[from].base + offset * PAGE_SIZE,
            .pages = pages ? pages : nodes[from].pages - offset,
        };
    }
}

static bool model_below(unsigned i, unsigned ancestor)
{
    for (int p = nodes[i].parent; p >= 0; p = nodes[p].parent) {
        if (p == (int)ancestor)
            return true;
    }
    return false;
}

static void model_revoke(unsigned i, bool self)
{
    struct slot *s = node_slot(i);
    bool gone[ARRAY_SIZE(nodes)];

    while (slot_prune(s) != SLOT_DONE)
        ;
    if (self)
        cr_assert(slot_remove(s));
    for (unsigned k = 0; k < ARRAY_SIZE(nodes); k++)
        gone[k] = nodes[k].used && (model_below(k, i) || (self && k == i));
    for (unsigned k = 0; k < ARRAY_SIZE(nodes); k++)
        nodes[k].used &= !gone[k];
}

/* Every slot holds what the model says, and hangs below the parent that the model says. */
static void model_check(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(nodes); i++) {
        const struct slot *s = node_slot(i);
        int parent = s && slot_used(s) && s->parent ? node_of(s->parent) : -1;

        if (!nodes[i].used) {
            cr_assert(!s || (!slot_used(s) && slot_word(s) == 0), "node %u should be empty", i);
            continue;
        }
        cr_assert_not_null(s);
        cr_assert_eq(slot_word(s), slot_word_make(CB_TYPE_FRAME, nodes[i].rights, NULL));
        cr_assert_eq(s->frame.base, nodes[i].base);
        cr_assert_eq(s->frame.pages, nodes[i].pages);
        cr_assert_eq(parent, nodes[i].parent, "node %u hangs in the wrong place", i);
        cr_assert_eq(s->depth, parent < 0 ? 1 : s->parent->depth + 1);
    }
}

Test(slot, random_operations)
{
    setup();
    for (unsigned n = 0; n < 20000; n++) {
        unsigned from = (unsigned)fake_below(ARRAY_SIZE(nodes)), to = (unsigned)fake_below(ARRAY_SIZE(nodes));

        if (!nodes[from].used) {
            if (fake_below(20) == 0)
                root_make(from);
            continue;
        }
        if (fake_below(10))
            model_derive(from, to);
        else
            model_revoke(from, fake_below(2));
        if (n % 1000 == 0)
            model_check();
    }
    model_check();
}

Test(slot, a_chain_ends_too_deep)
{
    status_t status = CB_OK;
    u32 sel = 10, depth = 1;

    setup();
    cr_assert_eq(derive_slot(domains[0]->obj.root, domains[0], sel, 0xff, 0, 0), CB_OK);
    while (!status) {
        status = derive_slot(slot_find(domains[0], sel), domains[0], sel + 1, 0xff, 0, 0);
        sel++;
        depth++;
    }
    cr_assert_eq(CB_STATUS_CODE(status), CB_TOO_DEEP);
    cr_assert_leq(depth, SLOT_DEPTH_MAX);
    cr_assert_eq(slot_find(domains[0], sel - 1)->depth, SLOT_DEPTH_MAX);
}

/* What goes later, and has not been mapped for long, does not make ram clean that something else has just left. */
Test(slot, the_last_period_counts)
{
    struct slot *ram, *frame, *other, *mapping;

    setup();
    cr_assert_eq(slot_reserve(domains[0], 20, 0, &ram), CB_OK);
    cr_assert_eq(slot_reserve(domains[0], 21, 0, &frame), CB_OK);
    cr_assert_eq(slot_reserve(domains[0], 22, 0, &other), CB_OK);
    cr_assert_eq(slot_reserve(domains[0], 23, 0, &mapping), CB_OK);
    slot_insert(ram, NULL, slot_word_make(CB_TYPE_RAM, CB_RIGHTS_ALL, NULL));
    slot_insert(frame, ram, slot_word_make(CB_TYPE_FRAME, CB_RIGHTS_ALL, NULL));
    slot_insert(other, ram, slot_word_make(CB_TYPE_FRAME, CB_RIGHTS_ALL, NULL));
    slot_insert(mapping, frame, slot_word_make(CB_TYPE_MAPPING, 0, NULL));
    ram->ram.unmapped = frame->frame.unmapped = other->frame.unmapped = 0;
    mapping->mapping.domain = domains[0];
    mapping->mapping.address = mapping->mapping.pages = 0;
    cr_assert(slot_remove(mapping));
    cr_assert_eq(frame->frame.unmapped, grace_next());
    cr_assert(slot_remove(frame));
    cr_assert(slot_remove(other));
    cr_assert_eq(ram->ram.unmapped, grace_next());
}

Test(slot, the_last_of_an_object_kills_it)
{
    struct slot *root;

    setup();
    root = domains[0]->obj.root;
    cr_assert_eq(derive_slot(root, domains[1], 50, 0xff, 0, 0), CB_OK);
    cr_assert(slot_remove(slot_find(domains[1], 50)));
    cr_assert_eq(reap_fake_killed, 0, "a derived capability does not matter");
    cr_assert(slot_remove(root));
    cr_assert_eq(reap_fake_killed, 1);
    cr_assert_null(domains[0]->obj.root);
}

Test(slot, selector_0_is_never_used)
{
    struct slot *s;

    setup();
    cr_assert_eq(CB_STATUS_CODE(slot_reserve(domains[0], 0, 1, &s)), CB_BAD_PARAM);
    cr_assert_eq(CB_STATUS_CODE(slot_reserve(domains[0], CB_SELECTORS, 1, &s)), CB_BAD_PARAM);
}

Test(slot, pages_come_back)
{
    struct account *a;
    struct domain *d;
    struct slot *s;
    u64 used;

    setup();
    a = domains[0]->obj.account;
    used = a->used;
    d = account_object(a, sizeof(*d), CB_TYPE_DOMAIN);
    d->caps = caps_alloc(a);
    for (u32 sel = 1; sel < CB_SELECTORS; sel += 1000)
        cr_assert_eq(slot_reserve(d, sel, 1, &s), CB_OK);
    cr_assert_gt(a->used, used + 60);
    while (!caps_free_step(a, d->caps))
        ;
    account_object_free(&d->obj);
    cr_assert_eq(a->used, used);
}

Test(slot, exhausted_account)
{
    struct account *a;
    struct domain *d;
    struct slot *s;

    fake_init();
    a = fake_account(0, 8);
    d = fake_domain(a, 1);
    cr_assert_not_null(d);
    cr_assert_eq(CB_STATUS_CODE(slot_reserve(d, 60000, 1, &s)), CB_NO_MEMORY);
    cr_assert_eq(slot_reserve(d, 2, 1, &s), CB_OK, "a slot in a page that exists costs nothing");
}
