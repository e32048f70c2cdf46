/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Call and reply. Caller and handler live on this CPU, so a call is a copy of registers and a change of
 * cpu.current: the scheduler and the scheduling context are not touched. A caller that finds the handler busy waits
 * in CTX_HELPING: its scheduling context goes on to run whatever keeps the handler busy, and makes the call again
 * when the handler is free.
 */
#include <corbel/state.h>
#include <corbel/utcb.h>

#include "call.h"
#include "derive.h"
#include "kstring.h"
#include "portal.h"
#include "thread.h"
#include "vcpu.h"
#include "virt.h"
#include "x86.h"

#define STATE_WORDS (sizeof(struct cb_state) / 8)

static bool info_valid(u64 info)
{
    return CB_INFO_WORDS(info) <= CB_UTCB_WORDS && CB_INFO_ITEMS(info) <= CB_UTCB_ITEMS;
}

/* The typed items of a message; each is read once. */
static void transfer_items(struct ctx *from, struct ctx *to, u32 count)
{
    u32 window = __atomic_load_n(&to->utcb->window, __ATOMIC_RELAXED);
    u32 room = __atomic_load_n(&to->utcb->window_count, __ATOMIC_RELAXED);
    u32 delivered = 0;

    for (u32 i = 0; i < count && i < room; i++) {
        struct cb_item item;

        memcpy(&item, &from->utcb->items[i], sizeof(item));
        __asm__ volatile("" : "+m"(item)); /* the copy is what counts, not the sender's page */
        if (derive_item(from->domain, to->domain, window + i, &item))
            delivered |= 1u << i;
    }
    to->utcb->delivered = delivered;
}

void ipc_transfer(struct ctx *from, struct ctx *to, u64 info)
{
    u32 words = CB_INFO_WORDS(info), items = CB_INFO_ITEMS(info);

    if (words)
        memcpy(to->utcb->words, from->utcb->words, words * sizeof(u64));
    if (items)
        transfer_items(from, to, items);
}

/* What is not named here is scrubbed. */
void ipc_enter(struct ctx *h, const struct portal *p, u64 w0, u64 w1, u64 w2, u64 w3, u64 info)
{
    h->regs = (struct regs){
        .rdi = p->badge,
        .rsi = w0,
        .rdx = w1,
        .r8 = w2,
        .r9 = w3,
        .r10 = info,
        .vector = REGS_SYSCALL,
        .rip = p->entry,
        .rsp = thread_of(h)->stack,
        .rflags = RFLAGS_IF | RFLAGS_1,
        .cs = SEL_USER_CODE,
        .ss = SEL_USER_DATA,
    };
    thread_of(h)->handled++;
}

/* Makes `h` handle what `c` sends, with so much `left`. */
static void handler_enter(struct ctx *c, struct ctx *h, const struct portal *p, u32 left, u64 w0, u64 w1, u64 w2, u64 w3,
                          u64 info)
{
    ipc_enter(h, p, w0, w1, w2, w3, info);
    h->caller = c;
    h->portal = p;
    h->state = CTX_READY;
    h->left = (u16)left;
    c->callee = h;
    c->state = CTX_CALLING;
    cpu.current = h;
}

/* Would waiting for `h` be waiting for oneself, or is the chain too long? */
static bool chain_refuses(const struct ctx *c, const struct ctx *h)
{
    for (unsigned n = 0; n < CTX_CHAIN_MAX; n++) {
        if (h == c)
            return true;
        if (!ctx_callee(h))
            return false;
        h = ctx_callee(h);
    }
    return true;
}

/* `c` waits until `h` is free: the chain from its scheduling context leads through `h` now. */
static void wait_for_handler(struct ctx *c, struct ctx *h, struct portal *p)
{
    c->state = CTX_HELPING;
    c->callee = h;
    list_append(&h->waiters, &c->wait_node);
    list_append(&p->waiters, &c->portal_node);
    cpu.current = NULL;
}

/* A call with flags, which are for vCPUs alone: it is not given up when an upcall is due. */
static NOINLINE status_t call_with_upcalls(struct ctx *c, const struct regs *r)
{
    u32 flags = CALL_FLAGS(r);
    status_t status;
    u64 word;

    if (!ctx_is_vcpu(c))
        return FAULT(BAD_PARAM, 0);
    if (flags == CB_CALL_DROP)
        return remote_drop(c);
    if (flags == (CB_CALL_UPCALLS | CB_CALL_RESUME))
        return remote_resume(c);
    if (flags != CB_CALL_UPCALLS)
        return FAULT(BAD_PARAM, 0);
    status = call_lookup(CALL_SEL(r), CB_TYPE_PORTAL, CB_RIGHT_CALL, 0, &word);
    if (status)
        return status;
    if (!info_valid(r->r10) || CB_INFO_GROUPS(r->r10))
        return FAULT(BAD_PARAM, 5);
    return remote_call(c, slot_word_object(word), true);
}

status_t ipc_call(struct regs *r)
{
    struct ctx *c = cpu.current, *h;
    struct portal *p;
    struct thread *t;
    u64 word, info = r->r10;
    status_t status;

    if (CALL_FLAGS(r))
        return call_with_upcalls(c, r);
    status = call_lookup(CALL_SEL(r), CB_TYPE_PORTAL, CB_RIGHT_CALL, 0, &word);
    if (status)
        return status;
    p = slot_word_object(word);
    if (!info_valid(info) || CB_INFO_GROUPS(info))
        return FAULT(BAD_PARAM, 5);
    if (p->cpu != cpu.id)
        return remote_call(c, p, false);
    t = portal_handler(p);
    if (!t || t->ctx.state == CTX_STOPPED)
        return FAULT(ABORTED, 0);
    h = &t->ctx;
    if (p->level >= c->left)
        return FAULT(BUSY, 0);
    if (h->state != CTX_IDLE) {
        if (chain_refuses(c, h))
            return FAULT(BUSY, 0);
        wait_for_handler(c, h, p);
        return CALL_BLOCKED; /* ipc_retry() */
    }
    if (!ctx_is_vcpu(c))
        thread_of(c)->calls++;
    if (info)
        ipc_transfer(c, h, info);
    handler_enter(c, h, p, p->level, r->rsi, r->rdx, r->r8, r->r9, info);
    return CALL_BLOCKED;
}

bool ipc_exit(struct ctx *c, struct portal *p, u64 reason)
{
    u32 groups = p->groups & (ctx_is_vcpu(c) ? CB_GROUPS_VCPU : CB_GROUPS_THREAD);
    struct thread *t = portal_handler(p);
    struct cb_state *state;
    struct ctx *h;

    c->flags &= (u8)~CTX_FLAG_AGAIN;
    if (p->cpu != cpu.id || !t || t->ctx.state == CTX_STOPPED)
        return false;
    h = &t->ctx;
    c->flags |= CTX_FLAG_EXIT;
    if (h->state != CTX_IDLE) {
        if (chain_refuses(c, h))
            return false;
        c->flags |= CTX_FLAG_AGAIN;
        c->exit_reason = (u32)reason;
        wait_for_handler(c, h, p);
        return true;
    }
    state = (struct cb_state *)(void *)h->utcb->words;
    if (ctx_is_vcpu(c))
        vcpu_state_get(vcpu_of(c), groups, state);
    else
        thread_state_get(c, groups, state);
    /* Whatever calls led here: never refused for that. Whoever nests them does so below what it had left itself. */
    handler_enter(c, h, p, MIN(p->level, MAX(c->left, 1u) - 1), reason, ctx_is_vcpu(c) ? vcpu_of(c)->insn_len : 0, 0, 0,
                  CB_INFO(STATE_WORDS, 0, groups));
    return true;
}

/* A call is made again here, not by the caller: so there is no moment in which it is in no call, and a recall is lost. */
static void call_again(struct ctx *c)
{
    status_t status;

    domain_load(c->home); /* with its capabilities */
    status = ipc_call(&c->regs);
    if (status & CALL_AGAIN)
        vcpu_set_special(vcpu_of(c)); /* no thread's call can end so */
    else if (!(status & CALL_BLOCKED))
        ctx_call_done(c, status);
}

void ipc_retry(struct ctx *c)
{
    if (!(c->flags & CTX_FLAG_AGAIN))
        call_again(c);
    else if (ctx_is_vcpu(c))
        vcpu_exit_again(vcpu_of(c), c->exit_reason);
    else
        thread_exception(c, thread_of(c)->cr2);
}

/*
 * The reply to an exit: the groups that it names. The handler's domain may change the page meanwhile: each field is
 * read once.
 */
static void reply_state(struct ctx *h, struct ctx *c, u32 groups, u64 word)
{
    const struct cb_state *state = (const struct cb_state *)(const void *)h->utcb->words;

    if (!ctx_is_vcpu(c)) {
        thread_state_put(c, groups, state);
        return;
    }
    vcpu_state_put(vcpu_of(c), groups & ~CB_GROUP_SKIP, state);
    if (groups & CB_GROUP_SKIP)
        virt_skip(vcpu_of(c), word & VCPU_SKIP_MAX);
}

static void reply_message(struct ctx *h, struct ctx *c, const struct regs *r)
{
    if (r->r10)
        ipc_transfer(h, c, r->r10);
    c->regs.rsi = r->rsi;
    c->regs.rdx = r->rdx;
    c->regs.r8 = r->r8;
    c->regs.r9 = r->r9;
    c->regs.r10 = r->r10;
    ctx_call_done(c, CB_OK);
}

status_t ipc_reply(struct regs *r)
{
    struct ctx *h = cpu.current, *c = h->caller;
    u32 groups = CB_INFO_GROUPS(r->r10);

    if (ctx_is_vcpu(h) || !thread_of(h)->handler)
        return FAULT(BAD_CALL, 0);
    if (CALL_FLAGS(r))
        return FAULT(BAD_PARAM, 0);
    if (!info_valid(r->r10) || (groups && (c ? !ctx_in_exit(c) : remote_serving(thread_of(h)))))
        return FAULT(BAD_PARAM, 5);
    h->state = CTX_IDLE;
    h->left = 0;
    h->caller = NULL;
    cpu.current = NULL;
    if (!c) {
        remote_reply(h, r);
        return CALL_BLOCKED;
    }
    c->state = CTX_READY;
    if (ctx_in_exit(c)) {
        c->flags &= (u8)~CTX_FLAG_EXIT;
        reply_state(h, c, groups, r->rsi);
    } else {
        reply_message(h, c, r);
    }
    /* A helper's scheduling context goes back to its own business; the caller has one of its own. */
    if (!(cpu_hazards() & HAZARD_HELPING))
        cpu.current = c;
    return CALL_BLOCKED;
}
