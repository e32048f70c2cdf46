/* SPDX-License-Identifier: GPL-2.0-only */
/* malloc: a list of free blocks, sorted by address and merged; first fit. Grows by pages and never shrinks. */
#include <stdlib.h>

#include "lock.h"
#include "pages.h"
#include "panic.h"

#include <corbel/types.h>

#include <string.h>

#define GROW_PAGES 16u
#define ALIGN 16u
#define IN_USE 0x6b636f6c62206e69ull

/* Before each block; a free one has the link in place of the mark. */
struct block {
    size_t size; /* bytes with this header, a multiple of ALIGN */
    union {
        uint64_t mark;
        struct block *next;
    };
};
_Static_assert(sizeof(struct block) == ALIGN, "keeps blocks aligned");

static struct lock lock;
static struct block *first; /* lock */

static struct block *after(struct block *block)
{
    return (struct block *)((uint8_t *)block + block->size);
}

/* Puts a block into the list. The caller holds the lock. */
static void insert(struct block *block)
{
    struct block **link = &first, *last = NULL;

    while (*link && *link < block) {
        last = *link;
        link = &last->next;
    }
    block->next = *link;
    *link = block;
    if (block->next && after(block) == block->next) {
        block->size += block->next->size;
        block->next = block->next->next;
    }
    if (last && after(last) == block) {
        last->size += block->size;
        last->next = block->next;
    }
}

/* Takes a block of `size` bytes off the list, NULL if there is none. The caller holds the lock. */
static struct block *take(size_t size)
{
    for (struct block **link = &first; *link; link = &(*link)->next) {
        struct block *block = *link;

        if (block->size < size)
            continue;
        if (block->size - size < 2 * sizeof(*block)) {
            *link = block->next;
            return block;
        }
        block->size -= size;
        block = after(block);
        block->size = size;
        return block;
    }
    return NULL;
}

static struct block *grow(size_t size)
{
    size_t pages = (size + CB_PAGE_SIZE - 1) / CB_PAGE_SIZE;

    if (pages < GROW_PAGES)
        pages = GROW_PAGES;
    struct block *block = pages_alloc(pages);

    if (block == NULL)
        return NULL;
    block->size = pages * CB_PAGE_SIZE;
    insert(block);
    return take(size);
}

void *malloc(size_t size)
{
    if (size > SIZE_MAX / 2)
        return NULL;
    size = (size + sizeof(struct block) + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    lock_take(&lock);
    struct block *block = take(size);

    if (block == NULL)
        block = grow(size);
    if (block)
        block->mark = IN_USE;
    lock_release(&lock);
    return block ? block + 1 : NULL;
}

void free(void *memory)
{
    if (memory == NULL)
        return;
    struct block *block = (struct block *)memory - 1;

    if (block->mark != IN_USE)
        panic("free(%p): not a block in use", memory);
    lock_take(&lock);
    insert(block);
    lock_release(&lock);
}
