/* SPDX-License-Identifier: GPL-2.0-only */
/* The derivation tree: links, depths, what may stand below what; and each slot where its domain says it is. */
#include "dump.h"

#include <stdlib.h>

#include "caps.h"
#include "pte.h"
#include "thread.h"
#include "vcpu.h"

#define AREA "tree"
#define CAPS_LIMIT 16000000u

struct cap *caps;
u32 cap_count;
static u32 cap_room;

static bool is_object(enum cb_type type)
{
    return type >= CB_TYPE_ACCOUNT && type <= CB_TYPE_EVENT;
}

/* ---- Collecting ---- */

static void cap_add(const struct slot *kernel, struct slot *slot)
{
    if (cap_count == cap_room) {
        cap_room = MAX(4096u, cap_room * 2);
        caps = realloc(caps, cap_room * sizeof(*caps));
        if (!caps)
            abort();
    }
    caps[cap_count++] = (struct cap){ .kernel = (u64)kernel, .slot = slot };
}

static void collect(void)
{
    const struct slot *head = (const struct slot *)dump_symbol_address("slot.c", "tree", sizeof(struct slot)), *at = head;
    u32 depth = 0, deepest = 0;

    cap_count = 0;
    for (;;) {
        const struct slot *view = AT(at), *next;

        if (!view)
            return;
        next = AT(view->next);
        if (!next || next->prev != at || cap_count > CAPS_LIMIT) {
            bad(AREA, "the list is broken behind %p", (const void *)at);
            return;
        }
        at = view->next;
        if (at == head)
            break;
        if (!next->depth || next->depth > depth + 1 || next->depth > SLOT_DEPTH_MAX)
            bad(AREA, "%p has depth %u behind one of %u", (const void *)at, next->depth, depth);
        depth = next->depth;
        deepest = MAX(deepest, depth);
        cap_add(at, (struct slot *)dump_at(at, sizeof(*at)));
    }
    seen("capabilities", cap_count);
    seen("depth of the derivation tree", deepest);
}

/* `above[d]`: the last one met of depth d. */
static void find_parents(void)
{
    static struct cap *above[SLOT_DEPTH_MAX + 1];

    for (u32 i = 0; i < cap_count; i++) {
        u32 depth = MIN(caps[i].slot->depth, SLOT_DEPTH_MAX);

        caps[i].parent = depth > 1 ? above[depth - 1] : NULL;
        above[depth] = &caps[i];
        if ((u64)caps[i].slot->parent != (caps[i].parent ? caps[i].parent->kernel : 0))
            bad(AREA, "%lx does not name the one above it", caps[i].kernel);
    }
}

/* ---- What stands below what ---- */

static void check_ram(const struct cap *c, u64 base, u64 pages)
{
    const struct slot *p = c->parent->slot;

    if (!pages || base < p->ram.base || base + pages * PAGE_SIZE > p->ram.base + p->ram.pages * PAGE_SIZE)
        bad(AREA, "%lx is not in the ram that it is from", base);
    /* Newest first, each behind all older ones. */
    if (c->slot->prev != (struct slot *)c->parent->kernel) {
        const struct cap *newer = c - 1;

        while (newer->parent != c->parent)
            newer = newer->parent;
        if (slot_word_type(slot_word(newer->slot)) != CB_TYPE_ACCOUNT && base + pages * PAGE_SIZE > newer->slot->ram.base)
            bad(AREA, "two children of a ram overlap at %lx", base);
    }
}

static void check_frame(const struct cap *c)
{
    const struct slot *s = c->slot, *p = c->parent->slot;

    if (!s->frame.pages || s->frame.base < p->frame.base ||
        s->frame.base + s->frame.pages * PAGE_SIZE > p->frame.base + p->frame.pages * PAGE_SIZE ||
        s->attr != p->attr)
        bad(AREA, "the frame at %lx is no part of the one above it", s->frame.base);
}

/* A capability like the one above it: the same object, fewer rights. */
static void check_derived(const struct cap *c)
{
    u64 word = slot_word(c->slot), above = slot_word(c->parent->slot);

    if (slot_word_object(word) != slot_word_object(above) || (slot_word_rights(word) & ~slot_word_rights(above)))
        bad(AREA, "%lx has more rights than, or another object as, what it was derived from", c->kernel);
    if (slot_word_type(word) == CB_TYPE_FRAME)
        check_frame(c);
    if (slot_word_type(word) == CB_TYPE_EVENT && !c->slot->badge)
        bad(AREA, "%lx has no badge", c->kernel);
}

/* An object's first capability: below that of the account that pays. */
static void check_first(const struct cap *c)
{
    u64 word = slot_word(c->slot), above = c->parent ? slot_word(c->parent->slot) : 0;
    struct thing *t = thing_add(slot_word_object(word));
    enum cb_type type = slot_word_type(word);

    if (!t)
        return;
    t->alive = true;
    if (t->obj->type != type)
        bad(AREA, "%lx says type %u, its object %u", c->kernel, type, t->obj->type);
    if ((u64)t->obj->root != c->kernel)
        bad(AREA, "%lx is not the first capability of its object", c->kernel);
    if (t->obj->account && slot_word_object(above) != t->obj->account)
        bad(AREA, "%lx is not below the account that pays", c->kernel);
    if (!t->obj->account && (type != CB_TYPE_ACCOUNT || (c->parent && slot_word_type(above) != CB_TYPE_RAM)))
        bad(AREA, "%lx: nobody pays for its object", c->kernel);
}

static void check_place(const struct cap *c)
{
    u64 word = slot_word(c->slot);
    enum cb_type type = slot_word_type(word), above = c->parent ? slot_word_type(slot_word(c->parent->slot)) : CB_TYPE_NULL;

    if (c->slot->flags & (SLOT_TOMBSTONE | SLOT_REVOKING))
        unquiet(AREA, "%lx is being revoked", c->kernel);
    if (c->slot->flags & SLOT_TOMBSTONE)
        return;
    if (type == CB_TYPE_NULL || type > CB_TYPE_LOG)
        bad(AREA, "%lx is of type %u", c->kernel, type);
    else if (type == CB_TYPE_MAPPING && above != CB_TYPE_FRAME)
        bad(AREA, "%lx is a mapping of no frame", c->kernel);
    else if (type == CB_TYPE_RAM && above == CB_TYPE_RAM)
        check_ram(c, c->slot->ram.base, c->slot->ram.pages);
    else if (type == CB_TYPE_FRAME && above == CB_TYPE_RAM)
        check_ram(c, c->slot->frame.base, c->slot->frame.pages);
    else if (is_object(type) && (type != above || slot_word_object(word) != slot_word_object(slot_word(c->parent->slot))))
        check_first(c);
    else if (type != CB_TYPE_MAPPING && c->parent && type != above)
        bad(AREA, "%lx, of type %u, stands below one of type %u", c->kernel, type, above);
    else if (type != CB_TYPE_MAPPING && c->parent)
        check_derived(c);
}

/* Objects on a queue of the reaper. */
static void collect_queue(const struct reap_queue *q, const char *what)
{
    u32 n = 0;

    for (const struct object *o = q->head; o && n < CAPS_LIMIT; n++) {
        const struct thing *t = thing_add(o);

        if (!t)
            break;
        if (!t->obj->dying)
            bad("reaper", "%p is on the queue of %s, but alive", (const void *)o, what);
        if (!t->obj->next && o != q->tail)
            bad("reaper", "the queue of %s does not end where it says", what);
        o = t->obj->next;
    }
    if (n)
        unquiet("reaper", "%u objects on the queue of %s", n, what);
}

/* Each job of the reaper: that of nobody, and those of contexts, dying ones included. */
static void collect_dying(void)
{
    const struct reap_job *orphans = &SYMBOL(struct reap_job, "reap.c", orphans);

    collect_queue(&orphans->zombies, "zombies");
    collect_queue(&orphans->limbo, "limbo");
    for (u32 i = 0; i < thing_count; i++) {
        const struct ctx *c = (const struct ctx *)(const void *)things[i].obj;

        if (c->obj.type != CB_TYPE_THREAD && c->obj.type != CB_TYPE_VCPU)
            continue;
        collect_queue(&c->job.zombies, "a context's zombies");
        c = (const struct ctx *)(const void *)things[i].obj;
        collect_queue(&c->job.limbo, "a context's limbo");
    }
}

void check_tree(void)
{
    if (SYMBOL(struct lock, NULL, tree_lock).next != SYMBOL(struct lock, NULL, tree_lock).serving)
        unquiet(AREA, "its lock is taken: what follows may be wrong");
    thing_count = 0;
    collect();
    find_parents();
    for (u32 i = 0; i < cap_count; i++)
        check_place(&caps[i]);
    seen("objects", thing_count);
    collect_dying();
    things_sort();
}

/* ---- Capability spaces ---- */

static int cap_order(const void *a, const void *b)
{
    u64 x = (*(struct cap *const *)a)->kernel, y = (*(struct cap *const *)b)->kernel;

    return x < y ? -1 : x > y;
}

static struct cap **by_address;

static void slot_found(const struct slot *s, u64 kernel, u64 domain)
{
    struct cap key = { .kernel = kernel }, *keyp = &key, **found;

    if (!slot_used(s)) {
        if (slot_word(s) || s->prev)
            bad("spaces", "%lx is not in the tree, but not empty", kernel);
        return;
    }
    found = bsearch(&keyp, by_address, cap_count, sizeof(keyp), cap_order);
    if (!found) {
        bad("spaces", "%lx says that it is in the tree, but is not", kernel);
        return;
    }
    if ((*found)->found)
        bad("spaces", "%lx is in two places", kernel);
    (*found)->found = true;
    (*found)->domain = domain;
    if (slot_word_type(slot_word(s)) == CB_TYPE_MAPPING && (u64)s->mapping.domain != domain)
        bad("spaces", "%lx maps into another domain than the space it is in", kernel);
}

static void space_table(const u64 *table, u64 domain)
{
    for (u32 i = 0; i < PTE_ENTRIES; i++) {
        const struct slot *page = table[i] & PTE_HOLE ? NULL : dump_physical(pte_address(table[i]), PAGE_SIZE);

        if (!page && !(table[i] & PTE_HOLE))
            bad("spaces", "a table's entry leads nowhere: %lx", table[i]);
        for (u32 n = 0; page && n < CAPS_PER_PAGE; n++)
            slot_found(&page[n], dump_kernel(&page[n]), domain);
    }
}

static void space_walk(const struct thing *t)
{
    const struct domain *d = (const struct domain *)(const void *)t->obj;
    const u64 *pdpt = AT(d->caps), *pd = pdpt ? dump_physical(pte_address(pdpt[0]), PAGE_SIZE) : NULL;

    for (u32 i = 0; pd && i < CAPS_PAGES / PTE_ENTRIES; i++) {
        const u64 *table = pd[i] & PTE_HOLE ? NULL : dump_physical(pte_address(pd[i]), PAGE_SIZE);

        if (table)
            space_table(table, t->kernel);
    }
    if (!pd)
        bad("spaces", "domain %lx has none", t->kernel);
}

static void inside(const struct slot *s, const char *what)
{
    slot_found(s, dump_kernel(s), 0);
    if (slot_used(s) && slot_word_type(slot_word(s)) != CB_TYPE_PORTAL)
        bad("spaces", "the %s at %lx holds no portal", what, dump_kernel(s));
    seen("capabilities inside objects", slot_used(s));
}

void check_spaces(void)
{
    by_address = realloc(by_address, (cap_count + 1) * sizeof(struct cap *));
    for (u32 i = 0; i < cap_count; i++)
        by_address[i] = &caps[i];
    qsort(by_address, cap_count, sizeof(struct cap *), cap_order);
    for (u32 i = 0; i < thing_count; i++) {
        if (things[i].obj->type == CB_TYPE_DOMAIN)
            space_walk(&things[i]);
        if (things[i].obj->type == CB_TYPE_THREAD)
            inside(&((const struct thread *)(const void *)things[i].obj)->exception, "exception portal");
        for (u32 n = 0; things[i].obj->type == CB_TYPE_VCPU && n < CB_EXIT_COUNT; n++)
            inside(&((const struct vcpu *)(const void *)things[i].obj)->exits[n], "exit portal");
    }
    for (u32 i = 0; i < cap_count; i++) {
        struct domain *d = (struct domain *)caps[i].domain;

        if (!caps[i].found)
            bad("spaces", "%lx is in the tree, but in no domain's space", caps[i].kernel);
        if (d && !thing_expect(d, CB_TYPE_DOMAIN, "spaces", "a slot's domain"))
            continue;
        if (d && !thing_find(d)->alive)
            unquiet("spaces", "%lx belongs to a dead domain", caps[i].kernel);
    }
}
