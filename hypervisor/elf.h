/* SPDX-License-Identifier: GPL-2.0-only */
/* The little of ELF64 that loading root takes (System V ABI, chapters 4 and 5). */
#ifndef ELF_H
#define ELF_H

#include "types.h"

#define ELF_SEGMENTS 8u

struct elf_header {
    u64 entry;
    u32 segment_count;
};

struct elf_segment {
    u64 address, offset, bytes; /* address and offset page-aligned */
    u32 rights;                 /* CB_MAP_* */
};

/*
 * Checks an executable of `size` bytes of which the first `visible` can be read at `image`. NULL if it can be
 * mapped in place, else what is wrong.
 */
const char *elf_check(const void *image, u64 visible, u64 size, struct elf_header *header,
                      struct elf_segment *segments) MUST_CHECK;

#endif
