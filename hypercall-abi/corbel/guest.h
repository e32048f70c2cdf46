/* SPDX-License-Identifier: MIT */
/*
 * What a paravirtual guest finds: CPUID leaves, its first selectors and ports, and the portal to its VMM.
 * Where it finds more (devices, memory of other domains), its FDT says so.
 */
#ifndef CORBEL_GUEST_H
#define CORBEL_GUEST_H

#include <corbel/types.h>

/*
 * CPUID leaves, answered by the VMM.
 *   BASE     eax: last leaf; ebx, ecx, edx: "Corb", "elCo", "rbel"
 *   FEATURES eax: CB_ABI_VERSION; ebx: vCPUs of this guest; ecx: page number (address / 4096) of vCPU 0's
 *            event page, vCPU n's being CB_GUEST_VCPU_PAGES * n further; the page after each is that vCPU's
 *            UTCB; edx: 0 if hypercalls are VMMCALL, 1 if VMCALL
 *   CLOCK    eax: TSC frequency in kHz; ebx, ecx: low and high half of the wall-clock time in ns since
 *            1970-01-01 UTC when the TSC was zero
 *   CONSOLE  eax: page number of the console ring page, 0 if there is no console; ebx: selector of the event that
 *            tells its server of output; ecx: port signalled upon input and upon room (on vCPU 0 at first)
 */
#define CB_CPUID_BASE 0x40000000u
#define CB_CPUID_FEATURES 0x40000001u
#define CB_CPUID_CLOCK 0x40000002u
#define CB_CPUID_CONSOLE 0x40000003u
#define CB_CPUID_LAST CB_CPUID_CONSOLE
#define CB_CPUID_SIGNATURE "CorbelCorbel"

/*
 * A guest that does not know the version in FEATURES can rely on these leaves' numbers and on one thing more: it writes
 * the version that it knows to this I/O port, 32 bits wide, and its VMM ends with both as the reason.
 */
#define CB_GUEST_PORT_VERSION 0xcb0u

#define CB_GUEST_VCPU_PAGES 2u

/* First selectors of a guest. */
#define CB_GUEST_SEL_DOMAIN 1u                       /* its own domain, with CB_RIGHT_FLUSH */
#define CB_GUEST_SEL_MACHINE(vcpu) (16u + (vcpu))    /* portal to the VMM; vCPU n uses the nth */
#define CB_GUEST_SEL_VCPU(vcpu) (64u + (vcpu))       /* its vCPUs, with CB_RIGHT_READ: for their counters */
#define CB_GUEST_SEL_IPI(vcpu, kind) (256u + 4u * (vcpu) + (kind)) /* event that interrupts that vCPU */
#define CB_GUEST_SEL_DEVICES 1024u                   /* devices' events, from here on; the FDT names them */

#define CB_GUEST_VCPUS 48u

#define CB_GUEST_UPCALL_VECTOR 0xf3u /* the vector of upcalls, unless the guest's VMM sets another one */

/* Kinds of interrupts between vCPUs; the port of each on its receiver. */
#define CB_IPI_RESCHEDULE 0u
#define CB_IPI_CALL 1u
#define CB_IPI_CALL_SINGLE 2u
#define CB_IPI_STOP 3u
#define CB_PORT_IPI(kind) (1u + (kind))
#define CB_PORT_DEVICES 16u /* the first port for devices */

/*
 * The machine portal: a call with word 0 = operation. Word 0 of the reply is 0 or a CB_MACHINE_ERROR.
 *   POWER_OFF, REBOOT  do not return
 *   PANIC              word 1: bytes of text in the UTCB's words, 0: what was last reported; does not return
 *   REPORT             the same text; returns. It is the reason for whatever end follows: POWER_OFF, REBOOT or PANIC
 *   ROUTE              word 1: port of a device or link, word 2: vCPU number. The port is signalled on that vCPU from
 *                      now on; a signal that is under way may still come to the vCPU that had the port before.
 *   START              word 1: vCPU number, word 2: entry point, word 3: cr3. The vCPU starts in 64-bit mode
 *                      with paging (CR0 = PG|AM|WP|NE|ET|MP|PE, CR4 = PAE, EFER = LMA|LME|SCE|NXE), flat
 *                      segments (CS 0x10, data 0x18, no descriptor table), interrupts off, and zero in all general
 *                      registers.
 *   STOP               the calling vCPU; returns (from START's entry) when another vCPU starts it again
 */
#define CB_MACHINE_POWER_OFF 1u
#define CB_MACHINE_REBOOT 2u
#define CB_MACHINE_PANIC 3u
#define CB_MACHINE_START 4u
#define CB_MACHINE_STOP 5u
#define CB_MACHINE_REPORT 6u
#define CB_MACHINE_ROUTE 7u
#define CB_MACHINE_ERROR_OPERATION 1u /* no such operation */
#define CB_MACHINE_ERROR_VCPU 2u      /* no such vCPU, or it runs already; ROUTE: no such vCPU */
#define CB_MACHINE_ERROR_STATE 3u     /* entry point or cr3 is not acceptable */
#define CB_MACHINE_ERROR_PORT 4u      /* nobody signals that port, or it cannot move */

/* The FDT's root node: compatible = "corbel,guest". It comes as boot setup data (SETUP_DTB). */

/*
 * What a guest has been given beside its devices stands in the FDT's node `grants` (compatible = "corbel,grants", its
 * #address-cells and #size-cells are 2, `ranges` is empty), a subnode each, whose property `label` is its name:
 *   compatible = "corbel,service": portals of a service that runs beside the guest
 *       corbel,portals: selectors, the nth to be called on vCPU n; if there is only one, it serves all
 *   compatible = "corbel,link": one end of a connection to another domain
 *       corbel,side:   0 or 1; the other end has the other number
 *       corbel,signal: selector of the event that the other end receives
 *       corbel,port:   port (on vCPU 0 at first, see ROUTE) that the other end signals
 *       reg:           guest-physical address and size of the memory that both ends share; missing if there is none.
 *                      Zero at first, write-back cacheable. It is not in the guest's memory map.
 */
#define CB_GUEST_SEL_GRANTS 4096u /* selectors of grants, from here on */
#define CB_PORT_GRANTS 1024u      /* the first port for links */

#endif
