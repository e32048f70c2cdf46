/* SPDX-License-Identifier: GPL-2.0-only */
/* Checks the stubs against the call table: a call without its stub does not compile. */
#include "calls.h"

#define HAS_STUB(number, name, type, right) _Static_assert(sizeof(&cb_##name) != 0, #name " has a stub");
CB_CALLS(HAS_STUB)
