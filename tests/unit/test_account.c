/* SPDX-License-Identifier: GPL-2.0-only */
/* Memory accounting: what goes out is zeroed and disjoint, is counted, and comes back. */
#include <criterion/criterion.h>
#include <string.h>

#include "fake.h"

#define PAGES 512u
#define LIVE 400u

struct piece {
    void *at;
    u64 size; /* 0: a page */
};

static void piece_check(const struct piece *p)
{
    u64 bytes = p->size ? p->size : PAGE_SIZE;
    u64 skip = p->size ? sizeof(struct object) : 0;
    const u8 *at = p->at;

    for (u64 i = skip; i < bytes; i++)
        cr_assert_eq(at[i], 0, "byte %lu of a piece of %lu is not zero", (unsigned long)i, (unsigned long)bytes);
}

static void piece_fill(const struct piece *p)
{
    u64 skip = p->size ? sizeof(struct object) : 0;

    memset((u8 *)p->at + skip, 0x5a, (p->size ? p->size : PAGE_SIZE) - skip);
}

static bool piece_take(struct account *a, struct piece *p)
{
    static const u64 sizes[] = { 0, 48, 64, 100, 240, 500, 900, 1900, 4000 };

    p->size = sizes[fake_below(ARRAY_SIZE(sizes))];
    p->at = p->size ? account_object(a, p->size, CB_TYPE_EVENT) : account_page(a);
    if (!p->at)
        return false;
    piece_check(p);
    piece_fill(p);
    return true;
}

static void piece_free(struct account *a, struct piece *p)
{
    if (p->size) {
        struct object *obj = p->at;

        cr_assert_eq(obj->type, CB_TYPE_EVENT, "the head was overwritten");
        cr_assert_eq(obj->account, a);
        account_object_free(obj);
    } else {
        account_page_free(a, p->at);
    }
    p->at = NULL;
}

static void overlap_check(const struct piece *pieces)
{
    for (unsigned i = 0; i < LIVE; i++) {
        for (unsigned k = 0; pieces[i].at && k < i; k++) {
            u64 a = physical(pieces[i].at), b = physical(pieces[k].at);
            u64 a_size = pieces[i].size ? pieces[i].size : PAGE_SIZE, b_size = pieces[k].size ? pieces[k].size : PAGE_SIZE;

            cr_assert(!pieces[k].at || a + a_size <= b || b + b_size <= a, "two pieces overlap");
        }
    }
}

Test(account, random_pieces_come_back)
{
    static struct piece pieces[LIVE];
    struct account *a;
    bool exhausted = false;

    fake_init();
    a = fake_account(0, PAGES);
    for (unsigned n = 0; n < 60000; n++) {
        struct piece *p = &pieces[fake_below(LIVE)];

        if (p->at)
            piece_free(a, p);
        else
            exhausted |= !piece_take(a, p);
        cr_assert_leq(a->used, a->quota);
        if (n % 10000 == 0)
            overlap_check(pieces);
    }
    for (unsigned i = 0; i < LIVE; i++) {
        if (pieces[i].at)
            piece_free(a, &pieces[i]);
    }
    cr_assert_eq(a->used, 1, "%lu pages are missing", (unsigned long)a->used - 1);
    (void)exhausted;
}

Test(account, exhaustion_is_exact)
{
    struct account *a;
    unsigned got = 0;
    void *last = NULL, *page;

    fake_init();
    a = fake_account(PAGE_2M, PAGES);
    while ((page = account_page(a)) != NULL) {
        last = page;
        got++;
    }
    cr_assert_eq(got, PAGES - 1, "one page holds the account itself");
    cr_assert_null(account_object(a, 64, CB_TYPE_EVENT));
    account_page_free(a, last);
    cr_assert_not_null(account_object(a, 64, CB_TYPE_EVENT));
    cr_assert_null(account_page(a));
}

Test(account, an_object_larger_than_a_page_is_refused)
{
    fake_init();
    cr_assert_null(account_object(fake_account(0, PAGES), 5000, CB_TYPE_DOMAIN));
}

Test(account, objects_of_one_size_share_a_page)
{
    struct account *a;
    u64 before;

    fake_init();
    a = fake_account(0, PAGES);
    before = a->used;
    for (unsigned i = 0; i < 63; i++)
        cr_assert_not_null(account_object(a, 64, CB_TYPE_EVENT));
    cr_assert_eq(a->used, before + 1);
    cr_assert_not_null(account_object(a, 64, CB_TYPE_EVENT));
    cr_assert_eq(a->used, before + 2);
}

Test(account, a_place_in_a_full_page_is_used_again)
{
    struct account *a;
    struct object *first;
    u64 before;

    fake_init();
    a = fake_account(0, PAGES);
    before = a->used;
    first = account_object(a, 64, CB_TYPE_EVENT);
    for (unsigned i = 1; i < 63; i++)
        cr_assert_not_null(account_object(a, 64, CB_TYPE_EVENT));
    account_object_free(first);
    cr_assert_not_null(account_object(a, 64, CB_TYPE_EVENT));
    cr_assert_eq(a->used, before + 1);
}
