/* SPDX-License-Identifier: GPL-2.0-only */
/* Calls to handlers that live on another CPU. See remote.c. */
#ifndef REMOTE_H
#define REMOTE_H

#include "list.h"
#include "timerq.h"
#include "types.h"

struct ctx;
struct portal;
struct regs;
struct thread;

enum remote_state {
    REMOTE_QUEUED,   /* waits until the handler takes the call */
    REMOTE_SERVED,   /* the handler works for it */
    REMOTE_REPLYING, /* the handler's CPU writes the reply into the caller: nothing breaks the call off any more */
    REMOTE_REPLIED,  /* over; the caller's CPU is about to hear of it */
    REMOTE_LOST,     /* over: broken off */
};

/*
 * The caller's part, in struct ctx: of meaning while it is in CTX_REMOTE. All but `cpu` is guarded by the post_lock
 * of that CPU. `portal`, `node` and `place` mean something in QUEUED and SERVED: then portal and handler still exist.
 */
struct remote {
    struct portal *portal; /* whose handler is called: that takes leave of its callers before it does of its portals */
    struct list node;   /* portal->callers */
    struct timer place; /* QUEUED: handler->remote.callers */
    u64 words[5];       /* the message's four words and information; then the reply's */
    u32 cpu;            /* the handler's */
    u8 state;           /* enum remote_state */
    bool upcalls;       /* the caller's CPU: a vCPU's, which stops waiting when an upcall is due */
    bool outstanding;   /* the caller's CPU: it has stopped waiting, and the call goes on */
};

/* The handler's part, in struct thread. post_lock of its CPU, which alone makes `serving` anything but NULL. */
struct remote_server {
    struct timerq callers; /* in state QUEUED, the highest priority first; then who came first */
    struct ctx *serving;   /* in state SERVED; NULL: none (any more) */
    bool called;           /* its CPU knows: it looks at `callers` once more before the handler's scheduling context rests */
    bool open;             /* takes calls: it has a scheduling context, and neither has come to its end */
};

/* ---- The caller's CPU ---- */

/*
 * ipc_call(): the current context makes the call that is in its registers. `upcalls`: it is a vCPU, and waits no longer
 * than until an upcall is due (vcpu_wake()).
 */
status_t remote_call(struct ctx *c, struct portal *p, bool upcalls) MUST_CHECK;

/* The current vCPU waits again for such a call that is outstanding; breaks it off. */
status_t remote_resume(struct ctx *c) MUST_CHECK;
status_t remote_drop(struct ctx *c) MUST_CHECK;

/* `c`, in CTX_REMOTE, waits no longer, since an upcall is due. */
void remote_interrupt(struct ctx *c);

/* A call that is outstanding will be ABORTED when it is waited for. */
void remote_recall(struct ctx *c);

/* `c`, in CTX_REMOTE, breaks off its call. False: it is over, and CTX_OP_REPLIED has been posted or will be. */
bool remote_leave(struct ctx *c);

/* CTX_OP_REPLIED: the call may be over. */
void remote_finish(struct ctx *c);

/* ---- The handler's CPU ---- */

/* CTX_OP_CALLED: somebody has queued. */
void remote_called(struct ctx *h);

/*
 * sched.c has picked the scheduling context of the handler `h`, which begins with the next call if it is idle. False:
 * there is nothing for it to do now.
 */
bool remote_next(struct ctx *h);

/* ipc_reply(): answers whom `h`, idle by now, has served. The message is in `r`. */
void remote_reply(struct ctx *h, const struct regs *r);

/* Does it serve somebody on another CPU? */
bool remote_serving(const struct thread *t);

/* Nobody may call `h`, which has stopped; callers get ABORTED. */
void remote_stop(struct ctx *h);

/* ---- Any CPU, tree_lock held ---- */

/* It has got a scheduling context. */
void remote_open(struct thread *t);

/*
 * One bounded step of breaking off all calls to the handler, or through the portal, which is dying. True: there are
 * none any more, nor will there be.
 */
bool remote_close(struct thread *t);
bool remote_close_portal(struct portal *p);

#endif
