/* SPDX-License-Identifier: GPL-2.0-only */
/* The section names are those of Documentation/arch/x86/boot.rst, "Details of Header Fields". */
#include "bzimage.h"

#include <string.h>

#define SETUP_SECTS 0x1f1u
#define SYSSIZE 0x1f4u
#define BOOT_FLAG 0x1feu
#define JUMP 0x200u
#define MAGIC 0x202u
#define VERSION 0x206u
#define LOADFLAGS 0x211u
#define INITRD_ADDR_MAX 0x22cu
#define KERNEL_ALIGNMENT 0x230u
#define RELOCATABLE_KERNEL 0x234u
#define XLOADFLAGS 0x236u
#define CMDLINE_SIZE 0x238u
#define PREF_ADDRESS 0x258u
#define INIT_SIZE 0x260u
#define HEADER_END 0x264u /* the first byte that this loader does not need */

#define MAGIC_HDRS 0x53726448u     /* "HdrS" */
#define VERSION_MIN 0x020cu        /* the first with xloadflags */
#define LOADED_HIGH 0x01u          /* loadflags */
#define XLF_KERNEL_64 0x0001u      /* xloadflags: has the 64-bit entry point */
#define SECTOR 512u

/* The image may stand at any address: fields are copied out of it. x86 is little endian, as the image is. */
static uint16_t get16(const uint8_t *from)
{
    uint16_t value;

    memcpy(&value, from, sizeof(value));
    return value;
}

static uint32_t get32(const uint8_t *from)
{
    uint32_t value;

    memcpy(&value, from, sizeof(value));
    return value;
}

static uint64_t get64(const uint8_t *from)
{
    uint64_t value;

    memcpy(&value, from, sizeof(value));
    return value;
}

static const char *check_header(const uint8_t *h, uint64_t size)
{
    uint32_t end;

    if (size < HEADER_END)
        return "not a bzImage: shorter than the setup header";
    if (get16(h + BOOT_FLAG) != 0xaa55 || get32(h + MAGIC) != MAGIC_HDRS)
        return "not a bzImage: no setup header (HdrS) in it";
    if (get16(h + VERSION) < VERSION_MIN)
        return "not a bzImage that can be started: boot protocol older than 2.12";
    if ((get16(h + XLOADFLAGS) & XLF_KERNEL_64) == 0 || (h[LOADFLAGS] & LOADED_HIGH) == 0)
        return "not a 64-bit bzImage: no 64-bit entry point";
    end = MAGIC + h[JUMP + 1];
    if (end < HEADER_END || end > BZIMAGE_HEADER + BZIMAGE_HEADER_MAX || end > size)
        return "not a bzImage: the setup header's length is wrong";
    return NULL;
}

/* The protected-mode code: behind the boot sector and the setup sectors. */
static const char *find_code(struct bzimage *bz, const uint8_t *h, uint64_t size)
{
    uint64_t sectors = h[SETUP_SECTS] ? h[SETUP_SECTS] : 4;
    uint64_t offset = (sectors + 1) * SECTOR;
    uint64_t wanted = 16ull * get32(h + SYSSIZE);

    if (offset >= size || size - offset < wanted)
        return "not a whole bzImage: the file ends before the code does";
    if (wanted <= BZIMAGE_ENTRY)
        return "not a bzImage: no code behind the entry point";
    bz->code = h + offset;
    bz->code_size = wanted;
    return NULL;
}

const char *bzimage_parse(struct bzimage *bz, const void *image, uint64_t size)
{
    const uint8_t *h = image;
    const char *why = check_header(h, size);

    if (!why)
        why = find_code(bz, h, size);
    if (why)
        return why;
    bz->image = h;
    bz->header_size = MAGIC + h[JUMP + 1] - BZIMAGE_HEADER;
    bz->version = get16(h + VERSION);
    bz->preferred = get64(h + PREF_ADDRESS);
    bz->init_size = get32(h + INIT_SIZE);
    bz->alignment = get32(h + KERNEL_ALIGNMENT);
    bz->relocatable = h[RELOCATABLE_KERNEL] != 0;
    bz->initrd_end = (uint64_t)get32(h + INITRD_ADDR_MAX) + 1;
    bz->cmdline_size = get32(h + CMDLINE_SIZE);
    if (bz->init_size < bz->code_size)
        return "not a bzImage: init_size is smaller than the code";
    if (bz->alignment == 0 || (bz->alignment & (bz->alignment - 1)) != 0)
        return "not a bzImage: kernel_alignment is no power of two";
    return NULL;
}

const char *bzimage_place(const struct bzimage *bz, uint64_t start, uint64_t end, uint64_t *address)
{
    uint64_t at = bz->preferred;

    if (end < bz->init_size || end - bz->init_size < start)
        return "needs more memory than the guest has";
    if (at < start || at > end - bz->init_size) {
        if (!bz->relocatable)
            return "must be loaded where the guest has no memory, and is not relocatable";
        at = (start + bz->alignment - 1) & ~(bz->alignment - 1);
        if (at > end - bz->init_size)
            return "needs more memory than the guest has";
    }
    *address = at;
    return NULL;
}
