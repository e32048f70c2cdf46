/* SPDX-License-Identifier: GPL-2.0-only */
/* Calls between CPUs: callers, the queues of handlers, and the lists of portals. */
#include "dump.h"

#include "portal.h"
#include "thread.h"

#define AREA "contexts"
#define CALLERS_MAX 100000u

static const struct remote *remote_of(const struct thing *c)
{
    return &((const struct ctx *)(const void *)c->obj)->remote;
}

static bool calls(const struct thing *c, u64 handler)
{
    const struct thing *p = thing_find(remote_of(c)->portal);

    return p && p->obj->type == CB_TYPE_PORTAL && (u64)((const struct portal *)(const void *)p->obj)->handler == handler;
}

/* A thread or vCPU that says of its call what `state` is. */
static struct thing *caller_expect(const struct ctx *kernel, u64 handler, enum remote_state state)
{
    struct thing *c = thing_find(kernel);

    if (!c || (c->obj->type != CB_TYPE_THREAD && c->obj->type != CB_TYPE_VCPU)) {
        bad(AREA, "%lx has a caller on another CPU that is no context: %p", handler, (const void *)kernel);
        return NULL;
    }
    if ((((const struct ctx *)(const void *)c->obj)->state != CTX_REMOTE && !remote_of(c)->outstanding) || remote_of(c)->state != (u8)state ||
        !calls(c, handler))
        bad(AREA, "%lx, in state %u, is said to call %lx", c->kernel, remote_of(c)->state, handler);
    return c;
}

struct walk {
    u64 handler;
    u32 count;
    u64 last;
    const struct timer *first;
};

static void queue_tree(struct walk *w, const struct timer *kernel, const struct timer *parent, u32 rank, u32 depth)
{
    const struct timer *t = kernel ? dump_at(kernel, sizeof(*t)) : NULL;
    struct thing *c;

    if (!kernel)
        return;
    if (!t || t->parent != parent || t->rank > rank || !t->queued || depth > 1000 || w->count++ > CALLERS_MAX) {
        bad(AREA, "the callers of %lx on other CPUs are no tree at %p", w->handler, (const void *)kernel);
        return;
    }
    queue_tree(w, t->child[0], kernel, t->rank, depth + 1);
    if (!w->first)
        w->first = kernel;
    if (t->when < w->last)
        bad(AREA, "the callers of %lx on other CPUs are out of order at %p", w->handler, (const void *)kernel);
    w->last = t->when;
    c = caller_expect(KCONTAINER(kernel, struct ctx, remote.place), w->handler, REMOTE_QUEUED);
    if (c)
        c->in_remote++;
    queue_tree(w, t->child[1], kernel, t->rank, depth + 1);
}

void check_remote_server(const struct thing *t)
{
    const struct thread *h = (const struct thread *)(const void *)t->obj;
    struct walk w = { .handler = t->kernel };
    struct thing *c;

    queue_tree(&w, h->remote.callers.root, NULL, UINT32_MAX, 0);
    if (h->remote.callers.first != w.first)
        bad(AREA, "the first caller of %lx is not the first one", t->kernel);
    if (h->remote.serving) {
        c = caller_expect(h->remote.serving, t->kernel, REMOTE_SERVED);
        if (c)
            c->in_remote++;
        if (h->ctx.state == CTX_IDLE || h->ctx.caller)
            bad(AREA, "%lx, in state %u, serves another CPU", t->kernel, h->ctx.state);
    }
    if ((w.count || h->remote.serving) && !h->remote.open)
        bad(AREA, "%lx has callers on other CPUs, but takes none", t->kernel);
    if (h->remote.open && (!h->ctx.sched || h->ctx.state == CTX_STOPPED))
        bad(AREA, "%lx takes calls from other CPUs, but cannot serve them", t->kernel);
}

void check_remote_portal(const struct thing *t)
{
    const struct list *n;
    struct list_walk w;

    for (n = list_begin(&w, KMEMBER(t->kernel, struct portal, callers), AREA); n; n = list_next(&w)) {
        struct thing *c = thing_find(KCONTAINER(n, struct ctx, remote.node));

        if (!c || (u64)remote_of(c)->portal != t->kernel)
            bad(AREA, "portal %lx has a caller on another CPU that does not know of it", t->kernel);
        else
            c->in_remote_portal++;
    }
}

void check_remote(const struct thing *t)
{
    enum remote_state state = (enum remote_state)remote_of(t)->state;
    bool linked = state == REMOTE_QUEUED || state == REMOTE_SERVED;

    if (t->in_remote != linked || t->in_remote_portal != linked)
        bad(AREA, "%lx, in a call to another CPU in state %u, is known to %u handlers and %u portals", t->kernel, state,
            t->in_remote, t->in_remote_portal);
    if (!linked)
        unquiet(AREA, "%lx has not heard yet that its call to another CPU is over", t->kernel);
}
