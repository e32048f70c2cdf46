/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Random lives of accounts, domains, threads, events and frames, and their ends: when `destroy` or `revoke` has
 * returned, all that was made is gone, every page is back where it came from, and nothing came back before a grace
 * period was over.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "call.h"
#include "mitigations.h"
#include "random.h"
#include "reap.h"
#include "reap_world.h"

#define LIVES 400u

static u32 any_sel(void)
{
    return WORLD_FREE + (u32)random_below(WORLD_END - WORLD_FREE);
}

/* A random selector of this type, 0 if a few attempts find none. */
static u32 any_of(enum cb_type type)
{
    for (unsigned i = 0; i < 200; i++) {
        u32 sel = any_sel();

        if (slot_word_type(slot_word(world_slot(sel))) == type)
            return sel;
    }
    return 0;
}

/* A new account of the world's own account, or of a piece of ram, at `dst`. */
static status_t make_account(u32 dst)
{
    u32 ram = any_of(CB_TYPE_RAM);

    if (random_below(2) && ram)
        return world_call(account_create, 0, ram, dst, 0, 0, 0);
    return world_call(account_create, 0, random_below(3) ? WORLD_ACCOUNT : any_of(CB_TYPE_ACCOUNT), dst,
                      1 + random_below(300), 0, 0);
}

/* Destinations: anywhere in a domain's space, but in our own only where slots cost nothing. */
static u64 any_destination(void)
{
    u32 domain = random_below(2) ? any_of(CB_TYPE_DOMAIN) : CB_SELF;

    return domain && random_below(4) ? CB_PAIR(random_below(CB_SELECTORS), domain) : CB_PAIR(any_sel(), domain);
}

static status_t make_memory(void)
{
    u32 ram = random_below(2) ? WORLD_RAM : any_of(CB_TYPE_RAM);

    if (random_below(3) == 0)
        return world_call(ram_split, 0, ram, CB_PAIR(any_sel(), CB_SELF), 512 * (1 + random_below(2)), 512, 0);
    return world_call(frame_create, 0, ram, any_destination(), 1 + random_below(600), 1ull << random_below(10), 0);
}

static status_t make_mapping(void)
{
    u64 address = random_below(64) << 21 | random_below(512) << 12;
    u32 domain = any_of(CB_TYPE_DOMAIN);

    if (!domain)
        return CB_OK; /* our own tables stay */
    return world_call(map, CB_MAP_READ | CB_MAP_WRITE, any_of(CB_TYPE_FRAME), CB_PAIR(any_sel(), domain), address,
                      CB_PAIR(0, 1 + random_below(32)), 0);
}

/* Something happens; it may be refused. */
static status_t live(void)
{
    u32 here = any_sel(), account = any_of(CB_TYPE_ACCOUNT);

    switch (random_below(10)) {
    case 0: return make_account(here);
    case 1: return world_call(domain_create, 0, account, here, 0, 0, 0);
    case 2: return world_thread(account, here, any_of(CB_TYPE_DOMAIN));
    case 3: return world_event(account, here);
    case 4: return make_memory();
    case 5:
    case 6: return make_mapping();
    case 7: return random_below(6) ? CB_OK : world_call(random_below(2) ? revoke : destroy, 0, here, 0, 0, 0, 0);
    default:
        return world_call(derive, 0, here, any_destination(), random_below(8) ? 0x7f : random_next() & 0x7f, 0, 0);
    }
}

static void live_for(unsigned steps)
{
    for (unsigned i = 0; i < steps; i++) {
        enum cb_status code = CB_STATUS_CODE(live());

        cr_assert(code <= CB_DYING && code != CB_UNSUPPORTED && code != CB_ABORTED);
    }
}

/* All selectors but the first are empty. */
static void empty_check(void)
{
    for (u32 sel = WORLD_FREE; sel < WORLD_END; sel++) {
        const struct slot *s = world_slot(sel);

        cr_assert(!slot_used(s) && slot_word(s) == 0, "selector %u holds a capability of type %u", sel,
                  slot_word_type(slot_word(s)));
    }
    cr_assert_not(slot_has_children(world_slot(WORLD_RAM)));
    cr_assert_eq(world_threads, 0);
    cr_assert_not(reap_pending());
}

/* What is left is taken back: every object made here hangs below the account or the ram. */
static void end_all(u64 used)
{
    for (u32 sel = WORLD_FREE; sel < WORLD_END; sel++) {
        u64 word = slot_word(world_slot(sel));
        enum cb_type type = slot_word_type(word);

        if (type == CB_TYPE_NULL)
            continue;
        if (type >= CB_TYPE_ACCOUNT && random_below(2) && (slot_word_rights(word) & CB_RIGHT_DESTROY)) {
            if (slot_word_object(word) == world || slot_word_object(word) == world_account)
                cr_assert_eq(world_call(revoke, CB_REVOKE_SELF, sel, 0, 0, 0, 0), CB_OK);
            else
                cr_assert_eq(world_call(destroy, 0, sel, 0, 0, 0, 0), CB_OK);
        } else {
            cr_assert_eq(world_call(revoke, CB_REVOKE_SELF, sel, 0, 0, 0, 0), CB_OK);
        }
    }
    cr_assert_eq(world_call(revoke, 0, WORLD_RAM, 0, 0, 0, 0), CB_OK);
    empty_check();
    cr_assert_eq(world_account->used, used, "%ld pages are missing", (long)(world_account->used - used));
}

Test(reap, random_lives)
{
    u64 used;

    world_init();
    used = world_account->used;
    for (unsigned n = 0; n < LIVES; n++) {
        live_for(50 + (unsigned)random_below(400));
        end_all(used);
    }
}

/* Makes a family below one new account (at WORLD_FREE), in random numbers, and nothing else. */
static void make_family(u64 pages)
{
    cr_assert_eq(world_call(account_create, 0, WORLD_ACCOUNT, WORLD_FREE, pages, 0, 0), CB_OK);
    for (u32 i = 0; i < 3; i++)
        (void)!world_call(domain_create, 0, WORLD_FREE, WORLD_FREE + 1 + i, 0, 0, 0);
    for (unsigned i = (unsigned)random_below(200); i > 0; i--) {
        u32 dst = WORLD_FREE + 4 + (u32)random_below(100), domain = WORLD_FREE + 1 + (u32)random_below(3);

        switch (random_below(4)) {
        case 0: (void)!world_call(account_create, 0, WORLD_FREE, dst, 1 + random_below(8), 0, 0); break;
        case 1: (void)!world_thread(WORLD_FREE, dst, domain); break;
        case 2: (void)!world_event(WORLD_FREE, dst); break;
        default: (void)!world_call(derive, 0, WORLD_FREE + (u32)random_below(100), CB_PAIR(random_below(9000), domain), 0x7f, 0, 0);
        }
    }
}

Test(reap, an_account_takes_all_that_it_paid_for)
{
    u64 used;

    world_init();
    used = world_account->used;
    for (unsigned n = 0; n < LIVES; n++) {
        make_family(60 + random_below(400));
        if (random_below(2))
            cr_assert_eq(world_call(destroy, 0, WORLD_FREE, 0, 0, 0, 0), CB_OK);
        else
            cr_assert_eq(world_call(revoke, CB_REVOKE_SELF, WORLD_FREE, 0, 0, 0, 0), CB_OK);
        empty_check();
        cr_assert_eq(world_account->used, used);
    }
}

/* Whoever destroys may die over it: CPUs that idle bring it to its end. */
Test(reap, a_destroyer_that_dies)
{
    unsigned abandoned = 0;
    status_t status;
    u64 used;

    world_init();
    used = world_account->used;
    for (unsigned n = 0; n < LIVES; n++) {
        make_family(60 + random_below(400));
        abandoned += world_call_abandoned((unsigned)random_below(30), destroy, 0, WORLD_FREE, &status);
        if (slot_used(world_slot(WORLD_FREE)) && random_below(2))
            cr_assert_leq(CB_STATUS_CODE(world_call(revoke, 0, WORLD_FREE, 0, 0, 0, 0)), CB_BAD_CAP, "another one comes along");
        world_idle();
        if (slot_used(world_slot(WORLD_FREE))) /* not even begun */
            cr_assert_eq(world_call(destroy, 0, WORLD_FREE, 0, 0, 0, 0), CB_OK);
        empty_check();
        cr_assert_eq(world_account->used, used);
    }
    cr_assert_gt(abandoned, LIVES / 4);
}

/* Whoever kills it takes over what it was in the middle of, and waits for that, too. */
Test(reap, a_destroyer_that_is_killed)
{
    u64 used;

    world_init();
    used = world_account->used;
    for (unsigned n = 0; n < LIVES; n++) {
        make_family(60 + random_below(400));
        cr_assert_eq(world_thread(WORLD_ACCOUNT, WORLD_END - 1, CB_SELF), CB_OK);
        world_call_killed((unsigned)random_below(60), WORLD_END - 1, destroy, 0, WORLD_FREE);
        cr_assert_eq(world_call(destroy, 0, WORLD_END - 1, 0, 0, 0, 0), CB_OK);
        if (slot_used(world_slot(WORLD_FREE)))
            cr_assert_eq(world_call(destroy, 0, WORLD_FREE, 0, 0, 0, 0), CB_OK);
        empty_check();
        cr_assert_eq(world_account->used, used);
    }
}

/* A revocation that was broken off can be made again; nothing is derived from the capability in between. */
Test(reap, a_revoker_that_dies)
{
    status_t status;

    world_init();
    for (unsigned n = 0; n < 100; n++) {
        cr_assert_eq(world_event(WORLD_ACCOUNT, WORLD_FREE), CB_OK);
        for (u32 i = 1; i < 200; i++)
            cr_assert_eq(world_call(derive, 0, WORLD_FREE + (u32)random_below(i), CB_PAIR(WORLD_FREE + i, 0), 0x7f, 0, 0), CB_OK);
        if (world_call_abandoned(1 + (unsigned)random_below(5), revoke, 0, WORLD_FREE, &status) &&
            slot_has_children(world_slot(WORLD_FREE)))
            cr_assert_eq(CB_STATUS_CODE(world_call(derive, 0, WORLD_FREE, CB_PAIR(WORLD_END - 1, 0), 0x7f, 0, 0)), CB_DYING);
        cr_assert_eq(world_call(revoke, 0, WORLD_FREE, 0, 0, 0, 0), CB_OK);
        cr_assert_not(slot_has_children(world_slot(WORLD_FREE)));
        cr_assert_eq(world_call(derive, 0, WORLD_FREE, CB_PAIR(WORLD_FREE + 1, 0), 0x7f, 0, 0), CB_OK, "all is as before");
        cr_assert_eq(world_call(revoke, CB_REVOKE_SELF, WORLD_FREE, 0, 0, 0, 0), CB_OK);
        empty_check();
    }
}

/* Memory that may still be reached through a translation is not given out. */
Test(reap, memory_is_used_again_only_after_a_grace_period)
{
    status_t status;

    world_init();
    for (unsigned n = 0; n < 200; n++) {
        u64 mark;

        cr_assert_eq(world_call(ram_split, 0, WORLD_RAM, WORLD_FREE, 1024, 512, 0), CB_OK);
        cr_assert_eq(world_call(frame_create, 0, WORLD_FREE, WORLD_FREE + 1, 8, 1, 0), CB_OK);
        cr_assert_eq(world_call(map, CB_MAP_READ, WORLD_FREE + 1, WORLD_FREE + 2, n << 21, CB_PAIR(0, 8), 0), CB_OK);
        mark = world_mark();
        cr_assert(world_call_abandoned(1, revoke, 0, WORLD_FREE, &status), "it has to wait");
        cr_assert_not(slot_used(world_slot(WORLD_FREE + 2)), "unmapped");
        if (n % 2)
            status = world_call(frame_create, 0, WORLD_FREE, WORLD_FREE + 1, 8, 1, 0);
        else
            status = world_call(account_create, 0, WORLD_FREE, WORLD_FREE + 1, 0, 0, 0);
        cr_assert(status == CB_OK || CB_STATUS_CODE(status) == CB_DYING, "%s", cb_status_name(status));
        cr_assert(world_passed(mark), "given out too early");
        cr_assert_eq(world_call(revoke, CB_REVOKE_SELF, WORLD_FREE, 0, 0, 0, 0), CB_OK);
        empty_check();
    }
}

/* Accounts within accounts: each can go only when those in it are gone, and yet all is back when `destroy` returns. */
Test(reap, nested_accounts)
{
    u64 used;

    world_init();
    used = world_account->used;
    for (u32 depth = 1; depth < 12; depth++) {
        cr_assert_eq(world_call(account_create, 0, WORLD_ACCOUNT, WORLD_FREE, 300, 0, 0), CB_OK);
        for (u32 i = 1; i < depth; i++)
            cr_assert_eq(world_call(account_create, 0, WORLD_FREE + i - 1, WORLD_FREE + i, 300 - i * 2, 0, 0), CB_OK);
        cr_assert_eq(world_call(domain_create, 0, WORLD_FREE + depth - 1, WORLD_FREE + 20, 0, 0, 0), CB_OK);
        cr_assert_eq(world_thread(WORLD_FREE + depth - 1, WORLD_FREE + 21, WORLD_FREE + 20), CB_OK);
        cr_assert_eq(world_call(destroy, 0, WORLD_FREE, 0, 0, 0, 0), CB_OK);
        cr_assert_eq(world_account->used, used, "%u levels: %ld pages are missing", depth, (long)(world_account->used - used));
        empty_check();
    }
}

/* A top account whose destroyer died: its ram cannot be used until all of it is clean. */
Test(reap, ram_is_busy_until_it_is_clean)
{
    unsigned busy = 0;
    status_t status;

    world_init();
    for (unsigned n = 0; n < 200; n++) {
        cr_assert_eq(world_call(ram_split, 0, WORLD_RAM, WORLD_FREE, 512, 512, 0), CB_OK);
        cr_assert_eq(world_call(account_create, 0, WORLD_FREE, WORLD_FREE + 1, 0, 0, 0), CB_OK);
        cr_assert_eq(world_event(WORLD_FREE + 1, WORLD_FREE + 2), CB_OK);
        if (world_call_abandoned(1 + (unsigned)random_below(8), destroy, 0, WORLD_FREE + 1, &status) &&
            slot_has_children(world_slot(WORLD_FREE))) {
            status = world_call(frame_create, 0, WORLD_FREE, WORLD_FREE + 3, 1, 1, 0);
            cr_assert(CB_STATUS_CODE(status) == CB_BUSY || !slot_used(world_slot(WORLD_FREE + 1)), "%s", cb_status_name(status));
            busy += CB_STATUS_CODE(status) == CB_BUSY;
        }
        world_idle();
        cr_assert_eq(world_call(revoke, CB_REVOKE_SELF, WORLD_FREE, 0, 0, 0, 0), CB_OK);
        empty_check();
    }
    cr_assert_gt(busy, 10);
}

/* Ram that was an account is clean when it comes back, and nothing else until then. */
Test(reap, a_top_account_gives_back_clean_ram)
{
    world_init();
    for (unsigned n = 0; n < 30; n++) {
        const u64 *words = direct(WORLD_RAM_BASE);

        cr_assert_eq(world_call(ram_split, 0, WORLD_RAM, WORLD_FREE, 512, 512, 0), CB_OK);
        cr_assert_eq(world_call(account_create, 0, WORLD_FREE, WORLD_FREE + 1, 0, 0, 0), CB_OK);
        cr_assert_eq(CB_STATUS_CODE(world_call(frame_create, 0, WORLD_FREE, WORLD_FREE + 2, 1, 1, 0)), CB_BUSY);
        cr_assert_eq(CB_STATUS_CODE(world_call(ram_split, 0, WORLD_FREE, WORLD_FREE + 2, 1, 1, 0)), CB_BUSY);
        cr_assert_eq(CB_STATUS_CODE(world_call(account_create, 0, WORLD_FREE, WORLD_FREE + 2, 0, 0, 0)), CB_BUSY);
        cr_assert_eq(world_call(domain_create, 0, WORLD_FREE + 1, WORLD_FREE + 3, 0, 0, 0), CB_OK);
        for (u32 i = 0; i < 100; i++) {
            (void)!world_thread(WORLD_FREE + 1, WORLD_FREE + 4 + i, WORLD_FREE + 3);
            (void)!world_call(derive, 0, WORLD_ACCOUNT, CB_PAIR(1 + random_below(60000), WORLD_FREE + 3), 0x7f, 0, 0);
        }
        cr_assert_eq(world_call(destroy, 0, WORLD_FREE + 1, 0, 0, 0, 0), CB_OK);
        for (u64 i = 0; i < 512 * PAGE_SIZE / 8; i++)
            cr_assert(words[i] == 0 || words[i] == 0xa5a5a5a5a5a5a5a5ull, "word %lu was left behind", (unsigned long)i);
        cr_assert_eq(world_call(frame_create, 0, WORLD_FREE, WORLD_FREE + 2, 512, 1, 0), CB_OK, "all of it can be used");
        cr_assert_eq(world_call(revoke, CB_REVOKE_SELF, WORLD_FREE, 0, 0, 0, 0), CB_OK);
        empty_check();
    }
}

Test(reap, what_cannot_be_destroyed)
{
    world_init();
    cr_assert_eq(world_call(destroy, 0, WORLD_FREE, 0, 0, 0, 0), FAULT(BAD_CAP, 0));
    cr_assert_eq(world_call(destroy, 0, WORLD_RAM, 0, 0, 0, 0), FAULT(BAD_CAP, 0));
    cr_assert_eq(world_call(frame_create, 0, WORLD_RAM, WORLD_FREE, 1, 1, 0), CB_OK);
    cr_assert_eq(world_call(destroy, 0, WORLD_FREE, 0, 0, 0, 0), FAULT(BAD_CAP, 0));
    cr_assert_eq(world_call(destroy, 1, WORLD_ACCOUNT, 0, 0, 0, 0), FAULT(BAD_PARAM, 0));
    cr_assert_eq(world_call(revoke, 2, WORLD_RAM, 0, 0, 0, 0), FAULT(BAD_PARAM, 0));
    cr_assert_eq(world_event(WORLD_ACCOUNT, WORLD_FREE + 1), CB_OK);
    cr_assert_eq(world_call(derive, 0, WORLD_FREE + 1, WORLD_FREE + 2, 0x7f & ~CB_RIGHT_DESTROY, 0, 0), CB_OK);
    cr_assert_eq(world_call(destroy, 0, WORLD_FREE + 2, 0, 0, 0, 0), FAULT(BAD_RIGHT, 0));
    cr_assert_eq(world_call(derive, 0, WORLD_FREE + 1, WORLD_FREE + 3, CB_RIGHT_DESTROY, 0, 0), CB_OK);
    cr_assert_eq(world_call(destroy, 0, WORLD_FREE + 3, 0, 0, 0, 0), CB_OK, "through a derived capability, for everyone");
    cr_assert_not(slot_used(world_slot(WORLD_FREE + 1)));
    cr_assert_not(slot_used(world_slot(WORLD_FREE + 2)));
}

/* Nothing is derived below a capability that is being revoked, however far below. */
Test(reap, nothing_is_derived_below_a_revocation)
{
    unsigned refused = 0;
    status_t status;

    world_init();
    cr_assert_eq(world_event(WORLD_ACCOUNT, WORLD_FREE), CB_OK);
    for (u32 i = 1; i < 200; i++)
        cr_assert_eq(world_call(derive, 0, WORLD_FREE + i / 2, CB_PAIR(WORLD_FREE + i, 0), 0x7f, 0, 0), CB_OK);
    while (world_call_abandoned(1, revoke, 0, WORLD_FREE, &status) && slot_has_children(world_slot(WORLD_FREE))) {
        for (u32 i = 1; i < 200; i++) {
            if (!slot_used(world_slot(WORLD_FREE + i)))
                continue;
            status = world_call(derive, 0, WORLD_FREE + i, CB_PAIR(WORLD_END - 1, 0), 0x7f, 0, 0);
            cr_assert_eq(status, FAULT(DYING, 0), "%s", cb_status_name(status));
            refused++;
        }
    }
    cr_assert_gt(refused, 100);
    cr_assert_eq(world_call(derive, 0, WORLD_FREE, CB_PAIR(WORLD_FREE + 1, 0), 0x7f, 0, 0), CB_OK, "it is over");
}

/* What is made of several pages, or takes one besides what it asks for, takes all or nothing. */
Test(reap, creation_is_all_or_nothing)
{
    unsigned failures = 0;

    world_init();
    for (u64 pages = 1; pages < 12; pages++) {
        struct account *a;
        u64 used;

        cr_assert_eq(world_call(account_create, 0, WORLD_ACCOUNT, WORLD_FREE, pages, 0, 0), CB_OK);
        a = slot_word_object(slot_word(world_slot(WORLD_FREE)));
        used = a->used;
        if (world_call(domain_create, 0, WORLD_FREE, WORLD_FREE + 1, 0, 0, 0) == FAULT(NO_MEMORY, 0)) {
            cr_assert_eq(a->used, used, "of %lu pages, %lu are lost", (unsigned long)pages, (unsigned long)(a->used - used));
            failures++;
        }
        used = a->used;
        if (a->quota > used) {
            cr_assert_eq(world_call(account_create, 0, WORLD_FREE, WORLD_FREE + 2, a->quota - used, 0, 0), FAULT(NO_MEMORY, 0),
                         "its own page leaves too little");
            cr_assert_eq(a->used, used);
        }
        cr_assert_leq(a->used, a->quota);
        cr_assert_eq(world_call(destroy, 0, WORLD_FREE, 0, 0, 0, 0), CB_OK);
    }
    cr_assert_gt(failures, 3);
    empty_check();
}

/* A domain's second root of tables, on machines that need one. */
Test(reap, roots_are_all_or_nothing)
{
    unsigned failures = 0;

    world_init();
    defences = DEFENCE(ROOTS);
    for (u64 pages = 1; pages < 16; pages++) {
        struct account *a;
        struct domain *d;
        u64 used;

        cr_assert_eq(world_call(account_create, 0, WORLD_ACCOUNT, WORLD_FREE, pages, 0, 0), CB_OK);
        a = slot_word_object(slot_word(world_slot(WORLD_FREE)));
        if (!world_call(domain_create, 0, WORLD_FREE, WORLD_FREE + 1, 0, 0, 0)) {
            d = slot_word_object(slot_word(world_slot(WORLD_FREE + 1)));
            used = a->used;
            if (domain_add_cpu(d, 0)) {
                cr_assert_eq(a->used, used, "of %lu pages, %lu are lost", (unsigned long)pages, (unsigned long)(a->used - used));
                failures++;
            } else {
                cr_assert_eq(a->used, used + 2);
            }
        }
        cr_assert_eq(world_call(destroy, 0, WORLD_FREE, 0, 0, 0, 0), CB_OK);
    }
    defences = 0;
    cr_assert_eq(failures, 2);
    empty_check();
}
