/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What vCPUs do besides the calls that threads make, too: each exit must bring the VMM's answer to this vCPU's question,
 * each register must be what this vCPU has written to it, and each interrupt must come once.
 */
#include "race.h"

#include <corbel/boot.h>
#include <corbel/state.h>

#define MSR_VMM 0x6e0u /* one that the VMM answers for: the APIC's deadline, of all */
#define MSR_STAR 0xc0000081u
#define MSR_LSTAR 0xc0000082u
#define MSR_FMASK 0xc0000084u
#define MSR_GS_BASE 0xc0000101u
#define MSR_KERNEL_GS_BASE 0xc0000102u
#define RFLAGS_IF 0x200u
#define APIC_TPR 0x80u
#define TPR_MAX 0x50u /* not above the vector that the VMM sends */

extern const char guest_stubs[]; /* guest_code.S */

#define DO(name, ...) (actor_self()->op = OP_##name, did(OP_##name, cb_##name(__VA_ARGS__)))

static uint64_t rdmsr(uint32_t msr)
{
    uint32_t low, high;

    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
    return (uint64_t)high << 32 | low;
}

static void wrmsr(uint32_t msr, uint64_t value)
{
    __asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
}

static void equal(const char *what, uint64_t is, uint64_t must)
{
    if (is != must)
        wrong(what, is, must);
}

/* ---- Exits ---- */

static void exit_cpuid(const struct actor *self)
{
    uint32_t leaf = CPUID_LEAF | (uint32_t)(draw() & 0xffff), a = leaf, b, c = (uint32_t)draw(), d;
    uint64_t answer = guest_answer(leaf, self);

    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    equal("CPUID: eax", a, (uint32_t)answer);
    equal("CPUID: ebx", b, answer >> 32);
    equal("CPUID: edx", d, ~leaf);
}

/* Of a port that was granted, nobody knows what is read. */
static void exit_port(const struct actor *self)
{
    uint32_t port = PORT_FIRST - PORTS / 2 + (uint32_t)draw() % PORTS, granted, value;

    __asm__ volatile("in %%dx, %0" : "=a"(value) : "d"(port));
    granted = __atomic_load_n(&world->ports_soon[self->home], __ATOMIC_ACQUIRE);
    if (port < PORT_FIRST || port + PORT_WIDTH > PORT_FIRST + granted)
        equal("IN", value, (uint32_t)guest_answer(port, self));
}

static void exit_memory(const struct actor *self)
{
    uint64_t address = world->nothing + (draw() & 0xff8), value;

    __asm__ volatile("mov (%1), %0" : "=a"(value) : "S"(address) : "memory");
    equal("memory", value, guest_answer(address, self));
}

static void exit_msr(const struct actor *self)
{
    if (draw() % 2)
        wrmsr(MSR_VMM, self->index);
    else
        equal("RDMSR", rdmsr(MSR_VMM), guest_answer(MSR_VMM, self));
}

/* ---- Registers ---- */

static uint64_t stub_address(uint64_t number)
{
    return (uint64_t)guest_stubs + number * GUEST_STUB_SIZE;
}

/* Each call shows whether SYSCALL's registers are this vCPU's; here they change. */
static void registers_syscall(struct guest *g)
{
    equal("LSTAR", rdmsr(MSR_LSTAR), stub_address(g->stub));
    equal("STAR", rdmsr(MSR_STAR), 8ull << 32);
    g->stub ^= 1;
    wrmsr(MSR_LSTAR, stub_address(g->stub));
    wrmsr(MSR_FMASK, draw() % 2 ? RFLAGS_IF : 0);
}

/* The handlers of interrupts need GS. */
static void registers_gs(struct guest *g)
{
    uint64_t swapped;

    equal("kernel GS base", rdmsr(MSR_KERNEL_GS_BASE), g->kernel_gs);
    __asm__ volatile("cli\n\tswapgs" : : : "memory");
    swapped = rdmsr(MSR_GS_BASE);
    __asm__ volatile("swapgs\n\tsti" : : : "memory");
    equal("GS base", swapped, g->kernel_gs);
    g->kernel_gs = draw() >> 8; /* canonical */
    wrmsr(MSR_KERNEL_GS_BASE, g->kernel_gs);
}

static void registers_control(struct guest *g)
{
    uint64_t cr2, cr8;

    __asm__ volatile("mov %%cr2, %0\n\tmov %%cr8, %1" : "=r"(cr2), "=r"(cr8));
    equal("CR2", cr2, g->cr2);
    equal("CR8", cr8, g->cr8);
    g->cr2 = draw();
    g->cr8 = draw() % (TPR_MAX >> 4);
    __asm__ volatile("mov %0, %%cr2\n\tmov %1, %%cr8" : : "r"(g->cr2), "r"(g->cr8));
}

static void registers_apic(struct guest *g)
{
    volatile uint32_t *tpr = (volatile uint32_t *)(g->apic + APIC_TPR);

    if (!g->apic)
        return;
    equal("TPR", *tpr >> 4, g->cr8);
    g->cr8 = draw() % (TPR_MAX >> 4);
    *tpr = (uint32_t)g->cr8 << 4;
}

/* Nothing is under way while interrupts are open. */
static void count_interrupts(struct guest *g)
{
    uint64_t upcalls = g->upcalls, sent = __atomic_load_n(&g->sent, __ATOMIC_ACQUIRE);

    equal("interrupts of the VMM", g->interrupts + g->delivered, (uint32_t)sent);
    __atomic_fetch_add(&world->upcalls, upcalls - g->counted, __ATOMIC_RELAXED);
    g->counted = upcalls;
}

void guest_act(void)
{
    struct actor *self = actor_self();

    self->op = OP_exit;
    switch (draw() % 13) {
    case 0:
    case 1: exit_cpuid(self); break;
    case 2:
    case 3: exit_port(self); break;
    case 4: exit_memory(self); break;
    case 5: exit_msr(self); break;
    case 6: registers_syscall(&self->guest); break;
    case 7: registers_gs(&self->guest); break;
    case 8: registers_control(&self->guest); break;
    case 9: registers_apic(&self->guest); break;
    case 10: DO(tlb_flush, sel_named(SEL_DOMAIN), draw()); return;
    case 11: create_vcpu(); return;
    default: count_interrupts(&self->guest); break;
    }
    did(OP_exit, CB_OK);
}

/* ---- Halting ---- */

/* Interrupts are off from the look at what has come to the halt, which opens them. */
static void halt(void)
{
    DO(halt, CB_HALT_ENABLE);
    __asm__ volatile("sti" : : : "memory");
}

void guest_wait(void)
{
    __asm__ volatile("cli" : : : "memory");
    DO(timer, clock_in(draw() % 700));
    if (draw() % 2) {
        halt();
        return;
    }
    actor_self()->op = OP_halt;
    __asm__ volatile("sti\n\thlt" : : : "memory");
    did(OP_halt, CB_OK);
}

static void halt_deaf(void)
{
    (void)!cb_timer(CB_DEADLINE_NONE);
    __asm__ volatile("cli\n\thlt\n\tsti" : : : "memory");
}

/* Recalled, it comes back. */
void guest_still(void)
{
    struct actor *self = actor_self();
    struct cb_args nothing = {0};

    if (self->index % 4 == 0)
        halt_deaf();
    else if (self->index % 4 == 1)
        (void)!cb_call(sel_named(SEL_STILL) + self->cpu, &nothing);
    else if (self->index % 4 == 2 && world->cpus > 1)
        (void)!cb_call(sel_named(SEL_FAR) + 1 - self->cpu, &nothing);
    else
        __asm__ volatile("rdpmc" : : "c"(0) : "rax", "rdx"); /* an exit that nobody replies to */
}

/* ---- The pair ---- */

/* Waits until the other one has signalled. */
static void pair_wait(struct guest *g)
{
    uint64_t bits;

    __asm__ volatile("cli" : : : "memory");
    while (!g->bits && world->phase == PHASE_RUN) {
        halt();
        __asm__ volatile("cli" : : : "memory");
    }
    bits = g->bits;
    g->bits = 0;
    __asm__ volatile("sti" : : : "memory");
    if (bits & ~(1ull << PORT_PAIR))
        wrong("an upcall brought bits that nobody has sent", bits, 0);
}

void guest_pair(void *actor)
{
    struct actor *self = actor;
    uint32_t other = 1 - (self->index - MORTALS), cpu = (self->cpu + 1) % world->cpus;

    while (world->phase == PHASE_RUN) {
        uint64_t r = draw();
        struct cb_args m = {.a1 = r};

        DO(signal, sel_pool(EVENT, other));
        self->op = OP_halt;
        pair_wait(&self->guest);
        self->op = OP_call;
        if (did(OP_call, cb_call(sel_named(SEL_ECHO) + cpu, &m)) != CB_OK || m.a1 != ~r || m.a2 != cpu)
            wrong("a vCPU's call to the other CPU went astray", m.a1, r);
        guest_act();
    }
    (void)!cb_signal(sel_pool(EVENT, other));
    for (;;)
        keep_still(self);
}
