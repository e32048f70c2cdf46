/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * check-dump [-q] [-s] ELF DUMP: checks the hypervisor's structures in a file with the physical memory of a machine
 * that has run it, from address 0 on (as QEMU's monitor writes it: pmemsave 0 SIZE FILE). Says what is wrong and what
 * was looked at. Exit code 0: nothing is wrong; 1: something is; 2: there is nothing to look at.
 *
 *   -q  nothing was going on: taken locks, dying objects, and CPUs that are not idle are wrong as well
 *   -s  corrupts copies of the dump, each of which must be found wrong
 */
#include "dump.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What was said last, and whether it was the last thing ever said. */
static void show_log(void)
{
    static const u32 size = 65536, lines = 8;
    const char *ring = dump_at((void *)dump_symbol_address("log.c", "ring", size), size);
    u64 end = SYMBOL(u64, "log.c", end), at = end;
    u32 panicking = SYMBOL(u32, "log.c", panicking);

    for (u32 n = 0; ring && at > 0 && at + size > end; at--)
        if (ring[(at - 1) % size] == '\n' && ++n > lines)
            break;
    for (bool fresh = true; ring && at < end; at++) {
        if (fresh)
            printf("log: ");
        fresh = ring[at % size] == '\n';
        putchar(ring[at % size]);
    }
    if (panicking)
        unquiet("log", "CPU %u has panicked", panicking - 1);
}

void check_all(void)
{
    dump_choose_cpu(0);
    check_tree();
    check_spaces();
    check_accounts();
    check_mappings();
    check_objects();
    check_contexts();
    check_cpus();
}

int main(int argc, char **argv)
{
    bool corrupt = false;
    int option;

    while ((option = getopt(argc, argv, "qs")) != -1) {
        if (option == '?')
            return 2;
        quiet_expected |= option == 'q';
        corrupt |= option == 's';
    }
    if (argc - optind != 2) {
        fprintf(stderr, "usage: %s [-q] [-s] ELF DUMP\n", argv[0]);
        return 2;
    }
    dump_open_elf(argv[optind]);
    dump_open_memory(argv[optind + 1]);
    if (corrupt)
        return corrupt_all() != 0;
    show_log();
    check_all();
    seen_print();
    printf("%u wrong\n", bad_count);
    return bad_count != 0;
}
