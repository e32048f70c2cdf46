/* SPDX-License-Identifier: GPL-2.0-only */
#include "slot.h"

#include "account.h"
#include "caps.h"
#include "domain.h"
#include "reap.h"

struct lock tree_lock;

/* What one hold of the lock may remove: a slot counts as many steps, and so does each entry of page tables. */
#define PRUNE_STEPS 1024u
#define PRUNE_SLOT 16u

/* Head of the list, above all roots. */
static struct slot tree = { .next = &tree, .prev = &tree, .depth = 0 };

void slot_init(void)
{
    tree.next = tree.prev = &tree;
}

struct slot *slot_find(struct domain *d, u32 sel)
{
    struct slot *page = caps_page(d, sel);

    return page ? &page[sel % CAPS_PER_PAGE] : NULL;
}

status_t slot_reserve(struct domain *d, u32 sel, unsigned arg, struct slot **out)
{
    struct slot *page;

    sel %= CB_SELECTORS;
    if (sel == CB_SEL_NULL)
        return FAULT(BAD_PARAM, arg);
    if (d->obj.dying)
        return FAULT(DYING, arg);

    page = caps_page_make(d, sel);
    if (!page)
        return FAULT(NO_MEMORY, arg);
    if (slot_used(&page[sel % CAPS_PER_PAGE]))
        return FAULT(OCCUPIED, arg);
    *out = &page[sel % CAPS_PER_PAGE];
    return CB_OK;
}

/* Is something removed that `s` is below of, or is itself? */
static bool slot_is_revoked(const struct slot *s)
{
    for (; s; s = s->parent) {
        if (s->flags & (SLOT_REVOKING | SLOT_TOMBSTONE))
            return true;
    }
    return false;
}

status_t slot_derivable(const struct slot *s, unsigned arg)
{
    u64 word = slot_word(s);

    if (slot_is_revoked(s))
        return FAULT(DYING, arg);
    if (slot_word_is_object(word) && ((const struct object *)slot_word_object(word))->dying)
        return FAULT(DYING, arg);
    if (s->depth >= SLOT_DEPTH_MAX)
        return FAULT(TOO_DEEP, arg);
    return CB_OK;
}

void slot_insert(struct slot *s, struct slot *parent, u64 word)
{
    struct slot *before = parent ? parent : &tree;

    s->parent = parent;
    s->depth = (u16)(before->depth + 1);
    s->flags = 0;
    s->prev = before;
    s->next = before->next;
    before->next->prev = s;
    before->next = s;
    /* Pairs with the dependent reads of whoever finds the word: the object is complete before it can be named. */
    atomic_store_explicit(&s->word, word, memory_order_release);
}

/* Takes a slot out of the tree. */
static void slot_unlink(struct slot *s)
{
    s->prev->next = s->next;
    s->next->prev = s->prev;
    s->next = s->prev = s->parent = NULL;
    s->flags = 0;
}

/* New children lie behind all others, and come first in the tree. */
u64 slot_ram_used(const struct slot *ram)
{
    const struct slot *last = ram->next;
    enum cb_type type = slot_word_type(slot_word(last));

    if (!slot_has_children(ram))
        return 0;
    if (type != CB_TYPE_RAM && type != CB_TYPE_FRAME)
        return ram->ram.pages; /* an account, or its tombstone */
    return ((last->ram.base - ram->ram.base) >> PAGE_SHIFT) + last->ram.pages;
}

u64 slot_unmapped(const struct slot *s)
{
    switch (slot_word_type(slot_word(s))) {
    case CB_TYPE_MAPPING: return grace_next();
    case CB_TYPE_RAM:
    case CB_TYPE_FRAME: return s->ram.unmapped;
    default: return 0;
    }
}

/* Memory below `parent`, ram or a frame, can be reached until a grace period is over. */
static void slot_note_unmap(struct slot *parent, u64 epoch)
{
    if (parent)
        parent->ram.unmapped = MAX(parent->ram.unmapped, epoch);
}

/* Models: tests/model/settle.pml. */
bool slot_remove(struct slot *s)
{
    u64 word = slot_word(s);
    enum cb_type type = slot_word_type(word);
    struct object *obj = slot_word_object(word);

    if (s->flags & SLOT_TOMBSTONE)
        return false;

    if (type == CB_TYPE_MAPPING)
        space_unmap(&s->mapping.domain->space, s->mapping.address, s->mapping.pages);
    if (type == CB_TYPE_MAPPING || type == CB_TYPE_RAM || type == CB_TYPE_FRAME)
        slot_note_unmap(s->parent, slot_unmapped(s));
    atomic_store_explicit(&s->word, 0, memory_order_relaxed);
    if (slot_word_is_object(word) && obj->root == s) {
        reap_object(obj);
        obj->root = NULL;
        if (obj->type == CB_TYPE_ACCOUNT && account_bury((struct account *)obj, s))
            return false;
    }
    slot_unlink(s);
    return true;
}

void slot_exhume(struct slot *tombstone)
{
    slot_note_unmap(tombstone->parent, grace_next());
    slot_unlink(tombstone);
}

bool slot_shrink(struct slot *s)
{
    struct space *space;
    u64 pages;

    if (slot_word_type(slot_word(s)) != CB_TYPE_MAPPING)
        return false;
    space = &s->mapping.domain->space;
    pages = space_unmap_part(space, s->mapping.address, s->mapping.pages);
    if (pages == s->mapping.pages)
        return false;
    space_unmap(space, s->mapping.address, pages);
    s->mapping.address += pages << PAGE_SHIFT;
    s->mapping.pages -= pages;
    return true;
}

/* How many steps it takes to remove `s`. */
static u32 prune_steps(const struct slot *s)
{
    bool maps = slot_word_type(slot_word(s)) == CB_TYPE_MAPPING;

    return PRUNE_SLOT + (maps ? (u32)MIN(s->mapping.pages, SPACE_MAP_MAX) : 0);
}

enum slot_prune slot_prune(struct slot *s)
{
    struct slot *leaf = s, *parent;

    s->flags |= SLOT_REVOKING;
    for (u32 steps = 0; steps < PRUNE_STEPS; leaf = parent) { /* of which it was the first child */
        for (; slot_has_children(leaf); steps++)
            leaf = leaf->next;
        if (leaf == s) {
            s->flags &= (u16)~SLOT_REVOKING;
            return SLOT_DONE;
        }
        parent = leaf->parent;
        steps += prune_steps(leaf);
        if (slot_shrink(leaf))
            return SLOT_MORE;
        if (!slot_remove(leaf))
            return SLOT_BLOCKED;
    }
    return SLOT_MORE;
}
