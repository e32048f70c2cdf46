/* SPDX-License-Identifier: GPL-2.0-only */
/* Exceptions of threads as messages. */
#include <corbel/state.h>

#include "ctx.h"
#include "layout.h"
#include "log.h"
#include "portal.h"
#include "thread.h"
#include "x86.h"

/* RFLAGS that a thread may have as it likes (APM 2, 3.1.6): the arithmetic flags, TF, DF, AC, ID. */
#define RFLAGS_USER 0x240dd5ull

void thread_exception(struct ctx *c, u64 cr2)
{
    struct thread *t = thread_of(c);
    u64 word = slot_word(&t->exception);

    t->cr2 = cr2;
    if (slot_word_type(word) == CB_TYPE_PORTAL && ipc_exit(c, slot_word_object(word), c->regs.vector))
        return;
    if (!c->obj.dying) /* whose memory may have gone before it */
        log_printf("corbel: a thread stops: exception %lu (error %lx, address %lx) at %lx", c->regs.vector, c->regs.error,
                   cr2, c->regs.rip);
    ctx_stop(c);
}

void thread_state_get(const struct ctx *c, u32 groups, struct cb_state *out)
{
    const struct regs *r = &c->regs;

    regs_get(r, groups, out);
    if (groups & CB_GROUP_RSP)
        out->rsp = r->rsp;
    if (groups & CB_GROUP_RIP) {
        out->rip = r->rip;
        out->insn_len = 0;
    }
    if (groups & CB_GROUP_RFLAGS)
        out->rflags = r->rflags;
    if (groups & CB_GROUP_QUAL) {
        out->qual[0] = r->vector;
        out->qual[1] = r->error;
        out->qual[2] = ((const struct thread *)(const void *)c)->cr2;
    }
}

void thread_state_put(struct ctx *c, u32 groups, const struct cb_state *in)
{
    struct regs *r = &c->regs;
    u64 rip = __atomic_load_n(&in->rip, __ATOMIC_RELAXED);

    regs_put(r, groups, in);
    if (groups & CB_GROUP_RSP)
        r->rsp = in->rsp;
    if (groups & CB_GROUP_RIP) {
        /* IRET to a non-canonical address would fault in the kernel; 0 faults in the thread. */
        r->rip = rip < USER_END ? rip : 0;
        c->grace_rounds = 0; /* it is in no call any more */
    }
    if (groups & CB_GROUP_RFLAGS)
        r->rflags = (in->rflags & RFLAGS_USER) | RFLAGS_IF | RFLAGS_1;
}
