/* SPDX-License-Identifier: MIT */
/*
 * The event page: one per vCPU, shared between the kernel and the guest (APM and SDM know nothing of it).
 *
 * An event bound to port p of a vCPU sets pending bit p when signalled. If mask bit p is clear, it then
 * sets bit p/64 of `summary` and `upcall`, and the kernel injects the upcall vector once the guest can take
 * an interrupt. The guest's handler clears `upcall` first, then takes `summary` and the pending words with
 * atomic exchanges. After it unmasks a port whose pending bit is set, it makes the call `upcall`, which
 * looks at all words again. The kernel never believes what the page says about anybody else.
 */
#ifndef CORBEL_EVENT_H
#define CORBEL_EVENT_H

#include <corbel/types.h>

#define CB_PORTS 4096u
#define CB_PORT_WORDS (CB_PORTS / 64)
#define CB_PORT_TIMER 0u /* set by the kernel when the vCPU's timer expires */

struct cb_event_page {
    uint64_t summary;   /* bit w: pending[w] has unmasked news */
    uint32_t upcall;    /* 1: an upcall is due */
    uint32_t cpu;       /* kernel, at creation: the vCPU's number */
    uint64_t tsc_khz;   /* kernel, at creation: ticks of the TSC in a millisecond */
    uint64_t stolen;    /* kernel: ticks of the TSC in which the vCPU could have run, and others did */
    uint32_t preempted; /* kernel: 1 while that goes on */
    uint32_t reserved0;
    uint64_t reserved[59];
    uint64_t pending[CB_PORT_WORDS];
    uint64_t mask[CB_PORT_WORDS];
    uint8_t unused[4096 - 512 - 2 * 512];
};
CB_ASSERT_SIZE(struct cb_event_page, 4096);
CB_ASSERT_OFFSET(struct cb_event_page, pending, 512);
CB_ASSERT_OFFSET(struct cb_event_page, mask, 1024);

#endif
