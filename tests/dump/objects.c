/* SPDX-License-Identifier: GPL-2.0-only */
/* Who knows whom: domains and their contexts, threads and their portals, callers and handlers, events and receivers. */
#include "dump.h"

#include "event.h"
#include "portal.h"
#include "thread.h"
#include "vcpu.h"

#define AREA "objects"

static const struct ctx *ctx_view(const struct thing *t)
{
    return (const struct ctx *)(const void *)t->obj;
}

static bool is_ctx(const struct thing *t)
{
    return t->obj->type == CB_TYPE_THREAD || t->obj->type == CB_TYPE_VCPU;
}

/* The context at a kernel address. */
static struct thing *ctx_expect(const struct ctx *kernel, const char *what)
{
    struct thing *t = thing_find(kernel);

    if (t && is_ctx(t))
        return t;
    bad("contexts", "%s: %p is no thread or vCPU", what, (const void *)kernel);
    return NULL;
}

/* ---- Lists that objects are on ---- */

static void check_domain_list(const struct thing *t)
{
    const struct list *head = KMEMBER(t->kernel, struct domain, contexts), *n;
    struct list_walk w;

    for (n = list_begin(&w, head, AREA); n; n = list_next(&w)) {
        struct thing *c = ctx_expect(KCONTAINER(n, struct ctx, domain_node), "a domain's context");

        if (!c)
            continue;
        c->in_domain++;
        if ((u64)ctx_view(c)->domain != t->kernel)
            bad(AREA, "%lx is on the list of a domain that is not its own", c->kernel);
    }
}

static void check_portal_list(const struct thing *t)
{
    const struct list *head = KMEMBER(t->kernel, struct thread, portals), *n;
    struct list_walk w;

    for (n = list_begin(&w, head, AREA); n; n = list_next(&w)) {
        struct thing *p = thing_expect(KCONTAINER(n, struct portal, node), CB_TYPE_PORTAL, AREA, "a thread's portal");

        if (!p)
            continue;
        p->in_portals++;
        if ((u64)((const struct portal *)(const void *)p->obj)->handler != t->kernel)
            bad(AREA, "portal %lx is on the list of a thread that is not its handler", p->kernel);
    }
}

static void check_event_list(const struct thing *t)
{
    const struct list *head = KMEMBER(t->kernel, struct vcpu, events), *n;
    struct list_walk w;

    for (n = list_begin(&w, head, AREA); n; n = list_next(&w)) {
        struct thing *e = thing_expect(KCONTAINER(n, struct event, vcpu_node), CB_TYPE_EVENT, AREA, "a vCPU's event");

        if (!e)
            continue;
        e->in_events++;
        if ((u64)((const struct event *)(const void *)e->obj)->receiver != t->kernel)
            bad(AREA, "event %lx is on the list of a vCPU that does not receive it", e->kernel);
    }
}

static void check_portal(const struct thing *t)
{
    const struct portal *p = (const struct portal *)(const void *)t->obj;
    struct thing *h = p->handler ? thing_expect(p->handler, CB_TYPE_THREAD, AREA, "a portal's handler") : NULL;

    seen("portals", 1);
    if (!h || !h->alive)
        bad(AREA, "portal %lx has no handler that is alive", t->kernel);
    else if (!((const struct thread *)(const void *)h->obj)->handler || p->cpu != ctx_view(h)->cpu)
        bad(AREA, "portal %lx and its handler do not fit", t->kernel);
    if (t->in_portals != 1)
        bad(AREA, "portal %lx is on %u handlers' lists", t->kernel, t->in_portals);
}

static void check_event(const struct thing *t)
{
    const struct event *e = (const struct event *)(const void *)t->obj;
    struct thing *c = e->receiver ? ctx_expect(e->receiver, "an event's receiver") : NULL;

    seen("events", 1);
    if (c && c->obj->type == CB_TYPE_THREAD) {
        seen("events that a thread waits for", 1);
        if ((u64)ctx_view(c)->event != t->kernel || ctx_view(c)->state != CTX_WAITING)
            bad(AREA, "event %lx: its receiver does not wait for it", t->kernel);
        if (e->pending)
            unquiet(AREA, "event %lx: somebody waits, though bits %lx are there", t->kernel, (u64)e->pending);
    }
    if (t->in_events != (c && c->obj->type == CB_TYPE_VCPU))
        bad(AREA, "event %lx is on %u vCPUs' lists", t->kernel, t->in_events);
}

void check_objects(void)
{
    for (u32 i = 0; i < thing_count; i++) {
        switch (things[i].obj->type) {
        case CB_TYPE_DOMAIN: check_domain_list(&things[i]); break;
        case CB_TYPE_THREAD: check_portal_list(&things[i]); break;
        case CB_TYPE_VCPU: check_event_list(&things[i]); break;
        default: break;
        }
    }
    for (u32 i = 0; i < thing_count; i++) {
        if (things[i].alive && things[i].obj->type == CB_TYPE_PORTAL)
            check_portal(&things[i]);
        if (things[i].alive && things[i].obj->type == CB_TYPE_EVENT)
            check_event(&things[i]);
    }
}

/* ---- Contexts ---- */

/*
 * Where a chain of calls ends that begins with `c`: what a scheduling context bound to it runs. Who waits for a handler
 * that is free is an end, too: it makes its call now.
 */
static const struct thing *chain_end(const struct thing *c)
{
    for (u32 n = 0; n < CTX_WALK_MAX; n++) {
        const struct thing *next = ctx_callee(ctx_view(c)) ? thing_find(ctx_callee(ctx_view(c))) : NULL;

        if (!next || !is_ctx(next) || (ctx_view(c)->state == CTX_HELPING && ctx_view(next)->state == CTX_IDLE))
            return c;
        c = next;
    }
    bad("contexts", "the chain of calls through %lx has no end", c->kernel);
    return c;
}

static bool is_handler(const struct thing *t)
{
    return t->obj->type == CB_TYPE_THREAD && ((const struct thread *)(const void *)t->obj)->handler;
}

/* A handler whose own scheduling context has nothing to do: no caller on another CPU, and others' time if any. */
static bool rests(const struct thing *t)
{
    const struct thread *h = (const struct thread *)(const void *)t->obj;

    return is_handler(t) && !h->remote.callers.root && (h->ctx.caller || h->ctx.state == CTX_IDLE);
}

static void check_waiters(const struct thing *t)
{
    const struct list *n;
    struct list_walk w;

    for (n = list_begin(&w, KMEMBER(t->kernel, struct ctx, waiters), "contexts"); n; n = list_next(&w)) {
        struct thing *c = ctx_expect(KCONTAINER(n, struct ctx, wait_node), "who waits for a handler");

        if (!c)
            continue;
        c->in_waiters++;
        if (ctx_view(c)->state != CTX_HELPING || (u64)ctx_view(c)->callee != t->kernel)
            bad("contexts", "%lx is on the list of those who wait for %lx, but does not", c->kernel, t->kernel);
    }
}

/* A scheduling context that is parked on `t`; NULL: it follows another one. */
static void check_parked(struct thing *s, const struct thing *t)
{
    const struct sched *sched = s ? (const struct sched *)(const void *)s->obj : NULL;
    struct thing *bound = sched && sched->bound ? ctx_expect(sched->bound, "whose scheduling context is parked") : NULL;

    if (!s)
        return;
    s->in_helpers++;
    if (sched->state != SCHED_PARKED)
        bad("contexts", "scheduling context %lx is parked, but says state %u", s->kernel, sched->state);
    if (!t || (bound == t && rests(t)))
        return;
    if (bound && chain_end(bound) != t)
        bad("contexts", "scheduling context %lx is parked on %lx, where its chain does not end", s->kernel, t->kernel);
    if (ctx_view(t)->state == CTX_READY)
        bad("contexts", "scheduling context %lx is parked on %lx, which could run", s->kernel, t->kernel);
}

/* helpers.h: the first of each priority is in the list, the others beside it. */
static void check_helpers(const struct list *head, const struct thing *t)
{
    const struct list *n, *p;
    struct list_walk w, equals;

    for (n = list_begin(&w, head, "contexts"); n; n = list_next(&w)) {
        struct thing *s = thing_expect(KCONTAINER(n, struct sched, node), CB_TYPE_SCHED, "contexts", "what is parked");

        check_parked(s, t);
        if (!s)
            continue;
        for (p = list_begin(&equals, KMEMBER(s->kernel, struct sched, equals), "contexts"); p; p = list_next(&equals))
            check_parked(thing_expect(KCONTAINER(p, struct sched, equals), CB_TYPE_SCHED, "contexts", "what is parked"), t);
    }
}

void check_followers(const struct thing *s)
{
    check_helpers(KMEMBER(s->kernel, struct sched, followers), NULL);
}

/* A call: both sides know of it. */
static void check_call(const struct thing *t)
{
    const struct ctx *c = ctx_view(t);
    struct thing *h = ctx_expect(c->callee, "who is called"), *p;

    if (!h)
        return;
    if ((u64)ctx_view(h)->caller != t->kernel)
        bad("contexts", "%lx is in a call to %lx, which does not know of it", t->kernel, h->kernel);
    p = thing_expect(ctx_view(h)->portal, CB_TYPE_PORTAL, "contexts", "through which a call came");
    if (p && (u64)((const struct portal *)(const void *)p->obj)->handler != h->kernel)
        bad("contexts", "%lx is called through a portal of somebody else", h->kernel);
}

static void check_state(const struct thing *t)
{
    const struct ctx *c = ctx_view(t);
    bool handler = is_handler(t);

    if (t->in_waiters != (c->state == CTX_HELPING))
        bad("contexts", "%lx, in state %u, is on the lists of %u handlers", t->kernel, c->state, t->in_waiters);
    if (c->caller) {
        struct thing *caller = ctx_expect(c->caller, "a caller");

        if (caller && ((u64)ctx_view(caller)->callee != t->kernel || ctx_view(caller)->state != CTX_CALLING))
            bad("contexts", "%lx has a caller that does not know of it", t->kernel);
        if (!handler || c->state == CTX_IDLE)
            bad("contexts", "%lx, in state %u, has a caller", t->kernel, c->state);
    }
    switch ((enum ctx_state)c->state) {
    case CTX_NEW: break;
    case CTX_READY: seen("contexts that can run", 1); break;
    case CTX_IDLE: seen("idle handlers", 1); break;
    case CTX_CALLING:
        seen("contexts in a call", 1);
        check_call(t);
        break;
    case CTX_HELPING: seen("contexts that wait for a busy handler", 1); break;
    case CTX_REMOTE:
        seen("contexts in a call to another CPU", 1);
        check_remote(t);
        break;
    case CTX_WAITING: seen("contexts that wait for an event", 1); break;
    case CTX_GRACE: seen("contexts that wait for a grace period", 1); break;
    case CTX_STOPPED: seen("stopped contexts", 1); break;
    default: bad("contexts", "%lx has state %u", t->kernel, c->state); break;
    }
    if (c->state == CTX_IDLE && !handler)
        bad("contexts", "%lx is idle, but no handler", t->kernel);
    if (c->state == CTX_WAITING && c->obj.type == CB_TYPE_THREAD && !thing_find(c->event))
        bad("contexts", "%lx waits for no event", t->kernel);
    if (c->state == CTX_WAITING && c->event && (u64)((const struct event *)AT(c->event))->receiver != t->kernel)
        bad("contexts", "%lx waits for an event that does not know of it", t->kernel);
}

/* Has the scheduling context bound to it something to run? */
static bool could_run(const struct thing *t)
{
    const struct ctx *end = ctx_view(chain_end(t));
    const struct thread *h = (const struct thread *)(const void *)t->obj;

    if (rests(t))
        return false;
    return end->state == CTX_READY || end->state == CTX_HELPING ||
           (is_handler(t) && end->state == CTX_IDLE && h->remote.callers.root);
}

/* A context that can run has time, or waits for it; one that cannot has none in a run queue. */
static void check_own_sched(const struct thing *t)
{
    const struct ctx *c = ctx_view(t);
    struct thing *s = c->sched ? thing_expect(c->sched, CB_TYPE_SCHED, "contexts", "what it is bound to") : NULL;
    const struct sched *sched = s ? (const struct sched *)(const void *)s->obj : NULL;

    if (!sched)
        return;
    if ((u64)sched->bound != t->kernel || sched->cpu != c->cpu)
        bad("contexts", "%lx and its scheduling context do not know of one another", t->kernel);
    if (could_run(t) && (sched->state == SCHED_UNBOUND || sched->state == SCHED_PARKED) && !c->post_ops)
        bad("contexts", "%lx could run, but its scheduling context is in state %u", t->kernel, sched->state);
    if (c->state == CTX_NEW && !c->post_ops)
        bad("contexts", "%lx has a scheduling context, but was never started", t->kernel);
}

void check_contexts(void)
{
    for (u32 i = 0; i < thing_count; i++) {
        if (things[i].alive && things[i].obj->type == CB_TYPE_PORTAL)
            check_remote_portal(&things[i]);
        if (!is_ctx(&things[i]))
            continue;
        if (is_handler(&things[i]))
            check_remote_server(&things[i]);
        check_waiters(&things[i]);
        check_helpers(KMEMBER(things[i].kernel, struct ctx, helpers), &things[i]);
    }
    for (u32 i = 0; i < thing_count; i++) {
        struct thing *t = &things[i];

        if (!is_ctx(t))
            continue;
        seen("threads and vCPUs", 1);
        check_state(t);
        check_own_sched(t);
        if (t->alive && (t->in_domain != 1 || !thing_find(ctx_view(t)->domain)))
            bad(AREA, "%lx is on %u domains' lists", t->kernel, t->in_domain);
        if (ctx_view(t)->post_ops)
            unquiet("contexts", "%lx has work posted: %x", t->kernel, (u32)ctx_view(t)->post_ops);
    }
}
