/* SPDX-License-Identifier: GPL-2.0-only */
/* Circular doubly linked lists, intrusive. A node that is on no list points to itself. */
#ifndef LIST_H
#define LIST_H

#include "types.h"

struct list {
    struct list *next, *prev;
};

static inline void list_init(struct list *l)
{
    l->next = l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
    return l->next == l;
}

static inline void list_append(struct list *head, struct list *node)
{
    node->next = head;
    node->prev = head->prev;
    head->prev->next = node;
    head->prev = node;
}

static inline void list_prepend(struct list *head, struct list *node)
{
    list_append(head->next, node); /* any node can be seen as the head */
}

static inline void list_remove(struct list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}

/* The ring of `other` becomes part of that of `l`, before it. */
static inline void list_join(struct list *l, struct list *other)
{
    struct list *last = other->prev;

    l->prev->next = other;
    other->prev = l->prev;
    last->next = l;
    l->prev = last;
}

/* All that is in the list `from` is in `to`, which was empty, and `from` is empty. */
static inline void list_move(struct list *to, struct list *from)
{
    list_append(from, to);
    list_remove(from);
}

#endif
