/* SPDX-License-Identifier: GPL-2.0-only */
#include "dump.h"

#include <elf.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "layout.h"
#include "pte.h"

#define BAD_SHOWN 40u
#define SEEN_MAX 64u
#define LIST_LIMIT 1000000u

static char *memory;
static u64 memory_size;
static const char *elf;
static u64 elf_size;
static u64 local_base; /* host-physical: the chosen CPU's struct cpu */

bool quiet_expected, bad_silent;
u32 bad_count;
char bad_areas[1024];

static struct {
    const char *what;
    u64 count;
} counts[SEEN_MAX];

/* ---- The file ---- */

static void __attribute__((noreturn)) die(const char *what, const char *name)
{
    fprintf(stderr, "check-dump: %s: %s\n", name, what);
    exit(2);
}

static char *map_file(const char *path, u64 *size)
{
    int fd = open(path, O_RDONLY);
    struct stat st;
    char *at;

    if (fd < 0 || fstat(fd, &st) || !st.st_size)
        die("cannot be read, or is empty", path);
    at = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    close(fd);
    if (at == MAP_FAILED)
        die("cannot be mapped", path);
    *size = (u64)st.st_size;
    return at;
}

void dump_open_memory(const char *path)
{
    memory = map_file(path, &memory_size);
    if (memory_size < dump_symbol_address(NULL, "image_end", 0) - KERNEL_BASE)
        die("is too small to hold the hypervisor", path);
}

void dump_open_elf(const char *path)
{
    const Elf64_Ehdr *h;

    elf = map_file(path, &elf_size);
    h = (const Elf64_Ehdr *)(const void *)elf;
    if (elf_size < sizeof(*h) || memcmp(h->e_ident, ELFMAG, SELFMAG) || h->e_ident[EI_CLASS] != ELFCLASS64 ||
        h->e_shoff + (u64)h->e_shnum * sizeof(Elf64_Shdr) > elf_size)
        die("is no ELF with symbols", path);
}

void *dump_physical(u64 at, u64 bytes)
{
    return at < memory_size && bytes <= memory_size - at ? memory + at : NULL;
}

u64 dump_translate(u64 kernel)
{
    if (kernel >= CPU_LOCAL && kernel < CPU_LOCAL + align_up(sizeof(struct cpu), PAGE_SIZE))
        return local_base + (kernel - CPU_LOCAL);
    if (kernel >= KERNEL_BASE && kernel < CPU_LOCAL)
        return kernel - KERNEL_BASE;
    if (kernel >= DIRECT_BASE && kernel < DIRECT_BASE + DIRECT_SIZE)
        return kernel - DIRECT_BASE;
    return UINT64_MAX;
}

void *dump_at(const void *kernel, u64 bytes)
{
    void *view = dump_physical(dump_translate((u64)kernel), bytes);

    if (!view)
        bad("pointer", "%p leads nowhere", kernel);
    return view;
}

u64 dump_kernel(const void *view)
{
    return DIRECT_BASE + (u64)((const char *)view - memory);
}

void dump_choose_cpu(u32 id)
{
    local_base = dump_translate((u64)SYMBOL(struct cpu *[CPUS_MAX], "kpage.c", cpus)[id]);
}

const struct cpu *dump_cpu(u32 id)
{
    struct cpu *c = SYMBOL(struct cpu *[CPUS_MAX], "kpage.c", cpus)[id];

    return c ? AT(c) : NULL;
}

u64 *dump_cpu_entry(u64 pdpt, u64 address)
{
    u64 *table = dump_physical(pdpt, PAGE_SIZE);

    for (unsigned level = 3; table && level > 1; level--) {
        u64 entry = table[pte_index(address, level)];

        table = entry & PTE_P ? dump_physical(pte_address(entry), PAGE_SIZE) : NULL;
    }
    return table ? &table[pte_index(address, 1)] : NULL;
}

u64 *dump_window(u32 id)
{
    return dump_cpu(id) ? dump_cpu_entry(dump_cpu(id)->kernel_pdpt, CPU_WINDOW) : NULL;
}

u32 dump_cpu_count(void)
{
    u32 count = SYMBOL(u32, NULL, cpu_count);

    if (!count || count > CPUS_MAX)
        die("is not the memory of a machine that runs this hypervisor", "the dump");
    return count;
}

/* ---- Symbols ---- */

/* Local symbols stand behind the one that names their file. */
static const Elf64_Sym *symbol_in(const Elf64_Sym *sym, u64 count, const char *strings, const char *file,
                                  const char *name)
{
    const char *now = "";

    for (u64 i = 0; i < count; i++) {
        if (ELF64_ST_TYPE(sym[i].st_info) == STT_FILE)
            now = strings + sym[i].st_name;
        else if (!strcmp(strings + sym[i].st_name, name) && sym[i].st_shndx != SHN_UNDEF && (!file || !strcmp(now, file)))
            return &sym[i];
    }
    return NULL;
}

u64 dump_symbol_address(const char *file, const char *name, u64 bytes)
{
    const Elf64_Ehdr *h = (const Elf64_Ehdr *)(const void *)elf;
    const Elf64_Shdr *s = (const Elf64_Shdr *)(const void *)(elf + h->e_shoff);

    for (u32 i = 0; i < h->e_shnum; i++) {
        const Elf64_Sym *found;

        if (s[i].sh_type != SHT_SYMTAB || s[i].sh_link >= h->e_shnum)
            continue;
        found = symbol_in((const Elf64_Sym *)(const void *)(elf + s[i].sh_offset), s[i].sh_size / sizeof(Elf64_Sym),
                          elf + s[s[i].sh_link].sh_offset, file, name);
        if (found && (!bytes || !found->st_size || found->st_size == bytes))
            return found->st_value;
        if (found)
            die("has another size: this tool and the hypervisor are of different versions", name);
    }
    die("no such symbol: this tool and the hypervisor are of different versions", name);
}

/* ---- Complaints and counts ---- */

static void say(const char *how, const char *area, const char *format, va_list args)
{
    if (bad_silent)
        return;
    printf("%s %s: ", how, area);
    vprintf(format, args);
    printf("\n");
}

static void complain(const char *area, const char *format, va_list args)
{
    size_t used = strlen(bad_areas);

    if (!strstr(bad_areas, area) && used + strlen(area) + 2 < sizeof(bad_areas))
        snprintf(bad_areas + used, sizeof(bad_areas) - used, " %s", area);
    if (bad_count++ < BAD_SHOWN)
        say("BAD", area, format, args);
}

void bad(const char *area, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    complain(area, format, args);
    va_end(args);
}

void unquiet(const char *area, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    if (quiet_expected)
        complain(area, format, args);
    else
        say("note", area, format, args);
    va_end(args);
}

void seen(const char *what, u64 count)
{
    u32 i = 0;

    while (i < SEEN_MAX - 1 && counts[i].what && strcmp(counts[i].what, what))
        i++;
    counts[i].what = what;
    counts[i].count += count;
}

void seen_print(void)
{
    for (u32 i = 0; i < SEEN_MAX && counts[i].what; i++)
        printf("checked %s: %lu\n", counts[i].what, (unsigned long)counts[i].count);
}

/* ---- Lists ---- */

const struct list *list_begin(struct list_walk *w, const struct list *head, const char *area)
{
    *w = (struct list_walk){ .head = head, .at = head, .area = area };
    return list_next(w);
}

const struct list *list_next(struct list_walk *w)
{
    const struct list *at = AT(w->at), *next;

    if (!at)
        return NULL;
    next = AT(at->next);
    if (!next)
        return NULL;
    if (next->prev != w->at || ++w->count > LIST_LIMIT) {
        bad(w->area, "the list at %p is broken behind %p", (const void *)w->head, (const void *)w->at);
        return NULL;
    }
    w->at = at->next;
    return w->at == w->head ? NULL : w->at;
}
