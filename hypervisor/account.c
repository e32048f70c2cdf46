/* SPDX-License-Identifier: GPL-2.0-only */
#include "account.h"

#include "call.h"
#include "space.h"
#include "kstring.h"

#define CLEAR_PAGES 16u /* that one step clears */

static const u16 class_size[ACCOUNT_CLASSES] = ACCOUNT_CLASS_SIZES;

/* A page that has never been given out. The first one of a granule brings that into the direct map. */
static void *account_fresh(struct account *top)
{
    u64 at = top->base + top->fresh++ * PAGE_SIZE;

    if (is_aligned(at, PAGE_2M))
        direct_map(at, PAGE_2M / PAGE_SIZE);
    return direct(at);
}

void *account_page_raw(struct account *a)
{
    struct account *top = a->top;
    void *page = top->free_pages;

    if (a->used >= a->quota)
        return NULL;
    if (page)
        top->free_pages = *(void **)page;
    else
        page = account_fresh(top);
    a->used++;
    return page;
}

void *account_page(struct account *a)
{
    void *page = account_page_raw(a);

    return page ? memset(page, 0, PAGE_SIZE) : NULL;
}

void account_page_free(struct account *a, void *page)
{
    if (!page)
        return;
    *(void **)page = a->top->free_pages;
    a->top->free_pages = page;
    a->used--;
}

static void slab_link(struct account *a, struct slab *s)
{
    s->prev = NULL;
    s->next = a->partial[s->class];
    if (s->next)
        s->next->prev = s;
    a->partial[s->class] = s;
}

static void slab_unlink(struct account *a, struct slab *s)
{
    if (s->next)
        s->next->prev = s->prev;
    if (s->prev)
        s->prev->next = s->next;
    else
        a->partial[s->class] = s->next;
}

static struct slab *slab_make(struct account *a, u32 class)
{
    struct slab *s = account_page(a);
    u32 size = class_size[class];

    if (!s)
        return NULL;
    s->class = class;
    for (u64 at = sizeof(*s); at + size <= PAGE_SIZE; at += size) {
        void **block = (void **)(void *)((char *)s + at);

        *block = s->free;
        s->free = block;
    }
    slab_link(a, s);
    return s;
}

void *account_object(struct account *a, u64 size, enum cb_type type)
{
    struct object *obj;
    struct slab *s;
    u32 class = 0;

    while (class < ACCOUNT_CLASSES && class_size[class] < size)
        class++;
    s = class < ACCOUNT_CLASSES ? a->partial[class] : NULL;
    if (!s && class < ACCOUNT_CLASSES)
        s = slab_make(a, class);
    if (!s)
        return NULL;

    obj = s->free;
    s->free = *(void **)obj;
    s->used++;
    if (!s->free)
        slab_unlink(a, s);
    memset(obj, 0, class_size[class]);
    obj->type = (u8)type;
    obj->account = a;
    return obj;
}

void account_object_free(struct object *obj)
{
    struct slab *s = (struct slab *)(void *)((uintptr_t)obj & ~(uintptr_t)(PAGE_SIZE - 1));
    struct account *a = obj->account;

    if (!s->free)
        slab_link(a, s);
    *(void **)obj = s->free;
    s->free = obj;
    if (--s->used == 0) {
        slab_unlink(a, s);
        account_page_free(a, s);
    }
}

struct account *account_top(u64 base, u64 pages)
{
    struct account *a = direct(base);

    direct_map(base, PAGE_2M / PAGE_SIZE);
    memset(a, 0, PAGE_SIZE);
    a->obj.type = CB_TYPE_ACCOUNT;
    a->top = a;
    a->quota = pages;
    a->used = 1;
    a->base = base;
    a->pages = pages;
    a->fresh = 1;
    return a;
}

/* Models: tests/model/settle.pml. Where the ram can still be reached, the call is to be made again after *wait. */
static status_t account_create_top(struct slot *ram, struct slot *dst, u64 *wait)
{
    struct account *a;

    if (slot_has_children(ram))
        return FAULT(BUSY, 0);
    if (!is_aligned(ram->ram.base, PAGE_2M) || !is_aligned(ram->ram.pages, PAGE_2M / PAGE_SIZE))
        return FAULT(BAD_PARAM, 0);
    if (ram->ram.pages > ACCOUNT_GRANULES_MAX * (PAGE_2M / PAGE_SIZE))
        return FAULT(TOO_LARGE, 0);
    if (!grace_over(ram->ram.unmapped)) {
        *wait = ram->ram.unmapped;
        return CALL_AGAIN;
    }

    a = account_top(ram->ram.base, ram->ram.pages);
    a->obj.root = dst;
    slot_insert(dst, ram, slot_word_make(CB_TYPE_ACCOUNT, CB_RIGHTS_ALL, a));
    return CB_OK;
}

static status_t account_create_child(struct account *parent, struct slot *dst, u64 pages)
{
    struct account *a;

    if (pages == 0)
        return FAULT(BAD_PARAM, 2);
    if (pages > parent->quota - parent->used)
        return FAULT(NO_MEMORY, 0);
    a = account_object(parent, sizeof(*a), CB_TYPE_ACCOUNT);
    if (!a)
        return FAULT(NO_MEMORY, 0);
    if (pages > parent->quota - parent->used) {
        account_object_free(&a->obj);
        return FAULT(NO_MEMORY, 0);
    }
    a->top = parent->top;
    a->quota = pages;
    parent->used += pages;
    call_install(dst, &a->obj, 0);
    return CB_OK;
}

static status_t account_create_locked(struct regs *r, u64 *wait)
{
    struct slot *source, *dst;
    status_t status = call_slot(CALL_SEL(r), CB_TYPE_NULL, 0, 0, &source);
    struct account *parent = NULL;
    enum cb_type type;
    u32 rights;

    if (status)
        return status;
    type = slot_word_type(slot_word(source));
    rights = slot_word_rights(slot_word(source));
    if (type != CB_TYPE_RAM && type != CB_TYPE_ACCOUNT)
        return FAULT(BAD_CAP, 0);
    if (!(rights & (type == CB_TYPE_RAM ? CB_RIGHT_SPLIT : CB_RIGHT_PAY)))
        return FAULT(BAD_RIGHT, 0);
    if (type == CB_TYPE_RAM && r->rdx != 0)
        return FAULT(BAD_PARAM, 2);
    if (type == CB_TYPE_RAM)
        status = slot_derivable(source, 0);
    else
        status = call_account(CALL_SEL(r), &parent);
    if (!status)
        status = call_destination(r->rsi, 1, &dst);
    if (status)
        return status;
    return parent ? account_create_child(parent, dst, r->rdx) : account_create_top(source, dst, wait);
}

status_t account_create(struct regs *r)
{
    status_t status;
    u64 wait = 0;

    if (CALL_FLAGS(r))
        return FAULT(BAD_PARAM, 0);
    lock_take(&tree_lock);
    status = account_create_locked(r, &wait);
    lock_drop(&tree_lock);
    return wait ? grace_settle(wait) : status;
}

bool account_bury(struct account *a, struct slot *root)
{
    if (a->obj.account)
        return false;
    root->flags |= SLOT_TOMBSTONE;
    a->tombstone = root;
    return true;
}

/* Clears what has ever been given out, some pages at a time, the account's own page last. */
static enum account_step account_clear(struct account *a)
{
    for (unsigned n = 0; a->fresh > 1; n++) {
        u64 at = a->base + (a->fresh - 1) * PAGE_SIZE;

        if (n == CLEAR_PAGES)
            return ACCOUNT_MORE;
        memset(direct(at), 0, PAGE_SIZE);
        if (is_aligned(at, PAGE_2M))
            direct_unmap(at, PAGE_2M / PAGE_SIZE);
        a->fresh--;
    }
    return ACCOUNT_DONE;
}

static enum account_step account_release_top(struct account *a)
{
    struct slot *tombstone = a->tombstone;
    u64 base = a->base;

    if (a->permanent)
        return ACCOUNT_DONE; /* the boot account: whoever destroys it has ended the system */
    if (account_clear(a) == ACCOUNT_MORE)
        return ACCOUNT_MORE;
    memset(a, 0, PAGE_SIZE);
    direct_unmap(base, PAGE_2M / PAGE_SIZE);
    slot_exhume(tombstone);
    return ACCOUNT_DONE;
}

enum account_step account_release(struct account *a)
{
    struct account *parent = a->obj.account;

    if (a->used > (parent ? 0 : 1))
        return ACCOUNT_GRACE;
    if (!parent)
        return account_release_top(a);
    parent->used -= a->quota;
    account_object_free(&a->obj);
    return ACCOUNT_DONE;
}
