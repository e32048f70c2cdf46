/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A red-black tree would bound the depth; a treap bounds it with overwhelming probability in a third of the code: a
 * search tree by time that is a heap by a random rank, drawn when a timer is queued.
 */
#include "timerq.h"

static u32 rank_draw(void)
{
    static _Atomic u32 state = 0x2545f491;
    u32 x = state;

    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    state = x;
    return x;
}

/* Puts `t` where `old` hangs below `parent`. */
static void replace(struct timerq *q, struct timer *parent, const struct timer *old, struct timer *t)
{
    if (!parent)
        q->root = t;
    else
        parent->child[parent->child[1] == old] = t;
    if (t)
        t->parent = parent;
}

/* Exchanges `t` with its child on `side`, keeping the order. */
static void rotate(struct timerq *q, struct timer *t, unsigned side)
{
    struct timer *up = t->child[side];

    replace(q, t->parent, t, up);
    t->child[side] = up->child[!side];
    if (t->child[side])
        t->child[side]->parent = t;
    up->child[!side] = t;
    t->parent = up;
}

void timerq_insert(struct timerq *q, struct timer *t, u64 when)
{
    struct timer *parent = NULL, **at = &q->root;

    while (*at) {
        parent = *at;
        at = &parent->child[when >= parent->when];
    }
    t->when = when;
    t->rank = rank_draw();
    t->child[0] = t->child[1] = NULL;
    t->parent = parent;
    t->queued = 1;
    *at = t;
    if (!q->first || when < q->first->when)
        q->first = t;
    while (t->parent && t->parent->rank < t->rank)
        rotate(q, t->parent, t->parent->child[1] == t);
}

/* The timer behind `t` in time. */
static struct timer *successor(const struct timer *t)
{
    struct timer *s = t->child[1];

    if (s) {
        while (s->child[0])
            s = s->child[0];
        return s;
    }
    while (t->parent && t->parent->child[1] == t)
        t = t->parent;
    return t->parent;
}

void timerq_remove(struct timerq *q, struct timer *t)
{
    if (!t->queued)
        return;
    if (q->first == t)
        q->first = successor(t);
    while (t->child[0] && t->child[1])
        rotate(q, t, t->child[1]->rank > t->child[0]->rank);
    replace(q, t->parent, t, t->child[t->child[0] == NULL]);
    t->queued = 0;
}
