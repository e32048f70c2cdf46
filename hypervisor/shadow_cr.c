/* SPDX-License-Identifier: GPL-2.0-only */
#include "shadow_cr.h"

#include "x86.h"

#define CR0_ET (1ull << 4)
#define CR0_BITS 0xe005003full
#define CR0_PAGING (CR0_PG | CR0_WP | CR0_PE)
#define CR4_PAGING (CR4_PSE | CR4_PAE | CR4_PGE | CR4_SMEP | CR4_SMAP)
/* VME to UMIP but for VMXE and SMXE, FSGSBASE, OSXSAVE, SMEP, SMAP: not PCIDE, which tables without PCIDs cannot follow */
#define CR4_BITS 0x350fffull

u64 shadow_cr4_bits = CR4_BITS;

/* EFER.LMA is the processor's to set. */
static void derive_lma(struct paging *p)
{
    p->efer = (p->efer & ~EFER_LMA) | (paging_long(p) ? EFER_LMA : 0);
}

bool shadow_cr0_valid(const struct paging *p, u64 value, bool code64)
{
    u64 changed = p->cr0 ^ value;

    if (value >> 32 || cr0_is_odd(value) || ((value & CR0_PG) && !(value & CR0_PE)))
        return false;
    if (!(changed & CR0_PG))
        return true;
    return !code64 && (value & CR0_PG ? !(p->efer & EFER_LME) || (p->cr4 & CR4_PAE) : !(p->cr4 & CR4_PCIDE));
}

static bool cr0_write(struct paging *p, struct shadow_table *t, u64 value, bool code64)
{
    u64 changed = p->cr0 ^ value;

    if (!shadow_cr0_valid(p, value, code64))
        return false;
    p->cr0 = (value & CR0_BITS) | CR0_ET;
    derive_lma(p);
    if (changed & CR0_PAGING)
        shadow_table_drop_all(t);
    return true;
}

static bool cr3_write(struct paging *p, struct shadow_table *t, u64 value)
{
    if (value >> (paging_long(p) ? walk_physical_bits : 32))
        return false;
    p->cr3 = value;
    shadow_table_drop_local(t);
    return true;
}

bool shadow_cr4_valid(const struct paging *p, u64 value, u64 offered)
{
    if ((value & ~offered) || (paging_long(p) && !(value & CR4_PAE)))
        return false;
    return !(value & ~p->cr4 & CR4_PCIDE) || (paging_long(p) && !(p->cr3 & 0xfff));
}

static bool cr4_write(struct paging *p, struct shadow_table *t, u64 value)
{
    u64 changed = p->cr4 ^ value;

    if (!shadow_cr4_valid(p, value, shadow_cr4_bits))
        return false;
    p->cr4 = value;
    if (changed & CR4_PAGING)
        shadow_table_drop_all(t);
    return true;
}

bool shadow_cr_write(struct paging *p, struct shadow_table *t, u32 number, u64 value, bool code64)
{
    switch (number) {
    case 0: return cr0_write(p, t, value, code64);
    case 3: return cr3_write(p, t, value);
    case 4: return cr4_write(p, t, value);
    default: return false;
    }
}

void shadow_cr_set(struct paging *p, struct shadow_table *t, const struct paging *to)
{
    bool same = p->cr0 == to->cr0 && p->cr3 == to->cr3 && p->cr4 == to->cr4 && (p->efer | EFER_LMA) == (to->efer | EFER_LMA);

    *p = *to;
    derive_lma(p);
    if (!same)
        shadow_table_drop_all(t);
}

bool shadow_cr_valid(const struct paging *p)
{
    return (!paging_long(p) || (p->cr4 & CR4_PAE)) && !cr0_is_odd(p->cr0);
}

struct paging shadow_cr_hardware(const struct paging *p)
{
    struct paging hw = *p;

    /* The caches and machine checks are the host's, whatever the guest has set. */
    hw.cr0 = (hw.cr0 | CR0_PG | CR0_WP) & ~(CR0_CD | CR0_NW);
    hw.cr4 |= CR4_PAE | CR4_MCE;
    if (!(p->cr0 & CR0_PG)) /* all pages are everybody's */
        hw.cr4 &= ~(CR4_SMEP | CR4_SMAP);
    hw.efer = (hw.efer & ~(EFER_LME | EFER_LMA)) | EFER_NXE | (paging_long(p) ? EFER_LME | EFER_LMA : 0);
    return hw;
}
