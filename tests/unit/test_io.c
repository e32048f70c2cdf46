/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * I/O ports: which the bitmap allows against a list of ports, whose bitmap is behind the TSS, and whose copy the
 * hardware looks at for vCPUs.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "bootmem.h"
#include "call.h"
#include "cpu_init.h"
#include "fake.h"
#include "io.h"
#include "kpage.h"
#include "random.h"
#include "reap_fake.h"
#include "vcpu.h"
#include "virt.h"

#define PORTS 0x10000u

static struct account *account;
static struct domain *domains[2];
static struct slot ports; /* the capability for them */

/* ---- The machine ---- */

static u64 mapped_low, mapped_high; /* behind the TSS; 0: nothing */
static bool valid;                  /* the TSS says that it is there */
static unsigned flushes;
static const struct vcpu *map_user; /* whose VMCB or VMCS names the CPU's map */
static _Alignas(4096) u8 map_pages[IO_MAP_PAGES * PAGE_SIZE];

void kpage_io_bitmap(u64 low, u64 high)
{
    mapped_low = low;
    mapped_high = high;
}

void domain_flush_user(void)
{
    cr_assert_neq(mapped_low, 0, "what is flushed has changed before");
    flushes++;
}

void cpu_set_io_bitmap(bool is_valid)
{
    cr_assert(!is_valid || mapped_low, "valid before it is there");
    valid = is_valid;
}

void virt_ports(struct vcpu *v, bool map)
{
    cr_assert(map ? !map_user || map_user == v : map_user == v, "one uses the map");
    map_user = map ? v : NULL;
}

void *bootmem_pages(u64 pages)
{
    cr_assert_eq(pages, IO_MAP_PAGES);
    return map_pages;
}

const struct slot *caps_linear(u32 sel)
{
    (void)sel;
    return &ports;
}

status_t call_lookup_slow(u32 sel, enum cb_type type, u32 rights, unsigned arg, u64 *word)
{
    (void)sel, (void)type, (void)rights, (void)word;
    return FAULT(BAD_RIGHT, arg);
}

/* ---- */

static status_t grant(struct domain *d, u64 first, u64 count)
{
    struct regs r = { .rdi = CB_CALL_WORD(CB_CALL_ioport_grant, 0, 5), .rsi = CB_PAIR(6, 0), .rdx = first, .r8 = count };

    call_fake_domain = d;
    return ioport_grant(&r);
}

/* Does the processor let threads use the port? */
static bool thread_may(u32 port)
{
    const u8 *page = direct(port < PORTS / 2 ? mapped_low : mapped_high);

    return valid && !(page[port % (PORTS / 2) / 8] >> port % 8 & 1);
}

static void setup(void)
{
    fake_init();
    account = fake_account(0, 2048);
    for (u32 i = 0; i < 2; i++) {
        domains[i] = fake_domain(account, 1 + i);
        cr_assert_not_null(domains[i]);
    }
    memset(&cpu, 0, sizeof(cpu));
    mapped_low = mapped_high = 0;
    valid = false;
    map_user = NULL;
    atomic_store(&ports.word, slot_word_make(CB_TYPE_IOPORT, CB_RIGHTS_ALL, NULL));
    io_cpu_init();
}

/* Against a list, in pieces of all sizes, at all borders of words and pages. */
Test(io, random_grants)
{
    static bool model[PORTS];

    setup();
    for (unsigned n = 0; n < 60; n++) {
        u32 first = (u32)random_below(PORTS), most = 1u << random_below(17), count;

        first = random_below(4) ? first : first / 64 * 64;
        count = 1 + (u32)random_below(MIN(most, PORTS - first));
        cr_assert_eq(grant(domains[0], first, count), CB_OK);
        memset(model + first, true, count);
        cr_assert(io_fault(domains[0]));
        for (u32 port = 0; port < PORTS; port++)
            cr_assert_eq(thread_may(port), model[port], "port %x", port);
        io_unload();
        if (n % 20 == 19) {
            memset(model, false, sizeof(model));
            setup();
        }
    }
}

Test(io, all_ports_at_once)
{
    setup();
    cr_assert_eq(grant(domains[0], 0, PORTS), CB_OK);
    cr_assert(io_fault(domains[0]));
    for (u32 port = 0; port < PORTS; port++)
        cr_assert(thread_may(port));
}

Test(io, what_is_refused)
{
    setup();
    cr_assert_eq(grant(domains[0], PORTS, 1), FAULT(BAD_PARAM, 2));
    cr_assert_eq(grant(domains[0], 1ull << 32, 1), FAULT(BAD_PARAM, 2));
    cr_assert_eq(grant(domains[0], 1, PORTS), FAULT(BAD_PARAM, 3));
    cr_assert_eq(grant(domains[0], 1, 1ull << 32), FAULT(BAD_PARAM, 3));
    cr_assert_eq(grant(domains[0], 1, 0), FAULT(BAD_PARAM, 3));
    cr_assert_eq(grant(NULL, 1, 1), FAULT(BAD_CAP, 1));
    atomic_store(&ports.word, slot_word_make(CB_TYPE_IOPORT, CB_RIGHTS_ALL & ~CB_RIGHT_CONTROL, NULL));
    cr_assert_eq(grant(domains[0], 1, 1), FAULT(BAD_RIGHT, 0));
    cr_assert_null(domains[0]->io_bitmap);
}

/* Two pages, or none; and they come back. */
Test(io, exhausted_account)
{
    u64 used;

    setup();
    used = account->used;
    for (u64 room = 0; room < 2; room++) {
        account->quota = account->used + room;
        cr_assert_eq(grant(domains[0], 1, 1), FAULT(NO_MEMORY, 0));
        cr_assert_null(domains[0]->io_bitmap);
        cr_assert_eq(account->used, used, "a page is lost");
    }
    account->quota = account->used + 2;
    cr_assert_eq(grant(domains[0], 1, 1), CB_OK);
    io_free(domains[0]);
    cr_assert_eq(account->used, used);
}

/* A thread without ports gets none; one with ports has its bitmap only while its domain is loaded. */
Test(io, the_bitmap_comes_and_goes)
{
    setup();
    cr_assert_not(io_fault(domains[0]), "it has no ports");
    cr_assert_eq(grant(domains[0], 0x60, 1), CB_OK);
    cr_assert_eq(grant(domains[1], 0x61, 1), CB_OK);
    cr_assert(io_fault(domains[0]), "to be tried again");
    cr_assert(thread_may(0x60) && !thread_may(0x61));
    cr_assert_eq(flushes, 1, "user mode's root has another translation");
    cr_assert(cpu.hazards & HAZARD_IO, "so that the short ways are not taken");
    cr_assert_not(io_fault(domains[0]), "the second fault is its own");
    io_unload();
    cr_assert_not(valid);
    cr_assert_not(cpu.hazards & HAZARD_IO);
    cr_assert(io_fault(domains[1]));
    cr_assert(thread_may(0x61) && !thread_may(0x60));
}

/* Its pages may be somebody else's afterwards. */
Test(io, nothing_of_a_dead_domain_stays)
{
    setup();
    cr_assert_eq(grant(domains[0], 0x60, 1), CB_OK);
    cr_assert(io_fault(domains[0]));
    io_unload(); /* another domain is loaded */
    cr_assert(mapped_low == 0 && mapped_high == 0, "the bitmap is still mapped");
    io_free(domains[0]);
}

/* ---- vCPUs ---- */

static struct vcpu vcpus[3];

static bool guest_may(u32 port)
{
    return !(cpu.io_map[port / 8] >> port % 8 & 1);
}

Test(io, a_vcpu_takes_the_map)
{
    setup();
    vcpus[0].ctx.domain = domains[0];
    vcpus[1].ctx.domain = domains[1];
    vcpus[2].ctx.domain = domains[1];
    cr_assert_not(io_exit(&vcpus[0], 0x60, 1), "no ports");
    cr_assert_eq(grant(domains[0], 0x60, 2), CB_OK);
    cr_assert_eq(grant(domains[1], 0x7ff0, 0x20), CB_OK);
    cr_assert(io_exit(&vcpus[0], 0x60, 2));
    cr_assert_eq(map_user, &vcpus[0]);
    cr_assert(guest_may(0x60) && guest_may(0x61) && !guest_may(0x62) && !guest_may(0x7ff0));
    cr_assert_not(io_exit(&vcpus[0], 0x60, 4), "only half of it is granted");
    cr_assert_not(io_exit(&vcpus[0], 0xffff, 4), "beyond the last port");
    cr_assert(io_exit(&vcpus[1], 0x7ffe, 4), "across the two pages");
    cr_assert_eq(map_user, &vcpus[1]);
    cr_assert(guest_may(0x7ff0) && guest_may(0x800f) && !guest_may(0x8010) && !guest_may(0x60));
    cr_assert(io_exit(&vcpus[2], 0x7ff0, 1), "the same ports, but only one uses the map");
    cr_assert_eq(map_user, &vcpus[2]);
    io_forget(&vcpus[1]);
    cr_assert_eq(cpu.io_vcpu, &vcpus[2]);
    io_forget(&vcpus[2]);
    cr_assert_null(cpu.io_vcpu);
    map_user = NULL;
    cr_assert(io_exit(&vcpus[0], 0x61, 1), "and nobody is told who has died");
}

/* What was granted since the map was copied is found at the next exit. */
Test(io, ports_granted_later)
{
    setup();
    vcpus[0].ctx.domain = domains[0];
    cr_assert_eq(grant(domains[0], 0x60, 1), CB_OK);
    cr_assert(io_exit(&vcpus[0], 0x60, 1));
    cr_assert_eq(grant(domains[0], 0x64, 1), CB_OK);
    cr_assert_not(guest_may(0x64));
    cr_assert(io_exit(&vcpus[0], 0x64, 1));
    cr_assert(guest_may(0x60) && guest_may(0x64));
}
