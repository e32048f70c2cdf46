/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Execution contexts: what threads and vCPUs have in common.
 *
 * A context lives on one CPU. Everything here that is not marked otherwise is read and written by that CPU
 * alone, with interrupts off, without locks; other CPUs post work to it (ctx_post()). The kernel has one stack
 * per CPU and never blocks on it: a context that waits has left the kernel's stack, and whoever ends its
 * wait writes the result into its registers.
 *
 * Scheduling contexts are passed along calls: the one that is running is cpu->sched, the context that it
 * runs cpu->current. What it runs is found by following `callee` from the context that it is bound to (sched.c).
 */
#ifndef CTX_H
#define CTX_H

#include <stdatomic.h>

#include "cpu.h"
#include "list.h"
#include "object.h"
#include "reap.h"
#include "regs.h"
#include "remote.h"
#include "timerq.h"

struct cb_utcb;
struct domain;
struct event;
struct portal;
struct sched;
struct thread;
struct vcpu;

enum ctx_state {
    CTX_NEW,      /* no scheduling context has been bound yet (threads that are not handlers, vCPUs) */
    CTX_READY,    /* can run: runs, or its scheduling context is queued */
    CTX_IDLE,     /* handler: waits for a call */
    CTX_CALLING,  /* in a call: `callee` works for it */
    CTX_HELPING,  /* waits until the handler `callee` is free, to make its call (again); its scheduling context helps */
    CTX_REMOTE,   /* in a call that queues at its handler, on another CPU or with UPCALLS: `remote` */
    CTX_WAITING,  /* on `event`, or (vCPU) halted until an upcall */
    CTX_GRACE,    /* waits for a grace period, then makes its call again: revoke, ram_split and others */
    CTX_STOPPED,  /* for good: a fault or exit that nobody handles; or killed */
};

/* Work that other CPUs post. */
#define CTX_OP_KILL 0x1u    /* let go of everything; it will be freed */
#define CTX_OP_RECALL 0x2u
#define CTX_OP_WAKE 0x4u    /* the event waited on, or the event page, has news */
#define CTX_OP_START 0x8u   /* a scheduling context was bound */
#define CTX_OP_UNSCHED 0x10u /* its scheduling context is dying */
#define CTX_OP_EVENT_GONE 0x20u /* the event waited on is dying */
#define CTX_OP_PORTAL_GONE 0x40u /* a portal of this handler is dying, perhaps the one that its caller came through */
#define CTX_OP_CALLED 0x80u /* somebody has queued to call this handler */
#define CTX_OP_REPLIED 0x100u /* the call that has queued is over */
#define CTX_OP_WORKING 0x200u /* not an operation: some are being carried out */

/*
 * What a context that is no handler has `left`: so many calls may be nested. Exceptions may be raised below that, and
 * behind a wait for a busy handler another chain may begin; one that is longer than CTX_WALK_MAX is not followed: the
 * call that it begins with is broken off.
 */
#define CTX_CHAIN_MAX CB_LEVELS
#define CTX_WALK_MAX (4 * CTX_CHAIN_MAX)

/* ctx->flags: a reply to such a context is no matter of registers alone. */
#define CTX_FLAG_VCPU 0x1u /* constant */
#define CTX_FLAG_EXIT 0x2u /* CALLING, HELPING: for an exit or exception, not the call `call` */
#define CTX_FLAG_AGAIN 0x4u /* ... which is to be sent again, for `exit_reason`, when it runs next */

#define CTX_STANDING(state, flags, left) ((u32)(state) | (u32)(flags) << 8 | (u32)(left) << 16)

struct ctx {
    struct object obj;          /* type THREAD or VCPU */
    struct regs regs;           /* a vCPU's too, as far as VMRUN does not hold them */
    struct space_cpu *home;     /* constant: its domain's tables on its CPU */
    u32 cpu;                    /* constant: home */
    union {
        struct {
            u8 state;           /* enum ctx_state */
            u8 flags;           /* CTX_FLAG_* */
            u16 left;           /* it may call through portals of lower levels; 0 in an idle handler */
        };
        u32 standing;           /* all three */
    };
    struct ctx *caller;         /* handler: who waits for its reply; NULL: nobody (any more) */
    struct ctx *callee;         /* CALLING: who is to reply; HELPING: who is busy. See ctx_callee() */
    const struct portal *portal; /* handler: through which `caller` came, if there is one */
    struct domain *domain;      /* constant */
    struct sched *sched;        /* bound; NULL: none (handlers) */
    u32 exit_reason;
    struct list waiters;        /* handler: contexts that wait until it is free */
    struct list wait_node;      /* HELPING: callee->waiters */
    struct list portal_node;    /* HELPING: waiters of the portal through which it is to call */
    struct cb_utcb *utcb;       /* direct-map address; user level writes it at any time */
    u64 utcb_address;           /* where it is mapped in the domain's space */
    struct event *event;        /* WAITING */
    struct remote remote;       /* REMOTE */
    struct list helpers;        /* scheduling contexts parked until this context is no longer blocked (helpers.h) */
    struct list domain_node;    /* tree_lock: domain->contexts */
    struct timer timer;         /* deadline of a wait; a vCPU's one-shot timer */
    u8 *fpu;                    /* direct map: one page, XSAVE area */
    struct ctx *post_next;      /* post_lock of the home CPU: cpu->posts */
    _Atomic u32 post_ops;       /* post_lock to write: CTX_OP_*; nonzero: queued, or being carried out */
    bool reaping;               /* in the middle of revoke or destroy */
    bool settling;              /* ... in its second half (reap.c) */
    bool got_on;                /* ... and has got on since it waited last */
    u64 grace_epoch;            /* CTX_GRACE: wanted; settling: after this one no translation taken away is in use */
    struct list grace_node;     /* cpu->grace_waiters */
    struct reap_job job;        /* tree_lock: what revoke and destroy have set free */
};
ASSERT_OFFSET(struct ctx, regs, CTX_REGS);

static inline bool ctx_is_vcpu(const struct ctx *c)
{
    return c->flags & CTX_FLAG_VCPU;
}

/* Any CPU: has it stopped for good? */
static inline bool ctx_has_stopped(const struct ctx *c)
{
    return __atomic_load_n(&c->state, __ATOMIC_RELAXED) == CTX_STOPPED;
}

static inline bool ctx_in_exit(const struct ctx *c)
{
    return c->flags & CTX_FLAG_EXIT;
}

/* The handler that `c` calls or waits for; NULL if it does neither. */
static inline struct ctx *ctx_callee(const struct ctx *c)
{
    return c->state == CTX_CALLING || c->state == CTX_HELPING ? c->callee : NULL;
}

/*
 * Prepares the common part of a new context (all memory zeroed before); flags: CTX_FLAG_VCPU or 0. False: exhausted; then
 * ctx_free() is due, as at its end. tree_lock held.
 */
bool ctx_init(struct ctx *c, struct domain *d, u32 cpu, u8 flags) MUST_CHECK;
void ctx_free(struct ctx *c);

/*
 * Hands work to the context's home CPU, with an inter-processor interrupt if it is another one; safe anywhere. Who posts
 * makes sure that it has an effect: that nobody can post more often than the context runs.
 */
void ctx_post(struct ctx *c, u32 ops);

/*
 * Home CPU: carries out what has been posted to this CPU's contexts up to now. Interrupts are open for a moment after
 * each context.
 */
void ctx_run_posts(void);

/*
 * May the dead context be freed? Its grace period is over, so nobody posts to it any more; but somebody may have
 * done so, after a last look at a pointer to it, when its home CPU had passed already.
 */
static inline bool ctx_is_quiet(const struct ctx *c)
{
    /* Pairs with the release in ctx_put_ops(): the home CPU has finished with it. */
    return atomic_load_explicit(&c->post_ops, memory_order_acquire) == 0;
}

/* Any CPU: would a recall do anything to it now? */
bool ctx_heeds_recall(const struct ctx *c);

/*
 * Results of a call handler besides a status. AGAIN: make the same call again, once the kernel has been left; the caller is
 * still READY. BLOCKED: the caller is blocked (cpu.current is NULL or another one), and whoever ends that either writes its
 * results, or (BLOCKED_AGAIN) the call is made again.
 */
#define CALL_AGAIN 0x10000u
#define CALL_BLOCKED 0x20000u
#define CALL_BLOCKED_AGAIN 0x40000u

/*
 * The current context blocks in `state`: cpu.current becomes NULL or another one, and the scheduling context that ran
 * it is parked on it. The call handler then returns CALL_BLOCKED, as this does, or CALL_BLOCKED_AGAIN.
 */
static inline status_t ctx_block(struct ctx *c, enum ctx_state state)
{
    c->state = (u8)state;
    cpu.current = NULL;
    return sched_block(&c->helpers);
}

/*
 * call_end(): the call of the current context is complete, its status goes into rax (a vCPU also leaves its
 * hypercall instruction); or the context shall make the same call again when it runs next.
 */
void ctx_call_done(struct ctx *c, status_t status);
void ctx_call_again(struct ctx *c);

/* Home CPU: ends the blocking call `c` is in, with a status in rax. The context is READY then. */
void ctx_finish(struct ctx *c, status_t status);

/* Home CPU: breaks off the call or wait that `c` is blocked in (ABORTED); nothing if it is not blocked. */
void ctx_abort(struct ctx *c);

/* Does it wait for something else than a handler of its CPU? */
static inline bool ctx_is_blocked(const struct ctx *c)
{
    return c->state == CTX_WAITING || c->state == CTX_REMOTE || c->state == CTX_GRACE;
}

/* Home CPU: `c` no longer waits for its busy callee. */
void ctx_stop_helping(struct ctx *c);

/*
 * Home CPU: the handler that `c`, in a call or exit, relies on will not reply. True: its call returns ABORTED;
 * false: it was an exit, and `c` stops for good, with a line in the log.
 */
bool ctx_lose_callee(struct ctx *c, const char *why);

/*
 * Home CPU: whoever relies on the handler `c`, which will not reply, is told: callers get ABORTED, contexts in an
 * exit stop.
 */
void ctx_drop_callers(struct ctx *c);

/* The current context stops for good; whoever relies on it is told. */
void ctx_stop(struct ctx *c);

/* Home CPU: c runs no more, and no scheduling context, event, timer or partner refers to it. */
void ctx_kill(struct ctx *c);

/*
 * Home CPU: `c` can go on, or chains through it have changed: the best of the scheduling contexts parked on it is made
 * ready, and the others follow (helpers.h).
 */
static inline void ctx_unblock(struct ctx *c)
{
    struct list *first = c->helpers.next;
    struct sched *s = CONTAINER_OF(first, struct sched, node);

    if (first == &c->helpers)
        return;
    if (first->next != &c->helpers || !list_empty(&s->equals)) {
        sched_enqueue_helpers(c);
        return;
    }
    list_init(&c->helpers);
    sched_enqueue(s); /* which links its node anew */
}

#endif
