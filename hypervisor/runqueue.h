/* SPDX-License-Identifier: GPL-2.0-only */
/* Pure queue operations, tested on the host; inline, since every switch needs them. */
#ifndef RUNQUEUE_H
#define RUNQUEUE_H

#include "sched.h"

static inline void runqueue_init(struct runqueue *rq)
{
    for (u32 i = 0; i < CB_PRIORITIES; i++)
        list_init(&rq->queue[i]);
    for (u32 i = 0; i < ARRAY_SIZE(rq->bitmap); i++)
        rq->bitmap[i] = 0;
}

static inline u64 *runqueue_word(struct runqueue *rq, u32 priority)
{
    return &rq->bitmap[priority / 64 % ARRAY_SIZE(rq->bitmap)];
}

static inline void runqueue_insert(struct runqueue *rq, struct sched *s, bool front)
{
    u32 priority = s->priority;
    struct list *queue = &rq->queue[priority];

    *runqueue_word(rq, priority) |= s->bit;
    list_append(front ? queue->next : queue, &s->node); /* before the first, or the head */
}

static inline void runqueue_remove(struct runqueue *rq, struct sched *s)
{
    list_remove(&s->node);
    if (list_empty(&rq->queue[s->priority]))
        *runqueue_word(rq, s->priority) &= ~s->bit;
}

/* Removes the first of its priority. True: there is another. */
static inline bool runqueue_pop(struct runqueue *rq, struct sched *s)
{
    struct list *queue = s->node.prev, *next = s->node.next;

    queue->next = next;
    next->prev = queue;
    if (next != queue)
        return true;
    *runqueue_word(rq, s->priority) &= ~s->bit;
    return false;
}

static inline bool runqueue_is_empty(const struct runqueue *rq)
{
    u64 all = 0;

    for (u32 i = 0; i < ARRAY_SIZE(rq->bitmap); i++)
        all |= rq->bitmap[i];
    return all == 0;
}

static inline struct sched *runqueue_first(const struct runqueue *rq)
{
    for (u32 i = ARRAY_SIZE(rq->bitmap); i-- > 0;) {
        if (rq->bitmap[i]) {
            u32 priority = i * 64 + (63 ^ (u32)__builtin_clzll(rq->bitmap[i]));

            return CONTAINER_OF(rq->queue[priority].next, struct sched, node);
        }
    }
    return NULL;
}

#endif
