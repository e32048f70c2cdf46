/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Kernel images: malformed in each field, truncated at each byte, of noise; and what lies in the guest's memory
 * when one is good. Images and guest memory have exactly their sizes, so that the sanitizer sees what goes beyond.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "boot.h"
#include "bzimage.h"
#include "random.h"

#define MIB 0x100000ull
#define SETUP_SECTORS 3u
#define CODE (0x200u * (SETUP_SECTORS + 1))
#define CODE_SIZE 0x3000u
#define IMAGE_SIZE (CODE + CODE_SIZE)

static uint8_t *image;
static uint64_t image_size;
static struct gmem mem;

static void put(uint32_t offset, uint64_t value, unsigned size)
{
    memcpy(image + offset, &value, size);
}

/* A good image, relocatable, that would like to be at 16 MiB. */
static void make_image(void)
{
    free(image);
    image_size = IMAGE_SIZE;
    image = calloc(1, image_size);
    for (unsigned i = 0; i < CODE_SIZE; i++)
        image[CODE + i] = (uint8_t)(i * 7 + i / 256);
    put(0x1f1, SETUP_SECTORS, 1);
    put(0x1f4, CODE_SIZE / 16, 4);
    put(0x1fe, 0xaa55, 2);
    put(0x200, 0x6aeb, 2);             /* jmp to 0x26c: where the header ends */
    put(0x202, 0x53726448, 4);         /* HdrS */
    put(0x206, 0x20f, 2);              /* version */
    put(0x211, 0x81 | 0x40, 1);        /* loadflags: LOADED_HIGH, KEEP_SEGMENTS, CAN_USE_HEAP */
    put(0x218, 0x1122334455667788, 8); /* not for the file to say: the initrd, */
    put(0x22c, 0x7fffffff, 4);         /* initrd_addr_max */
    put(0x230, 0x200000, 4);           /* alignment */
    put(0x234, 1, 1);                  /* relocatable */
    put(0x236, 1, 2);                  /* 64-bit entry point */
    put(0x238, 255, 4);                /* cmdline_size */
    put(0x250, 0x1234567812345678, 8); /* setup data */
    put(0x258, 16 * MIB, 8);           /* pref_address */
    put(0x260, 2 * MIB, 4);            /* init_size */
}

static void make_mem(uint64_t size)
{
    free(mem.base);
    mem = (struct gmem){calloc(1, size), size};
}

static const char *parse(void)
{
    struct bzimage bz;

    return bzimage_parse(&bz, image, image_size);
}

/* The same image with one field changed. */
static const char *parse_with(uint32_t offset, uint64_t value, unsigned size)
{
    make_image();
    put(offset, value, size);
    return parse();
}

static void expect(const char *why, const char *expected)
{
    cr_assert_not_null(why, "accepted, but: %s", expected);
    cr_assert_str_eq(why, expected);
}

/* ---- Parsing ---- */

Test(bzimage, a_good_one)
{
    struct bzimage bz;

    make_image();
    cr_assert_null(bzimage_parse(&bz, image, image_size));
    cr_assert_eq(bz.code, image + CODE);
    cr_assert_eq(bz.code_size, CODE_SIZE);
    cr_assert_eq(bz.header_size, 0x26c - 0x1f1);
    cr_assert_eq(bz.preferred, 16 * MIB);
    cr_assert_eq(bz.init_size, 2 * MIB);
    cr_assert_eq(bz.alignment, 2 * MIB);
    cr_assert_eq(bz.initrd_end, 0x80000000);
    cr_assert_eq(bz.cmdline_size, 255);
    cr_assert(bz.relocatable);
}

Test(bzimage, fields_that_are_wrong)
{
    static const char none[] = "not a bzImage: no setup header (HdrS) in it";
    static const char length[] = "not a bzImage: the setup header's length is wrong";
    static const char entry[] = "not a 64-bit bzImage: no 64-bit entry point";
    static const char ends[] = "not a whole bzImage: the file ends before the code does";
    static const char power[] = "not a bzImage: kernel_alignment is no power of two";

    expect(parse_with(0x1fe, 0, 2), none);
    expect(parse_with(0x202, 0x53726449, 4), none);
    expect(parse_with(0x206, 0x20b, 2), "not a bzImage that can be started: boot protocol older than 2.12");
    expect(parse_with(0x206, 0, 2), "not a bzImage that can be started: boot protocol older than 2.12");
    expect(parse_with(0x236, 0xfffe, 2), entry);
    expect(parse_with(0x211, 0xfe, 1), entry);
    expect(parse_with(0x201, 0x61, 1), length);
    expect(parse_with(0x201, 0x8f, 1), length);
    expect(parse_with(0x201, 0xff, 1), length);
    cr_assert_null(parse_with(0x201, 0x62, 1), "the shortest header");
    cr_assert_null(parse_with(0x201, 0x8e, 1), "the longest");
    expect(parse_with(0x1f1, SETUP_SECTORS + 1, 1), ends);
    expect(parse_with(0x1f1, 0, 1), ends); /* means 4 */
    expect(parse_with(0x1f1, 255, 1), ends);
    expect(parse_with(0x1f4, CODE_SIZE / 16 + 1, 4), ends);
    expect(parse_with(0x1f4, UINT32_MAX, 4), ends);
    expect(parse_with(0x1f4, 0x10000000, 4), ends); /* 2^32 bytes */
    expect(parse_with(0x1f4, 0, 4), "not a bzImage: no code behind the entry point");
    expect(parse_with(0x1f4, 0x20, 4), "not a bzImage: no code behind the entry point");
    expect(parse_with(0x260, 0, 4), "not a bzImage: init_size is smaller than the code");
    expect(parse_with(0x260, CODE_SIZE - 1, 4), "not a bzImage: init_size is smaller than the code");
    expect(parse_with(0x230, 0, 4), power);
    expect(parse_with(0x230, 0x300000, 4), power);
    expect(parse_with(0x230, UINT32_MAX, 4), power);
}

Test(bzimage, truncated_anywhere)
{
    for (uint64_t size = 0; size < IMAGE_SIZE; size += size < 0x300 ? 1 : 97) {
        uint8_t *piece = malloc(size);
        struct bzimage bz;
        const char *why;

        make_image();
        memcpy(piece, image, size);
        why = bzimage_parse(&bz, piece, size);
        if (size < 0x264)
            expect(why, "not a bzImage: shorter than the setup header");
        else if (size < 0x26c)
            expect(why, "not a bzImage: the setup header's length is wrong");
        else
            expect(why, "not a whole bzImage: the file ends before the code does");
        free(piece);
    }
}

/* Whatever parses and can be placed lies inside: copying it is safe. */
Test(bzimage, noise)
{
    unsigned good = 0;

    for (unsigned n = 0; n < 40000; n++) {
        struct bzimage bz;
        uint64_t at, start = random_below(8) * MIB, end = random_below(64) * MIB;

        make_image();
        for (uint64_t i = random_below(8); i > 0; i--)
            image[0x1f1 + random_below(0x80)] = (uint8_t)random_next();
        put(0x1fe, 0xaa55, 2);
        put(0x202, 0x53726448, 4);
        if (bzimage_parse(&bz, image, image_size) || bzimage_place(&bz, start, end, &at))
            continue;
        good++;
        cr_assert_geq(bz.code, image);
        cr_assert_leq(bz.code + bz.code_size, image + image_size);
        cr_assert_leq(BZIMAGE_HEADER + bz.header_size, 0x290);
        cr_assert_leq(bz.code_size, bz.init_size);
        cr_assert_geq(at, start);
        cr_assert_leq(at, end);
        cr_assert_leq(bz.init_size, end - at);
    }
    cr_assert_gt(good, 1000);
}

/* ---- Placing ---- */

static const char *place(uint64_t start, uint64_t end, uint64_t *at)
{
    struct bzimage bz;

    cr_assert_null(bzimage_parse(&bz, image, image_size));
    return bzimage_place(&bz, start, end, at);
}

Test(bzimage, placing)
{
    static const char memory[] = "needs more memory than the guest has";
    uint64_t at = 0;

    make_image();
    cr_assert_null(place(MIB, 64 * MIB, &at));
    cr_assert_eq(at, 16 * MIB, "where it likes to be");
    cr_assert_null(place(MIB, 18 * MIB, &at));
    cr_assert_eq(at, 16 * MIB, "just so");
    cr_assert_null(place(MIB, 18 * MIB - 1, &at));
    cr_assert_eq(at, 2 * MIB, "elsewhere, aligned");
    cr_assert_null(place(MIB, 4 * MIB, &at));
    expect(place(MIB, 4 * MIB - 1, &at), memory);
    expect(place(MIB, MIB, &at), memory);
    expect(place(MIB, 0, &at), memory);
    cr_assert_null(parse_with(0x258, UINT64_MAX, 8));
    cr_assert_null(place(MIB, 64 * MIB, &at));
    cr_assert_eq(at, 2 * MIB);
    cr_assert_null(parse_with(0x258, 0, 8));
    cr_assert_null(place(MIB, 64 * MIB, &at));
    cr_assert_eq(at, 2 * MIB, "not into low memory");
    cr_assert_null(parse_with(0x260, UINT32_MAX, 4));
    expect(place(MIB, 64 * MIB, &at), memory);
    cr_assert_null(parse_with(0x230, 0x80000000, 4));
    cr_assert_null(place(MIB, 64 * MIB, &at), "it likes where it is");
    expect(place(17 * MIB, 64 * MIB, &at), memory);
    cr_assert_null(parse_with(0x234, 0, 1));
    cr_assert_null(place(MIB, 64 * MIB, &at));
    expect(place(MIB, 17 * MIB, &at), "must be loaded where the guest has no memory, and is not relocatable");
    expect(place(17 * MIB, 18 * MIB, &at), memory);
}

/* ---- Loading ---- */

static uint8_t fdt[256], initrd[3 * 4096 + 5];
static uint64_t initrd_size = sizeof(initrd);
static char cmdline[4096];

static const char *load(struct boot_entry *entry, enum boot_part *part)
{
    struct boot_source from = {
        .kernel = image,
        .kernel_size = image_size,
        .initrd = initrd,
        .initrd_size = initrd_size,
        .cmdline = cmdline,
        .fdt = fdt,
        .fdt_size = sizeof(fdt),
        .special = mem.size,
        .special_size = 2 * MIB,
    };

    memset(from.seed, 0x77, sizeof(from.seed));
    return boot_load(&mem, &from, entry, part);
}

static uint64_t params(uint32_t offset, unsigned size)
{
    uint64_t value = 0;

    memcpy(&value, mem.base + BOOT_PARAMS + offset, size);
    return value;
}

static void expect_load(enum boot_part expected_part, const char *expected)
{
    struct boot_entry entry;
    enum boot_part part;

    expect(load(&entry, &part), expected);
    cr_assert_eq(part, expected_part);
}

static void setup(uint64_t memory)
{
    make_image();
    make_mem(memory);
    memset(fdt, 0x44, sizeof(fdt));
    memset(initrd, 0x55, sizeof(initrd));
    strcpy(cmdline, "console=hvc0");
}

Test(boot, what_the_kernel_finds)
{
    struct boot_entry entry;
    enum boot_part part;
    uint64_t at;

    setup(32 * MIB);
    cr_assert_null(load(&entry, &part));
    cr_assert_eq(entry.rip, 16 * MIB + 0x200);
    cr_assert_eq(entry.rsi, BOOT_PARAMS);
    cr_assert_eq(entry.cr3, BOOT_TABLES);
    cr_assert_arr_eq(mem.base + 16 * MIB, image + CODE, CODE_SIZE);
    cr_assert_eq(params(0x202, 4), 0x53726448);
    cr_assert_eq(params(0x210, 1), 0xff, "type_of_loader");
    cr_assert_eq(params(0x211, 1), 1, "loadflags");
    cr_assert_eq(params(0x214, 4), 16 * MIB, "code32_start");
    cr_assert_str_eq((char *)mem.base + params(0x228, 4), "console=hvc0");
    at = params(0x218, 4);
    cr_assert_eq(params(0x21c, 4), sizeof(initrd));
    cr_assert_eq(at % 4096, 0);
    cr_assert_geq(at, 18 * MIB);
    cr_assert_arr_eq(mem.base + at, initrd, sizeof(initrd));
    setup(32 * MIB);
    initrd_size = 0;
    cr_assert_null(load(&entry, &part));
    cr_assert_eq(params(0x218, 8), 0, "no initrd");
}

Test(boot, memory_map)
{
    static const uint64_t ends[] = {0, 0x9fc00, 0x100000, 32 * MIB, 34 * MIB};
    struct boot_entry entry;
    enum boot_part part;

    setup(32 * MIB);
    cr_assert_null(load(&entry, &part));
    cr_assert_eq(params(0x1e8, 1), 4);
    for (unsigned i = 0; i < 4; i++) {
        cr_assert_eq(params(0x2d0 + 20 * i, 8), ends[i]);
        cr_assert_eq(params(0x2d0 + 20 * i + 8, 8), ends[i + 1] - ends[i]);
        cr_assert_eq(params(0x2d0 + 20 * i + 16, 4), i % 2 ? 2 : 1);
    }
}

Test(boot, setup_data)
{
    struct boot_entry entry;
    enum boot_part part;
    uint64_t at, next;
    uint32_t head[2];
    bool tree = false, seed = false;

    setup(32 * MIB);
    cr_assert_null(load(&entry, &part));
    for (at = params(0x250, 8); at; at = next) {
        cr_assert_lt(at, BOOT_LOW_END);
        memcpy(&next, mem.base + at, 8);
        memcpy(head, mem.base + at + 8, 8);
        if (head[0] == 2) {
            tree = true;
            cr_assert_eq(head[1], sizeof(fdt));
            cr_assert_arr_eq(mem.base + at + 16, fdt, sizeof(fdt));
        } else {
            seed = true;
            cr_assert_eq(head[0], 9);
            cr_assert_eq(head[1], BOOT_SEED_SIZE);
            cr_assert_eq(mem.base[at + 16 + BOOT_SEED_SIZE - 1], 0x77);
        }
    }
    cr_assert(tree && seed);
}

/* The first 4 GiB, one to one, writable, as a walk of four levels finds them. */
Test(boot, page_tables)
{
    struct boot_entry entry;
    enum boot_part part;

    setup(32 * MIB);
    cr_assert_null(load(&entry, &part));
    for (uint64_t address = 0; address < 4096 * MIB; address += 2 * MIB) {
        uint64_t table = entry.cr3, value = 0;

        for (unsigned shift = 39; shift >= 21; shift -= 9) {
            memcpy(&value, mem.base + table + (address >> shift & 511) * 8, 8);
            cr_assert_eq(value & 3, 3);
            table = value & 0xffffffffff000;
        }
        cr_assert_eq(value & 0x80, 0x80);
        cr_assert_eq(table, address);
    }
}

Test(boot, what_does_not_fit)
{
    setup(MIB);
    expect_load(BOOT_PART_MEMORY, "is too little for any kernel");
    setup(2 * MIB);
    expect_load(BOOT_PART_KERNEL, "needs more memory than the guest has");
    setup(4 * MIB);
    expect_load(BOOT_PART_INITRD, "does not fit into the guest's memory beside the kernel");
    setup(32 * MIB);
    put(0x22c, 4096, 4);
    expect_load(BOOT_PART_INITRD, "does not fit into the guest's memory");
    setup(32 * MIB);
    image_size--;
    expect_load(BOOT_PART_KERNEL, "not a whole bzImage: the file ends before the code does");
}

Test(boot, command_lines)
{
    struct boot_entry entry;
    enum boot_part part;

    setup(32 * MIB);
    memset(cmdline, 'x', 256);
    cmdline[256] = 0;
    expect_load(BOOT_PART_BOOTARGS, "is longer than the kernel accepts");
    setup(32 * MIB);
    memset(cmdline, 'x', 255);
    cmdline[255] = 0;
    cr_assert_null(load(&entry, &part));
    cr_assert_str_eq((char *)mem.base + BOOT_CMDLINE, cmdline);
    setup(32 * MIB);
    put(0x238, UINT32_MAX, 4);
    memset(cmdline, 'x', 2048);
    cmdline[2048] = 0;
    expect_load(BOOT_PART_BOOTARGS, "is longer than the kernel accepts");
    cmdline[2047] = 0;
    make_mem(32 * MIB);
    cr_assert_null(load(&entry, &part));
    cr_assert_eq(mem.base[BOOT_SEED + 8], 9, "what lies behind the command line is whole");
}

Test(boot, noise)
{
    unsigned good = 0;

    for (unsigned n = 0; n < 600; n++) {
        struct boot_entry entry;
        enum boot_part part;

        setup(2 * MIB * (1 + random_below(12)));
        for (uint64_t i = random_below(6); i > 0; i--)
            image[0x1f1 + random_below(0x80)] = (uint8_t)random_next();
        put(0x202, 0x53726448, 4);
        if (load(&entry, &part))
            continue;
        good++;
        cr_assert_geq(entry.rip, BOOT_HIGH);
        cr_assert_lt(entry.rip, mem.size);
        cr_assert_leq(params(0x218, 4) + params(0x21c, 4), mem.size);
    }
    cr_assert_gt(good, 20);
}
