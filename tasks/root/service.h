/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * root's portal (corbel/task.h): one handler thread on each CPU, since portals are called on their handler's
 * CPU. A portal's badge is the domain's place in the table and which life of it this is. The same portals take the
 * faults of the tasks' threads. Handlers decide nothing: they write down what they hear and wake the main thread. They
 * run on the time of their callers, and stop in the middle when these die; so they take no locks.
 */
#ifndef ROOT_SERVICE_H
#define ROOT_SERVICE_H

#include <stdbool.h>
#include <stdint.h>

struct domain;

/* Starts the handlers; gives the status of the call that was refused. */
uint64_t service_init(void) __attribute__((warn_unused_result));

/* A portal to the handler on `cpu`, paid by `account`, at selector `dst`. */
uint64_t service_portal(uint32_t account, uint32_t dst, uint32_t cpu, uint64_t badge)
    __attribute__((warn_unused_result));

/* Whether the domain has ended, or (main thread) ends it; how: DOMAIN_END_*. */
bool service_ended(const struct domain *domain);
void service_end(struct domain *domain, uint64_t how);

/* How it ended, once for each end: CB_EXIT_REASON_*, and in words (of DOMAIN_TEXT bytes). */
uint64_t service_reason(struct domain *domain, char *text);

/* Nobody will ask how it ended. */
void service_forget(struct domain *domain);

/* The main thread has something to do: service_wait() returns. Any thread may. */
void service_wake(void);

/* Waits until a handler has something to say, or the deadline. */
void service_wait(uint64_t deadline);

/* What tasks hear when they ask for the memory that is left. */
void service_set_memory_left(uint64_t bytes);

#endif
