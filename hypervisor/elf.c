/* SPDX-License-Identifier: GPL-2.0-only */
#include "elf.h"

#include <corbel/call.h>

#include "layout.h"
#include "kstring.h"

struct elf64_file {
    u8 ident[16];
    u16 type, machine;
    u32 version;
    u64 entry, phoff, shoff;
    u32 flags;
    u16 ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};
_Static_assert(sizeof(struct elf64_file) == 64, "ELF64 file header");

struct elf64_segment {
    u32 type, flags;
    u64 offset, vaddr, paddr, filesz, memsz, align;
};
_Static_assert(sizeof(struct elf64_segment) == 56, "ELF64 program header");

#define ELF_EXECUTABLE 2u
#define ELF_X86_64 62u
#define ELF_LOAD 1u
#define ELF_X 1u
#define ELF_W 2u

static const char *elf_check_segment(const struct elf64_segment *s, u64 size)
{
    if (!is_aligned(s->offset, PAGE_SIZE) || !is_aligned(s->vaddr, PAGE_SIZE))
        return "a segment is not page-aligned";
    if (s->offset > size || s->filesz > size - s->offset)
        return "a segment lies outside the file";
    if (s->memsz != s->filesz)
        return "a segment is larger in memory than in the file";
    if (s->vaddr >= USER_END || s->memsz > USER_END - s->vaddr)
        return "a segment lies outside the address space";
    return NULL;
}

static struct elf_segment elf_segment_of(const struct elf64_segment *s)
{
    return (struct elf_segment){
        .address = s->vaddr,
        .offset = s->offset,
        .bytes = s->memsz,
        .rights = CB_MAP_READ | (s->flags & ELF_W ? CB_MAP_WRITE : 0) | (s->flags & ELF_X ? CB_MAP_EXEC : 0),
    };
}

const char *elf_check(const void *image, u64 visible, u64 size, struct elf_header *header, struct elf_segment *segments)
{
    struct elf64_file file;

    if (visible < sizeof(file))
        return "shorter than an ELF header";
    memcpy(&file, image, sizeof(file));
    if (memcmp(file.ident, "\177ELF\2\1\1", 7) || file.type != ELF_EXECUTABLE || file.machine != ELF_X86_64)
        return "not an ELF64 executable for x86-64";
    if (file.phentsize != sizeof(struct elf64_segment) || file.phoff > visible ||
        file.phnum > (visible - file.phoff) / sizeof(struct elf64_segment))
        return "its program headers lie outside its first page";

    header->entry = file.entry;
    header->segment_count = 0;
    for (u32 i = 0; i < file.phnum; i++) {
        struct elf64_segment s;
        const char *wrong;

        memcpy(&s, (const u8 *)image + file.phoff + i * sizeof(s), sizeof(s));
        if (s.type != ELF_LOAD || !s.memsz)
            continue;
        wrong = elf_check_segment(&s, size);
        if (wrong)
            return wrong;
        if (header->segment_count == ELF_SEGMENTS)
            return "too many segments";
        segments[header->segment_count++] = elf_segment_of(&s);
    }
    return header->segment_count ? NULL : "nothing to load";
}
