/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Exits to the VMM, and its replies. An exit is a call that the kernel makes for the vCPU: ipc.c can send any exit and
 * take any reply. Where nothing is out of the ordinary, exit_send() and vcpu_replied() do the same without the
 * scheduler, without a copy of the handler's registers, and without a look at what cannot have changed.
 */
#include <corbel/utcb.h>

#include "cpu.h"
#include "cpu_init.h"
#include "log.h"
#include "portal.h"
#include "thread.h"
#include "trap.h"
#include "vcpu_enter.h"
#include "virt.h"
#include "x86.h"

static const char *exit_name(unsigned class)
{
    switch (class) {
#define EXIT_NAME(number, name) \
    case number: return #name;
        CB_EXITS(EXIT_NAME)
#undef EXIT_NAME
    default: return "?";
    }
}

/* domain_load() where no hazard is set. */
static void exit_load(struct space_cpu *home)
{
    if (cpu.home == home)
        return;
    write_cr3(__atomic_load_n(&home->cr3, __ATOMIC_SEQ_CST));
    cpu.home = home;
}

/* The groups that frequent exits and their replies have; all others, and so all that the backend holds, are rare. */
#define GROUPS_EXIT (CB_GROUP_ACDB | CB_GROUP_QUAL)
#define GROUPS_REPLY (CB_GROUP_ACDB | CB_GROUP_SKIP)

static inline void exit_get(struct vcpu *v, u32 groups, struct cb_state *out)
{
    if (groups & ~GROUPS_EXIT) {
        vcpu_state_get(v, groups, out);
        return;
    }
    regs_get_acdb(&v->ctx.regs, groups, out);
    if (groups & CB_GROUP_QUAL) {
        out->qual[0] = v->qual[0];
        out->qual[1] = v->qual[1];
    }
}

static inline void exit_put(struct vcpu *v, u32 groups, u64 word, const struct cb_state *in)
{
    if (groups & ~GROUPS_REPLY)
        vcpu_state_put(v, groups & ~CB_GROUP_SKIP, in);
    else
        regs_put_acdb(&v->ctx.regs, groups, in);
    if (groups & CB_GROUP_SKIP)
        virt->skip(v, word & VCPU_SKIP_MAX);
}

/*
 * The handler is idle and, as vcpu_exit() has seen to, of this CPU; the vCPU is at the beginning of the chain of calls.
 * The FPU is closed, so it need not be taken from anybody.
 */
static NORETURN void exit_send(struct vcpu *v, const struct portal *p, struct ctx *h, unsigned class)
{
    exit_get(v, p->groups, (struct cb_state *)(void *)h->utcb->words);
    h->state = CTX_READY;
    h->left = CTX_CHAIN_MAX - 1;
    h->caller = &v->ctx;
    h->portal = p;
    v->ctx.state = CTX_CALLING;
    v->ctx.flags = CTX_FLAG_VCPU | CTX_FLAG_EXIT;
    v->ctx.callee = h;
    thread_of(h)->handled++;
    cpu.current = h;
    exit_load(h->home);
    if (cpu.guest_left)
        virt->leave();
    entry_handler(thread_of(h), p, class, v->insn_len);
}

/* Without a portal for the exit the vCPU has come to its end. */
static void exit_call(struct vcpu *v, u64 word, unsigned class)
{
    if (slot_word_type(word) == CB_TYPE_PORTAL && ipc_exit(&v->ctx, slot_word_object(word), class))
        return;
    log_printf("corbel: a vCPU (number %u) stops: exit %s has no portal (%lx, %lx)", v->number, exit_name(class), v->qual[0],
               v->qual[1]);
    (void)ctx_block(&v->ctx, CTX_STOPPED);
}

void vcpu_deliver(struct vcpu *v, unsigned class)
{
    u64 word = slot_word(&v->exits[class]);

    v->counters[class]++;
    if (slot_word_type(word) == CB_TYPE_PORTAL && !cpu_hazards() && features.fsgsbase) {
        const struct portal *p = slot_word_object(word);
        struct thread *t = __atomic_load_n(&p->handler, __ATOMIC_RELAXED);

        if (t->ctx.state == CTX_IDLE)
            exit_send(v, p, &t->ctx, class);
    }
    exit_call(v, word, class);
}

NORETURN void vcpu_left_to_vmm(struct vcpu *v, unsigned class)
{
    vcpu_deliver(v, class);
    kernel_exit();
}

void vcpu_exit_again(struct vcpu *v, unsigned class)
{
    exit_call(v, slot_word(&v->exits[class]), class);
}

NORETURN void vcpu_replied(struct vcpu *v, struct ctx *h, u32 groups, u64 word)
{
    h->state = CTX_IDLE;
    h->left = 0;
    h->caller = NULL;
    v->ctx.state = CTX_READY;
    v->ctx.flags = CTX_FLAG_VCPU;
    cpu.current = &v->ctx;
    exit_put(v, groups, word, (const struct cb_state *)(const void *)h->utcb->words);
    exit_load(v->ctx.home);
    vcpu_run(v);
    kernel_exit();
}
