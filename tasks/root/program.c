/* SPDX-License-Identifier: GPL-2.0-only */
#include "program.h"

#include <corbel/call.h>
#include <corbel/task.h>

#include <elf.h>
#include <string.h>

#define LOW_LIMIT 0x10000ull                /* no program lies below: null pointers shall fault */
#define HIGH_LIMIT CB_TASK_MODULES_ADDRESS  /* the ABI's own addresses begin here */
#define SEGMENT_LIMIT (1ull << 30)

static bool is_executable(const Elf64_Ehdr *header)
{
    return memcmp(header->e_ident, ELFMAG, SELFMAG) == 0 && header->e_ident[EI_CLASS] == ELFCLASS64 &&
           header->e_ident[EI_DATA] == ELFDATA2LSB && header->e_type == ET_EXEC && header->e_machine == EM_X86_64;
}

static uint32_t map_flags(uint32_t flags)
{
    return CB_MAP_READ | (flags & PF_W ? CB_MAP_WRITE : 0) | (flags & PF_X ? CB_MAP_EXEC : 0);
}

static const char *add_segment(struct program *program, const Elf64_Phdr *header, size_t size)
{
    if (program->segment_count == PROGRAM_SEGMENTS)
        return "the ELF file has too many segments";
    if (header->p_filesz > header->p_memsz || header->p_offset > size || header->p_filesz > size - header->p_offset)
        return "a segment reaches beyond the ELF file";
    if (header->p_memsz > SEGMENT_LIMIT || header->p_vaddr < LOW_LIMIT ||
        header->p_vaddr > HIGH_LIMIT - header->p_memsz)
        return "a segment of the ELF file has an address out of range";
    uint64_t skip = header->p_vaddr % CB_PAGE_SIZE;
    struct program_segment *segment = &program->segments[program->segment_count++];

    *segment = (struct program_segment){
        .address = header->p_vaddr - skip,
        .pages = (skip + header->p_memsz + CB_PAGE_SIZE - 1) / CB_PAGE_SIZE,
        .skip = skip,
        .offset = header->p_offset,
        .size = header->p_filesz,
        .flags = map_flags(header->p_flags),
    };
    program->pages += segment->pages;
    return NULL;
}

const char *program_read(const void *file, size_t size, struct program *program)
{
    Elf64_Ehdr header;

    memset(program, 0, sizeof(*program));
    if (size < sizeof(header))
        return "no ELF file: too short";
    memcpy(&header, file, sizeof(header));
    if (!is_executable(&header))
        return "no static ELF64 executable for x86-64";
    if (header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phoff > size ||
        header.e_phnum > (size - header.e_phoff) / sizeof(Elf64_Phdr))
        return "the ELF file's program headers lie outside of it";
    for (uint32_t i = 0; i < header.e_phnum; i++) {
        Elf64_Phdr segment;

        memcpy(&segment, (const uint8_t *)file + header.e_phoff + i * sizeof(segment), sizeof(segment));
        if (segment.p_type == PT_INTERP || segment.p_type == PT_DYNAMIC)
            return "the ELF file is not statically linked";
        if (segment.p_type != PT_LOAD || segment.p_memsz == 0)
            continue;
        const char *wrong = add_segment(program, &segment, size);

        if (wrong)
            return wrong;
    }
    program->entry = header.e_entry;
    return program->segment_count ? NULL : "the ELF file has no segments";
}
