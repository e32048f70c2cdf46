/* SPDX-License-Identifier: GPL-2.0-only */
/* A guest with one vCPU, whose exits wait in a handler thread until the test has looked at them. */
#include "machine.h"

#include <corbel/guest.h>

#include <string.h>

#define SELECTORS 128u
#define PRIORITY_VCPU 20u
#define PRIORITY_IDLE 10u
#define PERIOD_US 10000u
#define PATIENCE_US 60000000u /* emulators on a busy machine */
#define GUEST_SLOTS 16u       /* of the guest's domain: the mapping of page n is in slot GUEST_SLOTS + n */
#define LARGE_PAGES 512u

#define ENTRY_PRESENT 0x27ull /* user and writable too, accessed */
#define ENTRY_LARGE 0xe7ull
#define GATE_PRESENT 0x8e00u
#define GATE_USER 0x6000u

#define ATTR_USER 0x60u
#define ATTR_UNUSABLE 0x1000u
#define SEL_CODE 0x8u
#define SEL_DATA 0x10u
#define SEL_USER_CODE 0x1bu
#define SEL_USER_DATA 0x23u
#define SEL_TSS 0x28u
#define SEL_TASK 0x30u
#define GDT_LIMIT 0x37u
#define EFER_LONG 0x500ull

#define OP_OUT 0xe6u
#define OP_IRET 0xcfu
#define OP_REX_W 0x48u

extern const uint8_t guest_code[], guest_code_end[];

enum mode mode;
struct cb_state now;
struct exchange exchange;

static struct {
    uint32_t selectors, used; /* all that a guest needs is in a row of selectors */
    uint32_t frame, large, guest, vcpu, sched, arrived, answered, quiet;
    uint32_t portals[GROUP_SETS], pages[GUEST_PAGES]; /* the latter: parts of the frame */
    uint8_t *view;
    struct thread *handler;
} vm;

static uint32_t selector(void)
{
    if (vm.used == SELECTORS)
        panic("a guest uses more than %u selectors", SELECTORS);
    return vm.selectors + vm.used++;
}

/* ---- Exits ---- */

static void handler(uint64_t badge, struct cb_args *message)
{
    uint64_t *words = thread_utcb()->words, bits;

    exchange.badge = badge;
    exchange.message = *message;
    memcpy(exchange.words, words, sizeof(exchange.words));
    MUST(cb_signal(vm.arrived));
    MUST(cb_wait(vm.answered, 0, CB_DEADLINE_NONE, &bits));
    memcpy(words, exchange.left, sizeof(exchange.left));
    *message = exchange.message;
}

bool machine_wait_us(uint64_t us)
{
    uint64_t bits;

    return cb_wait(vm.arrived, 0, clock_in(us), &bits) == CB_OK;
}

bool machine_wait(void)
{
    return machine_wait_us(PATIENCE_US);
}

void machine_answer(void)
{
    MUST(cb_signal(vm.answered));
}

uint32_t vm_group_set(uint32_t set)
{
    if (set == GROUP_SETS - 1)
        return CB_GROUPS_VCPU;
    return set == 0 ? 0 : set == GROUP_SETS - 2 ? CB_GROUP_VAPIC : 1u << (set - 1);
}

void vm_groups(uint32_t class, uint32_t set)
{
    MUST(cb_vcpu_exit(vm.vcpu, class, vm.portals[set]));
}

/* ---- The guest's memory ---- */

void *vm_view(uint32_t address)
{
    return vm.view + address;
}

static uint64_t *table(uint32_t address)
{
    return vm_view(address);
}

/* The first 2 or 4 MiB where they are; SPARE is a table of the next address range, which vm_unmap() takes away. */
static void write_tables(uint32_t root)
{
    if (mode == PAGED) {
        uint32_t *directory = vm_view(root);

        directory[0] = (uint32_t)ENTRY_LARGE;
        directory[2] = GUEST_SPARE | (uint32_t)ENTRY_PRESENT;
    } else if (mode == LONG) {
        table(root)[0] = (root + CB_PAGE_SIZE) | ENTRY_PRESENT;
        table(root + CB_PAGE_SIZE)[0] = (GUEST_TABLES + 2 * CB_PAGE_SIZE) | ENTRY_PRESENT;
        table(GUEST_TABLES + 2 * CB_PAGE_SIZE)[0] = ENTRY_LARGE;
        table(GUEST_TABLES + 2 * CB_PAGE_SIZE)[4] = GUEST_SPARE | ENTRY_PRESENT;
    }
}

static void write_descriptors(void)
{
    static const uint64_t user = 0x0000600000000000;
    const uint64_t code = mode == LONG ? 0x00af9b000000ffff : 0x00cf9b000000ffff, data = 0x00cf93000000ffff;
    uint64_t *gdt = vm_view(GUEST_GDT);

    gdt[SEL_CODE / 8] = code;
    gdt[SEL_DATA / 8] = data;
    gdt[SEL_USER_CODE / 8] = code | user;
    gdt[SEL_USER_DATA / 8] = data | user;
    if (mode != LONG)
        gdt[SEL_TASK / 8] = 0x0000890000000067 | GUEST_TSS << 16;
    if (mode == LONG) {
        *(uint64_t *)vm_view(GUEST_TSS + 4) = GUEST_STACK_TOP;
    } else {
        *(uint32_t *)vm_view(GUEST_TSS + 4) = GUEST_STACK_TOP;
        *(uint32_t *)vm_view(GUEST_TSS + 8) = SEL_DATA;
    }
}

static void write_gate(uint32_t vector, uint32_t target, bool user)
{
    uint32_t *gate;

    if (mode == REAL) {
        *(uint32_t *)vm_view(GUEST_IDT + vector * 4) = target;
        return;
    }
    gate = vm_view(GUEST_IDT + vector * (mode == LONG ? 16 : 8));
    gate[0] = (user ? SEL_USER_CODE : SEL_CODE) << 16 | target;
    gate[1] = user ? GATE_PRESENT | GATE_USER : GATE_PRESENT;
}

void vm_gate(uint32_t vector, enum label where, bool user)
{
    write_gate(vector, (uint32_t)vm_address(where), user);
}

static bool has_error(uint32_t vector)
{
    return mode != REAL && (1u << vector & 0x27d00u) && vector < 32;
}

/* A handler tells its vector with an OUT to the port of that number, drops an error code, and returns. */
static void write_stub(uint32_t vector)
{
    uint8_t *at = vm_view(GUEST_STUBS + vector * 16);

    write_gate(vector, GUEST_STUBS + vector * 16, false);
    *at++ = OP_OUT;
    *at++ = (uint8_t)vector;
    if (has_error(vector)) {
        if (mode == LONG)
            *at++ = OP_REX_W;
        *at++ = 0x83; /* add $n, %esp */
        *at++ = 0xc4;
        *at++ = mode == LONG ? 8 : 4;
    }
    if (mode == LONG)
        *at++ = OP_REX_W;
    *at = OP_IRET;
}

static void write_memory(void)
{
    memset(vm.view, 0, GUEST_PAGES * CB_PAGE_SIZE);
    memcpy(vm_view(GUEST_CODE), guest_code, (size_t)(guest_code_end - guest_code));
    for (uint32_t vector = 0; vector < 256; vector++)
        write_stub(vector);
    write_descriptors();
    write_tables(GUEST_TABLES);
    write_tables(GUEST_TABLES_OTHER);
}

void vm_map(uint32_t page, uint32_t rights)
{
    MUST(cb_map(vm.pages[page], rights, GUEST_SLOTS + page, vm.guest, page * CB_PAGE_SIZE, 0, 1));
}

void vm_unmap(uint32_t page)
{
    MUST(cb_revoke(vm.pages[page], 0));
}

void vm_map_large(void)
{
    MUST(cb_map(vm.large, CB_MAP_READ | CB_MAP_WRITE, GUEST_SLOTS + GUEST_PAGES, vm.guest, GUEST_LARGE, 0, LARGE_PAGES));
}

/* ---- The vCPU's state ---- */

/* After power-up: APM 2, 14.1.3; SDM 3A, table 10-1. */
static void reset(void)
{
    const struct cb_segment data = {0, 0x93, 0xffff, 0};

    memset(&now, 0, sizeof(now));
    now.rip = 0xfff0;
    now.rflags = RFLAGS_1;
    now.cr0 = 0x60000010;
    now.dr6 = 0xffff0ff0;
    now.dr7 = 0x400;
    now.cs = (struct cb_segment){0xf000, 0x9b, 0xffff, 0xffff0000};
    now.ss = now.ds = now.es = now.fs = now.gs = data;
    now.ldtr = (struct cb_segment){0, 0x82, 0xffff, 0};
    now.tr = (struct cb_segment){0, 0x8b, 0xffff, 0};
    now.gdtr.limit = now.idtr.limit = 0xffff;
    now.pat = 0x0007040600070406;
    now.xcr0 = 1;
    now.upcall_vector = CB_GUEST_UPCALL_VECTOR;
}

static const uint64_t cr0_of[MODES] = {0x10, 0x31, 0x80000031, 0x80000031}; /* ET; NE PE; PG */
static const uint64_t cr4_of[MODES] = {0, 0, 0x10, 0x20};                   /* PSE; PAE */

static void segments(bool user)
{
    const uint16_t more = user ? ATTR_USER : 0;
    struct cb_segment code = {user ? SEL_USER_CODE : SEL_CODE, (uint16_t)(0xc9b | more), 0xffffffff, 0};
    struct cb_segment data = {user ? SEL_USER_DATA : SEL_DATA, (uint16_t)(0xc93 | more), 0xffffffff, 0};

    if (mode == REAL) {
        code = (struct cb_segment){0, 0x93, 0xffff, 0}; /* as Bochs has it in real mode, whatever was set */
        data = (struct cb_segment){0, 0x93, 0xffff, 0};
    } else if (mode == LONG) {
        code.attr = (uint16_t)(0xa9b | more);
    }
    now.cs = code;
    now.ss = now.ds = now.es = now.fs = now.gs = data;
}

void vm_state(enum label where, bool user)
{
    uint64_t *registers = &now.rax;

    reset();
    for (uint32_t i = 0; i < 16; i++)
        registers[i] = mode == LONG ? 0x1111111111111111 * i : 0x11111111ull * i;
    now.rsp = GUEST_STACK_TOP;
    now.rip = vm_address(where);
    now.cr0 = cr0_of[mode];
    now.cr4 = cr4_of[mode];
    now.cr3 = mode >= PAGED ? GUEST_TABLES : 0;
    now.efer = mode == LONG ? EFER_LONG : 0;
    segments(user);
    now.ldtr = (struct cb_segment){0, ATTR_UNUSABLE, 0, 0};
    now.tr = (struct cb_segment){SEL_TSS, 0x8b, 0x67, GUEST_TSS};
    now.gdtr = (struct cb_segment){0, 0, GDT_LIMIT, GUEST_GDT};
    now.idtr = (struct cb_segment){0, 0, 0xfff, GUEST_IDT};
    now.upcall_vector = 0x40;
    now.ctrl = CB_CTRL_HLT;
}

/* ---- The guest ---- */

static void make_portals(void)
{
    for (uint32_t set = 0; set < GROUP_SETS; set++) {
        vm.portals[set] = selector();
        MUST(cb_portal_create(CB_TASK_SEL_ACCOUNT, vm.portals[set], vm.handler->sel, (uint64_t)thread_portal_entry, set,
                              vm_group_set(set), LEVEL_DEFAULT));
    }
}

/* Once: what all guests use, one after the other. */
static void prepare(void)
{
    vm.selectors = sel_alloc_range(SELECTORS);
    vm.view = (uint8_t *)pages_space(GUEST_PAGES * CB_PAGE_SIZE, CB_PAGE_SIZE);
    vm.frame = sel_alloc();
    vm.large = sel_alloc();
    if (!vm.selectors || !vm.view || !vm.frame || !vm.large)
        panic("there is no room for a guest");
    MUST(pages_frame(GUEST_PAGES, 1, vm.frame));
    MUST(pages_frame(LARGE_PAGES, LARGE_PAGES, vm.large));
}

static void make_memory(void)
{
    MUST(cb_map(vm.frame, CB_MAP_READ | CB_MAP_WRITE, selector(), CB_SELF, (uint64_t)vm.view, 0, GUEST_PAGES));
    write_memory();
    for (uint32_t page = 1; page < GUEST_PAGES; page++) {
        vm.pages[page] = selector();
        MUST(cb_derive(vm.frame, vm.pages[page], CB_SELF, CB_RIGHTS_ALL, page, 1));
        if (page != PAGE(GUEST_SPARE))
            vm_map(page, CB_MAP_READ | CB_MAP_WRITE | CB_MAP_EXEC);
    }
}

void vm_make(void)
{
    if (!vm.selectors)
        prepare();
    vm.used = 0;
    vm.guest = selector();
    vm.vcpu = selector();
    vm.sched = selector();
    vm.arrived = selector();
    vm.answered = selector();
    MUST(cb_event_create(CB_TASK_SEL_ACCOUNT, vm.arrived));
    MUST(cb_event_create(CB_TASK_SEL_ACCOUNT, vm.answered));
    MUST(cb_domain_create(CB_TASK_SEL_ACCOUNT, CB_DOMAIN_GUEST, vm.guest));
    make_memory();
    MUST(cb_vcpu_create(CB_TASK_SEL_ACCOUNT, vm.vcpu, vm.guest, task_info()->cpu, 0, GUEST_EVENT_PAGE));
    MUST(cb_sched_create(CB_TASK_SEL_ACCOUNT, vm.sched, task_info()->cpu, PRIORITY_VCPU, PERIOD_US, PERIOD_US));
    MUST(thread_handler(task_info()->cpu, handler, NULL, &vm.handler));
    make_portals();
    for (uint32_t class = 0; class < CB_EXIT_COUNT; class++)
        vm_groups(class, GROUP_SETS - 1);
    reset();
    memset(&exchange, 0, sizeof(exchange));
    MUST(cb_sched_bind(vm.sched, vm.vcpu));
}

bool vm_start(enum label where)
{
    vm_make();
    if (!vm_expect(__FILE__, __LINE__, VALUES(CB_EXIT_START, now.rip, 0)))
        return false;
    vm_state(where, false);
    return true;
}

void vm_end(void)
{
    MUST(cb_destroy(vm.guest));
    thread_destroy(vm.handler);
    for (uint32_t i = 0; i < vm.used; i++)
        (void)!cb_revoke(vm.selectors + i, CB_REVOKE_SELF); /* refused where nothing is left */
    MUST(cb_revoke(vm.frame, 0));
}

uint64_t vm_address(enum label where)
{
#define LABEL_DECLARE(name) extern const uint8_t guest_##name##_16[], guest_##name##_32[], guest_##name##_64[];
#define LABEL_ROW(name) {guest_##name##_16, guest_##name##_32, guest_##name##_64},
    LABELS(LABEL_DECLARE)
    static const uint8_t *const places[LABEL_COUNT][3] = {LABELS(LABEL_ROW)};

    return GUEST_CODE + (uint64_t)(places[where][mode == REAL ? 0 : mode == LONG ? 2 : 1] - guest_code);
}

uint64_t vm_address_task(void)
{
    extern const uint8_t guest_task_32[];

    return GUEST_CODE + (uint64_t)(guest_task_32 - guest_code);
}

uint32_t vm_vcpu(void)
{
    return vm.vcpu;
}

uint32_t vm_domain(void)
{
    return vm.guest;
}

uint32_t vm_event(uint64_t port)
{
    uint32_t event = selector();

    MUST(cb_event_create(CB_TASK_SEL_ACCOUNT, event));
    MUST(cb_event_bind(event, vm.vcpu, port));
    return event;
}

uint64_t vm_counter(uint32_t number)
{
    uint64_t counters[5];

    MUST(cb_counters(vm.vcpu, number, counters));
    return counters[0];
}

static void tell(void *argument)
{
    (void)argument;
    MUST(cb_signal(vm.quiet));
}

/* A thread with a lower priority on the same CPU gets its turn. */
bool vm_idle(void)
{
    struct thread *thread;
    uint64_t bits, status;

    vm.quiet = selector();
    MUST(cb_event_create(CB_TASK_SEL_ACCOUNT, vm.quiet));
    MUST(thread_start(task_info()->cpu, PRIORITY_IDLE, tell, NULL, &thread));
    status = cb_wait(vm.quiet, 0, clock_in(PATIENCE_US), &bits);
    thread_destroy(thread);
    return status == CB_OK;
}
