/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Scheduling contexts that are parked on a context: by priority, equals in the order in which they came. The first of
 * each priority is in the list, linked by `node`, the others are linked to it by `equals`: so whatever concerns all of
 * them takes a step for each priority at most. When the context can go on, only the best one is put into the run
 * queue; the others follow it: each, when it is picked, brings in the next. Tested on the host.
 */
#ifndef HELPERS_H
#define HELPERS_H

#include "sched.h"

static inline struct sched *helpers_of(struct list *node)
{
    return CONTAINER_OF(node, struct sched, node);
}

/* The place in the list for what has this priority: the first that has the same or a lower one; or its head. */
static inline struct list *helpers_place(struct list *head, u8 priority)
{
    struct list *l = head->next;

    while (l != head && helpers_of(l)->priority > priority)
        l = l->next;
    return l;
}

/* All `equals` of `s`, and itself, go into the list. */
static inline void helpers_insert_all(struct list *head, struct sched *s)
{
    struct list *l = helpers_place(head, s->priority);

    if (l == head || helpers_of(l)->priority != s->priority)
        list_append(l, &s->node);
    else
        list_join(&helpers_of(l)->equals, &s->equals);
}

/* `s` is in no list. What has run has been taken off the run queue, and its node still says where it was. */
static inline void helpers_insert(struct list *head, struct sched *s)
{
    if (list_empty(head)) {
        list_append(head, &s->node);
    } else {
        list_init(&s->node);
        helpers_insert_all(head, s);
    }
}

/* In some list, or in none. */
static inline void helpers_remove(struct sched *s)
{
    if (!list_empty(&s->equals)) {
        struct sched *next = CONTAINER_OF(s->equals.next, struct sched, equals);

        if (!list_empty(&s->node))
            list_append(&s->node, &next->node);
        list_remove(&s->equals);
    }
    list_remove(&s->node);
}

/* Takes the first out of the list, which is not empty; the others are its followers. */
static inline struct sched *helpers_lead(struct list *head)
{
    struct sched *s = helpers_of(head->next);

    helpers_remove(s);
    list_move(&s->followers, head);
    return s;
}

/* The followers of `s` go into the list. */
static inline void helpers_merge(struct list *head, struct sched *s)
{
    while (!list_empty(&s->followers)) {
        struct list *l = s->followers.next;

        list_remove(l);
        helpers_insert_all(head, helpers_of(l));
    }
}

#endif
