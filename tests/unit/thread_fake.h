/* SPDX-License-Identifier: GPL-2.0-only */
/* Included before sources of native tasks (-include): threads without FS. A test says which one runs. */
#ifndef THREAD_FAKE_H
#define THREAD_FAKE_H

#define thread_self thread_self_real
#define thread_utcb thread_utcb_real
#include "thread.h"
#undef thread_self
#undef thread_utcb

extern struct thread *thread_fake;

static inline struct thread *thread_self(void)
{
    return thread_fake;
}

static inline struct cb_utcb *thread_utcb(void)
{
    return thread_fake->utcb;
}

#endif
