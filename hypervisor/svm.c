/* SPDX-License-Identifier: GPL-2.0-only */
/* AMD-V: what the machine can do, turning it on, and a vCPU's VMCB. APM 2, chapter 15. */
#include "svm.h"

#include <corbel/boot.h>

#include "account.h"
#include "bootmem.h"
#include "cpu.h"
#include "cpu_init.h"
#include "domain.h"
#include "io.h"
#include "kstring.h"
#include "virt.h"

#define CPUID_80000001_ECX_SVM (1u << 2)
#define MSR_MAP_SIZE (2 * PAGE_SIZE)
#define IO_MAP_SIZE (IO_MAP_PAGES * PAGE_SIZE)

/* Constant after boot: a set bit makes the access leave the guest. APM 2, 15.10.1 and 15.11. */
static u8 msr_map[MSR_MAP_SIZE] __attribute__((aligned(4096)));
static u8 no_ports[IO_MAP_SIZE] __attribute__((aligned(4096)));

bool svm_flush_by_asid, svm_saves_next_rip, svm_decodes, svm_emulated, svm_hides_xcr0;

/* These live in the VMCB; all other MSRs are the VMM's to answer for. */
static const struct {
    u32 first, last;
} msr_direct[] = {
    { 0x174, 0x176 },                      /* SYSENTER_CS, _ESP, _EIP */
    { MSR_STAR, MSR_FMASK },               /* STAR, LSTAR, CSTAR, SFMASK */
    { MSR_FS_BASE, MSR_KERNEL_GS_BASE },
};

/* Two bits per MSR; 2 KiB for each of three ranges of 8192. */
static void msr_allow(u32 msr)
{
    u32 at = msr >= 0xc0000000u ? 0x800 * 4 + (msr - 0xc0000000u) : msr;

    msr_map[at / 4] &= (u8)~(3u << at % 4 * 2);
}

static void svm_maps_init(void)
{
    memset(msr_map, 0xff, sizeof(msr_map));
    memset(no_ports, 0xff, sizeof(no_ports));
    for (unsigned i = 0; i < ARRAY_SIZE(msr_direct); i++) {
        for (u32 msr = msr_direct[i].first; msr <= msr_direct[i].last; msr++)
            msr_allow(msr);
    }
}

/* APM 2, 15.4. */
static const char *svm_refusal(void)
{
    if (cpuid(0x80000000u, 0).eax < SVM_CPUID || !(cpuid(0x80000001u, 0).ecx & CPUID_80000001_ECX_SVM))
        return virt_absent;
    if (rdmsr(MSR_VM_CR) & VM_CR_SVMDIS)
        return "AMD-V is turned off in the firmware's set-up";
    if (cpuid(SVM_CPUID, 0).ebx < 2)
        return "AMD-V without ASIDs";
    return NULL;
}

const char *svm_probe(void)
{
    const char *refusal = svm_refusal();

    if (!refusal) {
        virt_nested = cpuid(SVM_CPUID, 0).edx & SVM_EDX_NP;
        svm_flush_by_asid = cpuid(SVM_CPUID, 0).edx & SVM_EDX_FLUSH_BY_ASID;
        svm_saves_next_rip = cpuid(SVM_CPUID, 0).edx & SVM_EDX_NRIP_SAVE;
        svm_emulated = cpuid(CPUID_HYPERVISOR, 0).ebx == TCG_SIGNATURE;
        svm_hides_xcr0 = svm_emulated && features.xsave;
        svm_decodes = cpuid(SVM_CPUID, 0).edx & SVM_EDX_DECODE;
        svm_hides_cr = virt_nested && svm_saves_next_rip && svm_decodes;
        svm_maps_init();
    }
    return refusal;
}

/* After the CPU's TSS and system call registers have been set up: VMSAVE remembers them. */
bool svm_turn_on(void)
{
    struct svm_cpu *s;

    if (svm_refusal())
        return false;
    s = bootmem_pages(sizeof(*s) / PAGE_SIZE);
    wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SVME);
    wrmsr(MSR_VM_HSAVE_PA, physical(s->save));
    __asm__ volatile("vmsave %%rax" : : "a"(physical(s->host)) : "memory");
    tlb_init(&cpu.asids, 1, cpuid(SVM_CPUID, 0).ebx - 1);
    cpu.virt = s;
    cpu.virt_physical = physical(s->host);
    return true;
}

bool svm_vcpu_init(struct vcpu *v)
{
    struct vmcb *vmcb = account_page(v->ctx.obj.account);

    if (!vmcb)
        return false;
    vmcb->intercept_dr_read = VMCB_INTERCEPT_DR_READ;
    vmcb->intercept_dr_write = VMCB_INTERCEPT_DR_WRITE;
    vmcb->intercept_exceptions = VIRT_EXCEPTIONS;
    vmcb->intercept1 = VMCB_INTERCEPT1_INTR | VMCB_INTERCEPT1_NMI | VMCB_INTERCEPT1_INIT |
                       VMCB_INTERCEPT1_RDPMC | VMCB_INTERCEPT1_CPUID | VMCB_INTERCEPT1_INVD | VMCB_INTERCEPT1_HLT |
                       VMCB_INTERCEPT1_INVLPGA | VMCB_INTERCEPT1_IOIO | VMCB_INTERCEPT1_MSR |
                       VMCB_INTERCEPT1_TASK_SWITCH | VMCB_INTERCEPT1_FERR_FREEZE | VMCB_INTERCEPT1_SHUTDOWN;
    vmcb->intercept2 = VMCB_INTERCEPT2_VMRUN | VMCB_INTERCEPT2_VMMCALL | VMCB_INTERCEPT2_VMLOAD |
                       VMCB_INTERCEPT2_VMSAVE | VMCB_INTERCEPT2_STGI | VMCB_INTERCEPT2_CLGI | VMCB_INTERCEPT2_SKINIT |
                       VMCB_INTERCEPT2_WBINVD | VMCB_INTERCEPT2_MONITOR | VMCB_INTERCEPT2_MWAIT |
                       VMCB_INTERCEPT2_MWAIT_ARMED | VMCB_INTERCEPT2_XSETBV | VMCB_INTERCEPT2_RDPRU;
    vmcb->iopm_base = image_physical(no_ports);
    vmcb->msrpm_base = image_physical(msr_map);
    vmcb->vintr = VMCB_VINTR_MASKING;
    vmcb->nested_control = VMCB_NESTED_PAGING;
    vmcb->nested_cr3 = physical(v->ctx.domain->space.root);
    svm_reset(vmcb);
    svm_cr_put(v, vmcb);
    if (v->shadow)
        svm_shadow_init(v, vmcb);
    v->hw = vmcb;
    v->hw_physical = physical(vmcb);
    return true;
}

void svm_vcpu_free(struct vcpu *v)
{
    account_page_free(v->ctx.obj.account, v->hw);
}

bool svm_stepped(const struct vcpu *v)
{
    return v->step_to_vmm || (v->inject & (CB_INJECT_VALID | INJECT_TYPE)) == (CB_INJECT_VALID | CB_INJECT_TYPE_EXCEPTION);
}

bool svm_shadowed(const struct vcpu *v)
{
    return svm_vmcb(v)->interrupt_shadow & SVM_SHADOW;
}

bool svm_interruptible(const struct vcpu *v)
{
    const struct vmcb *vmcb = svm_vmcb(v);

    return (vmcb->rflags & RFLAGS_IF) && !(vmcb->interrupt_shadow & SVM_SHADOW);
}

void svm_ports(struct vcpu *v, bool map)
{
    struct vmcb *vmcb = svm_vmcb(v);

    vmcb->iopm_base = map ? physical(cpu.io_map) : image_physical(no_ports);
    vmcb->clean &= ~VMCB_CLEAN_MAPS;
}

void svm_enable_interrupts(struct vcpu *v)
{
    svm_vmcb(v)->rflags |= RFLAGS_IF;
}

const struct virt_ops svm_ops = {
    .name = "AMD-V",
    .features = CB_FEATURE_SVM,
    .format = SPACE_NPT,
};
