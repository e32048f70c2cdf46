/* SPDX-License-Identifier: GPL-2.0-only */
/* vCPUs as objects: creation, exit portals, death. */
#include "vcpu.h"

#include "call.h"
#include "event.h"
#include "io.h"
#include "mitigations.h"
#include "portal.h"
#include "shadow.h"
#include "space.h"
#include "tsc.h"
#include "virt.h"

#define VCPU_PAGES 2u       /* in the guest's space: event page, UTCB */

/* What vcpu_create was asked for. */
struct request {
    struct account *account;
    struct domain *domain;
    struct slot *dst;
    u32 cpu, number;
    u64 address;
};

static status_t request_check(const struct regs *r, struct request *q)
{
    status_t status = call_account(CALL_SEL(r), &q->account);

    if (status)
        return status;
    if (!virt)
        return FAULT(UNSUPPORTED, 0);
    status = call_domain(HIGH(r->rsi), CB_RIGHT_POPULATE, 1, &q->domain);
    if (status)
        return status;
    q->cpu = LOW(r->rdx);
    q->number = HIGH(r->rdx);
    q->address = r->r8;
    if (!q->domain->guest)
        return FAULT(BAD_CAP, 1);
    if (q->cpu >= cpu_count)
        return FAULT(BAD_CPU, 2);
    q->cpu = (u32)index_masked(q->cpu, cpu_count);
    if (!cpu.virt || !cpu_of(q->cpu)->virt) /* a backend may need its instructions here, too */
        return FAULT(UNSUPPORTED, 0);
    if (q->number >= CB_GUEST_VCPUS)
        return FAULT(BAD_PARAM, 2);
    q->number = (u32)index_masked(q->number, CB_GUEST_VCPUS);
    if (!is_aligned(q->address, PAGE_SIZE) ||
        q->address > space_end(&q->domain->space) - VCPU_PAGES * PAGE_SIZE)
        return FAULT(BAD_PARAM, 3);
    if (q->domain->vcpus[q->number])
        return FAULT(OCCUPIED, 2);
    return slot_reserve(cpu_domain(), LOW(r->rsi), 1, &q->dst);
}

void vcpu_free(struct vcpu *v)
{
    virt_vcpu_free(v);
    shadow_free(v);
    account_page_free(v->ctx.obj.account, v->page);
    ctx_free(&v->ctx);
}

static struct vcpu *vcpu_alloc(const struct request *q)
{
    struct vcpu *v = account_object(q->account, sizeof(*v), CB_TYPE_VCPU);

    if (!v)
        return NULL;
    list_init(&v->events);
    v->page = account_page(q->account);
    if (ctx_init(&v->ctx, q->domain, q->cpu, CTX_FLAG_VCPU) && v->page && (virt_nested || shadow_create(v)) &&
        virt_vcpu_init(v))
        return v;
    vcpu_free(v);
    return NULL;
}

static void vcpu_init(struct vcpu *v, const struct request *q)
{
    v->ctx.timer.kind = TIMER_VCPU;
    v->ctx.utcb_address = q->address + PAGE_SIZE;
    v->number = q->number;
    v->tag_identity = tlb_identity();
    v->upcall_vector = CB_GUEST_UPCALL_VECTOR;
    v->xcr0 = 1; /* as after power-up: x87 alone */
    vcpu_set_special(v);
    if (defends(DEFENCES_GUEST))
        atomic_fetch_or(&v->hazards, VCPU_HAZARD_GUARD);
    v->page->cpu = q->number;
    v->page->tsc_khz = tsc_khz;
}

/* The page that is `index` pages behind the vCPU's address, visible to the guest from now on. */
static status_t vcpu_map(struct vcpu *v, u32 index, const void *page)
{
    struct domain *d = v->ctx.domain;
    status_t status = space_map(&d->space, d->obj.account, v->ctx.utcb_address - PAGE_SIZE + index * PAGE_SIZE,
                                physical(page), 1, CB_MAP_READ | CB_MAP_WRITE, MEM_WB);

    if (!status)
        v->mapped++;
    return CB_STATUS_CODE(status) == CB_OCCUPIED ? FAULT(OCCUPIED, 3) : status;
}

static status_t vcpu_create_locked(struct regs *r)
{
    struct request q;
    struct vcpu *v;
    status_t status = request_check(r, &q);

    if (!status)
        status = domain_add_cpu(q.domain, q.cpu);
    if (status)
        return status;
    v = vcpu_alloc(&q);
    if (!v)
        return FAULT(NO_MEMORY, 0);
    vcpu_init(v, &q);
    status = vcpu_map(v, 0, v->page);
    if (status) {
        vcpu_free(v);
        return status;
    }
    list_append(&q.domain->contexts, &v->ctx.domain_node);
    status = vcpu_map(v, 1, v->ctx.utcb);
    if (status) {
        reap_object(&v->ctx.obj); /* the guest may use its event page already: as if it had lived */
        return status;
    }
    __atomic_store_n(&q.domain->vcpus[v->number], v, __ATOMIC_RELEASE);
    call_install(q.dst, &v->ctx.obj, 0);
    return CB_OK;
}

CALL_LOCKED(vcpu_create)

static status_t vcpu_exit_locked(struct regs *r)
{
    u64 class = r->rsi;
    struct slot *slot;
    struct vcpu *v;
    status_t status = call_slot(CALL_SEL(r), CB_TYPE_VCPU, CB_RIGHT_CONTROL, 0, &slot);

    if (status)
        return status;
    v = slot_word_object(slot_word(slot));
    if (class >= CB_EXIT_COUNT)
        return FAULT(BAD_PARAM, 1);
    return portal_slot_set(&v->exits[index_masked(class, CB_EXIT_COUNT)], r->rdx, 2, v->ctx.cpu);
}

CALL_LOCKED(vcpu_exit)

bool vcpu_kill(struct vcpu *v)
{
    struct domain *d = v->ctx.domain;

    for (unsigned i = 0; i < REAP_BATCH && !list_empty(&v->events); i++)
        event_unbind(CONTAINER_OF(v->events.next, struct event, vcpu_node));
    if (!list_empty(&v->events))
        return false;
    for (unsigned i = 0; i < CB_EXIT_COUNT; i++)
        portal_slot_clear(&v->exits[i]);
    for (u32 i = 0; i < v->mapped; i++)
        space_unmap(&d->space, v->ctx.utcb_address - PAGE_SIZE + i * PAGE_SIZE, 1);
    if (d->vcpus[v->number] == v)
        __atomic_store_n(&d->vcpus[v->number], NULL, __ATOMIC_RELAXED);
    list_remove(&v->ctx.domain_node);
    ctx_post(&v->ctx, CTX_OP_KILL);
    return true;
}

void vcpu_forget(struct vcpu *v)
{
    io_forget(v);
    virt_vcpu_forget(v);
}
