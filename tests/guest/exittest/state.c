/* SPDX-License-Identifier: GPL-2.0-only */
/* States that end the guest, or that no hardware takes; and what replies change. */
#include "machine.h"

#define CR4_RESERVED (1ull << 30)
#define CR0_NW 0x20000000ull
#define ATTR_BIG 0x400u /* D */
#define RFLAGS_OF_SF_AF 0x890ull

/* A triple fault: #UD without a table of handlers. */
void test_shutdown(void)
{
    CHECK(vm_start(AT_ud2));
    now.idtr.limit = 0;
    vm_reply(CB_GROUPS_VCPU, 0);
    vm_ignore(&now.rflags, RFLAGS_RF);
    EXPECT_EACH(CB_EXIT_SHUTDOWN, vm_address(AT_ud2), 0);
    now.idtr.limit = 0xfff;
    vm_reply(CB_GROUP_GDTR_IDTR, 0);
    EXPECT_EVENT(VECTOR_UD, NO_ERROR, vm_address(AT_ud2));
}

/* For every set of groups: the state in `now` cannot be entered. Then the guest gets a good one, and the event. */
static void refused(uint64_t reason)
{
    const uint32_t event = CB_INJECT_VALID | CB_INJECT_TYPE_NMI | VECTOR_NMI;
    const uint64_t rip = now.rip, *words = &now.rax, *inject = (const uint64_t *)(const void *)&now.inject;

    for (uint32_t set = 0; set < GROUP_SETS; set++) {
        vm_groups(CB_EXIT_INVALID, set);
        now.inject = event;
        vm_reply(CB_GROUPS_VCPU, 0);
        now.inject = event;
        for (uint32_t i = 0; !vendor(STATE_AT_INVALID) && i < STATE_WORDS; i++)
            if (words + i != now.qual && words + i != now.qual + 1 && words + i != inject)
                vm_ignore(words + i, UINT64_MAX);
        vm_ignore(&now.qual[0], ~(uint64_t)UINT32_MAX); /* QEMU has 32 bits of it */
        EXPECT(CB_EXIT_INVALID, rip, 0, reason, 0);
    }
    vm_state(AT_hlt, false);
    vm_reply(CB_GROUPS_VCPU & ~CB_GROUP_INJECT, 0);
    EXPECT_EVENT(VECTOR_NMI, NO_ERROR, vm_address(AT_hlt));
    vm_return();
    EXPECT_HLT(AT_hlt);
}

/* A bit of CR4 that no guest has. */
void test_invalid(void)
{
    CHECK(vm_start(AT_hlt));
    now.cr4 |= CR4_RESERVED;
    refused(vendor(INVALID_REASON));
}

/* NW without CD. */
void test_invalid_cr0(void)
{
    CHECK(vm_start(AT_hlt));
    now.cr0 |= CR0_NW;
    refused(vendor(INVALID_REASON));
}

/* Code of 64 and of 32 bits at once: only the hardware looks at that. */
void test_invalid_entry(void)
{
    CHECK(vm_start(AT_hlt));
    now.cs.attr |= ATTR_BIG;
    refused(vendor(INVALID_REASON_ENTRY));
}

/* A virtual APIC without exits for HLT, or where there is none. */
void test_invalid_apic(void)
{
    CHECK(vm_start(AT_hlt));
    now.ctrl = CB_CTRL_VAPIC | (vendor_has_apic() ? 0 : CB_CTRL_HLT);
    refused(0);
}

/* ---- A reply changes the groups that it names ---- */

static void change_registers(struct cb_state *s)
{
    const uint64_t mask = mode == LONG ? UINT64_MAX : UINT32_MAX;
    uint64_t *registers = &s->rax;

    for (uint32_t i = 0; i < 16; i++)
        registers[i] = ~registers[i] & mask;
    s->rsp = GUEST_STACK;
    s->rip = vm_address(AT_hlt_end);
    s->rflags |= RFLAGS_OF_SF_AF;
    s->qual[0] = s->qual[1] = 1; /* in vain */
    s->cr0 |= 0xa;               /* TS MP */
    s->cr2 = 0xabc000;
    s->cr3 = GUEST_TABLES_OTHER;
    s->cr4 |= 0x284; /* OSFXSR PGE TSD */
    s->cr8 = 9;
    s->dr6 = 0xffff0ff1;
    s->dr7 = 0x30700;
    for (uint32_t i = 0; i < 4; i++)
        s->dr[i] = 0x1000 * i + 1;
}

static void change_segments(struct cb_state *s)
{
    const uint64_t high = mode == LONG ? 0xffff800000001000 : 0x1000;

    s->cs.sel = s->ss.sel = 0x18;
    s->cs.limit = s->ss.limit = mode == REAL ? 0x8fff : 0xffffff;
    s->ds.sel = s->es.sel = s->fs.sel = s->gs.sel = 0x20;
    s->ds.limit = s->es.limit = mode == REAL ? 0x7fff : 0xfffff;
    s->ds.base = s->es.base = 0x200;
    s->fs.base = s->gs.base = high;
    s->ldtr = (struct cb_segment){0x30, 0x82, 0xff, 0x8000};
    s->tr = (struct cb_segment){0x38, 0x8b, 0x6f, 0x8100};
    s->gdtr = (struct cb_segment){0, 0, 0x47, 0x8200};
    s->idtr = (struct cb_segment){0, 0, 0x57, 0x8300};
}

static void change_rest(struct cb_state *s)
{
    s->efer |= 0x801; /* NXE SCE */
    s->tsc_aux = 5;
    s->star = 0x1122334455667788;
    s->lstar = s->kernel_gs_base = s->sysenter_eip = 0xffff900000002000;
    s->cstar = s->sysenter_esp = 0x3000;
    s->fmask = 0x47700;
    s->sysenter_cs = 0x40;
    s->pat = 0x0606060606060606;
    s->inject = CB_INJECT_WINDOW | CB_INJECT_NMI_WINDOW; /* neither comes: interrupts are off, and NMIs */
    s->blocked = CB_BLOCKED_NMI;
    s->upcall_vector = 0x55;
    s->ctrl |= CB_CTRL_UPCALL;
    s->exception_bitmap = 1u << VECTOR_UD;
    s->xcr0 = 3;
    s->tsc_offset = 0x123456789abc;
    if (!vendor_has_apic())
        return;
    for (uint32_t i = 0; i < CB_APIC_REGISTERS; i++)
        s->apic[i] = 0x87654321 * (i + 1);
    for (uint32_t i = 0; i < 4; i++)
        s->apic_eoi_exit[i] = 0x123456789abcdef0 + i;
    s->apic_page = GUEST_APIC;
}

void test_reply_groups(void)
{
    struct cb_state other;

    CHECK(vm_start(AT_hlt));
    vm_reply(CB_GROUPS_VCPU, 0);
    EXPECT_HLT(AT_hlt);
    other = now;
    change_registers(&other);
    change_segments(&other);
    change_rest(&other);
    for (uint32_t set = 1; set < GROUP_SETS - 1; set++) {
        vm_take(&other, vm_group_set(set));
        vm_reply(vm_group_set(set), 0);
        EXPECT(CB_EXIT_HLT, now.rip, 1);
    }
}
