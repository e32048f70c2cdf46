/* SPDX-License-Identifier: GPL-2.0-only */
/* What guest_code.S and C share. */
#ifndef GUEST_H
#define GUEST_H

#define GUEST_VCPUS 10       /* mortal ones, and the pair */
#define GUEST_STUB_SIZE 16

/* Offsets in struct guest, and in the event page. */
#define GUEST_STUB 0
#define GUEST_PAGE 8
#define GUEST_BITS 16
#define GUEST_UPCALLS 24
#define GUEST_INTERRUPTS 32
#define GUEST_DELIVERED 40
#define GUEST_APIC 48
#define GUEST_VMX 56
#define PAGE_UPCALL 8
#define PAGE_PENDING 512
#define APIC_EOI 0xb0

#define PORT_FAULT 0x4321

#endif
