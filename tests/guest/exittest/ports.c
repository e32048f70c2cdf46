/* SPDX-License-Identifier: GPL-2.0-only */
/* I/O ports that belong to the guest's domain: no exits there, exits everywhere else. */
#include "exittest.h"

#include <string.h>

#define INSTRUCTIONS 12u       /* of `ports`: OUT, IN, REP OUTS, REP INS, each of 1, 2 and 4 bytes */
#define REPEATED 3u
#define BYTES (REPEATED * 7)   /* that a string of each width moves */
#define SOURCE (GUEST_STACK + 0x100u)
#define TARGET (GUEST_STACK + 0x200u)
#define UNTOUCHED 0x55

/* Nothing is there, neither on QEMU nor on Bochs; VT-x's bitmaps meet at 0x8000. */
#define EDGE 0x8000u
#define LAST 0xfffeu
#define PCI_INDEX 0xcf8u       /* 4 bytes are a register, fewer are not */
#define PCI_ENABLED 0x80000000u

static struct {
    uint32_t first, count;
} ranges[4];
static uint32_t range_count;
static uint32_t reads; /* what is read, 4 bytes at a time; 0: where nothing is, emulators do not agree */

static void grant(uint32_t first, uint32_t count)
{
    MUST(cb_ioport_grant(CB_TASK_SEL_IOPORT, vm_domain(), first, count));
    ranges[range_count].first = first;
    ranges[range_count++].count = count;
}

/* An access of `width` bytes: are all of its ports granted? */
static bool is_granted(uint32_t port, uint32_t width)
{
    for (uint32_t i = 0; i < range_count; i++)
        if (port >= ranges[i].first && port + width <= ranges[i].first + ranges[i].count)
            return true;
    return false;
}

static bool expect(int line, const struct expected *e)
{
    if (!reads)
        vm_ignore(&now.rax, UINT64_MAX);
    return vm_expect(__FILE__, line, e);
}

static uint32_t prefix(uint32_t width)
{
    return width == (mode == REAL ? 4 : 2) ? 1 : 0;
}

/* What instruction `i` changes if it does not leave the guest. */
static void done(uint32_t i, uint32_t width)
{
    if (i / 3 == 1) {
        now.rax = reads;
    } else if (i / 3 > 1) {
        now.rcx = 0;
        *(i / 3 == 3 ? &now.rdi : &now.rsi) += width * REPEATED;
    }
}

/*
 * The guest, which is in an exit, runs `ports` on this port. `inside` exits come that the hypervisor answers itself.
 * False, with a message: something is not as it should be.
 */
static bool walk(int line, uint32_t port, uint64_t inside)
{
    uint64_t before = vm_counter(CB_VCPU_COUNTER_INSIDE), at = vm_address(AT_ports);

    now.rip = at;
    now.rdx = port;
    now.rsi = SOURCE;
    now.rdi = TARGET;
    memset(vm_view(TARGET), UNTOUCHED, BYTES + 1);
    vm_reply(CB_GROUPS_VCPU, 0);
    for (uint32_t i = 0; i < INSTRUCTIONS; i++) {
        uint32_t width = 1u << i % 3, string = i / 3 > 1, in = i / 3 % 2, length = 1 + prefix(width) + string;
        uint64_t what = port | width << 16 | (in ? CB_IO_IN : 0) | (string ? vendor_string(in) | CB_IO_REP : 0);

        if (string) {
            now.rcx = REPEATED;
            at += mode == REAL ? 6 : 5; /* which sets it */
        }
        if (is_granted(port, width)) {
            done(i, width);
        } else {
            if (!expect(line, VALUES(CB_EXIT_IO, at, length, what, at + length)))
                return false;
            vm_reply(CB_GROUP_SKIP, length);
        }
        at += length;
    }
    if (!expect(line, VALUES(CB_EXIT_HLT, at, 1)))
        return false;
    if (vm_counter(CB_VCPU_COUNTER_INSIDE) - before == inside)
        return true;
    test_fail(__FILE__, line, "%lu exits inside instead of %lu", vm_counter(CB_VCPU_COUNTER_INSIDE) - before, inside);
    return false;
}

#define WALK(port, inside)                    \
    do {                                      \
        if (!walk(__LINE__, port, inside))    \
            return;                           \
    } while (0)

/* How many bytes the last run has read into memory. */
static uint32_t bytes_read(void)
{
    const uint8_t *at = vm_view(TARGET);
    uint32_t n = 0;

    while (at[n] != UNTOUCHED)
        n++;
    return n;
}

static bool begin(void)
{
    range_count = 0;
    reads = 0;
    if (!vm_start(AT_hlt))
        return false;
    vm_reply(CB_GROUPS_VCPU, 0);
    return vm_expect(__FILE__, __LINE__, VALUES(CB_EXIT_HLT, vm_address(AT_hlt), 1));
}

/* The vCPU before this one had ports, and the CPU may have kept what it knows of them. Grants come while the vCPU runs. */
void test_ports(void)
{
    CHECK(begin());
    WALK(EDGE - 2, 0);
    CHECK_EQUAL(bytes_read(), 0);
    grant(EDGE - 2, 4);
    WALK(EDGE - 2, 1); /* the first access makes them known */
    CHECK_EQUAL(bytes_read(), BYTES);
    WALK(EDGE - 2, 0);
    WALK(EDGE - 3, 0); /* neighbours, and what reaches over the edge */
    WALK(EDGE - 1, 0);
    CHECK_EQUAL(bytes_read(), REPEATED * (1 + 2));
    WALK(EDGE, 0);
    WALK(EDGE + 1, 0);
    CHECK_EQUAL(bytes_read(), REPEATED);
    WALK(EDGE + 2, 0);
    WALK(EDGE * 2 - 1, 0);
    grant(LAST, 2);
    WALK(LAST, 1);
    WALK(LAST + 1, 0); /* what wraps around leaves the guest */
    CHECK_EQUAL(bytes_read(), REPEATED);
    WALK(EDGE - 2, 0);
}

/* What is written arrives, and what is read is what the device says. */
void test_ports_device(void)
{
    const uint32_t value = PCI_ENABLED | 0x1234, last = PCI_ENABLED | 0x5678;
    uint32_t read[REPEATED];

    CHECK(begin());
    grant(PCI_INDEX, 4);
    memcpy((uint8_t *)vm_view(SOURCE) + BYTES - sizeof(last), &last, sizeof(last));
    now.rax = reads = value;
    WALK(PCI_INDEX, 1);
    memcpy(read, (uint8_t *)vm_view(TARGET) + BYTES - sizeof(read), sizeof(read));
    for (uint32_t i = 0; i < REPEATED; i++)
        CHECK_EQUAL(read[i], last);
}

/* Whether the guest's user mode may use them is up to the guest: no TSS of it says so here. */
void test_ports_user(void)
{
    CHECK(begin());
    grant(EDGE - 2, 4);
    vm_state(AT_ports, true);
    now.rdx = EDGE - 2;
    vm_reply(CB_GROUPS_VCPU, 0);
    EXPECT_EVENT(VECTOR_GP, 0, vm_address(AT_ports));
}
