/* SPDX-License-Identifier: GPL-2.0-only */
/* Machine checks: whom an error of the hardware ends. */
#ifndef MCE_H
#define MCE_H

#include "types.h"

enum mce_verdict {
    MCE_GO_ON,   /* nothing is lost */
    MCE_CONTEXT, /* what ran has been told what is wrong: it cannot go on, the machine can */
    MCE_FATAL,
};

/*
 * What one bank's status says (SDM 3B, 16.3.2.2; APM 2, 9.3.2.2). recovers: the hardware tells errors apart that software can
 * recover from (Intel's SER_P, AMD's SUCCOR). The worst verdict of all banks counts.
 */
enum mce_verdict mce_judge(u64 bank, bool recovers, bool intel);

/* This CPU, on #MC: looks at all banks and, unless it is fatal, clears them. *worst: the status of the bank that decided. */
enum mce_verdict mce_take(u64 *worst);

/* Is a machine check in progress? */
bool mce_pending(void);

#endif
