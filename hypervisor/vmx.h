/* SPDX-License-Identifier: GPL-2.0-only */
/* VT-x between vmx.c, vmx_run.c, vmx_exit.c, vmx_state.c, vmx_apic.c, vmx_reason.c, vmx_entry.S. SDM 3C, chapters 24 to 31. */
#ifndef VMX_H
#define VMX_H

#ifndef __ASSEMBLER__
#include "cpu.h"
#include "cpu_init.h"
#include "log.h"
#include "types.h"
#include "vcpu.h"
#include "virt_state.h"
#include "vmcs.h"

/*
 * Control register bits that the guest does not own: a write that would change one leaves the guest, and reading
 * gives the shadow. NE and VMXE must stay set (SDM 3C, 24.8), MCE too, so that a machine check finds a handler; CD
 * and NW would be the real ones.
 */
#define VMX_CR0_NE (1ull << 5)
#define VMX_CR0_NW (1ull << 29)
#define VMX_CR0_CD (1ull << 30)
#define VMX_CR0_SHADOWED (VMX_CR0_NE | VMX_CR0_NW | VMX_CR0_CD)
#define VMX_CR0_OWNED 0x8005001full /* PG AM WP ET TS EM MP PE: all others are reserved */
#define VMX_CR4_MCE (1ull << 6)
#define VMX_CR4_VMXE (1ull << 13)
/* SMAP SMEP OSXSAVE PCIDE FSGSBASE UMIP OSXMMEXCPT OSFXSR PCE PGE PAE PSE DE TSD PVI VME: what CPUID can offer */
#define VMX_CR4_OWNED 0x370fbfull

#define VMX_RIGHTS_DPL(rights) ((u32)(rights) >> 5 & 3u)
#define VMX_MSR_CSTAR 0xc0000083u

#define VMX_APIC_CONTROLS2 (VMCS_CONTROL2_APIC_ACCESSES | VMCS_CONTROL2_APIC_REGISTERS | VMCS_CONTROL2_APIC_DELIVERY)

#define VMX_EFER_GUEST (EFER_SCE | EFER_LME | EFER_NXE)
#define VMX_DR7_GD (1ull << 13)

/* What the hardware offers and the controls that follow; the boot CPU's, constant after boot. */
struct vmx_machine {
    u32 revision;                            /* of the VMCS */
    u32 pin, primary, secondary, exit, entry; /* controls of a new VMCS */
    u64 cr0_fixed, cr4_fixed;                /* bits that are set in the real registers while a guest runs */
    u64 cr4_allowed;                         /* bits that a guest may set (A.8); of CR0 it may all that are not reserved */
    u64 ept;                                 /* the EPT pointer, but for the address */
    bool io_told;                            /* of INS and OUTS, the exit says how memory is addressed (A.1) */
    u32 timer;                               /* value of the preemption timer */
    u8 ept_level;                            /* space.h */
    u8 invept, invvpid;                      /* kind of flush: one context, or all */
    bool vpid;
    bool nested;                             /* EPT, and all that goes with it; else shadow page tables */
    bool vapic;                              /* a virtual APIC, all of it: vmx_apic.c */
};
extern struct vmx_machine vmx_machine;

/* vcpu->hw: what the VMCS does not hold, and what is remembered of it. Home CPU only. */
struct vmx {
    u64 vmcs;               /* host-physical */
    bool launched;
    bool dr_live;           /* DR0 to DR3 and DR6 are the guest's until the next exit; MOV DR does not leave */
    bool reported;          /* a failed entry has stood in the log */
    bool paging_changed;    /* from outside, see vmx_state.c */
    const char *wrong;      /* the state cannot be entered: why */
    u32 ept_hint;           /* tlb.h */

    u64 host_cr3;           /* what the VMCS has: it is written only if something else is due */
    u32 primary, secondary, vpid;
    u64 cr0_shadow, cr4_shadow;
    u64 cr4_mask;           /* bits that the guest does not own, and reads from the shadow */

    u64 cr2, cr8;           /* cr8: while the virtual APIC is off */
    u64 dr[4], dr6;
    u64 pat;                /* with shadow page tables, where it has no effect */
    struct syscall_registers syscall;
    u64 cstar;              /* never in the register: SYSCALL does not use it (SDM 3A, 5.8.8) */
    u64 kernel_gs_base;     /* unless struct vmx_cpu says that it is in the CPU */

    u32 *apic;              /* the virtual APIC's registers, a page; NULL: the machine has none */
    u64 apic_page;          /* guest-physical, where accesses to them are virtualized; 0: nowhere */
    u64 apic_frame;         /* what is mapped there */
    u64 apic_access;        /* what the VMCS has of that, while the control is set; else 0 */

    /* EFER where the processor does not switch it: loaded by entries and by exits. 25.7.2, 25.8.2 */
    struct vmx_msr { u32 msr, reserved; u64 value; } __attribute__((aligned(16))) guest_efer, host_efer;
};
_Static_assert(sizeof(struct vmx_msr) == 16, "SDM 3C, 25.7.2");

/* cpu.virt: in two pages. */
struct vmx_cpu {
    u8 vmxon[PAGE_SIZE];    /* the processor's own */
    struct vmx *current;    /* whose VMCS is loaded */
    struct vmx *gs_base;    /* whose kernel GS base is in the register; the host does not use it */
    struct tlb_tags epts;   /* extended page tables that this CPU may remember parts of */
};

static inline struct vmx_cpu *vmx_cpu(void)
{
    return cpu.virt;
}

static inline void vmx_load(struct vmx *x)
{
    if (VMCS_FAILS("vmptrld %1", "m"(x->vmcs)))
        panic("VT-x: the VMCS at %lx is refused", x->vmcs);
    vmx_cpu()->current = x;
}

/* Of a vCPU of this CPU: its VMCS is loaded. */
static inline struct vmx *vmx_of(const struct vcpu *v)
{
    struct vmx *x = v->hw;

    if (vmx_cpu()->current != x)
        vmx_load(x);
    return x;
}

/* vmx_entry.S; the first two with DEFENCES_GUEST, as far as they are in effect. */
NORETURN void vmx_launch_last(struct vcpu *v);
NORETURN void vmx_resume_last(struct vcpu *v);
NORETURN void vmx_resume(struct vcpu *v);
void vmx_exit_entry(void); /* where exits arrive */

bool vmx_turn_on(void);                                              /* vmx.c, for virt_jump.S, as are some below */
bool vmx_vcpu_init(struct vcpu *v);
void vmx_vcpu_free(struct vcpu *v);
void vmx_vcpu_forget(struct vcpu *v);
void vmx_ports(struct vcpu *v, bool map);

unsigned vmx_run(struct vcpu *v);                                     /* vmx_run.c */
NORETURN void vmx_exited(struct vcpu *v);
NORETURN void vmx_failed(struct vcpu *v);
void vmx_skip(struct vcpu *v, u32 bytes);
bool vmx_stepped(const struct vcpu *v);
bool vmx_shadowed(const struct vcpu *v);
bool vmx_interruptible(const struct vcpu *v);
void vmx_enable_interrupts(struct vcpu *v);
void vmx_controls(struct vmx *x, u32 primary);

/* vmx_shadow.c: for vCPUs that have v->shadow; the VMCS is loaded. */
void vmx_shadow_init(const struct vcpu *v, struct vmx *x);           /* after a reset */
void vmx_shadow_put(struct vcpu *v, struct vmx *x, u32 groups, const struct cb_state *in);
void vmx_shadow_enter(const struct vcpu *v);
unsigned vmx_shadow_fault(struct vcpu *v, struct vmx *x);             /* #PF has left the guest */
unsigned vmx_shadow_cr(struct vcpu *v, struct vmx *x, u64 q);
unsigned vmx_shadow_invlpg(struct vcpu *v);

bool vmx_apic_init(struct vcpu *v, struct vmx *x);                    /* vmx_apic.c; false: exhausted */
void vmx_apic_setup(const struct vmx *x);                             /* ... its part of a new VMCS */
void vmx_apic_put(struct vcpu *v, struct vmx *x, u32 groups, const struct cb_state *in);
void vmx_apic_get(const struct vmx *x, struct cb_state *out);
u64 vmx_apic_cr8(const struct vcpu *v, const struct vmx *x);
void vmx_apic_cr8_put(const struct vcpu *v, struct vmx *x, u64 value);
unsigned vmx_apic_exit(struct vcpu *v, const struct vmx *x, u32 reason);

unsigned vmx_exit(struct vcpu *v, struct vmx *x, u32 reason);         /* vmx_exit.c */
void vmx_requeue(struct vcpu *v);                /* the event whose delivery the exit interrupted */
/*
 * An injected software interrupt returns to rip: to where an instruction of one byte would end that starts one byte before,
 * which is where rip stands from vmx_inject() until the event is delivered. Length 0 would say the same, but old processors
 * and KVM do not take it (A.6, bit 30 of IA32_VMX_MISC).
 */
void vmx_soft_move(s64 bytes);
unsigned vmx_skip_handled(struct vcpu *v);       /* the instruction has been dealt with */
u64 vmx_register_read(struct vcpu *v, u32 number); /* general registers by their numbers in instructions */
void vmx_register_write(struct vcpu *v, u32 number, u64 value);

void vmx_reset(struct vmx *x);                                        /* vmx_state.c: the power-up state */
void vmx_get(const struct vcpu *v, u32 groups, struct cb_state *out);
void vmx_put(struct vcpu *v, u32 groups, const struct cb_state *in);

/* As the guest sees it: its own bits from the register, the others from the shadow. */
static inline u64 vmx_cr4(const struct vmx *x)
{
    u64 own = vmcs_read(VMCS_GUEST_CR4);

    return own ^ ((own ^ x->cr4_shadow) & x->cr4_mask);
}

/* The two exits that go the short way to the VMM; v->insn_len is set. */
static inline unsigned vmx_cpuid(struct vcpu *v, const struct vmx *x)
{
    return vcpu_report(v, CB_EXIT_CPUID, vmx_cr4(x), v->xcr0);
}

u64 vmx_io_string(u64 qualification); /* vmx_exit.c */

static inline unsigned vmx_io(struct vcpu *v)
{
    u64 q = vmcs_read(VMCS_QUALIFICATION), what = VMCS_IO_PORT(q) | VMCS_IO_WIDTH(q) << 16;

    what |= q & VMCS_IO_IN ? CB_IO_IN : 0;
    if (q & VMCS_IO_STRING)
        what |= vmx_io_string(q);
    return vcpu_report(v, CB_EXIT_IO, what, vmcs_read(VMCS_GUEST_RIP) + v->insn_len);
}

const char *vmx_reason_insn(u64 error);                               /* vmx_reason.c: what the manual calls it */
const char *vmx_reason_entry(u32 reason, u64 qualification);
#endif

#endif
