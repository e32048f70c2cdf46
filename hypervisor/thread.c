/* SPDX-License-Identifier: GPL-2.0-only */
#include "thread.h"

#include "call.h"
#include "log.h"
#include "portal.h"
#include "space.h"
#include "x86.h"

/* RFLAGS that a thread may have as it likes (APM 2, 3.1.6): the arithmetic flags, TF, DF, AC, ID. */
#define RFLAGS_USER 0x240dd5ull

/* What thread_create was asked for. */
struct request {
    struct account *account;
    struct domain *domain;
    struct slot *dst;
    u32 cpu;
    u64 utcb, entry, stack;
};

static status_t request_check(const struct regs *r, struct request *q)
{
    status_t status = call_domain(HIGH(r->rsi), CB_RIGHT_POPULATE, 1, &q->domain);

    if (!status)
        status = call_account(CALL_SEL(r), &q->account);
    if (status)
        return status;
    q->utcb = r->r8;
    q->entry = r->r9;
    q->stack = r->r10;
    if (q->domain->guest)
        return FAULT(BAD_CAP, 1);
    if (r->rdx >= cpu_count)
        return FAULT(BAD_CPU, 2);
    q->cpu = (u32)index_masked(r->rdx, cpu_count);
    if (!is_aligned(q->utcb, PAGE_SIZE) || q->utcb >= USER_END)
        return FAULT(BAD_PARAM, 3);
    if (q->entry >= USER_END)
        return FAULT(BAD_PARAM, 4);
    if (q->stack > USER_END)
        return FAULT(BAD_PARAM, 5);
    return call_destination(LOW(r->rsi), 1, &q->dst);
}

static struct thread *thread_alloc(const struct request *q)
{
    struct thread *t = account_object(q->account, sizeof(*t), CB_TYPE_THREAD);

    if (!t)
        return NULL;
    list_init(&t->portals);
    if (ctx_init(&t->ctx, q->domain, q->cpu, 0))
        return t;
    thread_free(t);
    return NULL;
}

static void thread_init(struct thread *t, const struct request *q)
{
    t->handler = q->entry == 0;
    t->stack = q->stack;
    t->ctx.utcb_address = q->utcb;
    if (t->handler) {
        t->ctx.state = CTX_IDLE;
        t->ctx.left = 0;
    }
    t->ctx.regs = (struct regs){
        .vector = REGS_SYSCALL,
        .rip = q->entry,
        .rsp = q->stack,
        .rflags = RFLAGS_IF | RFLAGS_1,
        .cs = SEL_USER_CODE,
        .ss = SEL_USER_DATA,
    };
}

static status_t thread_create_locked(struct regs *r)
{
    struct request q;
    struct thread *t;
    status_t status = request_check(r, &q);

    if (!status)
        status = domain_add_cpu(q.domain, q.cpu);
    if (status)
        return status;
    t = thread_alloc(&q);
    if (!t)
        return FAULT(NO_MEMORY, 0);
    status = space_map(&q.domain->space, q.domain->obj.account, q.utcb, physical(t->ctx.utcb), 1,
                       CB_MAP_READ | CB_MAP_WRITE, MEM_WB);
    if (status) {
        thread_free(t);
        return CB_STATUS_CODE(status) == CB_OCCUPIED ? FAULT(OCCUPIED, 3) : status;
    }
    thread_init(t, &q);
    list_append(&q.domain->contexts, &t->ctx.domain_node);
    call_install(q.dst, &t->ctx.obj, 0);
    return CB_OK;
}

CALL_LOCKED(thread_create)

bool thread_kill(struct thread *t)
{
    if (!remote_close(t))
        return false;
    /* Before its portals are orphans: who waits for one is told before that may be freed, also by another job. */
    ctx_post(&t->ctx, CTX_OP_KILL);
    for (unsigned i = 0; i < REAP_BATCH && !list_empty(&t->portals); i++)
        portal_orphan(CONTAINER_OF(t->portals.next, struct portal, node));
    if (!list_empty(&t->portals))
        return false;
    portal_slot_clear(&t->exception);
    list_remove(&t->ctx.domain_node);
    space_unmap(&t->ctx.domain->space, t->ctx.utcb_address, 1);
    return true;
}

void thread_free(struct thread *t)
{
    ctx_free(&t->ctx);
}

static status_t thread_set_locked(struct regs *r)
{
    struct thread *t;
    u64 word;
    status_t status = call_lookup(CALL_SEL(r), CB_TYPE_THREAD, CB_RIGHT_CONTROL, 0, &word);

    if (status)
        return status;
    t = slot_word_object(word);
    switch (r->rsi) {
    case CB_THREAD_FS_BASE:
        if (r->rdx >= USER_END)
            return FAULT(BAD_PARAM, 2);
        __atomic_store_n(&t->fs_base, r->rdx, __ATOMIC_RELAXED);
        if (&t->ctx == cpu.current)
            thread_load_bases(t);
        return CB_OK;
    case CB_THREAD_EXCEPTION: return portal_slot_set(&t->exception, r->rdx, 2, t->ctx.cpu);
    default: return FAULT(BAD_PARAM, 1);
    }
}

CALL_LOCKED(thread_set)

status_t recall(struct regs *r)
{
    struct ctx *c;
    status_t status = call_context(CALL_SEL(r), 0, &c);

    if (status)
        return status;
    if (CALL_FLAGS(r))
        return FAULT(BAD_PARAM, 0);
    if (ctx_heeds_recall(c))
        ctx_post(c, CTX_OP_RECALL);
    return CB_OK;
}

/* ---- Exceptions as messages ---- */

void thread_exception(struct ctx *c, u64 cr2)
{
    struct thread *t = thread_of(c);
    u64 word = portal_slot_word(&t->exception);

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
        reap_abandon(c); /* it is in no call any more */
    }
    if (groups & CB_GROUP_RFLAGS)
        r->rflags = (in->rflags & RFLAGS_USER) | RFLAGS_IF | RFLAGS_1;
}
