/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Calls that make objects, with the capability spaces, the derivation tree, accounts and call.c as they are; what objects do
 * when they live is not here.
 */
#ifndef OBJECT_WORLD_H
#define OBJECT_WORLD_H

#include "call.h"
#include "portal.h"
#include "sched.h"
#include "thread.h"
#include "vcpu.h"

/* Selectors of the domain that calls. */
enum { OBJECT_SELF = 1, OBJECT_ACCOUNT, OBJECT_FIRST = OBJECT_ACCOUNT, OBJECT_FREE, OBJECT_END = 200 };

extern struct account *account;
extern struct domain *self;
extern struct object *reaped; /* the last one that was given to the reaper */

void object_init(void);

status_t object_call(u32 number, u32 sel, u64 a1, u64 a2, u64 a3, u64 a4, u64 a5);

/* What the capability names. */
void *object_at(u32 sel);

/* A copy of the capability at `from`, below it, with these rights. */
void object_give(u32 sel, u32 from, u32 rights);

#endif
