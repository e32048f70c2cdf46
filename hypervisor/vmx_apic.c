/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VT-x: the virtual APIC of a vCPU, which the processor keeps in a page. SDM 3C, chapter 30. Nobody maps that page, and
 * nothing else lies in it: guests' loads are redirected to it. What arrives in it, and what it cannot do, is the VMM's part:
 * docs/virtual-apic.md.
 */
#include "account.h"
#include "domain.h"
#include "pte.h"
#include "vmx.h"

#define WORDS 4u         /* of the page, from one register to the next */
#define VECTOR_WORDS 8u  /* registers for a bit of each vector */
#define TPR_SHIFT 4u     /* of the class, which is CR8 */
#define EOI_BITMAPS 4u

bool vmx_apic_init(struct vcpu *v, struct vmx *x)
{
    x->apic = account_page(v->ctx.obj.account);
    return x->apic;
}

void vmx_apic_setup(const struct vmx *x)
{
    vmcs_write(VMCS_VIRTUAL_APIC, physical(x->apic));
    vmcs_write(VMCS_APIC_ACCESS, 0);
    vmcs_write(VMCS_TPR_THRESHOLD, 0);
    vmcs_write(VMCS_GUEST_INTERRUPTS, 0);
    for (u32 i = 0; i < EOI_BITMAPS; i++)
        vmcs_write(VMCS_EOI_EXIT0 + 2 * i, 0);
}

static bool apic_on(const struct vcpu *v, const struct vmx *x)
{
    return x->apic && (v->ctrl & CB_CTRL_VAPIC);
}

static u32 *apic_register(const struct vmx *x, u32 number)
{
    return &x->apic[number * WORDS];
}

/* ---- CR8 ---- */

/* 30.3. */
u64 vmx_apic_cr8(const struct vcpu *v, const struct vmx *x)
{
    return apic_on(v, x) ? *apic_register(x, CB_APIC_TPR) >> TPR_SHIFT & 0xf : x->cr8;
}

void vmx_apic_cr8_put(const struct vcpu *v, struct vmx *x, u64 value)
{
    if (!apic_on(v, x))
        x->cr8 = value;
    else if (value != vmx_apic_cr8(v, x)) /* else the bits below it stay */
        *apic_register(x, CB_APIC_TPR) = (u32)value << TPR_SHIFT;
}

/* ---- State ---- */

/* The highest vector with a bit in IRR or ISR; 0: none. */
static u32 highest(const struct vmx *x, u32 first)
{
    for (u32 i = VECTOR_WORDS; i-- > 0;) {
        u32 word = *apic_register(x, first + i);

        if (word)
            return i * 32 + 31 - (u32)__builtin_clz(word);
    }
    return 0;
}

/* With virtual-interrupt delivery, no content of the page is refused. RVI and SVI follow from it (25.4.2). */
static void registers_put(const struct vmx *x, const struct cb_state *in)
{
    for (u32 i = 0; i < CB_APIC_REGISTERS; i++)
        *apic_register(x, i) = IN(apic[i]);
    vmcs_write(VMCS_GUEST_INTERRUPTS, highest(x, CB_APIC_ISR) << 8 | highest(x, CB_APIC_IRR));
    for (u32 i = 0; i < EOI_BITMAPS; i++)
        vmcs_write(VMCS_EOI_EXIT0 + 2 * i, IN(apic_eoi_exit[i]));
}

/*
 * What the guest's space has there now. It may change later, and then accesses of this guest to that frame, if it still has
 * it, are taken for accesses to its APIC. That is all: the processor compares with the address, and never uses it. A large
 * page cannot be recognized in all cases (30.4).
 */
static void page_put(const struct vcpu *v, struct vmx *x, u64 page)
{
    const struct space *s = &v->ctx.domain->space;
    unsigned level;
    u64 entry;

    x->apic_page = x->apic_frame = 0;
    if (!page || !is_aligned(page, PAGE_SIZE) || page >= space_end(s))
        return;
    entry = space_find(s, page, &level);
    if (!(entry & EPT_R) || level > 1)
        return;
    x->apic_page = page;
    x->apic_frame = pte_address(entry);
}

/*
 * What the CPU remembers of translations includes whether they lead to the APIC: another address must have both kinds of
 * flushes first (29.4.3.3, 29.4.3.4), as if a translation had been taken away. tlb.c sees that from the generation.
 */
static void access_put(struct vcpu *v, struct vmx *x, u64 access)
{
    if (access == x->apic_access)
        return;
    x->apic_access = access;
    if (!access)
        return;
    vmcs_write(VMCS_APIC_ACCESS, access);
    atomic_fetch_add(&v->ctx.domain->space.generation, 1);
}

static void controls_put(struct vcpu *v, struct vmx *x)
{
    const u32 without = VMCS_CONTROL_CR8_LOAD | VMCS_CONTROL_CR8_STORE;
    u32 primary = (x->primary & ~VMCS_CONTROL_TPR_SHADOW) | without, secondary = vmx_machine.secondary;

    if (apic_on(v, x)) {
        primary = (primary & ~without) | VMCS_CONTROL_TPR_SHADOW;
        secondary |= VMX_APIC_CONTROLS2 & (x->apic_frame ? ~0u : ~VMCS_CONTROL2_APIC_ACCESSES);
    }
    vmx_controls(x, primary);
    if (secondary != x->secondary) {
        x->secondary = secondary;
        vmcs_write(VMCS_CONTROLS2, secondary);
    }
    access_put(v, x, secondary & VMCS_CONTROL2_APIC_ACCESSES ? x->apic_frame : 0);
}

void vmx_apic_put(struct vcpu *v, struct vmx *x, u32 groups, const struct cb_state *in)
{
    if (groups & CB_GROUP_VAPIC) {
        registers_put(x, in);
        page_put(v, x, IN(apic_page));
    }
    controls_put(v, x);
}

void vmx_apic_get(const struct vmx *x, struct cb_state *out)
{
    for (u32 i = 0; i < CB_APIC_REGISTERS; i++)
        out->apic[i] = *apic_register(x, i);
    for (u32 i = 0; i < EOI_BITMAPS; i++)
        out->apic_eoi_exit[i] = vmcs_read(VMCS_EOI_EXIT0 + 2 * i);
    out->apic_page = x->apic_page;
}

/* ---- Exits ---- */

/* An access that is not virtualized: 30.4, table 28-6. */
static unsigned apic_access(struct vcpu *v, const struct vmx *x, u64 q)
{
    u32 type = VMCS_APIC_ACCESS_TYPE(q);
    u64 what = CB_MEMORY_APIC;

    vmx_requeue(v);
    switch (type) {
    case VMCS_APIC_READ: what |= CB_MEMORY_READ; break;
    case VMCS_APIC_WRITE: what |= CB_MEMORY_WRITE; break;
    case VMCS_APIC_FETCH: what |= CB_MEMORY_EXEC; break;
    case VMCS_APIC_DELIVERY: break;
    default: what |= CB_MEMORY_WRITE | CB_MEMORY_TABLE; break;
    }
    return vcpu_report(v, CB_EXIT_MEMORY, what, x->apic_page + (type <= VMCS_APIC_DELIVERY ? VMCS_APIC_OFFSET(q) : 0));
}

unsigned vmx_apic_exit(struct vcpu *v, const struct vmx *x, u32 reason)
{
    u64 q = vmcs_read(VMCS_QUALIFICATION);

    if (reason == VMCS_REASON_APIC_ACCESS)
        return apic_access(v, x, q);
    v->qual[0] = CB_MEMORY_WRITE | CB_MEMORY_APIC | CB_MEMORY_DONE;
    if (reason == VMCS_REASON_APIC_EOI) { /* 30.1.4: the vector */
        v->qual[0] |= (q & 0xff) << 8;
        q = CB_APIC_EOI * 16;
    }
    v->qual[1] = x->apic_page + VMCS_APIC_OFFSET(q); /* 30.4.3.3 */
    return CB_EXIT_MEMORY;
}
