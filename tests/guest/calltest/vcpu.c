/* SPDX-License-Identifier: GPL-2.0-only */
/* vCPUs in 16 bits: one that makes a hypercall, a call to a handler on another CPU; and two with different I/O ports. */
#include "calltest.h"

#include <string.h>

#define GUEST_EVENT_PAGE 0x100000u
#define GUEST_PORTAL 16u
#define SEGMENT_CODE 0x9bu
#define SEGMENT_DATA 0x93u
#define SEGMENT_TSS 0x8bu
#define SEGMENT_UNUSABLE 0x1000u
#define CR0_PE 0x1u
#define CR0_ET 0x10u
#define REGISTERS (CB_GROUP_ACDB | CB_GROUP_BSD | CB_GROUP_R8_R15 | CB_GROUP_RIP | CB_GROUP_QUAL)

static const uint8_t code_svm[] = {0x0f, 0x01, 0xd9, 0xf4}; /* vmmcall; hlt */
static const uint8_t code_vmx[] = {0x0f, 0x01, 0xc1, 0xf4}; /* vmcall; hlt */

static volatile uint32_t entered, recalled, halted;
static volatile uint64_t result, words[4], halt_rip;
static uint32_t gate;

static uint32_t start(struct cb_state *state)
{
    const struct cb_segment data = {0, SEGMENT_DATA, 0xffff, 0};

    memset(state, 0, sizeof(*state));
    state->rdi = CB_CALL_WORD(CB_CALL_call, 0, GUEST_PORTAL);
    state->rsi = 100;
    state->rdx = 200;
    state->r8 = 300;
    state->r9 = 400;
    state->r10 = CB_INFO(2, 0, 0);
    state->rflags = 2;
    state->cr0 = CR0_ET;
    state->dr6 = 0xffff0ff0;
    state->dr7 = 0x400;
    state->cs = (struct cb_segment){0, SEGMENT_CODE, 0xffff, 0};
    state->ss = state->ds = state->es = state->fs = state->gs = data;
    state->tr = (struct cb_segment){0, SEGMENT_TSS, 0xffff, 0};
    state->ldtr.attr = SEGMENT_UNUSABLE;
    state->upcall_vector = 32;
    state->ctrl = CB_CTRL_HLT;
    state->xcr0 = 1;
    return CB_GROUPS_VCPU;
}

/* The badge is the exit's class. */
static void vmm(uint64_t badge, struct cb_args *message)
{
    struct cb_state *state = (struct cb_state *)thread_utcb()->words;
    uint64_t bits;

    message->a5 = 0;
    if (badge == CB_EXIT_START) {
        message->a5 = CB_INFO(0, 0, start(state));
    } else if (badge == CB_EXIT_RECALL) {
        recalled++;
    } else {
        result = state->rax;
        words[0] = state->rsi;
        words[1] = state->rdx;
        words[2] = state->r8;
        words[3] = state->r9;
        halt_rip = state->rip;
        halted = 1;
        (void)!cb_wait(thread_self()->event, 0, CB_DEADLINE_NONE, &bits);
    }
}

/* Word 0 plus 1, ... ; with a gate, only when that opens. */
static void serve(uint64_t badge, struct cb_args *message)
{
    uint64_t bits;

    (void)badge;
    entered++;
    if (gate)
        (void)!cb_wait(gate, 0, CB_DEADLINE_NONE, &bits);
    message->a1++;
    message->a2++;
    message->a3++;
    message->a4++;
}

/* Puts code into the page that guests run. */
static bool write_code(const void *code, size_t size)
{
    uint64_t view = test_space(1);
    uint64_t status = cb_map(test_frame, CB_MAP_READ | CB_MAP_WRITE, scratch(), CB_SELF, view, 0, 1);

    if (status == CB_OK)
        memcpy((void *)view, code, size);
    return test_status(__FILE__, __LINE__, "writing a guest's code", status, CB_OK);
}

/* A new guest with that code, and its vCPU, which this thread handles; 0, with a message, if anything fails. */
static uint32_t make(uint32_t guest, struct thread *handler, uint32_t cpu)
{
    uint32_t vcpu = scratch();
    uint64_t status = cb_domain_create(CB_TASK_SEL_ACCOUNT, CB_DOMAIN_GUEST, guest);

    if (status == CB_OK)
        status = cb_map(test_frame, CB_MAP_READ | CB_MAP_EXEC, GUEST_PORTAL + 1, guest, 0, 0, 1);
    if (status == CB_OK)
        status = cb_vcpu_create(CB_TASK_SEL_ACCOUNT, vcpu, guest, cpu, 0, GUEST_EVENT_PAGE);
    for (uint32_t class = 0; status == CB_OK && handler && class < CB_EXIT_COUNT; class++) {
        uint32_t exit = test_portal(handler, class, class == CB_EXIT_START ? CB_GROUPS_VCPU : REGISTERS);

        status = cb_vcpu_exit(vcpu, class, exit);
    }
    return test_status(__FILE__, __LINE__, "making a vCPU", status, CB_OK) ? vcpu : 0;
}

static bool run(uint32_t vcpu, uint32_t cpu)
{
    uint32_t sched = scratch();
    uint64_t status = cb_sched_create(CB_TASK_SEL_ACCOUNT, sched, cpu, PRIORITY_MID, 10 * MS, 10 * MS);

    if (status == CB_OK)
        status = cb_sched_bind(sched, vcpu);
    return test_status(__FILE__, __LINE__, "running a vCPU", status, CB_OK);
}

/* The selector of a vCPU that calls `portal`, and then halts; 0, with a message, if anything fails. */
static uint32_t make_caller(uint32_t portal)
{
    bool svm = task_info()->features & CB_FEATURE_SVM;
    uint32_t guest = scratch(), vcpu = 0;

    if (write_code(svm ? code_svm : code_vmx, sizeof(code_svm)))
        vcpu = make(guest, test_handler(CPU_MAIN, vmm, NULL), CPU_MAIN);
    if (vcpu && test_status(__FILE__, __LINE__, "giving it a portal",
                            cb_derive(portal, GUEST_PORTAL, guest, CB_RIGHT_CALL, 0, 0), CB_OK) && run(vcpu, CPU_MAIN))
        return vcpu;
    return 0;
}

static uint32_t begin(void)
{
    struct thread *handler = test_handler(test_other_cpu(), serve, NULL);
    uint32_t portal = handler ? test_portal(handler, 0, 0) : 0;

    entered = recalled = halted = 0;
    if (portal && test_status(__FILE__, __LINE__, "serving", thread_handler_serve(handler, PRIORITY_MID), CB_OK))
        return make_caller(portal);
    return 0;
}

void test_remote_vcpu(void)
{
    if (!(task_info()->features & (CB_FEATURE_SVM | CB_FEATURE_VMX)))
        return;
    gate = 0;
    CHECK(begin());
    CHECK(test_await(&halted, 1));
    CHECK_OK(result);
    CHECK(words[0] == 101 && words[1] == 201 && words[2] == 301 && words[3] == 401);
    CHECK_EQUAL(halt_rip, 3);
    CHECK_EQUAL(entered, 1);
}

/* The recalled vCPU leaves the call, tells its VMM, and then sees that the call was broken off. */
void test_remote_vcpu_recall(void)
{
    if (!(task_info()->features & (CB_FEATURE_SVM | CB_FEATURE_VMX)))
        return;
    gate = test_event();
    uint32_t vcpu = gate ? begin() : 0;

    CHECK(vcpu);
    CHECK(test_await(&entered, 1));
    CHECK_OK(cb_recall(vcpu));
    CHECK(test_await(&halted, 1));
    CHECK_EQUAL(recalled, 1);
    CHECK_STATUS(result, STATUS(ABORTED, 0));
    CHECK_EQUAL(words[0], 100);
    CHECK_EQUAL(halt_rip, 3);
    CHECK_OK(cb_signal(gate));
}

/* ---- Calls that upcalls interrupt ---- */

#define UPCALL_PORT 5u
#define STEPS 4u

/*
 * The guest has interrupts off, and looks itself: a hypercall; movw $0, 8 (the event page's `upcall`); hlt. That upcalls are
 * delivered is what other tests find out.
 */
static const uint8_t code_clear[] = {0xc7, 0x06, 0x08, 0x00, 0x00, 0x00, 0xf4};
#define HYPERCALL_LENGTH 3u

/* The vCPU's calls: with which flags after the first one, and what came of each. */
static struct {
    uint32_t flags[STEPS], count;
    volatile uint32_t done;
    volatile uint64_t status[STEPS + 1], word;
} script;

static void vmm_script(uint64_t badge, struct cb_args *message)
{
    struct cb_state *state = (struct cb_state *)thread_utcb()->words;
    uint32_t n = script.done;
    uint64_t bits;

    if (badge == CB_EXIT_START) {
        message->a5 = CB_INFO(0, 0, start(state));
        state->rdi = CB_CALL_WORD(CB_CALL_call, CB_CALL_UPCALLS, GUEST_PORTAL);
        state->ds.base = GUEST_EVENT_PAGE;
        return;
    }
    message->a5 = 0;
    if (badge != CB_EXIT_HLT)
        return;
    script.status[n] = state->rax;
    script.word = state->rsi;
    script.done = n + 1;
    if (n == script.count)
        (void)!cb_wait(thread_self()->event, 0, CB_DEADLINE_NONE, &bits);
    state->rdi = CB_CALL_WORD(CB_CALL_call, script.flags[n % STEPS], GUEST_PORTAL);
    state->rip = 0;
    message->a5 = CB_INFO(0, 0, CB_GROUP_BSD | CB_GROUP_RIP);
}

/* The event that is an upcall to a vCPU which has made its first call, to a handler on `cpu`; 0, with a message, if not. */
static uint32_t begin_script(uint32_t cpu, uint32_t count, const uint32_t flags[])
{
    uint8_t code[HYPERCALL_LENGTH + sizeof(code_clear)];
    bool svm = task_info()->features & CB_FEATURE_SVM;
    struct thread *handler = test_handler(cpu, serve, NULL);
    uint32_t portal = handler ? test_portal(handler, 0, 0) : 0, guest = scratch(), event = test_event(), vcpu = 0;

    memcpy(code, svm ? code_svm : code_vmx, HYPERCALL_LENGTH);
    memcpy(code + HYPERCALL_LENGTH, code_clear, sizeof(code_clear));
    memcpy(script.flags, flags, count * sizeof(*flags));
    script.count = count;
    script.done = entered = 0;
    gate = test_event();
    if (portal && event && gate && write_code(code, sizeof(code)))
        vcpu = make(guest, test_handler(CPU_MAIN, vmm_script, NULL), CPU_MAIN);
    if (vcpu && test_status(__FILE__, __LINE__, "serving", thread_handler_serve(handler, PRIORITY_LOW), CB_OK) &&
        test_status(__FILE__, __LINE__, "a portal", cb_derive(portal, GUEST_PORTAL, guest, CB_RIGHT_CALL, 0, 0), CB_OK) &&
        test_status(__FILE__, __LINE__, "a port", cb_event_bind(event, vcpu, UPCALL_PORT), CB_OK) &&
        run(vcpu, CPU_MAIN) && test_await(&entered, 1))
        return event;
    return 0;
}

/* The guest is in real mode, which VT-x without EPT does not run. */
static bool has_vcpus(void)
{
    uint64_t features = task_info()->features;

    return (features & CB_FEATURE_SVM) || ((features & CB_FEATURE_VMX) && (features & CB_FEATURE_NESTED));
}

/* An upcall comes in the middle of the call, which goes on and is answered; on this CPU, and on another one. */
void test_upcall_resume(void)
{
    static const uint32_t resume[] = {CB_CALL_UPCALLS | CB_CALL_RESUME, CB_CALL_UPCALLS | CB_CALL_RESUME};

    for (uint32_t cpu = 0; has_vcpus() && cpu < 2 && cpu < task_info()->cpu_count; cpu++) {
        uint32_t event = begin_script(cpu, 2, resume);

        CHECK(event);
        for (uint32_t n = 1; n <= 2; n++) {
            CHECK_EQUAL(script.done, n - 1);
            CHECK_OK(cb_signal(event));
            CHECK(test_await(&script.done, n));
            CHECK_STATUS(script.status[n - 1], STATUS(INTERRUPTED, 0));
            CHECK_EQUAL(script.word, 100);
        }
        CHECK_EQUAL(entered, 1);
        CHECK_OK(cb_signal(gate));
        CHECK(test_await(&script.done, 3));
        CHECK_OK(script.status[2]);
        CHECK_EQUAL(script.word, 101);
    }
}

/* A service that never answers: the guest gives up. */
void test_upcall_drop(void)
{
    static const uint32_t drop[] = {CB_CALL_DROP, CB_CALL_UPCALLS | CB_CALL_RESUME, CB_CALL_RESUME};

    if (!has_vcpus())
        return;
    uint32_t event = begin_script(CPU_MAIN, 3, drop);

    CHECK(event);
    CHECK_OK(cb_signal(event));
    CHECK(test_await(&script.done, 4));
    CHECK_STATUS(script.status[0], STATUS(INTERRUPTED, 0));
    CHECK_OK(script.status[1]);
    CHECK_STATUS(script.status[2], STATUS(EMPTY, 0));
    CHECK_STATUS(script.status[3], STATUS(BAD_PARAM, 0));
    CHECK_OK(cb_signal(gate));
}

/* Another call takes the place of one that is outstanding. */
void test_upcall_again(void)
{
    static const uint32_t again[] = {CB_CALL_UPCALLS, CB_CALL_UPCALLS | CB_CALL_RESUME};

    if (!has_vcpus())
        return;
    uint32_t event = begin_script(CPU_MAIN, 2, again);

    CHECK(event);
    CHECK_OK(cb_signal(event));
    CHECK(test_await(&script.done, 1));
    CHECK_STATUS(script.status[0], STATUS(INTERRUPTED, 0));
    CHECK_OK(cb_signal(event)); /* the second call, in whose place the first one is dropped, is interrupted as well */
    CHECK(test_await(&script.done, 2));
    CHECK_STATUS(script.status[1], STATUS(INTERRUPTED, 0));
    CHECK_EQUAL(entered, 1);
    CHECK_OK(cb_signal(gate));
    CHECK(test_await(&entered, 2)); /* the first reply went nowhere */
    CHECK_EQUAL(script.done, 2);
    CHECK_OK(cb_signal(gate));
    CHECK(test_await(&script.done, 3));
    CHECK_OK(script.status[2]);
}

/* ---- vCPUs that cannot be made in the end ---- */

#define REFUSED_PAGE 0x200000u
#define REFUSED_COUNT 32u
#define REFUSED_CPUS 8u

static volatile uint32_t spinning;

static void spin(void *unused)
{
    (void)unused;
    while (spinning) {
    }
}

/*
 * Where the second page of a vCPU is occupied, the guest has perhaps used the first one already: what was made of the vCPU
 * ends like any other, and before its domain, also where no CPU ever idles, and the destruction of the domain does nothing else.
 */
void test_vcpu_refused(void)
{
    struct thread *spinners[REFUSED_CPUS];
    uint32_t guest = scratch(), account = scratch(), made = 0, cpus = task_info()->cpu_count;
    uint64_t status = CB_OK;

    if (!has_vcpus())
        return;
    cpus = cpus < REFUSED_CPUS ? cpus : REFUSED_CPUS;
    spinning = 1;
    for (uint32_t cpu = 0; cpu < cpus; cpu++) {
        spinners[cpu] = test_thread(cpu, PRIORITY_LOW, spin, NULL);
        CHECK(spinners[cpu]);
    }
    CHECK_OK(cb_account_create(CB_TASK_SEL_ACCOUNT, account, 2000));
    CHECK_OK(cb_domain_create(account, CB_DOMAIN_GUEST, guest));
    CHECK_OK(cb_map(test_frame, CB_MAP_READ, GUEST_PORTAL + 1, guest, REFUSED_PAGE, 0, 1));
    for (; status != STATUS(NO_MEMORY, 0) && made < REFUSED_COUNT; made++) {
        status = cb_vcpu_create(CB_TASK_SEL_ACCOUNT, scratch(), guest, CPU_MAIN, 0, REFUSED_PAGE - (made + 1) * CB_PAGE_SIZE);
        if (status != STATUS(NO_MEMORY, 0))
            CHECK_STATUS(status, STATUS(OCCUPIED, 3));
    }
    CHECK(made > 2);
    CHECK_OK(cb_destroy(guest));
    CHECK_OK(cb_destroy(account));
    spinning = 0;
    for (uint32_t cpu = 0; cpu < cpus; cpu++)
        test_thread_end(spinners[cpu]);
    CHECK(test_settle(CPU_MAIN));
}

/* ---- Ports ---- */

#define PORT 0x9000u   /* one for each guest; nothing is there */
#define GUESTS 2u
#define ROUNDS 4u

/* Reads both guests' ports, tells so by a HLT, and again: mov $PORT, %dx; in %dx, %al; inc %dx; in %dx, %al; hlt; jmp. */
static const uint8_t code_ports[] = {0xba, 0x00, 0x90, 0xec, 0x42, 0xec, 0xf4, 0xeb, 0xf7};

static struct {
    struct thread *handler;
    uint32_t domain;
    volatile uint32_t exits[GUESTS], rounds, wrong; /* exits: by port */
} guests[GUESTS];

static void vmm_ports(uint64_t badge, struct cb_args *message)
{
    struct cb_state *state = (struct cb_state *)thread_utcb()->words;
    uint32_t me = (uint32_t)(uintptr_t)thread_self()->argument, port = (uint16_t)state->qual[0];
    uint64_t bits;

    if (badge == CB_EXIT_START) {
        message->a5 = CB_INFO(0, 0, start(state));
        state->cr0 |= CR0_PE; /* real mode is not to be had everywhere */
        return;
    }
    if (badge == CB_EXIT_IO && port - PORT < GUESTS) {
        guests[me].exits[port - PORT]++;
    } else if (badge == CB_EXIT_HLT) {
        guests[me].rounds++;
        (void)!cb_wait(thread_self()->event, 0, CB_DEADLINE_NONE, &bits);
    } else {
        guests[me].wrong++;
    }
    message->a1 = 1; /* IN and HLT are of one byte */
    message->a5 = CB_INFO(0, 0, CB_GROUP_SKIP);
}

static bool begin_ports(uint32_t i)
{
    uint32_t cpu = test_other_cpu(), vcpu;

    guests[i].domain = scratch();
    guests[i].exits[0] = guests[i].exits[1] = guests[i].rounds = guests[i].wrong = 0;
    guests[i].handler = test_handler(cpu, vmm_ports, (void *)(uintptr_t)i);
    vcpu = make(guests[i].domain, guests[i].handler, cpu);
    return vcpu && run(vcpu, cpu) && test_await(&guests[i].rounds, 1);
}

/* Two vCPUs take turns on a CPU: each leaves the guest at the other's port, in each round, and never at its own. */
void test_vcpu_ports(void)
{
    if (!(task_info()->features & (CB_FEATURE_SVM | CB_FEATURE_VMX)) || test_type(CB_TASK_SEL_IOPORT) != CB_TYPE_IOPORT)
        return;
    CHECK(write_code(code_ports, sizeof(code_ports)));
    for (uint32_t i = 0; i < GUESTS; i++) {
        CHECK(begin_ports(i)); /* without ports */
        CHECK_OK(cb_ioport_grant(CB_TASK_SEL_IOPORT, guests[i].domain, PORT + i, 1));
    }
    for (uint32_t round = 1; round < ROUNDS; round++) {
        for (uint32_t i = 0; i < GUESTS; i++) {
            CHECK_OK(cb_signal(guests[i].handler->event));
            CHECK(test_await(&guests[i].rounds, round + 1));
        }
    }
    for (uint32_t i = 0; i < GUESTS; i++) {
        CHECK_EQUAL(guests[i].wrong, 0);
        CHECK_EQUAL(guests[i].exits[i], 1);
        CHECK_EQUAL(guests[i].exits[1 - i], ROUNDS);
    }
}
