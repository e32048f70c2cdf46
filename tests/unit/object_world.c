/* SPDX-License-Identifier: GPL-2.0-only */
#include "object_world.h"

#include <criterion/criterion.h>
#include <string.h>

#include "caps.h"
#include "event.h"
#include "fake.h"
#include "fpu.h"
#include "io.h"
#include "log.h"
#include "mitigations.h"
#include "reap.h"
#include "shadow.h"
#include "tsc.h"
#include "virt.h"

struct account *account;
struct domain *self;
struct object *reaped;
u64 tsc_khz = 1000;
u32 defences;
bool virt_nested = true;
static const struct virt_ops virt_ops;
const struct virt_ops *virt = &virt_ops;
static struct cpu other;
static char per_cpu;

/* ---- What is below, or beside ---- */

struct cpu *cpu_of(u32 id)
{
    return id == cpu.id ? &cpu : &other;
}

const struct slot *caps_linear(u32 sel)
{
    static const struct slot empty;
    const struct slot *s = slot_find(cpu_domain(), sel);

    return s ? s : &empty;
}

void reap_object(struct object *obj)
{
    obj->dying = 1;
    reaped = obj;
}

u64 grace_next(void)
{
    return 1;
}

bool grace_over(u64 epoch)
{
    return epoch == 0;
}

status_t grace_settle(u64 epoch)
{
    (void)epoch;
    return CALL_AGAIN;
}

void reap_abandon(struct ctx *c)
{
    (void)c;
}

void log_printf(const char *format, ...)
{
    (void)format;
}

/* As the real one: two pages. */
bool ctx_init(struct ctx *c, struct domain *d, u32 cpu_id, u8 flags)
{
    c->domain = d;
    c->cpu = cpu_id;
    c->flags = flags;
    list_init(&c->domain_node);
    c->utcb = account_page(c->obj.account);
    c->fpu = account_page(c->obj.account);
    return c->utcb && c->fpu;
}

void ctx_free(struct ctx *c)
{
    account_page_free(c->obj.account, c->fpu);
    account_page_free(c->obj.account, c->utcb);
    account_object_free(&c->obj);
}

void ctx_post(struct ctx *c, u32 ops)
{
    c->post_ops |= ops;
}

bool ctx_heeds_recall(const struct ctx *c)
{
    (void)c;
    return true;
}

void ctx_stop(struct ctx *c)
{
    (void)c;
}

void thread_load_bases(const struct thread *t)
{
    (void)t;
}

bool ipc_exit(struct ctx *c, struct portal *p, u64 reason)
{
    (void)c, (void)p, (void)reason;
    return false;
}

void remote_open(struct thread *t)
{
    t->remote.open = true;
}

bool remote_close(struct thread *t)
{
    t->remote.open = false;
    return true;
}

bool remote_close_portal(struct portal *p)
{
    (void)p;
    return true;
}

void sched_yield(void)
{
}

u64 sched_consumed(const struct sched *s)
{
    return s->consumed;
}

status_t domain_add_cpu(struct domain *d, u32 cpu_id)
{
    (void)d, (void)cpu_id;
    return CB_OK;
}

void event_unbind(struct event *e)
{
    list_remove(&e->vcpu_node);
}

bool shadow_create(struct vcpu *v)
{
    (void)v;
    return true;
}

void shadow_free(struct vcpu *v)
{
    (void)v;
}

bool virt_vcpu_init(struct vcpu *v)
{
    v->hw = account_page(v->ctx.obj.account);
    return v->hw;
}

void virt_vcpu_free(struct vcpu *v)
{
    account_page_free(v->ctx.obj.account, v->hw);
}

void virt_vcpu_forget(struct vcpu *v)
{
    (void)v;
}

void io_forget(const struct vcpu *v)
{
    (void)v;
}

/* The calls that are not here. */
#define NOT_HERE(number, name, type, right)                              \
    __attribute__((weak)) status_t HANDLER_##name(struct regs *r)        \
    {                                                                    \
        (void)r;                                                         \
        cr_assert_fail("nobody calls " #name);                           \
        return CB_OK;                                                    \
    }
CB_CALLS(NOT_HERE)

/* ---- The world ---- */

void object_init(void)
{
    struct slot *s;

    fake_init();
    memset(&cpu, 0, sizeof(cpu));
    memset(&other, 0, sizeof(other));
    other.id = 1;
    cpu.virt = other.virt = &per_cpu;
    cpu_count = 2;
    reaped = NULL;
    account = fake_account(0, 2048);
    self = fake_domain(account, OBJECT_SELF);
    self->space.cpus[0].domain = self;
    cpu.home = &self->space.cpus[0];
    for (u32 sel = OBJECT_FIRST; sel < OBJECT_END; sel++) /* so that no call pays for pages of slots */
        cr_assert_eq(slot_reserve(self, sel, 0, &s), CB_OK);
    slot_insert(slot_find(self, OBJECT_ACCOUNT), account->obj.root, slot_word(account->obj.root));
}

status_t object_call(u32 number, u32 sel, u64 a1, u64 a2, u64 a3, u64 a4, u64 a5)
{
    struct regs r = { .rdi = CB_CALL_WORD(number, 0, sel), .rsi = a1, .rdx = a2, .r8 = a3, .r9 = a4, .r10 = a5 };

    return call_make(&r);
}

void *object_at(u32 sel)
{
    return slot_word_object(slot_word(slot_find(self, sel)));
}

void object_give(u32 sel, u32 from, u32 rights)
{
    struct slot *s = slot_find(self, from);

    slot_insert(slot_find(self, sel), s, slot_word_make(slot_word_type(slot_word(s)), rights, object_at(from)));
}

