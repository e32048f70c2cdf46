/* SPDX-License-Identifier: GPL-2.0-only */
/* A Linux bzImage: what its setup header says (Documentation/arch/x86/boot.rst), and where it can be loaded. */
#ifndef VMM_BZIMAGE_H
#define VMM_BZIMAGE_H

#include <stdbool.h>
#include <stdint.h>

#define BZIMAGE_HEADER 0x1f1u     /* the setup header's place, in the file and in boot_params */
#define BZIMAGE_HEADER_MAX 0x9fu  /* room for it in boot_params: up to 0x290 */
#define BZIMAGE_ENTRY 0x200u      /* the 64-bit entry point, from the load address */

/* What the loader writes into the header's copy: offsets in boot_params. */
#define BZIMAGE_LOADER 0x210u     /* u8 type_of_loader */
#define BZIMAGE_LOADFLAGS 0x211u  /* u8 */
#define BZIMAGE_CODE32 0x214u     /* u32 code32_start */
#define BZIMAGE_RAMDISK 0x218u    /* u32 address, u32 size */
#define BZIMAGE_CMDLINE 0x228u    /* u32 cmd_line_ptr */
#define BZIMAGE_SETUP_DATA 0x250u /* u64 */

struct bzimage {
    const uint8_t *image;    /* the whole file */
    uint32_t header_size;    /* bytes from BZIMAGE_HEADER on */
    uint32_t version;
    const uint8_t *code;     /* the protected-mode part */
    uint64_t code_size;
    uint64_t preferred;      /* load address it would like */
    uint64_t init_size;      /* memory it needs from there on */
    uint64_t alignment;
    bool relocatable;
    uint64_t initrd_end;     /* the initrd must lie below */
    uint32_t cmdline_size;   /* longest command line, without its zero */
};

/* NULL, or what is wrong with the image, in words. */
const char *bzimage_parse(struct bzimage *bz, const void *image, uint64_t size);

/* Chooses the load address: the whole of init_size in [start, end). NULL, or why it cannot be. */
const char *bzimage_place(const struct bzimage *bz, uint64_t start, uint64_t end, uint64_t *address);

#endif
