/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A VMM of a few lines that makes a vCPU leave guest mode in each way, in real mode, in protected mode and in long mode,
 * and looks at what it is told. The same on all vendors' hardware.
 */
#include "corbel.h"

#include <corbel/boot.h>
#include <corbel/guest.h>
#include <corbel/state.h>

#include <stdbool.h>
#include <string.h>

/* Guest-physical memory: 128 KiB, a page that can only be read, and nothing else. */
#define MEMORY 0x20000u
#define CODE 0x1000u
#define HANDLER 0x2000u /* of events: HLT */
#define GDT 0x3000u
#define IDT 0x4000u
#define STACK 0x7000u
#define PML4 0x8000u
#define PDPT 0x9000u
#define PD 0xa000u
#define READ_ONLY 0x20000u
#define NOTHING 0x30000u
#define EVENT_PAGE 0x40000u

#define CR0_PE 0x1u
#define CR0_ET 0x10u
#define CR0_NE 0x20u
#define CR0_NW 0x20000000u
#define CR0_PG 0x80000000u
#define CR4_PAE 0x20u
#define CR4_OSXSAVE 0x40000u
#define EFER_LONG 0x500u
#define RFLAGS_IF 0x200u
#define RFLAGS_TF 0x100u
#define DR6_STEP 0x4000u

#define GROUPS_PUT (CB_GROUPS_VCPU & ~CB_GROUP_QUAL)
#define EXIT_SECONDS 20u
#define HOSTILE_ROUNDS 2000u
#define HOSTILE_US 20000u

enum mode { REAL, PROTECTED, LONG };

static uint32_t vcpu, exited, go; /* selectors: the vCPU; an exit has come; it may be answered */
static uint8_t *memory;
static struct cb_state state;     /* of the vCPU: written by its handler, then by the test */
static uint32_t class;
static uint32_t passed, failures;
static const char *running;

#define FAIL(format, ...) fail(__LINE__, format, ##__VA_ARGS__)
#define CHECK(condition) ((condition) ? (void)0 : FAIL("%s", #condition))
#define CHECK_EQUAL(got, want) check_equal(__LINE__, #got, (got), (want))

static bool failed;

static void __attribute__((format(printf, 2, 3))) fail(int line, const char *format, ...)
{
    char text[200];
    va_list list;

    va_start(list, format);
    vsnprintf(text, sizeof(text), format, list);
    va_end(list);
    print("exit %s: line %d: %s\n", running, line, text);
    failed = true;
}

static void check_equal(int line, const char *what, uint64_t got, uint64_t want)
{
    if (got != want)
        fail(line, "%s is %#lx instead of %#lx", what, got, want);
}

static void must(uint64_t status, const char *what)
{
    if (status != CB_OK)
        panic("%s: %s (%u)", what, cb_status_name(status), CB_STATUS_ARG(status));
}

static bool on_vmx(void)
{
    return task_info()->features & CB_FEATURE_VMX;
}

/* ---- The vCPU ---- */

/* The vCPU's handler: hands the exit over to the test, and waits for its answer. */
static void handle(uint64_t badge, struct cb_args *message)
{
    struct cb_state *words = (struct cb_state *)thread_utcb()->words;
    uint64_t bits;

    class = (uint32_t)badge;
    memcpy(&state, words, sizeof(state));
    must(cb_signal(exited), "tell of an exit");
    must(cb_wait(go, 0, CB_DEADLINE_NONE, &bits), "wait for an answer");
    memcpy(words, &state, sizeof(state));
    *message = (struct cb_args){.a5 = CB_INFO(sizeof(state) / 8, 0, GROUPS_PUT)};
}

static void await_exit(void)
{
    uint64_t bits;

    if (cb_wait(exited, 0, clock_in(EXIT_SECONDS * 1000000ull), &bits) != CB_OK)
        panic("exit %s: the vCPU does not come back", running);
}

/* Lets the vCPU run with `state` until it leaves guest mode: the class, and its state then. */
static uint32_t run(void)
{
    must(cb_signal(go), "answer an exit");
    await_exit();
    return class;
}

static void memory_map(uint32_t domain, uint32_t *slot, uint64_t address, uint64_t pages, uint32_t rights, uint32_t own)
{
    uint32_t frame = sel_alloc();

    must(pages_frame(pages, pages, frame), "make guest memory");
    must(cb_map(frame, rights, (*slot)++, domain, address, 0, (uint32_t)pages), "map guest memory");
    if (own) {
        memory = (uint8_t *)pages_space(pages * CB_PAGE_SIZE, CB_PAGE_SIZE);
        must(cb_map(frame, CB_MAP_READ | CB_MAP_WRITE, own, CB_SELF, (uint64_t)memory, 0, (uint32_t)pages), "map memory");
    }
}

static void vcpu_make(void)
{
    uint32_t domain = sel_alloc(), sched = sel_alloc(), slot = 100;
    struct thread *handler;

    vcpu = sel_alloc();
    exited = sel_alloc();
    go = sel_alloc();
    must(cb_event_create(CB_TASK_SEL_ACCOUNT, exited), "make an event");
    must(cb_event_create(CB_TASK_SEL_ACCOUNT, go), "make an event");
    must(cb_domain_create(CB_TASK_SEL_ACCOUNT, CB_DOMAIN_GUEST, domain), "make a domain");
    memory_map(domain, &slot, 0, MEMORY / CB_PAGE_SIZE, CB_MAP_READ | CB_MAP_WRITE | CB_MAP_EXEC, sel_alloc());
    memory_map(domain, &slot, READ_ONLY, 1, CB_MAP_READ, 0);
    must(cb_vcpu_create(CB_TASK_SEL_ACCOUNT, vcpu, domain, 0, 0, EVENT_PAGE), "make a vCPU");
    must(thread_handler(0, handle, NULL, &handler), "make a handler");
    for (uint32_t i = 0; i < CB_EXIT_COUNT; i++) {
        uint32_t portal;

        must(thread_portal(handler, i, CB_GROUPS_VCPU, &portal), "make a portal");
        must(cb_vcpu_exit(vcpu, i, portal), "set a portal");
    }
    must(cb_sched_create(CB_TASK_SEL_ACCOUNT, sched, 0, 10, 10000, 10000), "make a scheduling context");
    must(cb_sched_bind(sched, vcpu), "start the vCPU");
    await_exit();
}

/* ---- Its state ---- */

static void put64(uint32_t at, uint64_t value)
{
    memcpy(memory + at, &value, sizeof(value));
}

/* Tables: flat segments; gates to HANDLER for all vectors; an identity mapping. */
static void tables_make(void)
{
    memset(memory, 0, MEMORY);
    put64(GDT + 0x08, 0x00cf9b000000ffff);
    put64(GDT + 0x10, 0x00cf93000000ffff);
    for (uint32_t vector = 0; vector < 256; vector++)
        put64(IDT + 8 * vector, 0x00008e0000080000 | HANDLER);
    put64(PML4, PDPT | 3);
    put64(PDPT, PD | 3);
    put64(PD, 0x83);
    memory[HANDLER] = 0xf4;
}

static void state_make(enum mode mode)
{
    const struct cb_segment real = {0, 0x93, 0xffff, 0}, flat = {0x10, 0xc93, 0xffffffff, 0};

    memset(&state, 0, sizeof(state));
    state.rip = CODE;
    state.rsp = STACK;
    state.rflags = 2;
    state.cr0 = CR0_ET | CR0_NE | (mode == REAL ? 0 : CR0_PE) | (mode == LONG ? CR0_PG : 0);
    state.cr3 = PML4;
    if (mode == LONG) {
        state.cr4 = CR4_PAE;
        state.efer = EFER_LONG;
    }
    state.dr6 = 0xffff0ff0;
    state.dr7 = 0x400;
    state.cs = (struct cb_segment){8, mode == LONG ? 0xa9b : 0xc9b, 0xffffffff, 0};
    if (mode == REAL)
        state.cs = (struct cb_segment){0, 0x9b, 0xffff, 0};
    state.ss = state.ds = state.es = state.fs = state.gs = mode == REAL ? real : flat;
    state.ldtr.attr = 0x1000;
    state.tr = (struct cb_segment){0, 0x8b, 0x67, 0};
    state.gdtr = (struct cb_segment){.limit = 0x17, .base = GDT};
    state.idtr = (struct cb_segment){.limit = 0x7ff, .base = mode == REAL ? 0 : IDT};
    state.pat = 0x0007040600070406;
    state.upcall_vector = CB_GUEST_UPCALL_VECTOR;
    state.ctrl = CB_CTRL_HLT;
    state.xcr0 = 1;
}

#define START(mode, name)                                                       \
    do {                                                                        \
        extern const uint8_t code_##name[], code_##name##_end[];                \
        tables_make();                                                          \
        state_make(mode);                                                       \
        memcpy(memory + CODE, code_##name, (size_t)(code_##name##_end - code_##name)); \
    } while (0)
#define LENGTH(name)                                                            \
    __extension__({                                                             \
        extern const uint8_t code_##name[], code_##name##_end[];                \
        (uint64_t)(code_##name##_end - code_##name);                            \
    })

/* The length of an instruction is told exactly or not at all. */
static void check_length(uint64_t length)
{
    if (state.insn_len)
        CHECK_EQUAL(state.insn_len, length);
}

static void expect(uint32_t want)
{
    CHECK_EQUAL(run(), want);
}

/* ---- Tests ---- */

static void test_cpuid(void)
{
    START(REAL, cpuid);
    expect(CB_EXIT_CPUID);
    CHECK_EQUAL(state.rip, CODE);
    check_length(2);
}

#define IO(name, wanted)                                                        \
    do {                                                                        \
        START(REAL, name);                                                      \
        state.rdx = 0x1234;                                                     \
        state.rcx = 3;                                                          \
        expect(CB_EXIT_IO);                                                     \
        CHECK_EQUAL(state.qual[0], wanted);                                     \
        CHECK_EQUAL(state.qual[1], CODE + LENGTH(name));                        \
        check_length(LENGTH(name));                                             \
        CHECK_EQUAL(state.rip, CODE);                                           \
    } while (0)

static void test_io(void)
{
    IO(in8, 0x1234 | 1u << 16 | CB_IO_IN);
    IO(in16, 0x1234 | 2u << 16 | CB_IO_IN);
    IO(in32, 0x1234 | 4u << 16 | CB_IO_IN);
    IO(out8, 0x1234 | 1u << 16);
    IO(out16, 0x1234 | 2u << 16);
    IO(out32, 0x1234 | 4u << 16);
    IO(out_port, 0x80 | 1u << 16);
    IO(rep_outs, 0x1234 | 2u << 16 | CB_IO_STRING | CB_IO_REP);
    IO(ins, 0x1234 | 1u << 16 | CB_IO_IN | CB_IO_STRING);
}

static void test_msr(void)
{
    START(REAL, rdmsr);
    state.rcx = 0x1b;
    expect(CB_EXIT_RDMSR);
    check_length(2);
    START(REAL, wrmsr);
    state.rcx = 0x1b;
    expect(CB_EXIT_WRMSR);
    CHECK_EQUAL(state.rip, CODE);
}

/* What is written to STAR is read there, and in the state. */
static void test_star(void)
{
    START(LONG, star);
    expect(CB_EXIT_HLT);
    CHECK_EQUAL(state.rax, 0x11223344);
    CHECK_EQUAL(state.rdx, 0x55667788);
    CHECK_EQUAL(state.star, 0x5566778811223344);
}

static void test_hlt(void)
{
    START(REAL, hlt);
    expect(CB_EXIT_HLT);
    CHECK_EQUAL(state.rip, CODE);
    check_length(1);
}

static void test_memory(void)
{
    START(PROTECTED, read);
    expect(CB_EXIT_MEMORY);
    CHECK_EQUAL(state.qual[0], CB_MEMORY_READ);
    CHECK_EQUAL(state.qual[1], NOTHING + 0x10);
    START(PROTECTED, write);
    expect(CB_EXIT_MEMORY);
    CHECK_EQUAL(state.qual[0], CB_MEMORY_WRITE | CB_MEMORY_PRESENT);
    CHECK_EQUAL(state.qual[1], READ_ONLY + 0x20);
    CHECK_EQUAL(state.rip, CODE);
    START(PROTECTED, jump);
    expect(CB_EXIT_MEMORY);
    CHECK_EQUAL(state.qual[0], CB_MEMORY_EXEC);
    CHECK_EQUAL(state.qual[1], NOTHING + 0x30);
}

static void test_exception(void)
{
    START(REAL, ud2);
    state.exception_bitmap = 1u << 6;
    expect(CB_EXIT_EXCEPTION);
    CHECK_EQUAL(state.qual[0], 6);
    CHECK_EQUAL(state.rip, CODE);
    CHECK_EQUAL(state.insn_len, 0);
    /* Taken further by the VMM: into the guest's handler. */
    START(PROTECTED, hlt32);
    state.inject = CB_INJECT_VALID | CB_INJECT_TYPE_EXCEPTION | 6;
    expect(CB_EXIT_HLT);
    CHECK_EQUAL(state.rip, HANDLER);
    CHECK_EQUAL(state.rsp, STACK - 12);
    CHECK_EQUAL(state.inject, 0);
    START(PROTECTED, hlt32);
    state.inject = CB_INJECT_VALID | CB_INJECT_TYPE_EXCEPTION | CB_INJECT_ERROR | 13;
    state.inject_error = 0x48;
    expect(CB_EXIT_HLT);
    CHECK_EQUAL(state.rip, HANDLER);
    CHECK_EQUAL(state.rsp, STACK - 16);
    CHECK_EQUAL(memory[STACK - 16], 0x48);
    /* A software interrupt returns to rip. */
    START(PROTECTED, hlt32);
    state.inject = CB_INJECT_VALID | CB_INJECT_TYPE_SOFT | 0x41;
    expect(CB_EXIT_HLT);
    CHECK_EQUAL(state.rip, HANDLER);
    CHECK_EQUAL(*(uint32_t *)(void *)(memory + STACK - 12), CODE);
}

/* An interrupt whose delivery meets a second-level fault is delivered when that has been seen to. */
static void test_reinject(void)
{
    START(PROTECTED, hlt32);
    state.rflags |= RFLAGS_IF;
    state.rsp = NOTHING + 0x800;
    state.inject = CB_INJECT_VALID | CB_INJECT_TYPE_INTR | 0x40;
    expect(CB_EXIT_MEMORY);
    CHECK(state.qual[0] & CB_MEMORY_WRITE);
    CHECK_EQUAL(state.qual[1] & ~0xfffull, NOTHING);
    CHECK_EQUAL(state.inject, CB_INJECT_VALID | CB_INJECT_TYPE_INTR | 0x40);
    CHECK_EQUAL(state.rip, CODE);
    state.rsp = STACK;
    expect(CB_EXIT_HLT);
    CHECK_EQUAL(state.rip, HANDLER);
    CHECK_EQUAL(state.rsp, STACK - 12);
    CHECK_EQUAL(state.inject, 0);
}

static void test_window(void)
{
    START(REAL, sti);
    state.inject = CB_INJECT_WINDOW;
    expect(CB_EXIT_WINDOW);
    CHECK_EQUAL(state.rip, CODE + 3);
    CHECK(state.rflags & RFLAGS_IF);
    expect(CB_EXIT_HLT);
    CHECK_EQUAL(state.rip, CODE + 4);
}

/*
 * While the guest handles an NMI, it can take no other one. With AMD-V, whose processors do not keep track of that, the end
 * of its IRET is seen at the next exit.
 */
static void test_nmi(void)
{
    START(REAL, hlt);
    put64(4 * 2, HANDLER);
    memory[HANDLER + 1] = 0xcf; /* IRET */
    state.inject = CB_INJECT_VALID | CB_INJECT_TYPE_NMI;
    expect(CB_EXIT_HLT);
    CHECK_EQUAL(state.rip, HANDLER);
    CHECK(state.blocked & CB_BLOCKED_NMI);
    state.rip = HANDLER + 1;
    state.inject = CB_INJECT_NMI_WINDOW;
    if (!on_vmx())
        expect(CB_EXIT_HLT);
    expect(CB_EXIT_NMI_WINDOW);
    CHECK_EQUAL(state.rip, CODE);
    CHECK(!(state.blocked & CB_BLOCKED_NMI));
}

static void test_shutdown(void)
{
    START(PROTECTED, ud2);
    state.idtr.limit = 0;
    expect(CB_EXIT_SHUTDOWN);
    /* It can go on nevertheless. */
    START(PROTECTED, hlt32);
    expect(CB_EXIT_HLT);
}

/* NW without CD; and paging without protection, which QEMU does not notice. */
static void test_invalid(void)
{
    START(REAL, hlt);
    state.cr0 |= CR0_NW;
    expect(CB_EXIT_INVALID);
    if (on_vmx()) {
        START(REAL, hlt);
        state.cr0 |= CR0_PG;
        expect(CB_EXIT_INVALID);
        CHECK_EQUAL(state.qual[0], 0x80000021); /* SDM 3D, appendix C: invalid guest state */
    }
    START(REAL, hlt);
    expect(CB_EXIT_HLT);
}

/* The guest reads what it has written, whatever the hardware needs. */
static void test_control_registers(void)
{
    START(PROTECTED, cr0);
    expect(CB_EXIT_HLT);
    CHECK_EQUAL(state.rbx, 0x60010011);
    CHECK_EQUAL(state.rcx, 0x31);
    CHECK_EQUAL(state.cr0, 0x31);
    START(PROTECTED, cr4);
    expect(CB_EXIT_HLT);
    CHECK_EQUAL(state.rbx, 0x40);
    CHECK_EQUAL(state.rcx, 0);
    CHECK_EQUAL(state.cr4, 0);
    if (!on_vmx()) /* on QEMU it is INVALID */
        return;
    START(PROTECTED, cr4_reserved);
    expect(CB_EXIT_HLT);
    CHECK_EQUAL(state.rip, HANDLER); /* of #GP */
    CHECK_EQUAL(state.rsp, STACK - 16);
    CHECK_EQUAL(*(uint32_t *)(void *)(memory + STACK - 12), CODE + 5);
    CHECK_EQUAL(state.cr4, 0);
}

static void test_debug(void)
{
    START(LONG, debug);
    state.rax = 0x123456;
    expect(CB_EXIT_HLT);
    CHECK_EQUAL(state.rbx, 0x123456);
    CHECK_EQUAL(state.rcx, 0xffff0ff0);
    START(LONG, step);
    state.rflags |= RFLAGS_TF;
    state.exception_bitmap = 1u << 1;
    expect(CB_EXIT_EXCEPTION);
    CHECK_EQUAL(state.qual[0], 1);
    CHECK_EQUAL(state.rip, CODE + 1);
    CHECK(state.dr6 & DR6_STEP);
}

static uint64_t random_next(void)
{
    static uint64_t seed = 0x9e3779b97f4a7c15;

    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

/* A few words of the state become what they like: 64 random bits, or one bit more or less. */
static void state_spoil(void)
{
    uint64_t *words = (uint64_t *)&state;

    for (uint64_t n = 1 + random_next() % 3; n > 0; n--) {
        uint64_t *word = &words[random_next() % (sizeof(state) / 8)];

        if (random_next() % 4)
            *word ^= 1ull << random_next() % 64;
        else
            *word = random_next();
    }
}

/* Whatever the state says, the vCPU comes back, if need be because it is recalled. */
static void test_hostile(void)
{
    uint32_t counts[CB_EXIT_COUNT] = {0};
    uint64_t bits;

    for (uint32_t round = 0; round < HOSTILE_ROUNDS; round++) {
        enum mode mode = (enum mode)(random_next() % 3);

        START(mode, hlt);
        memset(memory + CODE, 0xf4, 64);
        state_spoil();
        must(cb_signal(go), "answer an exit");
        if (cb_wait(exited, 0, clock_in(HOSTILE_US), &bits) != CB_OK) {
            must(cb_recall(vcpu), "recall the vCPU");
            await_exit();
        }
        counts[class]++;
    }
    CHECK(counts[CB_EXIT_HLT] > HOSTILE_ROUNDS / 4);
    CHECK(counts[CB_EXIT_INVALID] > HOSTILE_ROUNDS / 20);
    START(PROTECTED, hlt32);
    expect(CB_EXIT_HLT);
    CHECK_EQUAL(state.rip, CODE);
}

/* Not on QEMU, where XSETBV does not leave the guest. */
static void test_xsetbv(void)
{
    if (!on_vmx())
        return;
    START(LONG, xsetbv);
    state.cr4 |= CR4_OSXSAVE;
    state.rax = 3;
    expect(CB_EXIT_INSTRUCTION);
    CHECK_EQUAL(state.qual[0], CB_INSN_XSETBV);
    check_length(3);
}

static const struct {
    const char *name;
    void (*run)(void);
} tests[] = {
    {"cpuid", test_cpuid},         {"io", test_io},
    {"msr", test_msr},             {"star", test_star},
    {"hlt", test_hlt},             {"memory", test_memory},
    {"exception", test_exception}, {"reinject", test_reinject},
    {"window", test_window},       {"nmi", test_nmi},
    {"shutdown", test_shutdown},   {"invalid", test_invalid},
    {"control_registers", test_control_registers},
    {"debug", test_debug},         {"xsetbv", test_xsetbv},
    {"hostile", test_hostile},
};

void task_main(const struct cb_task_info *info)
{
    if (!(info->features & (CB_FEATURE_SVM | CB_FEATURE_VMX)))
        task_exit(CB_EXIT_REASON_FAILED, "no vCPUs: %s", info->no_vcpu);
    vcpu_make();
    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
        running = tests[i].name;
        failed = false;
        tests[i].run();
        *(failed ? &failures : &passed) += 1;
    }
    print("exittest: %u passed, %u failed\n", passed, failures);
    if (failures)
        task_exit(CB_EXIT_REASON_FAILED, "%u tests failed", failures);
}
