/* SPDX-License-Identifier: GPL-2.0-only */
/* Calls of root's main thread to services: root does not wait for ever for one that does not answer. */
#ifndef ROOT_WATCH_H
#define ROOT_WATCH_H

#include <stdint.h>

struct cb_args;

#define WATCH_US 30000000u /* an emulator on a busy machine is slow */

/* Starts the thread that breaks calls off; gives the status of what was refused. */
uint64_t watch_init(void) __attribute__((warn_unused_result));

/* As cb_call(), but ABORTED if there is no reply for WATCH_US. */
uint64_t watch_call(uint32_t portal, struct cb_args *message) __attribute__((warn_unused_result));

#endif
