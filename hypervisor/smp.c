/* SPDX-License-Identifier: GPL-2.0-only */
#include "smp.h"

#include "acpi.h"
#include "apic.h"
#include "bootmem.h"
#include "cpu.h"
#include "cpu_init.h"
#include "kpage.h"
#include "kstring.h"
#include "log.h"
#include "mitigations.h"
#include "sync.h"
#include "timer.h"
#include "tsc.h"
#include "virt.h"
#include "x86.h"

#define WAIT_US 200u
#define WAITS_MAX 2500u /* half a second */

#define SYNC_US 500u

enum { CPU_OFF, CPU_UNFIT, CPU_READY, CPU_REFUSED, CPU_ONLINE };

NORETURN void smp_main(void);

extern const u8 trampoline[], trampoline_end[], trampoline_gdtr[], trampoline_gdt[], trampoline_jump[],
    trampoline_long[]; /* boot.S */

u64 smp_pml4; /* boot.S: of the CPU that is starting */

static void store32(u8 *page, const u8 *at, u64 value)
{
    *(u32 *)(void *)(page + (at - trampoline)) = (u32)value;
}

static void trampoline_copy(u64 at)
{
    u8 *page = boot_view(at, PAGE_SIZE);

    memcpy(page, trampoline, (u64)(trampoline_end - trampoline));
    store32(page, trampoline_gdtr + 2, at + (u64)(trampoline_gdt - trampoline));
    store32(page, trampoline_jump, at + (u64)(trampoline_long - trampoline));
}

/* INIT and twice the start-up interrupt. False: no answer. */
static bool start(u32 apic, u64 page, const struct cpu *c)
{
    const volatile u32 *online = &c->online;

    apic_send_init(apic);
    tsc_delay(10000);
    for (int i = 0; i < 2 && *online == CPU_OFF; i++) {
        apic_send_startup(apic, (u32)(page >> PAGE_SHIFT));
        tsc_delay(WAIT_US);
    }
    for (u32 i = 0; i < WAITS_MAX && *online == CPU_OFF; i++)
        tsc_delay(WAIT_US);
    return *online != CPU_OFF;
}

/*
 * Moves the TSC of the CPU that has started to where the boot CPU's is, if it must, and can. Returns the ticks by which
 * they still disagree.
 */
static s64 sync(struct cpu *c)
{
    struct sync_bounds b = sync_ask(SYNC_US * tsc_khz / 1000);

    if (sync_error(b) && features.tsc_adjust) {
        c->tsc_shift = -(b.low / 2 + b.high / 2);
        sync_end();
        b = sync_ask(SYNC_US * tsc_khz / 1000);
        log_printf("smp: the TSC of the CPU with APIC identifier %u was off by %s%lu ticks: moved", c->apic_id,
                   c->tsc_shift > 0 ? "-" : "", (u64)(c->tsc_shift > 0 ? c->tsc_shift : -c->tsc_shift));
    }
    /* Pairs with verdict(). */
    __atomic_store_n(&c->online, sync_error(b) ? CPU_REFUSED : CPU_ONLINE, __ATOMIC_RELEASE);
    sync_end();
    return sync_error(b);
}

/* The same on the CPU that has started: is it used? */
static bool verdict(void)
{
    for (;;) {
        u32 online;

        sync_answer();
        online = __atomic_load_n(&cpu.online, __ATOMIC_ACQUIRE);
        if (online != CPU_READY)
            return online == CPU_ONLINE;
        wrmsr(MSR_TSC_ADJUST, rdmsr(MSR_TSC_ADJUST) + (u64)cpu.tsc_shift);
    }
}

static void start_cpu(u32 apic, u64 page)
{
    s64 error;
    struct cpu *c;

    if (!cpu_of(cpu_count))
        kpage_cpu(cpu_count);
    c = cpu_of(cpu_count);
    c->online = CPU_OFF;
    smp_pml4 = c->pml4;
    if (!start(apic, page, c)) {
        log_printf("smp: the CPU with APIC identifier %u does not answer", apic);
    } else if (c->online == CPU_UNFIT) {
        log_printf("smp: the CPU with APIC identifier %u lacks what the boot CPU has: not used", apic);
    } else if ((error = sync(c)) != 0) {
        log_printf("smp: the TSC of the CPU with APIC identifier %u is %lu ticks %s the boot CPU's: not used", apic,
                   (u64)(error < 0 ? -error : error), error < 0 ? "behind" : "ahead of");
    } else {
        cpu_count++;
        return;
    }
    apic_send_init(apic); /* so that it does not wake up later */
}

/* How many of the lowest bits of an APIC identifier tell the threads of one core apart (SDM 3A, 9.9; APM 3, 0x8000001e). */
static u32 thread_bits(void)
{
    u32 bits = 0, threads = 1;

    if (cpuid(0, 0).eax >= 0xb && (cpuid(0xb, 0).ecx & 0xff00) == 0x100)
        return cpuid(0xb, 0).eax & 0x1f;
    if (features.amd && cpuid(0x80000000, 0).eax >= 0x8000001e)
        threads = (cpuid(0x8000001e, 0).ebx >> 8 & 0xff) + 1;
    else if (features.intel && cpuid(0, 0).eax >= 4)
        threads = (cpuid(1, 0).ebx >> 16 & 0xff) / ((cpuid(4, 0).eax >> 26) + 1);
    while (1u << bits < threads)
        bits++;
    return bits;
}

/* Does a thread of its core run already? */
static bool has_sibling(u32 apic, u32 bits)
{
    for (u32 i = 0; i < cpu_count; i++) {
        if (cpu_of(i)->apic_id >> bits == apic >> bits)
            return true;
    }
    return false;
}

void smp_start(void)
{
    u64 page = bootmem_low_page();
    u32 bits = mitigations_one_thread() ? thread_bits() : 0, parked = 0;

    cpu.online = CPU_ONLINE;
    if (!page && acpi.cpu_count > 1)
        log_printf("smp: no memory below 1 MiB: one CPU only");
    if (!page)
        return;
    trampoline_copy(page);
    for (u32 i = 0; i < acpi.cpu_count; i++) {
        if (acpi.cpus[i] == cpu.apic_id)
            continue;
        if (has_sibling(acpi.cpus[i], bits))
            parked++;
        else if (cpu_count == CPUS_MAX || acpi.cpus[i] > apic_id_max())
            log_printf("smp: the CPU with APIC identifier %u cannot be used", acpi.cpus[i]);
        else
            start_cpu(acpi.cpus[i], page);
    }
    if (parked)
        log_printf("smp: smt=off: %u sibling threads are not used", parked);
}

/* The other CPUs begin here, on their own tables and stack. */
NORETURN void smp_main(void)
{
    if (!cpu_init()) {
        cpu.online = CPU_UNFIT;
        cpu_stop();
    }
    apic_init();
    timer_init();
    virt_cpu_init();
    /* Pairs with the wait in start(): what was set up is there before the CPU counts. */
    __atomic_store_n(&cpu.online, CPU_READY, __ATOMIC_RELEASE);
    if (!verdict())
        cpu_stop();
    kernel_exit();
}

void cpu_kick(u32 id)
{
    apic_send(cpu_of(id)->apic_id, VECTOR_KICK);
}
