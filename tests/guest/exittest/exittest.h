/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Exits of a vCPU, one by one, for both vendors. A test has a small guest in one of four modes, that runs a few
 * instructions of code.S, and knows the guest's whole state: `now`. It says what the next exit is to be, and which state
 * the guest has come to; of what the exit delivers, everything is compared with that, and everything else in the UTCB must
 * be as it was. Then it changes `now` and replies with some groups.
 */
#ifndef EXITTEST_H
#define EXITTEST_H

#include "check.h"
#include "corbel.h"

#include <corbel/state.h>

#include <stdbool.h>
#include <stdint.h>

enum mode { REAL, PROTECTED, PAGED, LONG, MODES };
#define IN_ANY 0xfu
#define IN_32 (1u << PROTECTED | 1u << PAGED)
#define IN_PROTECTED (1u << PROTECTED | 1u << PAGED | 1u << LONG)
#define IN_PAGED (1u << PAGED | 1u << LONG)
#define IN_LONG (1u << LONG)

/* X(name, modes) */
#define TESTS(X)                                                                                      \
    X(start, IN_ANY) X(cpuid, IN_ANY) X(io, IN_ANY) X(strings, IN_ANY) X(msr, IN_ANY)                 \
    X(ports, IN_ANY) X(ports_device, IN_ANY) X(ports_user, IN_PROTECTED)                              \
    X(syscall_msrs, IN_ANY) X(control_registers, IN_ANY) X(cr4_refused, IN_ANY)                       \
    X(cr4_missing, IN_ANY)                                                                            \
    X(debug_registers, IN_ANY) X(debug_armed, IN_ANY) X(single_step, IN_ANY) X(single_step_skipped, IN_ANY) X(resume_flag, IN_ANY) X(hlt, IN_ANY) X(halt_deaf, IN_ANY)             \
    X(halt_upcall, IN_ANY) X(recall, IN_ANY) X(recall_exit, IN_ANY) X(instructions, IN_ANY)           \
    X(xsetbv, IN_ANY) X(task_switch, 1u << PROTECTED | 1u << PAGED) X(pae, 1u << PAGED) X(virtualization, IN_PROTECTED) X(hypercall, IN_ANY)                            \
    X(hypercall_user, IN_PROTECTED)                                                                   \
    X(memory_read, IN_ANY) X(memory_write, IN_ANY) X(memory_exec, IN_ANY) X(memory_rights, IN_ANY)    \
    X(memory_table, IN_PAGED)                                                                         \
    X(exception, IN_ANY) X(exception_error, IN_PROTECTED) X(exception_page, IN_PAGED)                 \
    X(exception_int3, IN_ANY)                                                                         \
    X(inject_exception, IN_ANY) X(inject_error, IN_ANY) X(inject_interrupt, IN_ANY)                   \
    X(inject_once, IN_ANY)                                                                            \
    X(inject_soft, IN_ANY) X(inject_nmi, IN_ANY) X(inject_refused, IN_ANY) X(refused_fpu, IN_ANY)     \
    X(alignment, IN_32)                                                                               \
    X(window_sti, IN_ANY) X(window_popf, IN_ANY) X(shadow_sti, IN_ANY) X(shadow_mov_ss, IN_ANY)       \
    X(nmi_window, IN_ANY) X(nmi_window_shadow, IN_ANY)                                                \
    X(delivery_exception, IN_ANY) X(delivery_error, IN_PROTECTED) X(delivery_soft, IN_ANY)            \
    X(delivery_interrupt, IN_ANY) X(delivery_nmi, IN_ANY) X(delivery_injected, IN_ANY)                \
    X(delivery_injected_soft, IN_ANY)                                                                 \
    X(delivery_stack, IN_ANY) X(delivery_dropped, IN_ANY)                                             \
    X(apic_state, IN_ANY) X(apic_off, IN_ANY) X(apic_registers, IN_ANY) X(apic_cr8, IN_LONG)          \
    X(apic_writes, IN_ANY) X(apic_accesses, IN_ANY) X(apic_moved, IN_ANY) X(apic_interrupt, IN_ANY)   \
    X(apic_priorities, IN_ANY) X(apic_self, IN_ANY) X(apic_eoi, IN_ANY) X(apic_hlt, IN_ANY)           \
    X(apic_upcall, IN_ANY) X(apic_delivery, IN_ANY) X(apic_stack, IN_ANY) X(apic_restored, IN_ANY)    \
    X(shutdown, IN_ANY) X(invalid, IN_ANY) X(invalid_cr0, IN_ANY) X(invalid_entry, IN_LONG)           \
    X(invalid_apic, IN_ANY) X(reply_groups, IN_ANY) X(host_selectors, IN_LONG) X(hostile, IN_ANY)

#define TEST_DECLARE(name, modes) void test_##name(void);
TESTS(TEST_DECLARE)

/* Places in code.S, which has each of them three times: 16, 32 and 64 bits. */
#define LABELS(X)                                                                                     \
    X(cpuid) X(cpuid_end) X(io) X(io_end) X(strings) X(strings_end) X(rdmsr) X(wrmsr) X(wrmsr_end)    \
    X(ports)                                                                                          \
    X(syscall_msrs) X(syscall_msrs_end) X(control) X(control_end) X(cr4_vmxe) X(cr4_vmxe_at)          \
    X(debug) X(debug_end) X(arm) X(armed) X(arm_end) X(step) X(step_end) X(xsetbv) X(xsetbv_end) X(hlt) X(hlt_end) X(spin)       \
    X(rdpmc) X(monitor) X(mwait) X(wbinvd) X(wbinvd_end) X(clgi) X(clgi_end) X(vmxoff) X(vmxoff_end)  \
    X(vmmcall) X(vmmcall_end) X(vmcall) X(vmcall_end)                                                 \
    X(read) X(read_end) X(write) X(write_end) X(jump) X(walk) X(walk_end)                             \
    X(load) X(load_end) X(store) X(store_end) X(store_byte) X(store_byte_end) X(cr8) X(cr8_end)       \
    X(ud2) X(ud2_end) X(selector) X(selector_end) X(int3) X(int3_end) X(intn) X(intn_end)                                 \
    X(sti) X(sti_shadow) X(sti_open) X(sti_end) X(sti_hlt) X(sti_hlt_at) X(sti_hlt_end)               \
    X(count) X(count_end) X(counter) X(fpu) X(fpu_end)                                                \
    X(popf) X(popf_open) X(popf_end)                                                                  \
    X(sti_cpuid) X(sti_cpuid_at) X(sti_cpuid_end) X(ss_cpuid) X(ss_cpuid_at) X(ss_cpuid_end)
enum label {
#define LABEL_ENUM(name) AT_##name,
    LABELS(LABEL_ENUM)
#undef LABEL_ENUM
    LABEL_COUNT
};

/* The guest's memory, one frame from address 0 on; linear addresses are physical ones. Page 0 is not mapped. */
#define PAGE(address) ((address) / CB_PAGE_SIZE)
#define GUEST_CODE 0x1000u   /* two pages: code.S knows */
#define GUEST_STUBS 0x3000u  /* the handler of each vector, 16 bytes each */
#define GUEST_IDT 0x4000u
#define GUEST_GDT 0x5000u
#define GUEST_TSS 0x5800u
#define GUEST_STACK 0x6000u
#define GUEST_STACK_TOP 0x7000u
#define GUEST_SPARE 0x9000u  /* not mapped at first; code.S knows */
#define GUEST_TABLES 0xa000u
#define GUEST_TABLES_OTHER 0xd000u
#define GUEST_PAE 0xe000u
#define GUEST_APIC 0xf000u   /* far from the code, see hostile.c */
#define GUEST_PAGES 16u
#define GUEST_EVENT_PAGE 0x100000u
#define GUEST_LARGE 0x200000u   /* vm_map_large() */
#define GUEST_NOTHING 0x400000u /* linear: not present in the guest's tables */

#define VECTOR_NMI 2u
#define VECTOR_UD 6u
#define VECTOR_GP 13u
#define VECTOR_PF 14u
#define VECTOR_AC 17u
#define VECTOR_FREE 0x30u
#define NO_ERROR UINT64_MAX

#define RFLAGS_1 0x2ull
#define RFLAGS_CF 0x1ull
#define RFLAGS_IF 0x200ull
#define RFLAGS_RF 0x10000ull
#define RFLAGS_AC 0x40000ull
#define RFLAGS_TF 0x100ull
#define CR0_PE 0x1ull
#define CR0_AM 0x40000ull
#define CR0_PG 0x80000000ull

extern enum mode mode;
extern struct cb_state now; /* what the guest's state is to be */

/* ---- machine.c: the guest ---- */

/* Makes a new guest whose vCPU has not been started: `now` is its state. */
void vm_make(void);
/* What `now` becomes for a guest that begins at `where`. */
void vm_state(enum label where, bool user);
/* All of that: the guest runs from there on. False, with a message, if the exit START does not come. */
bool vm_start(enum label where);
void vm_end(void);

/* Takes a page from the guest, and gives it back with rights CB_MAP_*. */
void vm_unmap(uint32_t page);
void vm_map(uint32_t page, uint32_t rights);
/* Another handler for a vector; `user`: at the guest's user level, if it has one. */
void vm_gate(uint32_t vector, enum label where, bool user);
/* Gives it another 2 MiB at GUEST_LARGE, in one piece. */
void vm_map_large(void);
/* The page's bytes as the test sees them. */
void *vm_view(uint32_t address);
uint64_t vm_address(enum label where);
uint32_t vm_vcpu(void);
uint32_t vm_domain(void);
uint32_t vm_event(uint64_t port); /* the selector of a new event, bound to a port */
uint64_t vm_counter(uint32_t number);
/* Waits until the vCPU has nothing to do. */
bool vm_idle(void);

/* ---- expect.c: exits and replies ---- */

/* The next exit: its class, the place of the instruction pointer, the length. The rest stands in `now`. */
struct expected {
    uint32_t class;
    uint64_t rip, length, qual[2];
};
bool vm_expect(const char *file, int line, const struct expected *expected);
/* The same, and again for each group alone, for none and for all: for exits that come again if nothing is changed. */
bool vm_expect_each(const char *file, int line, const struct expected *expected);
/* Replies with these groups of `now`; with CB_GROUP_SKIP, behind `skip` bytes. What is injected is gone from it. */
void vm_reply(uint32_t groups, uint64_t skip);
/* The next exits of this class go through the portal with this set of groups. */
void vm_groups(uint32_t class, uint32_t set);
#define GROUP_SETS 19u /* none, each of the 17 groups alone, all */
uint32_t vm_group_set(uint32_t set);
/* A place that only 32-bit code has. */
uint64_t vm_address_task(void);
/* What the next exit need not have as it is in `now`: these bits of a word of it. */
void vm_ignore(const uint64_t *word, uint64_t bits);
/* Groups of another state become those of `now`. */
void vm_take(const struct cb_state *from, uint32_t groups);
/*
 * The handler of `vector` has begun, with `error` on the stack, and will return to `rip`; the guest's flags were
 * now.rflags. vm_return() lets it.
 */
bool vm_expect_event(const char *file, int line, uint32_t vector, uint64_t error, uint64_t rip);
void vm_return(void);

#define VALUES(c, at, size, ...) \
    (&(const struct expected){.class = c, .rip = at, .length = size, .qual = {__VA_ARGS__}})
#define EXPECT(...)                                              \
    do {                                                         \
        if (!vm_expect(__FILE__, __LINE__, VALUES(__VA_ARGS__))) \
            return;                                              \
    } while (0)
#define EXPECT_EACH(...)                                              \
    do {                                                              \
        if (!vm_expect_each(__FILE__, __LINE__, VALUES(__VA_ARGS__))) \
            return;                                                   \
    } while (0)
#define EXPECT_EVENT(vector, error, rip)                             \
    do {                                                             \
        if (!vm_expect_event(__FILE__, __LINE__, vector, error, rip)) \
            return;                                                  \
    } while (0)
/* The guest has come to the end of its instructions, a HLT. */
#define EXPECT_HLT(label) EXPECT(CB_EXIT_HLT, vm_address(label), 1)

/* For calls that cannot fail unless the test is wrong. */
#define MUST(call)                                                                           \
    do {                                                                                     \
        uint64_t status_ = (call);                                                           \
        if (status_ != CB_OK)                                                                \
            panic("%s: %s (%u)", #call, cb_status_name(status_), CB_STATUS_ARG(status_));    \
    } while (0)

/* ---- vendor.c: where the vendors differ ---- */

enum trait {
    LENGTH_REPORTED,
    BLOCKED_MOV_SS,
    NMI_WINDOW_EXACT,
    XSETBV_EXITS,
    INT3_EXITS,
    ALIGNMENT_CHECKED,
    CR4_CHECKED,
    INTERRUPT_WHEN_OFF,
    INVALID_REASON,
    INVALID_REASON_ENTRY,
    STATE_AT_INVALID,
    STRING_TOLD,
    TASK_SWITCH_EXITS,
    TRAITS
};
bool vendor_is_vmx(void);
bool vendor_is_nested(void); /* second-level tables in hardware, else shadow page tables */
bool vendor_has_apic(void);  /* a virtual APIC */
uint64_t vendor(enum trait trait);
/* Of an instruction that leaves the guest: as the hardware reports it. */
uint64_t vendor_length(uint64_t length);
/* What qual[0] of IO says of INS or OUTS, with addresses of the mode's own size. */
uint64_t vendor_string(bool in);

#endif
