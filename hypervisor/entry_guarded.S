/* SPDX-License-Identifier: GPL-2.0-only */
/* entry.S with defences that need no second root. Exceptions and interrupts come in as without them. */
#define ENTRY_GUARDED
#define entry_syscall entry_syscall_guarded
#define entry_syscall_only_slow entry_syscall_only_slow_guarded
#define entry_return entry_return_guarded
#define entry_return_syscall entry_return_syscall_guarded
#include "entry.S"
#include "entry_trap.S"
