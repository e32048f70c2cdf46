/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The VMM of all vCPUs: a handler on each CPU that is never destroyed, and answers each exit as the guest expects it. It
 * opens interrupt windows now and then, and sends an interrupt when one comes.
 */
#include "race.h"

#include <corbel/boot.h>
#include <corbel/state.h>

#include <string.h>

#define PRIORITY 20u
#define VECTOR_UPCALL 0xf3u
#define VECTOR_INTERRUPT 0x41u
#define VECTOR_APIC 0x61u
#define MSR_VMM 0x6e0u
#define PORTALS 3u            /* of each vCPU: */
#define FEW 0u                /* few groups, for what is frequent */
#define FEW_TOO 1u            /* the same, to be exchanged for it */
#define ALL 2u
#define GROUPS_FEW (CB_GROUP_ACDB | CB_GROUP_QUAL)
#define GROUPS_ALL (CB_GROUPS_VCPU & ~CB_GROUP_VAPIC)
#define EXIT_BADGE 0xe0e0000000000000ull
#define LENGTH_IN 1u
#define LENGTH_MSR 2u
#define LENGTH_CPUID 2u
#define LENGTH_MOV 3u

#define ENTRY_TABLE 0x27ull
#define ENTRY_LARGE 0xe7ull
#define GATE 0x8e00ull
#define SEL_CODE 8u
#define SEL_DATA 0x10u

void thread_entry(void);             /* start.S */
extern const char guest_stubs[], guest_upcall[], guest_interrupt[], guest_apic[], guest_fault[];

static struct thread *handlers[CPUS];
static uint32_t portals[WORKER][PORTALS];

/* ---- What all guests share ---- */

/* The image below 1 GiB, and the GiB that the arena is in, where they are. */
static void tables_make(void)
{
    uint64_t arena = (uint64_t)world, gib = arena >> 30;

    if (arena >> 30 != (world->utcbs + 2 * WORKER * CB_PAGE_SIZE) >> 30 || arena >> 30 != world->nothing >> 30)
        panic("race: the arena is in more than one GiB");
    for (uint32_t i = 0; i < 512; i++) {
        world->tables[2][i] = (uint64_t)i << 21 | ENTRY_LARGE;
        world->tables[3][i] = gib << 30 | (uint64_t)i << 21 | ENTRY_LARGE;
    }
    world->tables[0][0] = (uint64_t)world->tables[1] | ENTRY_TABLE;
    world->tables[1][0] = (uint64_t)world->tables[2] | ENTRY_TABLE;
    world->tables[1][gib] = (uint64_t)world->tables[3] | ENTRY_TABLE;
}

static void gate_set(uint32_t vector, const char *to)
{
    uint64_t at = (uint64_t)to;

    world->idt[vector][0] = (at & 0xffff) | SEL_CODE << 16 | GATE << 32 | (at >> 16 & 0xffff) << 48;
    world->idt[vector][1] = at >> 32;
}

void vmm_init(const struct cb_task_info *info)
{
    uint32_t a = 1, b, c = 0, d;

    if (info->features & (CB_FEATURE_SVM | CB_FEATURE_VMX) && task_number("vcpus=", 1))
        world->features = info->features;
    world->xcr0 = 1;
    __asm__("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    if (c >> 27 & 1) { /* OSXSAVE */
        __asm__("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
        world->xcr0 = (uint64_t)d << 32 | a;
    }
    tables_make();
    for (uint32_t i = 0; i < 256; i++)
        gate_set(i, guest_fault);
    gate_set(VECTOR_UPCALL, guest_upcall);
    gate_set(VECTOR_INTERRUPT, guest_interrupt);
    gate_set(VECTOR_APIC, guest_apic);
    world->gdt[SEL_CODE / 8] = 0x00af9b000000ffff;
    world->gdt[SEL_DATA / 8] = 0x00cf93000000ffff;
    for (uint32_t i = 0; i < WORKER; i++)
        for (uint32_t p = 0; p < PORTALS; p++)
            portals[i][p] = sel_alloc();
}

/* ---- Exits ---- */

static void start(const struct actor *a, struct cb_state *s)
{
    uint32_t number = a->index - (MORTALS - VCPUS);
    const struct cb_segment code = {SEL_CODE, 0xa9b, 0xffffffff, 0}, data = {SEL_DATA, 0xc93, 0xffffffff, 0};

    memset(s, 0, sizeof(*s));
    s->rip = (uint64_t)thread_entry;
    s->rsp = (uint64_t)a->thread;
    s->rflags = 0x202;
    s->cr0 = 0x80000031; /* PG NE ET PE */
    s->cr3 = (uint64_t)world->tables[0];
    s->cr4 = 0x620;      /* OSXMMEXCPT OSFXSR PAE */
    s->cr2 = a->guest.cr2;
    s->cr8 = a->guest.cr8;
    s->dr6 = 0xffff0ff0;
    s->dr7 = 0x400;
    s->cs = code;
    s->ss = s->ds = s->es = s->fs = s->gs = data;
    s->fs.base = (uint64_t)a->thread;
    s->gs.base = (uint64_t)&a->guest;
    s->ldtr.attr = 0x1000;
    s->tr = (struct cb_segment){0x18, 0x8b, 0x67, 0};
    s->gdtr = (struct cb_segment){0, 0, 0x17, (uint64_t)world->gdt};
    s->idtr = (struct cb_segment){0, 0, 0xfff, (uint64_t)world->idt};
    s->efer = 0x501;     /* LMA LME SCE */
    s->star = (uint64_t)SEL_CODE << 32;
    s->lstar = (uint64_t)guest_stubs + 2 * number * GUEST_STUB_SIZE;
    s->fmask = 0x200;
    s->kernel_gs_base = a->guest.kernel_gs;
    s->pat = 0x0007040600070406;
    s->upcall_vector = VECTOR_UPCALL;
    s->ctrl = CB_CTRL_UPCALL | (a->guest.apic ? CB_CTRL_HLT | CB_CTRL_VAPIC : 0);
    s->xcr0 = a->incarnation & 1 ? world->xcr0 : 1;
    s->apic_page = a->guest.apic;
    s->apic[CB_APIC_TPR] = (uint32_t)a->guest.cr8 << 4;
}

/* An exit may be answered though its vCPU is no more, and another one has its place. */
static bool is_past(const struct actor *a, uint32_t incarnation)
{
    return __atomic_load_n(&a->incarnation, __ATOMIC_ACQUIRE) != incarnation;
}

/* Counts an interrupt that is sent. False: it is not the same vCPU any more. */
static bool count(struct actor *a, uint32_t incarnation)
{
    uint64_t sent = __atomic_load_n(&a->guest.sent, __ATOMIC_ACQUIRE);

    return sent >> 32 == incarnation &&
           __atomic_compare_exchange_n(&a->guest.sent, &sent, sent + 1, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE) &&
           __atomic_fetch_add(&world->sent, 1, __ATOMIC_RELAXED) + 1;
}

/* A window is open: an interrupt for the guest, in one of two ways. The groups that say so. */
static uint32_t send(struct actor *a, uint32_t incarnation, struct cb_state *s)
{
    uint32_t *irr = &s->apic[CB_APIC_IRR + VECTOR_APIC / 32];

    if (s->inject & CB_INJECT_VALID)
        wrong("a window though something is being injected", s->inject, 0);
    if (!a->guest.apic && count(a, incarnation)) {
        s->inject = CB_INJECT_VALID | CB_INJECT_TYPE_INTR | VECTOR_INTERRUPT;
        return CB_GROUP_INJECT;
    }
    if (a->guest.apic && !(*irr >> VECTOR_APIC % 32 & 1) && count(a, incarnation)) {
        *irr |= 1u << VECTOR_APIC % 32;
        return CB_GROUP_VAPIC;
    }
    return 0;
}

static uint32_t window(struct cb_state *s, uint32_t class)
{
    if (class == CB_EXIT_WINDOW || clock_tsc() & 0x30)
        return 0;
    s->inject |= CB_INJECT_WINDOW;
    return CB_GROUP_INJECT;
}

/* The reply is an answer, behind the instruction. */
static void answer(struct cb_args *m, uint32_t groups, uint64_t length)
{
    m->a1 = length;
    m->a5 = CB_INFO(0, 0, groups | CB_GROUP_SKIP);
}

static void port(const struct actor *a, uint32_t incarnation, struct cb_args *m, struct cb_state *s)
{
    uint32_t at = CB_IO_PORT(s->qual[0]), few = a->guest.ports;

    if (at == PORT_FAULT) {
        const uint64_t *stack = (const uint64_t *)(world->stacks[a->index] + s->rax % STACK_BYTES);

        wrong("a guest has met an exception", stack[0], stack[1]);
    }
    if (at >= PORT_FIRST && at + PORT_WIDTH <= PORT_FIRST + few && !is_past(a, incarnation))
        wrong("a port left the guest that has been granted to it", at, few);
    s->rax = (uint32_t)guest_answer(at, a);
    answer(m, CB_GROUP_ACDB, LENGTH_IN);
}

static void cpuid(const struct actor *a, struct cb_args *m, struct cb_state *s)
{
    uint64_t result = guest_answer((uint32_t)s->rax, a);

    s->rdx = ~(uint32_t)s->rax;
    s->rax = (uint32_t)result;
    s->rbx = result >> 32;
    answer(m, CB_GROUP_ACDB, LENGTH_CPUID);
}

static void msr(const struct actor *a, struct cb_args *m, struct cb_state *s, uint32_t class)
{
    uint64_t value = guest_answer(MSR_VMM, a);

    if ((uint32_t)s->rcx != MSR_VMM)
        wrong("an MSR left the guest", s->rcx, class);
    if (class == CB_EXIT_RDMSR) {
        s->rax = (uint32_t)value;
        s->rdx = value >> 32;
    } else if ((uint32_t)s->rax != a->index) {
        wrong("WRMSR", s->rax, a->index);
    }
    answer(m, CB_GROUP_ACDB, LENGTH_MSR);
}

/* One that no guest was to have. */
static void unexpected(const struct actor *a, const char *what, uint32_t class, const struct cb_state *s)
{
    wrong(what, class, s->qual[0]);
    print("race: actor %u, exit %u, qual %lx %lx: rip %lx rsp %lx rflags %lx cs %x\n", a->index, class, s->qual[0], s->qual[1],
          s->rip, s->rsp, s->rflags, s->cs.sel);
    print("race: cr0 %lx cr2 %lx cr3 %lx cr4 %lx efer %lx inject %x\n", s->cr0, s->cr2, s->cr3, s->cr4, s->efer, s->inject);
}

static void memory(const struct actor *a, struct cb_args *m, struct cb_state *s)
{
    if (s->qual[1] < world->nothing || s->qual[1] >= world->nothing + 16 * CB_PAGE_SIZE) {
        unexpected(a, "a guest lacks memory", CB_EXIT_MEMORY, s);
        return;
    }
    s->rax = guest_answer(s->qual[1], a);
    answer(m, CB_GROUP_ACDB | window(s, CB_EXIT_MEMORY), LENGTH_MOV);
}

static void serve_exit(uint64_t badge, struct cb_args *m)
{
    struct cb_state *s = (struct cb_state *)thread_utcb()->words;
    struct actor *a = &world->actors[(badge & 0xff) % WORKER];
    uint32_t class = (uint32_t)m->a1, incarnation = (uint32_t)(badge >> 8 & 0xffffff);

    if (badge >> 48 != EXIT_BADGE >> 48 || class >= CB_EXIT_COUNT)
        wrong("an exit came through a portal that is for none", badge, class);
    __atomic_fetch_add(&world->exits[class % CB_EXIT_COUNT], 1, __ATOMIC_RELAXED);
    m->a5 = 0;
    switch (class) {
    case CB_EXIT_START:
        start(a, s);
        m->a5 = CB_INFO(0, 0, GROUPS_ALL | (a->guest.apic ? CB_GROUP_VAPIC : 0));
        break;
    case CB_EXIT_RECALL: m->a5 = CB_INFO(0, 0, window(s, class)); break;
    case CB_EXIT_WINDOW: m->a5 = CB_INFO(0, 0, send(a, incarnation, s)); break;
    case CB_EXIT_CPUID: cpuid(a, m, s); break;
    case CB_EXIT_IO: port(a, incarnation, m, s); break;
    case CB_EXIT_MEMORY: memory(a, m, s); break;
    case CB_EXIT_RDMSR:
    case CB_EXIT_WRMSR: msr(a, m, s, class); break;
    case CB_EXIT_HLT: answer(m, 0, 1); break; /* of one with an APIC */
    default: unexpected(a, "an exit that must not be", class, s); break;
    }
}

/* ---- vCPUs ---- */

uint64_t vmm_start(void)
{
    for (uint32_t cpu = 0; cpu < world->cpus; cpu++) {
        uint64_t status = thread_handler(cpu, serve_exit, &world->actors[WORKER + cpu], &handlers[cpu]);

        if (status != CB_OK)
            return status;
    }
    return CB_OK;
}

void vmm_end(void)
{
    for (uint32_t cpu = 0; cpu < world->cpus; cpu++)
        thread_destroy(handlers[cpu]);
}

void vmm_fresh(struct actor *a)
{
    bool apic = world->features & CB_FEATURE_VAPIC && a->index & 1;
    uint32_t ports = __atomic_load_n(&world->ports[a->home], __ATOMIC_ACQUIRE);

    a->guest = (struct guest){.stub = 2 * (a->index - (MORTALS - VCPUS)),
                              .page = (struct cb_event_page *)(world->utcbs + 2 * a->index * CB_PAGE_SIZE),
                              .apic = apic ? (uint64_t)world->apic : 0,
                              .vmx = world->features & CB_FEATURE_VMX,
                              .ports = ports,
                              .sent = (uint64_t)a->incarnation << 32,
                              .kernel_gs = draw() >> 8,
                              .cr2 = draw()};
}

static bool attach(const struct actor *a, uint32_t class)
{
    bool few = class == CB_EXIT_CPUID || class == CB_EXIT_IO || class == CB_EXIT_RDMSR || class == CB_EXIT_WRMSR;
    uint32_t portal = portals[a->index][few ? FEW : ALL];

    if (class == CB_EXIT_INSTRUCTION)
        portal = sel_named(SEL_STILL) + a->cpu;
    return did(OP_vcpu_exit, cb_vcpu_exit(a->sel, class, portal)) == CB_OK;
}

/* The badge says which life of the vCPU that is. */
bool vmm_attach(const struct actor *a)
{
    uint64_t badge = EXIT_BADGE | (uint64_t)a->incarnation << 8 | a->index;

    for (uint32_t p = 0; p < PORTALS; p++) {
        uint32_t groups = p < ALL ? GROUPS_FEW : GROUPS_ALL | (a->guest.apic ? CB_GROUP_VAPIC : 0);

        if (did(OP_portal_create, cb_portal_create(CB_TASK_SEL_ACCOUNT, portals[a->index][p], handlers[a->cpu]->sel,
                                                   (uint64_t)thread_portal_entry, badge, groups, LEVEL_DEFAULT)) !=
            CB_OK)
            return false;
    }
    for (uint32_t class = 0; class < CB_EXIT_COUNT; class++)
        if (!attach(a, class))
            return false;
    return true;
}

void vmm_exchange(const struct actor *a)
{
    did(OP_vcpu_exit, cb_vcpu_exit(a->sel, CB_EXIT_CPUID, portals[a->index][draw() % 2 ? FEW : FEW_TOO]));
}

void vmm_detach(const struct actor *a)
{
    for (uint32_t p = 0; p < PORTALS; p++)
        did(OP_revoke, cb_revoke(portals[a->index][p], CB_REVOKE_SELF));
}
