/* SPDX-License-Identifier: GPL-2.0-only */
/* What guest.c and rounds.S share. */
#ifndef BENCH_GUEST_H
#define BENCH_GUEST_H

/* In the event page (corbel/event.h). */
#define EVENT_PAGE_SUMMARY 0
#define EVENT_PAGE_UPCALL 8
#define EVENT_PAGE_PENDING 512

#ifndef __ASSEMBLER__

#include "bench.h"

#include <corbel/event.h>
#include <corbel/invoke.h>

CB_ASSERT_OFFSET(struct cb_event_page, summary, EVENT_PAGE_SUMMARY);
CB_ASSERT_OFFSET(struct cb_event_page, upcall, EVENT_PAGE_UPCALL);
CB_ASSERT_OFFSET(struct cb_event_page, pending, EVENT_PAGE_PENDING);

bench_fn round_empty, round_hypercall, round_words, round_cpuid, round_port, round_event, round_event_other_cpu;

uint64_t guest_call(uint64_t word, struct cb_args *args);
void upcall_entry(void);

extern struct cb_event_page *upcall_page;
extern uint64_t upcall_word;     /* of the pending words, that of the link */
extern uint64_t upcall_answer;   /* the call that answers each upcall; 0: none */
extern uint64_t upcall_count, upcall_failed;

extern uint8_t *const guest_hypercalls[], *const guest_hypercalls_end[]; /* guest.ld */

#endif
#endif
