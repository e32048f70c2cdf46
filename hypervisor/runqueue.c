/* SPDX-License-Identifier: GPL-2.0-only */
#include "sched.h"

void sched_cpu_init(struct runqueue *rq)
{
    for (u32 i = 0; i < CB_PRIORITIES; i++)
        list_init(&rq->queue[i]);
    for (u32 i = 0; i < ARRAY_SIZE(rq->bitmap); i++)
        rq->bitmap[i] = 0;
}

void runqueue_insert(struct runqueue *rq, struct sched *s, bool front)
{
    struct list *queue = &rq->queue[s->priority];

    if (front)
        list_prepend(queue, &s->node);
    else
        list_append(queue, &s->node);
    rq->bitmap[s->priority / 64] |= 1ull << s->priority % 64;
}

void runqueue_remove(struct runqueue *rq, struct sched *s)
{
    list_remove(&s->node);
    if (list_empty(&rq->queue[s->priority]))
        rq->bitmap[s->priority / 64] &= ~(1ull << s->priority % 64);
}

struct sched *runqueue_first(const struct runqueue *rq)
{
    for (u32 i = ARRAY_SIZE(rq->bitmap); i-- > 0;) {
        if (rq->bitmap[i]) {
            u32 priority = i * 64 + 63 - (u32)__builtin_clzll(rq->bitmap[i]);

            return CONTAINER_OF(rq->queue[priority].next, struct sched, node);
        }
    }
    return NULL;
}
