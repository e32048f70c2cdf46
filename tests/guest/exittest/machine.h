/* SPDX-License-Identifier: GPL-2.0-only */
/* What machine.c and expect.c share: the exit that waits for its reply. */
#ifndef EXITTEST_MACHINE_H
#define EXITTEST_MACHINE_H

#include "exittest.h"

#define STATE_WORDS (sizeof(struct cb_state) / 8)

/* Of the handler thread, which hands over what came, and what is to be replied. */
struct exchange {
    uint64_t badge;
    struct cb_args message;        /* in both directions */
    uint64_t words[CB_UTCB_WORDS]; /* in: the handler's UTCB words, when the exit came */
    uint64_t left[CB_UTCB_WORDS];  /* out: what the handler leaves in them with its reply */
};
extern struct exchange exchange;

bool machine_wait(void);   /* for an exit. False: none comes */
bool machine_wait_us(uint64_t us);
void machine_answer(void); /* lets the handler reply */

#endif
