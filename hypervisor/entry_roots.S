/* SPDX-License-Identifier: GPL-2.0-only */
/* entry.S with a second root for user mode, and with the other defences. */
#define ENTRY_GUARDED
#define ENTRY_ROOTS
#define entry_syscall entry_syscall_roots
#define entry_syscall_only_slow entry_syscall_only_slow_roots
#define entry_return entry_return_roots
#define entry_return_syscall entry_return_syscall_roots
#define entry_vectors entry_vectors_roots
#include "entry.S"
#include "entry_trap.S"
