/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * AMD-V's side of a vCPU's state, on a VMCB that no hardware reads. Whatever changes a field that the hardware may
 * remember clears that field's clean bit (APM 2, 15.15.3); what a message says can be read back; and bits of control
 * registers that the host depends on stay as the host needs them, while the guest sees its own.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "cpu_init.h"
#include "random.h"
#include "shadow_cr.h"
#include "svm.h"
#include "virt.h"

#define ROUNDS 2000u
#define CR0_OWN 0x8005001full
#define CR4_OFFERED (0x370fffull)

static struct vmcb vmcb;
static struct vcpu vcpu;
static u32 injected, skipped;

/* What the files under test need of others. */
unsigned vcpu_inject_exception(struct vcpu *v, u32 vector, u32 error)
{
    (void)v, (void)error;
    injected = vector;
    return VIRT_EXIT_HANDLED;
}

void svm_skip(struct vcpu *v, u32 bytes)
{
    (void)v;
    skipped = bytes;
}

void svm_shadow_put(struct vcpu *v, u32 groups)
{
    (void)v, (void)groups;
}

void shadow_get(const struct shadow *s, u32 groups, struct cb_state *out)
{
    (void)s, (void)groups, (void)out;
}

void shadow_table_drop_all(struct shadow_table *t)
{
    (void)t;
}

void shadow_table_drop_local(struct shadow_table *t)
{
    (void)t;
}

u32 walk_physical_bits = 48;

static void setup(void)
{
    memset(&vmcb, 0, sizeof(vmcb));
    memset(&vcpu, 0, sizeof(vcpu));
    vcpu.hw = &vmcb;
    svm_reset(&vmcb);
    injected = UINT32_MAX;
    skipped = 0;
}

TestSuite(svm, .init = setup);

static void fill(void *at, size_t size)
{
    for (size_t i = 0; i < size; i++)
        ((u8 *)at)[i] = (u8)random_next();
}

/* Fields by clean bit: APM 2, table 15-10... */
#define FIELD(bit, member) { bit, offsetof(struct vmcb, member), sizeof(((struct vmcb *)0)->member), #member }
static const struct {
    u32 bit;
    size_t at, size;
    const char *name;
} fields[] = {
    FIELD(VMCB_CLEAN_INTERCEPTS, intercept_cr_read), FIELD(VMCB_CLEAN_INTERCEPTS, intercept_cr_write),
    FIELD(VMCB_CLEAN_INTERCEPTS, intercept_dr_read), FIELD(VMCB_CLEAN_INTERCEPTS, intercept_dr_write),
    FIELD(VMCB_CLEAN_INTERCEPTS, intercept_exceptions), FIELD(VMCB_CLEAN_INTERCEPTS, intercept1),
    FIELD(VMCB_CLEAN_INTERCEPTS, intercept2), FIELD(VMCB_CLEAN_INTERCEPTS, tsc_offset),
    FIELD(VMCB_CLEAN_MAPS, iopm_base), FIELD(VMCB_CLEAN_MAPS, msrpm_base),
    FIELD(VMCB_CLEAN_ASID, asid), FIELD(VMCB_CLEAN_VINTR, vintr),
    FIELD(VMCB_CLEAN_NESTED, nested_cr3), FIELD(VMCB_CLEAN_NESTED, g_pat),
    FIELD(VMCB_CLEAN_CR, cr0), FIELD(VMCB_CLEAN_CR, cr3), FIELD(VMCB_CLEAN_CR, cr4), FIELD(VMCB_CLEAN_CR, efer),
    FIELD(VMCB_CLEAN_DR, dr6), FIELD(VMCB_CLEAN_DR, dr7),
    FIELD(VMCB_CLEAN_DT, gdtr), FIELD(VMCB_CLEAN_DT, idtr),
    FIELD(VMCB_CLEAN_SEGMENTS, cs), FIELD(VMCB_CLEAN_SEGMENTS, ss), FIELD(VMCB_CLEAN_SEGMENTS, ds),
    FIELD(VMCB_CLEAN_SEGMENTS, es), FIELD(VMCB_CLEAN_SEGMENTS, cpl),
    FIELD(VMCB_CLEAN_CR2, cr2),
};

static void expect_clean(const struct vmcb *before, u32 groups)
{
    for (unsigned i = 0; i < ARRAY_SIZE(fields); i++) {
        bool same = !memcmp((const u8 *)before + fields[i].at, (const u8 *)&vmcb + fields[i].at, fields[i].size);

        cr_assert(same || !(vmcb.clean & fields[i].bit), "groups %x change %s, and the hardware is not told", groups,
                  fields[i].name);
    }
}

Test(svm, what_changes_is_not_clean)
{
    struct cb_state in;

    for (unsigned n = 0; n < ROUNDS; n++) {
        u32 groups = n < 32 ? 1u << n % 18 : (u32)random_next() & CB_GROUPS_VCPU;
        struct vmcb before;

        svm_hides_cr = random_below(2);
        fill(&in, sizeof(in));
        vcpu.tsc_offset = random_next();
        vcpu.exception_bitmap = (u32)random_next();
        vmcb.clean = VMCB_CLEAN_ALL;
        before = vmcb;
        svm_put(&vcpu, groups, &in);
        expect_clean(&before, groups);
    }
}

/* APM 2, 15.5.1: what the privilege level follows from. */
Test(svm, privilege_follows_from_the_mode)
{
    struct cb_state in = { .cr0 = 0x31, .rflags = 2, .ss = { 0x23, 0xcf3, 0xffffffff, 0 } };
    const u32 groups = CB_GROUP_CR | CB_GROUP_CS_SS | CB_GROUP_RFLAGS;

    svm_put(&vcpu, groups, &in);
    cr_expect_eq(vmcb.cpl, 3);
    in.cr0 = 0x10;
    svm_put(&vcpu, groups, &in);
    cr_expect_eq(vmcb.cpl, 0, "real mode");
    in.cr0 = 0x31;
    in.ss.attr = 0xc93;
    svm_put(&vcpu, groups, &in);
    cr_expect_eq(vmcb.cpl, 0);
    in.rflags |= 1u << 17;
    svm_put(&vcpu, groups, &in);
    cr_expect_eq(vmcb.cpl, 3, "virtual 8086 mode");
}

Test(svm, reset_is_not_clean)
{
    vmcb.clean = VMCB_CLEAN_ALL;
    svm_reset(&vmcb);
    cr_assert_eq(vmcb.clean, 0);
}

/* What a guest on this machine can have: written by a message, read by another. */
static void read_back(void)
{
    struct cb_state in = { .cr0 = 0x80050031, .cr2 = 1, .cr3 = 0x2000, .cr4 = 0x20, .cr8 = 5, .dr6 = 0xffff0ff1, .dr7 = 0x401 };
    struct cb_state out;

    in.cs = (struct cb_segment){ 8, 0xa9b, 0xffffffff, 0 };
    in.ss = (struct cb_segment){ 16, 0xc93, 0xffffffff, 0 };
    in.ds = in.es = in.fs = in.gs = (struct cb_segment){ 24, 0xcf3, 0xfffff, 0x1234000 };
    in.ldtr = (struct cb_segment){ 0, 0x1000, 0, 0 };
    in.tr = (struct cb_segment){ 40, 0x8b, 0x67, 0xffff800000001000 };
    in.gdtr = (struct cb_segment){ 0, 0, 0x7f, 0xffff800000002000 };
    in.idtr = (struct cb_segment){ 0, 0, 0xfff, 0xffff800000003000 };
    in.efer = 0xd01;
    in.star = 1;
    in.lstar = 0xffffffff80000000;
    in.cstar = 3;
    in.fmask = 4;
    in.kernel_gs_base = 5;
    in.sysenter_cs = 6;
    in.sysenter_esp = 7;
    in.sysenter_eip = 8;
    in.pat = 0x0606060606060606;
    in.rip = 0x1000;
    in.rsp = 0x2000;
    in.rflags = 0x202;
    out = in;
    svm_put(&vcpu, CB_GROUPS_VCPU & ~(CB_GROUP_INJECT | CB_GROUP_CTRL | CB_GROUP_VAPIC), &in);
    memset(&out, 0, sizeof(out));
    svm_get(&vcpu, CB_GROUPS_VCPU & ~CB_GROUP_VAPIC, &out);
    out.efer &= ~EFER_LMA;
    in.efer &= ~EFER_LMA;
    for (size_t at = offsetof(struct cb_state, cr0); at < offsetof(struct cb_state, inject); at += 8)
        cr_expect_eq(*(u64 *)(void *)((char *)&out + at), *(u64 *)(void *)((char *)&in + at), "byte %zu", at);
    cr_expect_eq(out.rip, in.rip);
    cr_expect_eq(out.rsp, in.rsp);
    cr_expect_eq(out.rflags, in.rflags);
}

Test(svm, state_is_read_back)
{
    svm_hides_cr = false;
    read_back();
    svm_hides_cr = true;
    read_back();
}

/* ---- Control registers that are not quite the guest's ---- */

static void hiding(void)
{
    setup();
    svm_hides_cr = true;
    shadow_cr4_bits = CR4_OFFERED;
    features.pcid = false;
    svm_cr_put(&vcpu, &vmcb);
}

TestSuite(svm_cr, .init = hiding);

static void expect_host_is_safe(void)
{
    cr_expect(!(vmcb.cr0 & (CR0_CD | CR0_NW)), "caches: cr0 %lx", (unsigned long)vmcb.cr0);
    cr_expect(vmcb.cr4 & CR4_MCE);
    cr_expect(!(vmcb.cr4 & (CR4_PKE | CR4_CET)));
}

/* The guest executes MOV between a control register and general register `reg`, where it leaves the guest. */
static void mov(u32 code, u32 reg)
{
    vmcb.exit_code = code;
    vmcb.exit_info1 = 1ull << 63 | reg;
    vmcb.clean = VMCB_CLEAN_ALL;
    vcpu.insn_len = 3;
    skipped = 0;
    injected = UINT32_MAX;
    cr_expect_eq(svm_cr_exit(&vcpu, &vmcb), VIRT_EXIT_HANDLED);
    cr_expect_eq(skipped, injected == UINT32_MAX ? 3 : 0);
}

static void write_cr(u32 code, u64 value, bool taken)
{
    struct vmcb before;
    u64 flushes = vcpu.flushes;

    vcpu.ctx.regs.rcx = value;
    vmcb.clean = VMCB_CLEAN_ALL;
    before = vmcb;
    mov(code, 1);
    cr_expect_eq(injected, taken ? UINT32_MAX : EXCEPTION_GP, "%x: %lx", code, (unsigned long)value);
    cr_expect_eq(vcpu.flushes, flushes + taken, "what was found with the old bits is flushed");
    expect_clean(&before, CB_GROUP_CR);
    expect_host_is_safe();
}

static u64 seen(u32 number)
{
    struct cb_state out;

    svm_get(&vcpu, CB_GROUP_CR, &out);
    return number ? out.cr4 : out.cr0;
}

Test(svm_cr, the_guest_sees_its_own)
{
    cr_expect_eq(seen(0), CR0_RESET);
    expect_host_is_safe();
    cr_expect(vmcb.intercept_cr_read & 1, "CD and NW are hidden");
    write_cr(VMEXIT_CR0_SELECTIVE, 0x11, true);
    cr_expect_eq(seen(0), 0x11);
    cr_expect(!(vmcb.intercept_cr_read & 1), "nothing is hidden: reading is no exit");
    cr_expect(vmcb.intercept_cr_read & 0x10, "that MCE is set is hidden");
    write_cr(VMEXIT_CR0_WRITE + 4, CR4_MCE | CR4_PAE, true);
    cr_expect_eq(seen(4), CR4_MCE | CR4_PAE);
    cr_expect(!(vmcb.intercept_cr_read & 0x10));
    write_cr(VMEXIT_CR0_WRITE + 4, CR4_PAE, true);
    cr_expect_eq(seen(4), CR4_PAE);
    mov(VMEXIT_CR0_READ + 4, 6);
    cr_expect_eq(vcpu.ctx.regs.rsi, CR4_PAE);
    mov(VMEXIT_CR0_READ + 4, 4);
    cr_expect_eq(vmcb.rsp, CR4_PAE);
    write_cr(VMEXIT_CR0_SELECTIVE, 0x60000011, true);
    mov(VMEXIT_CR0_READ, 0);
    cr_expect_eq(vcpu.ctx.regs.rax, 0x60000011);
}

/* What the processor would refuse: APM 2, 3.1.1, 3.1.3, 5.5.1, 14.6. */
Test(svm_cr, what_cannot_be_is_refused)
{
    write_cr(VMEXIT_CR0_SELECTIVE, CR0_PG, false);
    write_cr(VMEXIT_CR0_SELECTIVE, CR0_NW, false);
    write_cr(VMEXIT_CR0_WRITE + 4, CR4_PKE, false);
    write_cr(VMEXIT_CR0_WRITE + 4, CR4_CET, false);
    write_cr(VMEXIT_CR0_WRITE + 4, CR4_PCIDE, false);
    vmcb.efer = EFER_SVME | EFER_LME;
    write_cr(VMEXIT_CR0_SELECTIVE, CR0_PG | CR0_PE, false);
    write_cr(VMEXIT_CR0_WRITE + 4, CR4_PAE, true);
    write_cr(VMEXIT_CR0_SELECTIVE, CR0_PG | CR0_PE, true);
    cr_expect(vmcb.efer & EFER_LMA);
    write_cr(VMEXIT_CR0_WRITE + 4, 0, false);
    vmcb.cs.attr = 0x200;
    vcpu.ctx.regs.rcx = 0;
    write_cr(VMEXIT_CR0_SELECTIVE, 1ull << 32 | CR0_PG | CR0_PE, false);
    write_cr(VMEXIT_CR0_SELECTIVE, CR0_PE, false);
    vmcb.cs.attr = 0;
    write_cr(VMEXIT_CR0_SELECTIVE, 1ull << 32 | CR0_PE, true);
    cr_expect(!(vmcb.efer & EFER_LMA), "outside of 64-bit code, a MOV has 32 bits");
    cr_expect_eq(seen(4), CR4_PAE);
}

Test(svm_cr, pcids_take_long_mode)
{
    features.pcid = true;
    vmcb.efer = EFER_SVME | EFER_LME;
    write_cr(VMEXIT_CR0_WRITE + 4, CR4_PAE, true);
    write_cr(VMEXIT_CR0_WRITE + 4, CR4_PAE | CR4_PCIDE, false);
    write_cr(VMEXIT_CR0_SELECTIVE, CR0_PG | CR0_PE, true);
    vmcb.cr3 = 0x1001;
    write_cr(VMEXIT_CR0_WRITE + 4, CR4_PAE | CR4_PCIDE, false);
    vmcb.cr3 = 0x1000;
    write_cr(VMEXIT_CR0_WRITE + 4, CR4_PAE | CR4_PCIDE, true);
    write_cr(VMEXIT_CR0_SELECTIVE, CR0_PE, false);
}

/* LMSW does not say what it moves: it is let, and what it left is looked at with the next exit. */
Test(svm_cr, what_does_not_tell_is_let_until_the_next_exit)
{
    vmcb.exit_code = VMEXIT_CR0_SELECTIVE;
    vmcb.exit_info1 = 0;
    cr_expect_eq(svm_cr_exit(&vcpu, &vmcb), VIRT_EXIT_HANDLED);
    cr_expect_eq(skipped, 0);
    cr_expect(!(vmcb.intercept1 & VMCB_INTERCEPT1_CR0_SELECTIVE));
    cr_expect(vcpu_is_special(&vcpu));
    vmcb.cr0 |= CR0_CD | CR0_PE;
    svm_cr_leave(&vcpu, &vmcb);
    expect_host_is_safe();
    cr_expect(vmcb.cr0 & CR0_PE);
    cr_expect(vmcb.intercept1 & VMCB_INTERCEPT1_CR0_SELECTIVE);
}

/* Messages too. */
Test(svm_cr, messages_cannot_either)
{
    struct cb_state in = { .cr0 = 0x60000011, .cr4 = CR4_PKE | CR4_CET | CR4_PAE };

    svm_put(&vcpu, CB_GROUP_CR, &in);
    expect_host_is_safe();
    cr_expect_eq(seen(0), 0x60000011);
    cr_expect_eq(seen(4), CR4_PAE);
}

/* What no processor can run is not made to look as if it could: the entry fails. */
Test(svm_cr, messages_can_be_refused)
{
    struct cb_state in = { .cr0 = 0x20000011, .cr4 = CR4_PAE };

    svm_put(&vcpu, CB_GROUP_CR, &in);
    cr_expect_eq(vmcb.cr0, 0x20000011);
    cr_expect_eq(seen(0), 0x20000011);
}
