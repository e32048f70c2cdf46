/* SPDX-License-Identifier: GPL-2.0-only */
/* The virtual machine control block of AMD-V: APM 2, appendix B. */
#ifndef VMCB_H
#define VMCB_H

#include "types.h"

struct vmcb_segment {
    u16 sel;
    u16 attr; /* descriptor bits 55:52 and 47:40 */
    u32 limit;
    u64 base;
};
_Static_assert(sizeof(struct vmcb_segment) == 16, "APM 2, table B-2");

struct vmcb {
    /* Control area, table B-1. */
    u16 intercept_cr_read, intercept_cr_write;
    u16 intercept_dr_read, intercept_dr_write;
    u32 intercept_exceptions;
    u32 intercept1, intercept2; /* VMCB_INTERCEPT1_*, VMCB_INTERCEPT2_* */
    u8 reserved0[0x40 - 0x14];
    u64 iopm_base, msrpm_base; /* host-physical */
    u64 tsc_offset;
    u32 asid;
    u8 tlb_control;
    u8 reserved1[3];
    u64 vintr;                 /* VMCB_VINTR_* */
    u64 interrupt_shadow;      /* bit 0 */
    u64 exit_code, exit_info1, exit_info2;
    u64 exit_int_info;         /* the event that was being delivered: as event_inj; all stale without the valid bit */
    u64 nested_control;        /* bit 0: nested paging */
    u64 reserved2[2];
    u64 event_inj;             /* CB_INJECT_* and the error code in the upper half */
    u64 nested_cr3;
    u64 reserved3;
    u32 clean;                 /* VMCB_CLEAN_* */
    u32 reserved4;
    u64 next_rip;
    u8 reserved5[0x3e0 - 0xd0];
    /* reserved for the host's use: here the guest's DR0 to DR3, which VMRUN does not switch */
    u64 dr[4];

    /* State save area, table B-2. */
    struct vmcb_segment es, cs, ss, ds, fs, gs, gdtr, ldtr, idtr, tr;
    u8 reserved6[0x4cb - 0x4a0];
    u8 cpl;
    u32 reserved7;
    u64 efer;
    u8 reserved8[0x548 - 0x4d8];
    u64 cr4, cr3, cr0, dr7, dr6, rflags, rip;
    u8 reserved9[0x5d8 - 0x580];
    u64 rsp;
    u64 reserved10[3];
    u64 rax;
    u64 star, lstar, cstar, sfmask, kernel_gs_base;
    u64 sysenter_cs, sysenter_esp, sysenter_eip;
    u64 cr2;
    u8 reserved11[0x668 - 0x648];
    u64 g_pat;
    u8 reserved12[0x1000 - 0x670];
};

#define VMCB_AT(member, at) _Static_assert(offsetof(struct vmcb, member) == (at), "APM 2, appendix B: " #member)
VMCB_AT(intercept_exceptions, 0x008);
VMCB_AT(intercept2, 0x010);
VMCB_AT(iopm_base, 0x040);
VMCB_AT(tsc_offset, 0x050);
VMCB_AT(tlb_control, 0x05c);
VMCB_AT(vintr, 0x060);
VMCB_AT(exit_code, 0x070);
VMCB_AT(exit_int_info, 0x088);
VMCB_AT(nested_control, 0x090);
VMCB_AT(event_inj, 0x0a8);
VMCB_AT(nested_cr3, 0x0b0);
VMCB_AT(clean, 0x0c0);
VMCB_AT(next_rip, 0x0c8);
VMCB_AT(dr, 0x3e0);
VMCB_AT(es, 0x400);
VMCB_AT(gdtr, 0x460);
VMCB_AT(tr, 0x490);
VMCB_AT(cpl, 0x4cb);
VMCB_AT(efer, 0x4d0);
VMCB_AT(cr4, 0x548);
VMCB_AT(cr0, 0x558);
VMCB_AT(rip, 0x578);
VMCB_AT(rsp, 0x5d8);
VMCB_AT(rax, 0x5f8);
VMCB_AT(star, 0x600);
VMCB_AT(sysenter_cs, 0x628);
VMCB_AT(cr2, 0x640);
VMCB_AT(g_pat, 0x668);
_Static_assert(sizeof(struct vmcb) == PAGE_SIZE, "APM 2, 15.5.1");
#undef VMCB_AT

#define VMCB_INTERCEPT1_INTR (1u << 0)
#define VMCB_INTERCEPT1_NMI (1u << 1)
#define VMCB_INTERCEPT1_INIT (1u << 3)
#define VMCB_INTERCEPT1_VINTR (1u << 4)
#define VMCB_INTERCEPT1_CR0_SELECTIVE (1u << 5) /* writes that change more than TS and MP */
#define VMCB_INTERCEPT1_RDPMC (1u << 15)
#define VMCB_INTERCEPT1_CPUID (1u << 18)
#define VMCB_INTERCEPT1_IRET (1u << 20)
#define VMCB_INTERCEPT1_INVD (1u << 22)
#define VMCB_INTERCEPT1_HLT (1u << 24)
#define VMCB_INTERCEPT1_INVLPG (1u << 25)
#define VMCB_INTERCEPT1_INVLPGA (1u << 26)
#define VMCB_INTERCEPT1_IOIO (1u << 27)
#define VMCB_INTERCEPT1_MSR (1u << 28)
#define VMCB_INTERCEPT1_TASK_SWITCH (1u << 29)
#define VMCB_INTERCEPT1_FERR_FREEZE (1u << 30)
#define VMCB_INTERCEPT1_SHUTDOWN (1u << 31)

#define VMCB_INTERCEPT2_VMRUN (1u << 0)
#define VMCB_INTERCEPT2_VMMCALL (1u << 1)
#define VMCB_INTERCEPT2_VMLOAD (1u << 2)
#define VMCB_INTERCEPT2_VMSAVE (1u << 3)
#define VMCB_INTERCEPT2_STGI (1u << 4)
#define VMCB_INTERCEPT2_CLGI (1u << 5)
#define VMCB_INTERCEPT2_SKINIT (1u << 6)
#define VMCB_INTERCEPT2_WBINVD (1u << 9)
#define VMCB_INTERCEPT2_MONITOR (1u << 10)
#define VMCB_INTERCEPT2_MWAIT (1u << 11)
#define VMCB_INTERCEPT2_MWAIT_ARMED (1u << 12)
#define VMCB_INTERCEPT2_XSETBV (1u << 13)
#define VMCB_INTERCEPT2_RDPRU (1u << 14)

#define VMCB_INTERCEPT_DR_READ 0x000fu  /* DR0 to DR3 */
#define VMCB_INTERCEPT_DR_WRITE 0x008fu /* and DR7 */

/* tlb_control: APM 2, 15.16.2. */
#define VMCB_TLB_NOTHING 0u
#define VMCB_TLB_FLUSH_ALL 1u
#define VMCB_TLB_FLUSH_ASID 3u

#define VMCB_VINTR_TPR 0xffull
#define VMCB_VINTR_IRQ (1ull << 8)
#define VMCB_VINTR_PRIORITY (0xfull << 16)
#define VMCB_VINTR_IGNORE_TPR (1ull << 20)
#define VMCB_VINTR_MASKING (1ull << 24)
#define VMCB_VINTR_VECTOR(vector) ((vector) << 32)
#define VMCB_VINTR_VECTOR_OF(vintr) ((u32)((vintr) >> 32) & 0xffu)
#define VMCB_VINTR_NOW (VMCB_VINTR_IRQ | VMCB_VINTR_PRIORITY | VMCB_VINTR_IGNORE_TPR) /* whatever the guest's TPR */

#define VMCB_NESTED_PAGING 0x1ull

/* clean: the hardware may use what it remembers of these. APM 2, 15.15.3. */
#define VMCB_CLEAN_INTERCEPTS (1u << 0) /* and TSC offset */
#define VMCB_CLEAN_MAPS (1u << 1)       /* permission maps */
#define VMCB_CLEAN_ASID (1u << 2)
#define VMCB_CLEAN_VINTR (1u << 3)
#define VMCB_CLEAN_NESTED (1u << 4)     /* and PAT */
#define VMCB_CLEAN_CR (1u << 5)         /* and EFER */
#define VMCB_CLEAN_DR (1u << 6)
#define VMCB_CLEAN_DT (1u << 7)
#define VMCB_CLEAN_SEGMENTS (1u << 8)   /* and CPL */
#define VMCB_CLEAN_CR2 (1u << 9)
#define VMCB_CLEAN_ALL 0x3ffu           /* those above */

/* exit_code: APM 2, appendix C. */
#define VMEXIT_CR0_READ 0x00u
#define VMEXIT_CR0_WRITE 0x10u
#define VMEXIT_CR15_WRITE 0x1fu
#define VMEXIT_DR0_READ 0x20u
#define VMEXIT_DR3_READ 0x23u
#define VMEXIT_DR0_WRITE 0x30u
#define VMEXIT_DR3_WRITE 0x33u
#define VMEXIT_DR7_WRITE 0x37u
#define VMEXIT_EXCEPTION 0x40u /* + vector */
#define VMEXIT_EXCEPTION_LAST 0x5fu
#define VMEXIT_INTR 0x60u
#define VMEXIT_NMI 0x61u
#define VMEXIT_INIT 0x63u
#define VMEXIT_VINTR 0x64u
#define VMEXIT_CR0_SELECTIVE 0x65u
#define VMEXIT_RDPMC 0x6fu
#define VMEXIT_CPUID 0x72u
#define VMEXIT_IRET 0x74u
#define VMEXIT_INVD 0x76u
#define VMEXIT_HLT 0x78u
#define VMEXIT_INVLPG 0x79u
#define VMEXIT_INVLPGA 0x7au
#define VMEXIT_IOIO 0x7bu
#define VMEXIT_MSR 0x7cu
#define VMEXIT_TASK_SWITCH 0x7du
#define VMEXIT_SHUTDOWN 0x7fu
#define VMEXIT_VMRUN 0x80u
#define VMEXIT_VMMCALL 0x81u
#define VMEXIT_VMLOAD 0x82u
#define VMEXIT_VMSAVE 0x83u
#define VMEXIT_STGI 0x84u
#define VMEXIT_CLGI 0x85u
#define VMEXIT_SKINIT 0x86u
#define VMEXIT_WBINVD 0x89u
#define VMEXIT_MONITOR 0x8au
#define VMEXIT_MWAIT 0x8bu
#define VMEXIT_MWAIT_ARMED 0x8cu
#define VMEXIT_XSETBV 0x8du
#define VMEXIT_RDPRU 0x8eu
#define VMEXIT_NPF 0x400u
#define VMEXIT_INVALID 0xffffffffu /* low half: QEMU does not extend the sign */

/* exit_info1 of IOIO: APM 2, 15.10.2. */
#define VMCB_IO_IN (1u << 0)
#define VMCB_IO_STRING (1u << 2)
#define VMCB_IO_REP (1u << 3)
#define VMCB_IO_ADDRESS_16 (1u << 7)
#define VMCB_IO_ADDRESS_32 (1u << 8)
#define VMCB_IO_ADDRESS_64 (1u << 9)
#define VMCB_IO_SEGMENT(info) ((info) >> 10 & 7u)
#define VMCB_IO_WIDTH(info) ((u32)(info) >> 4 & 7u) /* 1, 2 or 4 */

/* exit_info2 of TASK_SWITCH: APM 2, 15.14.1. */
#define VMCB_TASK_IRET (1ull << 36)
#define VMCB_TASK_JUMP (1ull << 38)

/* exit_info1 of NPF: APM 2, 15.25.6. */
#define VMCB_NPF_PRESENT (1ull << 0)
#define VMCB_NPF_WRITE (1ull << 1)
#define VMCB_NPF_EXEC (1ull << 4)
#define VMCB_NPF_TABLE (1ull << 33)

#endif
