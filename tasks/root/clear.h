/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Clears a domain's memory before it gets it: what another one left there is nobody's business. It takes long, so a
 * thread of the domain's own priority does it on the domain's CPU; the main thread maps a part at a time for it.
 */
#ifndef ROOT_CLEAR_H
#define ROOT_CLEAR_H

#include "area.h"

struct thread;

struct clear {
    uint32_t frame;        /* all of the memory; 0: not begun */
    uint64_t pages;
    uint64_t next;         /* first page that is not mapped yet */
    struct area part;      /* what is cleared now, */
    uint64_t part_pages;   /* and how much */
    struct thread *thread;
    uint32_t busy;         /* the thread has something to do (release both ways) */
};

/* Begins to clear all of some ram; gives the status of what was refused, and then nothing is left. */
uint64_t clear_begin(struct clear *clear, uint32_t ram, uint64_t pages, uint32_t cpu, uint32_t priority)
    __attribute__((warn_unused_result));

enum clear_state { CLEAR_BUSY, CLEAR_DONE, CLEAR_FAILED };

/* Looks how far it is, and gives the thread the next part. When there is more to do, service_wait() returns. */
enum clear_state clear_look(struct clear *clear);

/* Gives back what it took, also in the middle. */
void clear_end(struct clear *clear);

/* Clears the first pages of a frame at once: what root has made for itself. */
bool clear_now(uint32_t frame, uint64_t pages);

#endif
