/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The head of every kernel object, and how objects die.
 *
 * An object is paid by an account and dies when its first capability (`root`) is removed from the derivation tree.
 * It is then cut off from everything that leads to it, and its home CPU lets go of it; after a grace period nobody
 * holds a pointer to it any more, and it is freed (reap.h).
 */
#ifndef OBJECT_H
#define OBJECT_H

#include <corbel/cap.h>

#include "types.h"

struct account;
struct slot;

struct object {
    u8 type;            /* enum cb_type; constant */
    u8 dying;           /* tree_lock to write; read anywhere: not 0 once it is to die (a phase of reap.c) */
    u16 reserved[3];
    struct account *account; /* constant: who pays */
    struct slot *root;  /* tree_lock: its first capability, NULL once removed */
    struct object *next; /* reap.c: zombie and limbo queues */
    u64 epoch;          /* reap.c, in limbo: the grace period to wait for */
    u64 reserved1;
};
_Static_assert(sizeof(struct object) == 48, "struct regs follows at CTX_REGS");

#endif
