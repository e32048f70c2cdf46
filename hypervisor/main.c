/* SPDX-License-Identifier: GPL-2.0-only */
/* Boot, in one column. boot_early() runs on the tables and stack of boot.S, boot_main() on the kernel's own. */
#include "acpi.h"
#include "apic.h"
#include "boot_data.h"
#include "bootmem.h"
#include "cpu.h"
#include "cpu_init.h"
#include "ioapic.h"
#include "iommu.h"
#include "kpage.h"
#include "log.h"
#include "mitigations.h"
#include "multiboot.h"
#include "pmc.h"
#include "root.h"
#include "screen.h"
#include "serial.h"
#include "slot.h"
#include "smp.h"
#include "timer.h"
#include "trap.h"
#include "tsc.h"
#include "virt.h"

void boot_early(u32 magic, u64 info);
NORETURN void boot_main(void);

struct boot boot;

void boot_early(u32 magic, u64 info)
{
    if (!serial_init())
        log_printf("corbel: there is no serial line: the log is on the screen alone");
    cpu_probe();                  /* what the CPU can do */
    multiboot_parse(magic, info); /* memory map, modules, command line */
    mitigations_probe();          /* against which of its flaws something is done */
    acpi_init();                  /* CPUs, interrupt controllers */
    apic_probe();
    bootmem_reserve(kpage_estimate(bootmem_ram_end(), MAX(acpi.cpu_count, 1)));
    kpage_boot();                 /* the kernel's page tables; `cpu` can be used */
}

static void boot_greet(void)
{
    log_printf("corbel: %u CPU%s, %s, %lu MiB free, TSC %lu kHz (%s), %s, %s timer", cpu_count,
               cpu_count == 1 ? "" : "s", features.brand, bootmem_free() >> 20, tsc_khz, tsc_source,
               features.x2apic ? "x2APIC" : "xAPIC",
               features.tsc_deadline ? "TSC-deadline" : "APIC");
    log_printf("corbel: virtual CPUs: %s%s", virt ? virt->name : "none: ",
               !virt ? virt_missing : virt_nested ? "" : " on shadow page tables");
    mitigations_greet();
}

NORETURN void boot_main(void)
{
    cpu_count = 1;
    pmc_probe();  /* a counter for benchmarks, if asked for */
    if (!cpu_init())
        panic("the boot CPU lacks what it has");
    screen_init();
    apic_init();
    ioapic_init();
    iommu_off(); /* what firmware has left on */
    tsc_init();
    timer_probe();
    timer_init();
    slot_init();  /* the derivation tree */
    virt_probe(); /* what kind of vCPUs there can be */
    virt_cpu_init();
    smp_start();  /* the other CPUs */
    boot_greet();
    root_start(); /* the first native task */
    kpage_seal(); /* no more looking at physical memory */
    kernel_exit();
}

/* The text behind "name=" on the command line. */
const char *boot_option(const char *name)
{
    const char *p = boot.command_line;

    while (*p) {
        const char *n = name;

        while (*n && *p == *n)
            p++, n++;
        if (!*n && *p == '=')
            return p + 1;
        while (*p && *p != ' ')
            p++;
        while (*p == ' ')
            p++;
    }
    return NULL;
}
