/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Defences against flaws of processors (docs/security.md). No emulator has the flaws: what is shown here is that the
 * defences are on when they should be, do no harm, and that user mode's tables leave the kernel out.
 */

#include "monitor.h"
#include "workload.h"

#include <criterion/criterion.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROOTS "user page tables"
#define FORCED "corbel: mitigations: " ROOTS ", FPU clearing, VERW, RSB filling"
#define OPTION "mitigations=on" /* on the mitigations ISOs */

Test(mitigations, calls_forced)
{
    struct machine m;

    machine_start_qemu(&m, "mitigations-calls", ISO("calltest-mitigations"), NULL);
    machine_expect(&m, FORCED, SECONDS);
    workload_expect_passed(&m, "calltest", "");
    machine_expect_end(&m, 0, SECONDS);
}

/* What an Intel processor needs that says nothing about its flaws; without what has no use without microcode. */
Test(mitigations, calls_intel)
{
    struct machine m;
    const char *on;

    machine_start_qemu(&m, "mitigations-intel", ISO("calltest"), (const char *const[]){"-cpu", "Skylake-Client", NULL});
    on = machine_expect_line(&m, "corbel: mitigations: ", SECONDS);
    cr_assert(!strcmp(on, ROOTS ", FPU clearing, VERW, small executable pages"), "%s", on);
    workload_expect_passed(&m, "calltest", "");
    machine_expect_end(&m, 0, SECONDS);
}

/* The same on Bochs, which has PCIDs. */
Test(mitigations, calls_bochs)
{
    struct machine m;

    machine_start_bochs(&m, "mitigations-bochs", ISO("calltest-mitigations"), 2);
    machine_expect(&m, "corbel: mitigations: " ROOTS, SECONDS);
    workload_expect_passed(&m, "calltest", "");
    machine_expect_end(&m, 0, SECONDS);
}

Test(mitigations, linux_runs) /* not `linux`: that is 1 to this compiler */
{
    struct machine m;

    machine_start_qemu(&m, "mitigations-linux", ISO("run-mitigations"), NULL);
    machine_expect(&m, FORCED, SECONDS);
    workload_expect_shell(&m);
    workload_expect_cpus(&m, 2);
    workload_power_off(&m);
}

Test(mitigations, siblings_parked)
{
    struct machine m;

    iso_copy(ISO("calltest-mitigations"), BUILD "/logs/smt-off.iso", OPTION, "smt=off       ");
    machine_start_qemu(&m, "smt-off", BUILD "/logs/smt-off.iso", (const char *const[]){"-smp", "4,cores=2,threads=2", NULL});
    machine_expect(&m, "smp: smt=off: 2 sibling threads are not used", SECONDS);
    machine_expect(&m, "corbel: 2 CPUs, ", SECONDS);
    workload_expect_passed(&m, "calltest", "");
    machine_expect_end(&m, 0, SECONDS);
}

/* ---- What user mode's tables map ---- */

/* Bytes that only the kernel may use, in the tables that are loaded while the machine's only CPU is in user mode. */
static uint64_t kernel_bytes(FILE *monitor)
{
    time_t end = time(NULL) + SECONDS;
    uint64_t sum = 0;

    for (;;) {
        monitor_do(monitor, "stop");
        if (strstr(monitor_do(monitor, "info registers"), "CPL=3"))
            break;
        cr_assert(time(NULL) < end, "the CPU is never in user mode");
        monitor_do(monitor, "cont");
    }
    for (const char *line = monitor_do(monitor, "info mem"); (line = strchr(line, '\n')) != NULL; line++) {
        unsigned long long from, to, bytes;
        char rights[4];

        if (sscanf(line, "\n%llx-%llx %llx %3s", &from, &to, &bytes, rights) == 4 && rights[0] != 'u')
            sum += bytes;
    }
    return sum;
}

static uint64_t kernel_bytes_of(const char *name, const char *iso)
{
    char socket[128], option[192];
    const char *const options[] = {"-smp", "1", "-monitor", option, NULL};
    struct machine m;
    FILE *monitor;
    uint64_t bytes;

    snprintf(socket, sizeof(socket), BUILD "/logs/%s.monitor", name);
    snprintf(option, sizeof(option), "unix:%s,server=on,wait=off", socket);
    machine_start_qemu(&m, name, iso, options);
    machine_expect(&m, "] test ", SECONDS);
    monitor = monitor_open(socket);
    bytes = kernel_bytes(monitor);
    fclose(monitor);
    machine_stop(&m);
    return bytes;
}

/*
 * The entry code, the IDT, CPU_ENTRY, three stacks, the TSS and the end of its bitmap, the GDT and the zeroes behind it:
 * pages, not megabytes.
 */
Test(mitigations, user_mode_maps_no_kernel)
{
    uint64_t without = kernel_bytes_of("roots-1", ISO("calltest"));
    uint64_t with = kernel_bytes_of("roots-2", ISO("calltest-mitigations"));

    cr_assert(without > 0x200000, "without a root of its own, %llu bytes", (unsigned long long)without);
    cr_assert(with >= 0x18000 && with <= 0x1c000, "with a root of its own, %llu bytes", (unsigned long long)with);
}
