/* SPDX-License-Identifier: GPL-2.0-only */
/* Executables of native tasks: static ELF64 files. They are hostile like everything else that is loaded. */
#ifndef ROOT_PROGRAM_H
#define ROOT_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROGRAM_SEGMENTS 8u

struct program_segment {
    uint64_t address; /* page aligned */
    uint64_t pages;
    uint64_t skip;    /* bytes from the page's start to the data */
    uint64_t offset;  /* in the file */
    uint64_t size;    /* bytes in the file; what follows is zero */
    uint32_t flags;   /* CB_MAP_* */
};

struct program {
    uint64_t entry;
    uint64_t pages; /* of all segments */
    uint32_t segment_count;
    struct program_segment segments[PROGRAM_SEGMENTS];
};

/* Reads the headers; NULL, or what is wrong with the file. */
const char *program_read(const void *file, size_t size, struct program *program);

#endif
