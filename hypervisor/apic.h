/* SPDX-License-Identifier: GPL-2.0-only */
/* The local APIC, in xAPIC or x2APIC mode (APM 2, chapter 16; SDM 3A, chapter 11). */
#ifndef APIC_H
#define APIC_H

#include "types.h"

/* Interrupt vectors: 48 + GSI for devices, then our own. */
#define VECTOR_PIC 0x20u
#define VECTOR_GSI 0x30u
#define VECTOR_GSI_END 0xf0u
#define VECTOR_TIMER 0xf0u
#define VECTOR_KICK 0xf1u
#define VECTOR_SPURIOUS 0xffu

/* Boot CPU: finds out the mode, silences the old interrupt controllers. */
void apic_probe(void);

/* This CPU: turns its APIC on, timer and whatever firmware has left on off. */
void apic_init(void);

/* Waits this vector for an apic_eoi()? A spurious interrupt does not. */
bool apic_in_service(u32 vector);

u32 apic_id_max(void); /* highest identifier that can be addressed */
void apic_eoi(void);

void apic_send(u32 id, u32 vector);
void apic_send_init(u32 id);
void apic_send_startup(u32 id, u32 page); /* SIPI: start at physical page number `page` */
void apic_send_nmi_others(void);

/* The APIC's timer counts down from `ticks` once, or is stopped (0). */
void apic_timer_start(u32 ticks);
u32 apic_timer_read(void);
void apic_timer_deadline_mode(void);

#endif
