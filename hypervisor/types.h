/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Basic types. Addresses that cannot be dereferenced here (host-physical, guest-physical, user-virtual) are u64 with the
 * kind in the name; a host-virtual address inside the kernel is a pointer.
 */
#ifndef TYPES_H
#define TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <corbel/status.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int64_t s64;

/* The result of every call: CB_* code with the number of the argument at fault (corbel/status.h). */
typedef u32 status_t;
#define FAULT(code, arg) ((status_t)(CB_##code) | (status_t)(arg) << 8)

#define PAGE_SHIFT 12
#define PAGE_SIZE 4096ull
#define PAGE_2M (1ull << 21)
#define PAGE_1G (1ull << 30)
#define CPUS_MAX 64u

#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr) - offsetof(type, member)))
#define MUST_CHECK __attribute__((warn_unused_result))
#define NORETURN __attribute__((noreturn))
#define NOINLINE __attribute__((noinline)) /* keeps what is rare out of the way of what is frequent */
#define ALWAYS_INLINE inline __attribute__((always_inline)) /* where a copy of its own is worth its place */
#define ASSERT_OFFSET(type, member, at) \
    _Static_assert(offsetof(type, member) == (at), #type "." #member " is where assembly expects it")

/* `index`, which has been checked to be below `limit`; 0 for code that runs ahead of the check (Spectre v1). */
static inline u64 index_masked(u64 index, u64 limit)
{
    u64 mask;

    __asm__("cmpq %2, %1\n\tsbbq %0, %0" : "=r"(mask) : "r"(index), "r"(limit) : "cc");
    return index & mask;
}

static inline u64 align_up(u64 v, u64 a) { return (v + a - 1) & ~(a - 1); }
static inline u64 align_down(u64 v, u64 a) { return v & ~(a - 1); }
static inline bool is_aligned(u64 v, u64 a) { return (v & (a - 1)) == 0; }
static inline bool is_power_of_2(u64 v) { return v && !(v & (v - 1)); }

#endif
