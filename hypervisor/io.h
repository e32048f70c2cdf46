/* SPDX-License-Identifier: GPL-2.0-only */
/* I/O ports of domains, for threads and vCPUs. See io.c. */
#ifndef IO_H
#define IO_H

#include "types.h"

struct domain;
struct vcpu;

#define IO_MAP_PAGES 3u /* AMD-V: a bit for each port, and three of ones; in whole pages */

void io_cpu_init(void); /* boot: this CPU's map for vCPUs */

/*
 * The current vCPU has left the guest at an access to ports. True: they are its domain's, and it has the CPU's map
 * now; the access is to be tried again.
 */
bool io_exit(struct vcpu *v, u32 port, u32 width);

void io_forget(const struct vcpu *v); /* home CPU: it has died */
bool io_fault(struct domain *d);      /* #GP in user mode. True: the I/O bitmap is loaded now, the access to be tried again */
void io_unload(void);                 /* another domain is loaded: its accesses must not use the old bitmap */
void io_free(struct domain *d);       /* reap.c */

#endif
