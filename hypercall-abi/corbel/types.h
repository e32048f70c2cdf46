/* SPDX-License-Identifier: MIT */
/*
 * Fixed-width types for the ABI headers, in every world that includes them: the hypervisor, native
 * tasks, host unit tests, and the Linux kernel (which has no <stdint.h>).
 */
#ifndef CORBEL_TYPES_H
#define CORBEL_TYPES_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stdint.h>
#endif

#define CB_ABI_VERSION 1 /* changes with every incompatible change of this folder */
#define CB_PAGE_SIZE 4096

#define CB_ASSERT_SIZE(type, bytes) _Static_assert(sizeof(type) == (bytes), #type " has a fixed size")
#define CB_ASSERT_OFFSET(type, member, at) \
    _Static_assert(__builtin_offsetof(type, member) == (at), #type "." #member " has a fixed place")

#endif
