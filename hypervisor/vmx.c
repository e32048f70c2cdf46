/* SPDX-License-Identifier: GPL-2.0-only */
/* VT-x: what the machine can do, turning it on, and a vCPU's VMCS. SDM 3C, chapters 24, 25 and 31, appendix A. */
#include "vmx.h"

#include <corbel/boot.h>

#include "account.h"
#include "bootmem.h"
#include "domain.h"
#include "fpu.h"
#include "kstring.h"
#include "tsc.h"
#include "virt.h"

#define CPUID_1_ECX_VMX (1u << 5)

#define MSR_FEATURE_CONTROL 0x3au
#define FEATURE_LOCKED (1ull << 0)
#define FEATURE_VMX (1ull << 2) /* outside of SMX */

#define MSR_VMX_BASIC 0x480u
#define BASIC_REVISION 0x7fffffffull
#define BASIC_TYPE(v) ((v) >> 50 & 0xf)
#define BASIC_IO (1ull << 54)
#define BASIC_TRUE (1ull << 55)
#define MSR_VMX_PIN 0x481u
#define MSR_VMX_PRIMARY 0x482u
#define MSR_VMX_EXIT 0x483u
#define MSR_VMX_ENTRY 0x484u
#define MSR_VMX_MISC 0x485u
#define MISC_TIMER_SHIFT(v) ((v) & 0x1f)
#define MSR_VMX_CR0_FIXED0 0x486u
#define MSR_VMX_CR4_FIXED0 0x488u
#define MSR_VMX_CR4_FIXED1 0x489u
#define MSR_VMX_SECONDARY 0x48bu
#define MSR_VMX_EPT_VPID 0x48cu
#define EPT_4_LEVELS (1ull << 6)
#define EPT_WB (1ull << 14)
#define EPT_2M (1ull << 16)
#define EPT_1G (1ull << 17)
#define EPT_INVEPT (1ull << 20)
#define EPT_AD (1ull << 21)
#define EPT_INVEPT_SINGLE (1ull << 25)
#define EPT_INVEPT_ALL (1ull << 26)
#define VPID_INVVPID (1ull << 32)
#define VPID_INVVPID_SINGLE (1ull << 41)
#define VPID_INVVPID_ALL (1ull << 42)
#define MSR_VMX_TRUE 12u /* from MSR_VMX_PIN to _ENTRY: the number of the "true" one is higher by this (A.3 to A.5) */

#define INV_SINGLE 1u /* types of INVEPT and INVVPID */
#define INV_ALL 2u

#define TYPE_WB 6u
#define TIMER_US 1000u
#define VPIDS 0xffffu
#define MSR_BITMAP_WRITES 2048u
#define MSR_BITMAP_HIGH 1024u

/* One for all vCPUs, constant after boot: a set bit makes the access leave the guest. 25.6.9. */
static u8 msr_bitmap[PAGE_SIZE] __attribute__((aligned(4096)));

struct vmx_machine vmx_machine;

/*
 * MSRs that are the guest's own in the CPU while it runs; all others are the VMM's to answer for. Those of SYSCALL
 * have no place in the VMCS: writes leave the guest, so that their values are known.
 */
static const struct {
    u32 first, last;
    bool write;
} msr_direct[] = {
    { 0x174, 0x176, true },            /* SYSENTER_CS, _ESP, _EIP */
    { MSR_STAR, MSR_LSTAR, false },
    { MSR_FMASK, MSR_FMASK, false },
    { MSR_FS_BASE, MSR_KERNEL_GS_BASE, true },
};

static void msr_allow(u32 msr, bool write)
{
    u32 at = msr >= 0xc0000000u ? MSR_BITMAP_HIGH * 8 + (msr - 0xc0000000u) : msr;

    msr_bitmap[at / 8] &= (u8)~(1u << at % 8);
    if (write)
        msr_bitmap[MSR_BITMAP_WRITES + at / 8] &= (u8)~(1u << at % 8);
}

static void msr_bitmap_init(void)
{
    memset(msr_bitmap, 0xff, sizeof(msr_bitmap));
    for (unsigned i = 0; i < ARRAY_SIZE(msr_direct); i++) {
        for (u32 msr = msr_direct[i].first; msr <= msr_direct[i].last; msr++)
            msr_allow(msr, msr_direct[i].write);
    }
}

/* ---- What the CPU can do ---- */

/*
 * Controls as the CPU takes them (A.3 to A.5): those that must be set, and of what is wanted what may be. Whether
 * that will do is for the caller to see.
 */
static u32 controls(u32 msr, u32 wanted, bool truth)
{
    u64 capability = rdmsr(msr + (truth ? MSR_VMX_TRUE : 0));

    return (u32)capability | (wanted & (u32)(capability >> 32));
}

static bool lacks(u32 have, u32 needed)
{
    return (have & needed) != needed;
}

/* What comes with EPT in all processors, and what shadow page tables do without. */
#define EXIT_NESTED (VMCS_EXIT_LOAD_PAT | VMCS_EXIT_SAVE_EFER | VMCS_EXIT_LOAD_EFER)
#define ENTRY_NESTED (VMCS_ENTRY_LOAD_PAT | VMCS_ENTRY_LOAD_EFER)

/* Pin-based and primary controls, those of exits and entries. */
static const char *examine_controls(struct vmx_machine *m, bool truth)
{
    const u32 pin = VMCS_PIN_INTERRUPT | VMCS_PIN_NMI | VMCS_PIN_VIRTUAL_NMI;
    const u32 primary = VMCS_CONTROL_TSC_OFFSET | VMCS_CONTROL_HLT | VMCS_CONTROL_MWAIT | VMCS_CONTROL_RDPMC |
                        VMCS_CONTROL_CR8_LOAD | VMCS_CONTROL_CR8_STORE | VMCS_CONTROL_DR | VMCS_CONTROL_IO |
                        VMCS_CONTROL_MSR_BITMAP | VMCS_CONTROL_MONITOR | VMCS_CONTROL_SECONDARY;
    const u32 exit = VMCS_EXIT_SAVE_DEBUG | VMCS_EXIT_HOST_64 | EXIT_NESTED;
    const u32 entry = VMCS_ENTRY_LOAD_DEBUG | ENTRY_NESTED;

    m->pin = controls(MSR_VMX_PIN, pin | VMCS_PIN_TIMER, truth);
    m->primary = controls(MSR_VMX_PRIMARY, primary, truth);
    m->exit = controls(MSR_VMX_EXIT, exit, truth);
    m->entry = controls(MSR_VMX_ENTRY, entry, truth);
    if (lacks(m->pin, pin))
        return "VT-x without virtual NMIs";
    if (lacks(m->primary, primary & ~VMCS_CONTROL_SECONDARY))
        return "VT-x without MSR bitmaps";
    if (lacks(controls(MSR_VMX_PRIMARY, VMCS_CONTROL_IO_BITMAPS, truth), VMCS_CONTROL_IO_BITMAPS))
        return "VT-x without I/O bitmaps";
    if (m->primary & (VMCS_CONTROL_CR3_LOAD | VMCS_CONTROL_CR3_STORE | VMCS_CONTROL_INVLPG | VMCS_CONTROL_IO_BITMAPS))
        return "VT-x without true controls";
    if (lacks(m->exit, exit & ~EXIT_NESTED) || lacks(m->entry, entry & ~ENTRY_NESTED))
        return "VT-x without switching of debug registers";
    return NULL;
}

/* Secondary controls, EPT and VPID: A.3.3, A.10. False: guests run on shadow page tables. */
static bool examine_nested(struct vmx_machine *m)
{
    u64 can;

    if (!(m->primary & VMCS_CONTROL_SECONDARY) || lacks(m->exit, EXIT_NESTED) || lacks(m->entry, ENTRY_NESTED))
        return false;
    m->secondary = controls(MSR_VMX_SECONDARY, VMCS_CONTROL2_EPT | VMCS_CONTROL2_VPID | VMCS_CONTROL2_WBINVD |
                                                   VMCS_CONTROL2_UNRESTRICTED | VMCS_CONTROL2_INVPCID, false);
    if (lacks(m->secondary, VMCS_CONTROL2_EPT | VMCS_CONTROL2_UNRESTRICTED))
        return false;
    can = rdmsr(MSR_VMX_EPT_VPID);
    if (!(can & EPT_4_LEVELS) || !(can & EPT_WB) || !(can & EPT_INVEPT) ||
        !(can & (EPT_INVEPT_SINGLE | EPT_INVEPT_ALL)))
        return false;
    m->ept = VMCS_EPT_WB | VMCS_EPT_LEVELS | (can & EPT_AD ? VMCS_EPT_AD : 0);
    m->ept_level = can & EPT_1G ? 3 : can & EPT_2M ? 2 : 1;
    m->invept = can & EPT_INVEPT_SINGLE ? INV_SINGLE : INV_ALL;
    m->invvpid = can & VPID_INVVPID_SINGLE ? INV_SINGLE : INV_ALL;
    m->vpid = (m->secondary & VMCS_CONTROL2_VPID) && (can & VPID_INVVPID) &&
              (can & (VPID_INVVPID_SINGLE | VPID_INVVPID_ALL));
    if (!m->vpid)
        m->secondary &= ~VMCS_CONTROL2_VPID;
    return true;
}

/* Would the CPU take exactly these controls? */
static bool allows(u32 msr, u32 value, bool truth)
{
    u64 capability = rdmsr(msr + (truth ? MSR_VMX_TRUE : 0));

    return !lacks(value, (u32)capability) && !lacks((u32)(capability >> 32), value);
}

/* All of the virtual APIC, of which CR8 is a part then; or nothing. 30.1. */
static bool examine_vapic(const struct vmx_machine *m, bool truth)
{
    const u32 cr8 = VMCS_CONTROL_CR8_LOAD | VMCS_CONTROL_CR8_STORE;

    return m->nested && allows(MSR_VMX_PRIMARY, (m->primary | VMCS_CONTROL_TPR_SHADOW) & ~cr8, truth) &&
           allows(MSR_VMX_SECONDARY, m->secondary | VMX_APIC_CONTROLS2, false);
}

/* Without second-level tables (docs/shadow-paging.md). Such a processor can always leave a guest that touches CR3. */
static void choose_shadow(struct vmx_machine *m)
{
    m->primary |= VMCS_CONTROL_CR3_LOAD | VMCS_CONTROL_CR3_STORE | VMCS_CONTROL_INVLPG;
    m->secondary = m->primary & VMCS_CONTROL_SECONDARY ? controls(MSR_VMX_SECONDARY, VMCS_CONTROL2_WBINVD, false) : 0;
    m->exit &= ~EXIT_NESTED;
    m->entry &= ~ENTRY_NESTED;
}

/* This CPU. NULL: vCPUs can run on it, with these settings. */
static const char *examine(struct vmx_machine *m)
{
    const char *refusal;
    u64 basic, feature;

    if (!(cpuid(1, 0).ecx & CPUID_1_ECX_VMX))
        return virt_absent;
    feature = rdmsr(MSR_FEATURE_CONTROL);
    if ((feature & FEATURE_LOCKED) && !(feature & FEATURE_VMX))
        return "VT-x is turned off in the firmware's set-up";
    basic = rdmsr(MSR_VMX_BASIC);
    if (BASIC_TYPE(basic) != TYPE_WB)
        return "VT-x whose VMCS is not cached";
    refusal = examine_controls(m, basic & BASIC_TRUE);
    if (refusal)
        return refusal;
    m->nested = examine_nested(m);
    if (!m->nested)
        choose_shadow(m);
    m->vapic = examine_vapic(m, basic & BASIC_TRUE);
    if (!(m->pin & VMCS_PIN_TIMER)) /* another backstop, against guests that spin with interrupts off */
        m->primary |= VMCS_CONTROL_PAUSE;
    m->revision = (u32)(basic & BASIC_REVISION);
    m->io_told = basic & BASIC_IO;
    /* An unrestricted guest may clear PE and PG (A.7). */
    m->cr0_fixed = (rdmsr(MSR_VMX_CR0_FIXED0) & ~(m->nested ? CR0_PE | CR0_PG : 0)) | VMX_CR0_NE;
    m->cr4_fixed = rdmsr(MSR_VMX_CR4_FIXED0) | VMX_CR4_VMXE | VMX_CR4_MCE;
    m->cr4_allowed = (rdmsr(MSR_VMX_CR4_FIXED1) & VMX_CR4_OWNED) | VMX_CR4_MCE;
    m->timer = (u32)(MAX(tsc_khz * TIMER_US / 1000 >> MISC_TIMER_SHIFT(rdmsr(MSR_VMX_MISC)), 1));
    return NULL;
}

const char *vmx_probe(void)
{
    const char *refusal = examine(&vmx_machine);

    if (refusal)
        return refusal;
    virt_nested = vmx_machine.nested;
    virt_vapic = vmx_machine.vapic;
    space_ept_level = vmx_machine.ept_level;
    msr_bitmap_init();
    return NULL;
}

/* ---- A CPU ---- */

bool vmx_turn_on(void)
{
    struct vmx_machine m;
    struct vmx_cpu *c;
    u64 region;

    memset(&m, 0, sizeof(m)); /* what is between its members is compared too */
    if (examine(&m) || memcmp(&m, &vmx_machine, sizeof(m)))
        return false;
    if (!(rdmsr(MSR_FEATURE_CONTROL) & FEATURE_LOCKED)) /* firmware has left the choice to us: 24.7 */
        wrmsr(MSR_FEATURE_CONTROL, FEATURE_LOCKED | FEATURE_VMX);
    c = bootmem_pages(align_up(sizeof(*c), PAGE_SIZE) / PAGE_SIZE);
    *(u32 *)(void *)c->vmxon = m.revision;
    region = physical(c->vmxon);
    write_cr4(read_cr4() | VMX_CR4_VMXE);
    if (VMCS_FAILS("vmxon %1", "m"(region))) {
        write_cr4(read_cr4() & ~VMX_CR4_VMXE);
        return false;
    }
    tlb_init(&cpu.asids, 1, m.vpid ? VPIDS : 0);
    tlb_init(&c->epts, 0, TLB_TAGS_MAX);
    cpu.virt = c;
    return true;
}

/* ---- A vCPU ---- */

/* The same on every CPU and at any time, so that no exit finds them changed; but for CR3. 25.5. */
static void host_setup(void)
{
    vmcs_write(VMCS_HOST_ES_SEL, 0);
    vmcs_write(VMCS_HOST_CS_SEL, SEL_KERNEL_CODE);
    vmcs_write(VMCS_HOST_SS_SEL, SEL_KERNEL_DATA);
    vmcs_write(VMCS_HOST_DS_SEL, 0);
    vmcs_write(VMCS_HOST_FS_SEL, 0);
    vmcs_write(VMCS_HOST_GS_SEL, 0);
    vmcs_write(VMCS_HOST_TR_SEL, SEL_TSS);
    vmcs_write(VMCS_HOST_FS_BASE, 0);
    vmcs_write(VMCS_HOST_GS_BASE, 0);
    vmcs_write(VMCS_HOST_TR_BASE, CPU_TSS);
    vmcs_write(VMCS_HOST_GDTR_BASE, CPU_GDT);
    vmcs_write(VMCS_HOST_IDTR_BASE, (u64)(uintptr_t)cpu_idt);
    vmcs_write(VMCS_HOST_CR0, (read_cr0() & ~CR0_TS) | fpu_exit_ts());
    vmcs_write(VMCS_HOST_CR4, read_cr4());
    vmcs_write(VMCS_HOST_PAT, rdmsr(MSR_PAT));
    vmcs_write(VMCS_HOST_EFER, rdmsr(MSR_EFER));
    vmcs_write(VMCS_HOST_SYSENTER_CS, 0);
    vmcs_write(VMCS_HOST_SYSENTER_ESP, 0);
    vmcs_write(VMCS_HOST_SYSENTER_EIP, 0);
    vmcs_write(VMCS_HOST_RSP, CPU_STACK_TOP);
    vmcs_write(VMCS_HOST_RIP, (u64)(uintptr_t)vmx_exit_entry);
}

static void controls_setup(const struct vcpu *v, struct vmx *x)
{
    const struct vmx_machine *m = &vmx_machine;
    u64 io_map = physical(cpu_of(v->ctx.cpu)->io_map);

    vmcs_write(VMCS_PIN_CONTROLS, m->pin);
    vmcs_write(VMCS_CONTROLS, m->primary);
    x->primary = m->primary;
    vmcs_write(VMCS_CONTROLS2, m->secondary);
    x->secondary = m->secondary;
    vmcs_write(VMCS_EXIT_CONTROLS, m->exit);
    vmcs_write(VMCS_ENTRY_CONTROLS, m->entry);
    vmcs_write(VMCS_EXCEPTIONS, VIRT_EXCEPTIONS);
    vmcs_write(VMCS_PF_ERROR_MASK, 0); /* #PF is as other exceptions: 26.2 */
    vmcs_write(VMCS_PF_ERROR_MATCH, 0);
    vmcs_write(VMCS_CR3_TARGETS, 0);
    vmcs_write(VMCS_EXIT_MSR_STORES, 0);
    vmcs_write(VMCS_EXIT_MSR_LOADS, 0);
    vmcs_write(VMCS_ENTRY_MSR_LOADS, 0);
    vmcs_write(VMCS_ENTRY_EVENT, 0);
    vmcs_write(VMCS_IO_BITMAP_A, io_map); /* used from vmx_ports() on */
    vmcs_write(VMCS_IO_BITMAP_B, io_map + PAGE_SIZE);
    vmcs_write(VMCS_MSR_BITMAP, image_physical(msr_bitmap));
    vmcs_write(VMCS_TSC_OFFSET, 0);
    vmcs_write(VMCS_EPT_POINTER, physical(v->ctx.domain->space.root) | m->ept);
    vmcs_write(VMCS_LINK_POINTER, UINT64_MAX);
    vmcs_write(VMCS_CR0_MASK, ~VMX_CR0_OWNED | m->cr0_fixed);
    x->cr4_mask = ~VMX_CR4_OWNED | m->cr4_fixed;
    vmcs_write(VMCS_CR4_MASK, x->cr4_mask);
    if (m->pin & VMCS_PIN_TIMER)
        vmcs_write(VMCS_PREEMPTION_TIMER, m->timer);
    if (x->apic)
        vmx_apic_setup(x);
}

/*
 * The VMCS is written here, and written back to memory for the vCPU's CPU, which may be another one. What was loaded is
 * loaded again: the caller may be a vCPU that goes on at once.
 */
static void vmcs_setup(struct vcpu *v, struct vmx *x)
{
    struct vmx *before = vmx_cpu()->current;

    if (VMCS_FAILS("vmclear %1", "m"(x->vmcs)))
        panic("VT-x: the VMCS at %lx is refused", x->vmcs);
    vmx_load(x);
    host_setup();
    controls_setup(v, x);
    vmx_reset(x);
    if (v->shadow)
        vmx_shadow_init(v, x);
    (void)VMCS_FAILS("vmclear %1", "m"(x->vmcs));
    vmx_cpu()->current = NULL;
    if (before)
        vmx_load(before);
}

bool vmx_vcpu_init(struct vcpu *v)
{
    struct account *a = v->ctx.obj.account;
    struct vmx *x = account_page(a);
    u32 *vmcs;

    v->hw = x;
    if (!x)
        return false;
    vmcs = account_page(a);
    if (!vmcs)
        return false;
    *vmcs = vmx_machine.revision;
    x->vmcs = physical(vmcs);
    if (vmx_machine.vapic && !vmx_apic_init(v, x))
        return false;
    vmcs_setup(v, x);
    return true;
}

void vmx_vcpu_free(struct vcpu *v)
{
    struct account *a = v->ctx.obj.account;
    struct vmx *x = v->hw;

    if (!x)
        return;
    account_page_free(a, x->apic);
    if (x->vmcs)
        account_page_free(a, direct(x->vmcs));
    account_page_free(a, x);
}

/* The CPU writes the VMCS back to memory that will be somebody else's, unless it is told to do so now (25.1). */
void vmx_vcpu_forget(struct vcpu *v)
{
    struct vmx_cpu *c = vmx_cpu();
    struct vmx *x = v->hw;

    (void)VMCS_FAILS("vmclear %1", "m"(x->vmcs));
    if (c->current == x)
        c->current = NULL;
    if (cpu.syscall == &x->syscall)
        cpu_syscall_restore();
    if (c->gs_base == x)
        c->gs_base = NULL;
}

void vmx_ports(struct vcpu *v, bool map)
{
    struct vmx *x = vmx_of(v);

    vmx_controls(x, map ? x->primary | VMCS_CONTROL_IO_BITMAPS : x->primary & ~VMCS_CONTROL_IO_BITMAPS);
}

const struct virt_ops vmx_ops = {
    .name = "VT-x",
    .features = CB_FEATURE_VMX,
    .format = SPACE_EPT,
};
