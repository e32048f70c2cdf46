/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Calls between CPUs. The caller c lives on CPU A, the handler h on B, which has a scheduling context of its own. c
 * queues at h and blocks (CTX_REMOTE); chains of calls end there, so that each lies on one CPU. (A vCPU that wants upcalls
 * meanwhile calls in the same way, on its own CPU too.) When h's scheduling context is picked and h is idle, B takes the
 * first caller, copies its message and runs h. The reply is copied into c by B as well; A only makes c ready again. Each side is told by a post (CTX_OP_CALLED, CTX_OP_REPLIED).
 *
 * All links between c and h are guarded by B's post_lock, which is never held while messages are copied, anything is
 * posted or another lock is taken. `state` decides who may do what; it only goes forward:
 *
 *   QUEUED -> SERVED      B takes c from the queue
 *   SERVED -> REPLYING    B: h replies. From now on c belongs to B until REPLIED: it is in no list, an abort at A
 *                         finds the call as good as finished and does nothing
 *   REPLYING -> REPLIED   B has written the reply; then it posts
 *   QUEUED, SERVED -> LOST  whoever destroys the handler, its scheduling context or the portal, or B if h stops: then
 *                         a post; or A itself, when c is recalled or killed
 *
 * What can meet:
 * - A recalls c while B copies its message: h begins all the same, without a caller, as if the recall had come just
 *   afterwards; the message is c's own memory in any case.
 * - A post comes late, when c is in its next call already: remote_finish() goes by the state, which is not final then.
 * - A vCPU may stop waiting, when an upcall is due (`outstanding`), while all goes on; so message and reply stand in
 *   c->remote, and its UTCB is the call's until A has taken the reply.
 * - A queues, breaks off and queues again as fast as it can: it interrupts B only if `called` is clear, which B's
 *   scheduler does, under the lock, when it has found the queue empty.
 * - A queues while the handler or portal dies: `open` is cleared, and the portal marked as dying, before the lock is
 *   taken to break off what is queued. A looks at both under the lock: either it sees that, or what it has queued is
 *   broken off.
 * - h is taken apart: thread_kill() empties its queue before h is told to let go, so a linked h exists.
 * - B uses c without the lock, while A kills it: a context is marked as dying before the grace period begins that its
 *   memory waits for. B uses only a c that it saw alive under the lock, so that B had not passed that grace period
 *   then, and does not before it leaves the kernel. A dying c is unlinked and left to A. (A linked c alone would not
 *   do: A unlinks it late in that grace period, when B may have passed it.) The same goes for c's domain, which
 *   dies after its contexts.
 * - Circles of calls between CPUs are not detected: they block until somebody recalls one of the callers.
 */
#include "remote.h"

#include "call.h"
#include "portal.h"
#include "thread.h"
#include "vcpu.h"

static bool is_dying(const struct object *obj)
{
    return __atomic_load_n(&obj->dying, __ATOMIC_RELAXED);
}

/* Ends the link between `c`, QUEUED or SERVED, and its handler. post_lock held. */
static void unlink(struct ctx *c, enum remote_state state)
{
    struct remote_server *server = &c->remote.portal->handler->remote;

    if (c->remote.state == REMOTE_QUEUED)
        timerq_remove(&server->callers, &c->remote.place);
    else
        __atomic_store_n(&server->serving, NULL, __ATOMIC_RELAXED);
    list_remove(&c->remote.node);
    c->remote.state = (u8)state;
}

static struct ctx *first_caller(const struct remote_server *server)
{
    struct timer *first = server->callers.first;

    return first ? CONTAINER_OF(first, struct ctx, remote.place) : NULL;
}

/* ---- The caller's CPU ---- */

static enum remote_state state_of(struct ctx *c)
{
    struct cpu *home = cpu_of(c->remote.cpu);
    enum remote_state state;

    lock_take(&home->post_lock);
    state = (enum remote_state)c->remote.state;
    lock_drop(&home->post_lock);
    return state;
}

/* Highest priority first. True: the handler's CPU is to be told. post_lock held. */
static bool enqueue(struct ctx *c, struct portal *p, struct thread *t, u32 priority)
{
    bool tell = !t->remote.called;

    t->remote.called = true;
    c->remote.portal = p;
    c->remote.state = REMOTE_QUEUED;
    list_append(&p->callers, &c->remote.node);
    timerq_insert(&t->remote.callers, &c->remote.place, CB_PRIORITIES - priority);
    return tell;
}

static void save_words(u64 words[5], const struct regs *r)
{
    words[0] = r->rsi;
    words[1] = r->rdx;
    words[2] = r->r8;
    words[3] = r->r9;
    words[4] = r->r10;
}

/* Breaks off a call that is outstanding. False: its reply is being written; it will be over in a moment. */
static bool drop(struct ctx *c)
{
    if (c->remote.outstanding && !remote_leave(c) && state_of(c) == REMOTE_REPLYING)
        return false;
    c->remote.outstanding = false;
    return true;
}

/* The call of `c` is queued: it waits for the reply, unless an upcall is due and counts. */
static status_t await_reply(struct ctx *c)
{
    if (c->remote.upcalls && !vcpu_listen(vcpu_of(c))) {
        c->remote.outstanding = true;
        return FAULT(INTERRUPTED, 0);
    }
    ctx_block(c, CTX_REMOTE);
    return CALL_BLOCKED;
}

status_t remote_call(struct ctx *c, struct portal *p, bool upcalls)
{
    struct cpu *home = cpu_of(p->cpu);
    struct thread *t = portal_handler(p);
    bool open, tell = false;

    if (!t)
        return FAULT(ABORTED, 0);
    if (!drop(c))
        return CALL_AGAIN;
    c->remote.cpu = p->cpu;
    c->remote.upcalls = upcalls;
    save_words(c->remote.words, &c->regs);
    lock_take(&home->post_lock);
    open = t->remote.open && !is_dying(&p->obj);
    if (open)
        tell = enqueue(c, p, t, cpu.sched ? cpu.sched->priority : 0);
    lock_drop(&home->post_lock);
    if (!open && (is_dying(&p->obj) || is_dying(&t->ctx.obj) || ctx_has_stopped(&t->ctx)))
        return FAULT(ABORTED, 0);
    if (!open)
        return FAULT(BAD_CPU, 0);
    if (!ctx_is_vcpu(c))
        thread_of(c)->calls++;
    if (tell)
        ctx_post(&t->ctx, CTX_OP_CALLED);
    return await_reply(c);
}

/* The call is over: takes the reply. Anything else: it is not. */
static status_t take_reply(struct ctx *c)
{
    enum remote_state state = state_of(c);

    if (state != REMOTE_REPLIED && state != REMOTE_LOST)
        return CALL_BLOCKED;
    c->remote.outstanding = false;
    if (state == REMOTE_LOST)
        return FAULT(ABORTED, 0);
    c->regs.rsi = c->remote.words[0];
    c->regs.rdx = c->remote.words[1];
    c->regs.r8 = c->remote.words[2];
    c->regs.r9 = c->remote.words[3];
    c->regs.r10 = c->remote.words[4];
    return CB_OK;
}

status_t remote_resume(struct ctx *c)
{
    status_t status;

    if (!c->remote.outstanding)
        return FAULT(EMPTY, 0);
    status = take_reply(c);
    return status == CALL_BLOCKED ? await_reply(c) : status;
}

status_t remote_drop(struct ctx *c)
{
    return drop(c) ? CB_OK : CALL_AGAIN;
}

void remote_interrupt(struct ctx *c)
{
    c->remote.outstanding = true;
    ctx_finish(c, FAULT(INTERRUPTED, 0));
}

void remote_recall(struct ctx *c)
{
    if (c->remote.outstanding && c->state != CTX_REMOTE)
        (void)remote_leave(c);
}

bool remote_leave(struct ctx *c)
{
    struct cpu *home = cpu_of(c->remote.cpu);
    bool linked;

    lock_take(&home->post_lock);
    linked = c->remote.state == REMOTE_QUEUED || c->remote.state == REMOTE_SERVED;
    if (linked)
        unlink(c, REMOTE_LOST);
    lock_drop(&home->post_lock);
    return linked;
}

void remote_finish(struct ctx *c)
{
    status_t status = c->state == CTX_REMOTE ? take_reply(c) : CALL_BLOCKED;

    if (status != CALL_BLOCKED)
        ctx_finish(c, status);
}

/* ---- The handler's CPU ---- */

void remote_called(struct ctx *h)
{
    if (!h->sched || h->sched->state != SCHED_PARKED)
        return;
    sched_dequeue(h->sched);
    sched_enqueue(h->sched);
}

/*
 * The first caller, which `h` serves from now on, its registers set; NULL: there is none. Interrupts are open for a
 * moment after each one that is dying, since there may be many.
 */
static struct ctx *take_caller(struct ctx *h, u32 *level)
{
    struct remote_server *server = &thread_of(h)->remote;
    struct ctx *c;

    lock_take(&cpu.post_lock);
    while ((c = first_caller(server)) != NULL && is_dying(&c->obj)) {
        unlink(c, REMOTE_LOST);
        lock_drop(&cpu.post_lock);
        (void)!kernel_preempt();
        lock_take(&cpu.post_lock);
    }
    if (!c) {
        server->called = false;
    } else {
        timerq_remove(&server->callers, &c->remote.place);
        c->remote.state = REMOTE_SERVED;
        __atomic_store_n(&server->serving, c, __ATOMIC_RELAXED);
        *level = c->remote.portal->level;
        ipc_enter(h, c->remote.portal, c->remote.words[0], c->remote.words[1], c->remote.words[2], c->remote.words[3],
                  c->remote.words[4]);
    }
    lock_drop(&cpu.post_lock);
    return c;
}

/* `h` has a caller of its own CPU: does somebody wait behind that? If not, it is to be told of the next one. */
static bool has_callers(struct remote_server *server)
{
    lock_take(&cpu.post_lock);
    server->called = server->callers.first != NULL;
    lock_drop(&cpu.post_lock);
    return server->called;
}

bool remote_next(struct ctx *h)
{
    struct ctx *c;
    u32 level;

    if (h->caller)
        return has_callers(&thread_of(h)->remote);
    if (h->state != CTX_IDLE)
        return true;
    c = take_caller(h, &level);
    if (!c)
        return false;
    ipc_transfer(c, h, h->regs.r10);
    h->state = CTX_READY;
    h->left = (u16)level;
    return true;
}

bool remote_serving(const struct thread *t)
{
    return __atomic_load_n(&t->remote.serving, __ATOMIC_RELAXED) != NULL;
}

/* Whom `h` serves, now in state REPLYING; NULL: nobody who could still take an answer. */
static struct ctx *begin_reply(struct ctx *h)
{
    struct ctx *c;
    bool alive;

    lock_take(&cpu.post_lock);
    c = thread_of(h)->remote.serving;
    alive = c && !is_dying(&c->obj);
    if (c)
        unlink(c, alive ? REMOTE_REPLYING : REMOTE_LOST);
    lock_drop(&cpu.post_lock);
    return alive ? c : NULL;
}

void remote_reply(struct ctx *h, const struct regs *r)
{
    struct ctx *c = remote_serving(thread_of(h)) ? begin_reply(h) : NULL;

    if (!c)
        return;
    ipc_transfer(h, c, r->r10);
    lock_take(&cpu.post_lock);
    save_words(c->remote.words, r);
    c->remote.state = REMOTE_REPLIED;
    lock_drop(&cpu.post_lock);
    ctx_post(c, CTX_OP_REPLIED);
}

void remote_stop(struct ctx *h)
{
    while (!remote_close(thread_of(h)))
        (void)!kernel_preempt();
}

/* ---- Any CPU ---- */

void remote_open(struct thread *t)
{
    struct cpu *home = cpu_of(t->ctx.cpu);

    lock_take(&home->post_lock);
    t->remote.open = !ctx_has_stopped(&t->ctx);
    lock_drop(&home->post_lock);
}

/*
 * Breaks off the call of `c` (NULL: none); drops the post_lock, which is held. A dying caller hears nothing more, and
 * must not be touched without the lock (unless tree_lock is held).
 */
static void lose(struct cpu *home, struct ctx *c)
{
    bool tell = c && !is_dying(&c->obj);

    if (c)
        unlink(c, REMOTE_LOST);
    lock_drop(&home->post_lock);
    if (tell)
        ctx_post(c, CTX_OP_REPLIED);
}

bool remote_close(struct thread *t)
{
    struct cpu *home = cpu_of(t->ctx.cpu);
    struct ctx *c = &t->ctx;

    for (unsigned n = 0; c && n < REAP_BATCH; n++) {
        lock_take(&home->post_lock);
        t->remote.open = false;
        c = t->remote.serving ? t->remote.serving : first_caller(&t->remote);
        lose(home, c);
    }
    return !c;
}

bool remote_close_portal(struct portal *p)
{
    struct cpu *home = cpu_of(p->cpu);
    bool more = true;

    for (unsigned n = 0; more && n < REAP_BATCH; n++) {
        lock_take(&home->post_lock);
        more = !list_empty(&p->callers);
        lose(home, more ? CONTAINER_OF(p->callers.next, struct ctx, remote.node) : NULL);
    }
    return !more;
}
