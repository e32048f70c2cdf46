/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Exits to the VMM and its replies; calls of guests and their replies. An exit is a call that the kernel makes for the
 * vCPU: ipc.c can send any call and any exit, and take any reply. Where nothing is out of the ordinary, this file and
 * entry.S do the same without a copy of the handler's registers, and without a look at what cannot have changed.
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

/* The groups that frequent exits and their replies have; all others, and so all that the backend holds, are rare. */
#define GROUPS_EXIT (CB_GROUP_ACDB | CB_GROUP_QUAL)
#define GROUPS_REPLY (CB_GROUP_ACDB | CB_GROUP_SKIP)

static ALWAYS_INLINE void exit_get(const struct vcpu *v, u32 groups, struct cb_state *out)
{
    regs_get_acdb(&v->ctx.regs, groups, out);
    if (groups & CB_GROUP_QUAL) {
        out->qual[0] = v->qual[0];
        out->qual[1] = v->qual[1];
    }
}

static ALWAYS_INLINE struct cb_state *exit_state(const struct ctx *h)
{
    return (struct cb_state *)(void *)h->utcb->words;
}

static ALWAYS_INLINE struct thread *exit_handler(const struct portal *p)
{
    return __atomic_load_n(&p->handler, __ATOMIC_RELAXED);
}

/* The handler of a portal of this CPU: is it idle, with nothing to be looked at before it is entered? */
static ALWAYS_INLINE bool exit_is_idle(const struct thread *t)
{
    return t->ctx.state == CTX_IDLE && !(cpu_hazards() | cpu_entry_guarded);
}

/*
 * The vCPU waits for the reply of `t`, which goes next. A vCPU is the beginning of its chain of calls. The FPU is closed,
 * since no hazard is set, and need not be taken from anybody.
 */
static ALWAYS_INLINE void exit_switch(struct vcpu *v, const struct portal *p, struct thread *t, u32 flags)
{
    t->ctx.standing = CTX_STANDING(CTX_READY, 0, CTX_CHAIN_MAX - 1); /* what its level says, and more: nobody calls a vCPU */
    t->ctx.caller = &v->ctx;
    t->ctx.portal = p;
    t->handled++;
    v->ctx.standing = CTX_STANDING(CTX_CALLING, flags, CTX_CHAIN_MAX);
    v->ctx.callee = &t->ctx;
    cpu.current = &t->ctx;
    domain_load_plain(t->ctx.home);
    cpu_syscall_restore();
}

/* `v` goes on, with the reply of `h`. */
static ALWAYS_INLINE void exit_switch_back(struct vcpu *v, struct ctx *h)
{
    h->standing = CTX_STANDING(CTX_IDLE, 0, 0);
    h->caller = NULL;
    v->ctx.standing = CTX_STANDING(CTX_READY, CTX_FLAG_VCPU, CTX_CHAIN_MAX);
    cpu.current = &v->ctx;
}

/* Without a portal for the exit the vCPU has come to its end. */
static void exit_call(struct vcpu *v, u64 word, unsigned class)
{
    if (slot_word_type(word) != CB_TYPE_PORTAL)
        word = portal_slot_word(&v->exits[class]);
    if (slot_word_type(word) == CB_TYPE_PORTAL && ipc_exit(&v->ctx, slot_word_object(word), class))
        return;
    log_printf("corbel: a vCPU (number %u) stops: exit %s has no portal (%lx, %lx)", v->number, exit_name(class), v->qual[0],
               v->qual[1]);
    (void)ctx_block(&v->ctx, CTX_STOPPED);
}

static NOINLINE NORETURN void exit_send_rare(struct vcpu *v, const struct portal *p, struct thread *t, unsigned class)
{
    vcpu_state_get(v, p->groups, exit_state(&t->ctx));
    exit_switch(v, p, t, CTX_FLAG_VCPU | CTX_FLAG_EXIT);
    entry_handler(t, class, v->insn_len, p);
}

static ALWAYS_INLINE void exit_deliver(struct vcpu *v, unsigned class)
{
    u64 word = slot_word(&v->exits[class]);

    v->counters[class]++;
    if (slot_word_type(word) == CB_TYPE_PORTAL) {
        const struct portal *p = slot_word_object(word);
        struct thread *t = exit_handler(p);

        if (exit_is_idle(t)) {
            if (p->groups & ~GROUPS_EXIT)
                exit_send_rare(v, p, t, class);
            exit_get(v, p->groups, exit_state(&t->ctx));
            exit_switch(v, p, t, CTX_FLAG_VCPU | CTX_FLAG_EXIT);
            entry_handler(t, class, v->insn_len, p);
        }
    }
    exit_call(v, word, class);
}

void vcpu_deliver(struct vcpu *v, unsigned class)
{
    exit_deliver(v, class);
}

NORETURN void vcpu_left_to_vmm(struct vcpu *v, unsigned class)
{
    exit_deliver(v, class);
    kernel_exit();
}

void vcpu_exit_again(struct vcpu *v, unsigned class)
{
    exit_call(v, slot_word(&v->exits[class]), class);
}

/* The vCPU, current again, goes on. */
static ALWAYS_INLINE NORETURN void exit_resume(struct ctx *c)
{
    domain_load_plain(c->home);
    vcpu_run(vcpu_of(c));
    kernel_exit();
}

static NOINLINE NORETURN void exit_put_rare(struct vcpu *v, const struct ctx *h, u32 groups, u64 word)
{
    vcpu_state_put(v, groups & ~CB_GROUP_SKIP, exit_state(h));
    if (groups & CB_GROUP_SKIP)
        virt_skip(v, word & VCPU_SKIP_MAX);
    exit_resume(cpu.current);
}

NORETURN void vcpu_replied(struct vcpu *v, struct ctx *h, u32 groups, u64 word)
{
    exit_switch_back(v, h);
    if (groups & ~GROUPS_REPLY)
        exit_put_rare(v, h, groups, word);
    regs_put_acdb(&v->ctx.regs, groups, exit_state(h));
    if (groups & CB_GROUP_SKIP)
        virt_skip(v, word & VCPU_SKIP_MAX);
    exit_resume(cpu.current);
}

NORETURN void vcpu_left_after_call(void)
{
    struct ctx *c = cpu.current;

    if (c && ctx_is_vcpu(c) && !((cpu_hazards() & ~HAZARD_FPU) | cpu_entry_guarded))
        exit_resume(c);
    kernel_exit();
}

NORETURN void vcpu_left_to_call(struct vcpu *v)
{
    struct regs *r = &v->ctx.regs;
    u64 word = slot_word(caps_linear(CALL_SEL(r)));

    if (!r->r10 && slot_word_is(word, CB_TYPE_PORTAL, CB_RIGHT_CALL)) {
        const struct portal *p = slot_word_object(word);
        struct thread *t = exit_handler(p);

        if (p->cpu == cpu.id && exit_is_idle(t)) {
            v->counters[CB_VCPU_COUNTER_HYPERCALL]++;
            v->in_call = true;
            exit_switch(v, p, t, CTX_FLAG_VCPU);
            entry_handler_call(t, r, 0, p);
        }
    }
    vcpu_left(v, VIRT_EXIT_HYPERCALL);
}

NORETURN void vcpu_answered(struct vcpu *v, struct ctx *h)
{
    exit_switch_back(v, h);
    v->ctx.regs.r10 = 0;
    v->ctx.regs.rax = CB_OK;
    v->in_call = false;
    virt_skip(v, v->insn_len);
    exit_resume(cpu.current);
}
