/* SPDX-License-Identifier: GPL-2.0-only */
/* root's executable: each rule broken, truncated anywhere, and of noise. */
#include <criterion/criterion.h>
#include <string.h>

#include <corbel/call.h>

#include "elf.h"
#include "layout.h"
#include "random.h"

#define SIZE 0x8000u
#define SEGMENT(i, field) (64u + 56u * (i) + (field))

/* Offsets of fields: System V ABI, 4 and 5. */
enum { TYPE = 16, MACHINE = 18, ENTRY = 24, PHOFF = 32, PHENTSIZE = 54, PHNUM = 56 };
enum { P_TYPE = 0, P_FLAGS = 4, P_OFFSET = 8, P_VADDR = 16, P_FILESZ = 32, P_MEMSZ = 40 };

static u8 image[PAGE_SIZE];
static struct elf_header header;
static struct elf_segment segments[ELF_SEGMENTS];

static void put(u32 offset, u64 value, u32 size)
{
    memcpy(image + offset, &value, size);
}

static void put_segment(u32 i, u32 flags, u64 offset, u64 address, u64 bytes)
{
    put(SEGMENT(i, P_TYPE), 1, 4);
    put(SEGMENT(i, P_FLAGS), flags, 4);
    put(SEGMENT(i, P_OFFSET), offset, 8);
    put(SEGMENT(i, P_VADDR), address, 8);
    put(SEGMENT(i, P_FILESZ), bytes, 8);
    put(SEGMENT(i, P_MEMSZ), bytes, 8);
}

static void make_image(void)
{
    memset(image, 0, sizeof(image));
    memcpy(image, "\177ELF\2\1\1", 7);
    put(TYPE, 2, 2);
    put(MACHINE, 62, 2);
    put(ENTRY, 0x401000, 8);
    put(PHOFF, 64, 8);
    put(PHENTSIZE, 56, 2);
    put(PHNUM, 3, 2);
    put_segment(0, 5, 0x1000, 0x401000, 0x2345);
    put(SEGMENT(1, P_TYPE), 0x6474e551, 4); /* GNU_STACK: of no interest */
    put_segment(2, 6, 0x4000, 0x600000, 0x4000);
}

/* The header is copied to where the sanitizer sees what lies behind `visible` bytes. */
static const char *check(u64 visible, u64 size)
{
    u8 *copy = malloc(visible);
    const char *wrong;

    memcpy(copy, image, visible);
    wrong = elf_check(copy, visible, size, &header, segments);
    free(copy);
    return wrong;
}

static void expect(const char *expected)
{
    const char *wrong = check(sizeof(image), SIZE);

    cr_assert_not_null(wrong, "accepted, but: %s", expected);
    cr_assert_str_eq(wrong, expected);
    make_image();
}

Test(elf, a_good_one)
{
    make_image();
    cr_assert_null(check(sizeof(image), SIZE));
    cr_assert_eq(header.entry, 0x401000);
    cr_assert_eq(header.segment_count, 2);
    cr_assert_eq(segments[0].address, 0x401000);
    cr_assert_eq(segments[0].offset, 0x1000);
    cr_assert_eq(segments[0].bytes, 0x2345);
    cr_assert_eq(segments[0].rights, CB_MAP_READ | CB_MAP_EXEC);
    cr_assert_eq(segments[1].address, 0x600000);
    cr_assert_eq(segments[1].rights, CB_MAP_READ | CB_MAP_WRITE);
}

Test(elf, no_executable)
{
    static const u32 offsets[] = {0, 1, 2, 3, 4, 5, 6, TYPE, MACHINE};

    make_image();
    for (unsigned i = 0; i < ARRAY_SIZE(offsets); i++) {
        image[offsets[i]] ^= 1;
        expect("not an ELF64 executable for x86-64");
    }
    put(TYPE, 3, 2);
    expect("not an ELF64 executable for x86-64");
}

Test(elf, program_headers)
{
    static const char outside[] = "its program headers lie outside its first page";

    make_image();
    put(PHENTSIZE, 32, 2);
    expect(outside);
    put(PHOFF, PAGE_SIZE + 1, 8);
    expect(outside);
    put(PHOFF, UINT64_MAX - 55, 8);
    expect(outside);
    put(PHOFF, PAGE_SIZE - 2 * 56, 8);
    expect(outside);
    put(PHNUM, 0xffff, 2);
    expect(outside);
    put(PHNUM, (PAGE_SIZE - 64) / 56 + 1, 2);
    expect(outside);
    put(PHNUM, 0, 2);
    expect("nothing to load");
    put(PHNUM, 2, 2);
    put(SEGMENT(0, P_MEMSZ), 0, 8);
    expect("nothing to load");
}

Test(elf, segments)
{
    static const char aligned[] = "a segment is not page-aligned", file[] = "a segment lies outside the file";
    static const char memory[] = "a segment is larger in memory than in the file";
    static const char space[] = "a segment lies outside the address space";

    make_image();
    put_segment(0, 5, 0x1001, 0x401000, 0x1000);
    expect(aligned);
    put_segment(0, 5, 0x1000, 0x401800, 0x1000);
    expect(aligned);
    put_segment(0, 5, SIZE + PAGE_SIZE, 0x401000, 0x1000);
    expect(file);
    put_segment(0, 5, SIZE - PAGE_SIZE, 0x401000, 0x1001);
    expect(file);
    put_segment(0, 5, 0x1000, 0x401000, UINT64_MAX);
    expect(file);
    put_segment(0, 5, align_down(UINT64_MAX, PAGE_SIZE), 0x401000, 0x2000);
    expect(file);
    put(SEGMENT(0, P_MEMSZ), 0x2346, 8);
    expect(memory);
    put(SEGMENT(0, P_MEMSZ), 0x2344, 8);
    expect(memory);
    put_segment(0, 5, 0x1000, USER_END, 0x1000);
    expect(space);
    put_segment(0, 5, 0x1000, USER_END - 0x1000, 0x1001);
    expect(space);
    put_segment(0, 5, 0x1000, 0xffffffff80000000, 0x1000);
    expect(space);
    put_segment(0, 5, 0x1000, USER_END - 0x1000, 0x1000);
    cr_assert_null(check(sizeof(image), SIZE), "up to the last byte");
}

Test(elf, too_many_segments)
{
    make_image();
    for (u32 i = 0; i < ELF_SEGMENTS; i++)
        put_segment(i, 4, 0x1000, 0x400000 + i * PAGE_SIZE, 0x1000);
    put(PHNUM, ELF_SEGMENTS, 2);
    cr_assert_null(check(sizeof(image), SIZE));
    put_segment(ELF_SEGMENTS, 4, 0x1000, 0x800000, 0x1000);
    put(PHNUM, ELF_SEGMENTS + 1, 2);
    expect("too many segments");
}

Test(elf, truncated_anywhere)
{
    make_image();
    for (u64 visible = 0; visible < SEGMENT(3, 0); visible++) {
        const char *wrong = check(visible, visible);

        cr_assert_not_null(wrong);
        cr_assert_str_eq(wrong, visible < 64 ? "shorter than an ELF header" : "its program headers lie outside its first page");
    }
    cr_assert_str_eq(check(SEGMENT(3, 0), SEGMENT(3, 0)), "a segment lies outside the file");
}

/* Whatever is accepted can be mapped as it is. */
Test(elf, noise)
{
    unsigned good = 0;

    for (unsigned n = 0; n < 200000; n++) {
        make_image();
        for (u64 i = random_below(4); i > 0; i--)
            put(7 + (u32)random_below(SEGMENT(3, 0) - 7), random_next(), 1 + (u32)random_below(4));
        if (check(SEGMENT(3, 0), SIZE))
            continue;
        good++;
        cr_assert_leq(header.segment_count, ELF_SEGMENTS);
        for (u32 i = 0; i < header.segment_count; i++) {
            const struct elf_segment *s = &segments[i];

            cr_assert(is_aligned(s->address | s->offset, PAGE_SIZE));
            cr_assert(s->offset <= SIZE && s->bytes <= SIZE - s->offset);
            cr_assert(s->address <= USER_END && s->bytes <= USER_END - s->address);
        }
    }
    cr_assert_gt(good, 10000);
}
