/* SPDX-License-Identifier: GPL-2.0-only */
/* Deriving capabilities, for the call and for typed items of messages. */
#ifndef DERIVE_H
#define DERIVE_H

#include <corbel/utcb.h>

#include "types.h"

struct domain;
struct slot;

/*
 * A child of `src` at `sel` of `to`, with the rights common to both; arguments as in the call `derive`. Errors name
 * arguments as that does. tree_lock held.
 */
status_t derive_slot(struct slot *src, struct domain *to, u32 sel, u32 rights, u64 arg1, u64 arg2) MUST_CHECK;

/* One typed item from `from` into selector `sel` of `to`; takes tree_lock. False: it was not delivered. */
bool derive_item(struct domain *from, struct domain *to, u32 sel, const struct cb_item *item);

#endif
