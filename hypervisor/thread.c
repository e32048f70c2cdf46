/* SPDX-License-Identifier: GPL-2.0-only */
#include "thread.h"


#include "account.h"
#include "call.h"
#include "cpu.h"
#include "derive.h"
#include "domain.h"
#include "fpu.h"
#include "portal.h"
#include "reap.h"
#include "space.h"
#include "vcpu.h"
#include "x86.h"

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

static void thread_release(struct thread *t)
{
    struct account *a = t->ctx.obj.account;

    if (t->ctx.fpu)
        account_page_free(a, t->ctx.fpu);
    if (t->ctx.utcb)
        account_page_free(a, t->ctx.utcb);
    account_object_free(&t->ctx.obj);
}

static struct thread *thread_alloc(const struct request *q)
{
    struct thread *t = account_object(q->account, sizeof(*t), CB_TYPE_THREAD);

    if (!t)
        return NULL;
    ctx_init(&t->ctx, q->domain, q->cpu, 0);
    list_init(&t->portals);
    t->ctx.fpu = account_page(q->account);
    t->ctx.utcb = account_page(q->account);
    if (t->ctx.fpu && t->ctx.utcb)
        return t;
    thread_release(t);
    return NULL;
}

static void thread_init(struct thread *t, const struct request *q)
{
    t->handler = q->entry == 0;
    t->stack = q->stack;
    t->ctx.utcb_address = q->utcb;
    fpu_init_state(t->ctx.fpu);
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
        thread_release(t);
        return CB_STATUS_CODE(status) == CB_OCCUPIED ? FAULT(OCCUPIED, 3) : status;
    }
    thread_init(t, &q);
    list_append(&q.domain->contexts, &t->ctx.domain_node);
    call_install(q.dst, &t->ctx.obj, 0);
    return CB_OK;
}

status_t thread_create(struct regs *r)
{
    return call_locked(r, thread_create_locked);
}

bool thread_kill(struct thread *t)
{
    if (!remote_close(t))
        return false;
    for (unsigned i = 0; i < REAP_BATCH && !list_empty(&t->portals); i++)
        portal_orphan(CONTAINER_OF(t->portals.next, struct portal, node));
    if (!list_empty(&t->portals))
        return false;
    if (slot_used(&t->exception))
        (void)slot_remove(&t->exception);
    list_remove(&t->ctx.domain_node);
    space_unmap(&t->ctx.domain->space, t->ctx.utcb_address, 1);
    reap_note_unmap();
    ctx_post(&t->ctx, CTX_OP_KILL);
    return true;
}

void thread_free(struct thread *t)
{
    thread_release(t);
}

static status_t set_exception(struct thread *t, u64 sel)
{
    struct slot *source = NULL;
    status_t status;

    if (sel > UINT32_MAX)
        return FAULT(BAD_PARAM, 2);
    if (sel) {
        const struct portal *p;

        status = call_slot((u32)sel, CB_TYPE_PORTAL, CB_RIGHT_CALL, 2, &source);
        if (!status)
            status = slot_derivable(source, 2);
        if (status)
            return status;
        p = slot_word_object(slot_word(source));
        if (p->cpu != t->ctx.cpu)
            return FAULT(BAD_CPU, 2);
    }
    if (slot_used(&t->exception))
        (void)slot_remove(&t->exception); /* a derived portal capability: nothing below it, no tombstone */
    if (source)
        derive_inside(&t->exception, source);
    return CB_OK;
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
    case CB_THREAD_EXCEPTION: return set_exception(t, r->rdx);
    default: return FAULT(BAD_PARAM, 1);
    }
}

status_t thread_set(struct regs *r)
{
    return call_locked(r, thread_set_locked);
}

status_t recall(struct regs *r)
{
    u64 word;
    status_t status = call_lookup(CALL_SEL(r), CB_TYPE_NULL, CB_RIGHT_CONTROL, 0, &word);
    enum cb_type type = slot_word_type(word);

    if (type != CB_TYPE_THREAD && type != CB_TYPE_VCPU)
        return FAULT(BAD_CAP, 0);
    if (status)
        return status;
    if (CALL_FLAGS(r))
        return FAULT(BAD_PARAM, 0);
    ctx_post(slot_word_object(word), CTX_OP_RECALL);
    return CB_OK;
}
