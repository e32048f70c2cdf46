/* SPDX-License-Identifier: GPL-2.0-only */
#include "slot.h"

#include "account.h"
#include "caps.h"
#include "domain.h"
#include "reap.h"

struct lock tree_lock;

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

status_t slot_derivable(const struct slot *s, unsigned arg)
{
    u64 word = slot_word(s);

    if (s->flags & (SLOT_REVOKING | SLOT_TOMBSTONE))
        return FAULT(DYING, arg);
    if (slot_word_is_object(word) && ((const struct object *)slot_word_object(word))->dying)
        return FAULT(DYING, arg);
    if (s->depth >= SLOT_DEPTH_MAX)
        return FAULT(TOO_DEEP, arg);
    return CB_OK;
}

void slot_insert(struct slot *s, struct slot *parent, struct domain *d, u64 word)
{
    struct slot *before = parent ? parent : &tree;

    s->depth = before->depth + 1;
    s->flags = 0;
    s->domain = d;
    s->prev = before;
    s->next = before->next;
    before->next->prev = s;
    before->next = s;
    /* Pairs with the dependent reads of whoever finds the word: the object is complete before it can be named. */
    atomic_store_explicit(&s->word, word, memory_order_release);
}

struct slot *slot_leaf(struct slot *s)
{
    while (slot_has_children(s))
        s = s->next;
    return s;
}

void slot_unlink(struct slot *s)
{
    s->prev->next = s->next;
    s->next->prev = s->prev;
    s->next = s->prev = NULL;
    s->flags = 0;
}

bool slot_remove(struct slot *s)
{
    u64 word = slot_word(s);
    struct object *obj = slot_word_object(word);

    if (s->flags & SLOT_TOMBSTONE)
        return false;

    atomic_store_explicit(&s->word, 0, memory_order_relaxed);
    if (slot_word_type(word) == CB_TYPE_MAPPING) {
        space_unmap(&s->domain->space, s->mapping.address, s->mapping.pages);
        reap_note_unmap();
    } else if (slot_word_is_object(word) && obj->root == s) {
        reap_object(obj);
        obj->root = NULL;
        if (obj->type == CB_TYPE_ACCOUNT && account_bury((struct account *)obj, s))
            return false;
    }
    slot_unlink(s);
    return true;
}
