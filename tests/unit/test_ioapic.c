/* SPDX-License-Identifier: GPL-2.0-only */
/* Two I/O APICs: which lines there are, what their routes say, and that a line is closed while its route is written. */
#include "ioapic.h"

#include <criterion/criterion.h>
#include <string.h>

#include "acpi.h"
#include "apic.h"
#include "cpu.h"
#include "kpage.h"
#include "x86.h"

#define ROUTES 0x10u
#define MASKED 0x10000u
#define LEVEL 0x8000u
#define LOW 0x2000u

/* MPS INTI flags: polarity, trigger mode */
#define SAYS_LOW 0x3u
#define SAYS_HIGH 0x1u
#define SAYS_LEVEL 0xcu
#define SAYS_EDGE 0x4u

struct acpi acpi;
struct cpu cpu;
u32 cpu_count = 1;
static struct io {
    u32 place[8]; /* what the driver has mapped; nothing is there but by mmio_*() */
    u32 index, regs[0x80];
} ios[2];

static struct io *io_of(const volatile u32 *at, u32 *word)
{
    for (u32 i = 0; i < 2; i++) {
        if (at >= ios[i].place && at < ios[i].place + 8) {
            *word = (u32)(at - ios[i].place);
            return &ios[i];
        }
    }
    cr_assert_fail("no such register");
    return NULL;
}

u32 mmio_read(const volatile u32 *at)
{
    u32 word;
    const struct io *io = io_of(at, &word);

    cr_assert_eq(word, 4);
    return io->regs[io->index];
}

void mmio_write(volatile u32 *at, u32 v)
{
    u32 word;
    struct io *io = io_of(at, &word);

    if (word == 0) {
        io->index = v;
        return;
    }
    cr_assert_eq(word, 4);
    if (io->index >= ROUTES && io->index % 2)
        cr_assert(io->regs[io->index - 1] & MASKED, "half a route");
    io->regs[io->index] = v;
}

void *kpage_device(u64 at, u64 bytes, u64 attributes)
{
    (void)bytes, (void)attributes;
    return at == 0x1000 ? ios[0].place : at == 0x2000 ? ios[1].place : NULL;
}

struct cpu *cpu_of(u32 id)
{
    cr_assert_eq(id, 0);
    return &cpu;
}

static u32 route(u32 io, u32 line)
{
    return ios[io].regs[ROUTES + 2 * line];
}

static void setup(void)
{
    static bool done;

    if (done)
        return;
    done = true;
    ios[0].regs[1] = 23u << 16; /* version: the last line */
    ios[1].regs[1] = 7u << 16;
    acpi.ioapics[0] = (struct acpi_ioapic){ 0x1000, 0 };
    acpi.ioapics[1] = (struct acpi_ioapic){ 0x3000, 100 }; /* cannot be mapped */
    acpi.ioapics[2] = (struct acpi_ioapic){ 0x2000, 40 };
    acpi.ioapic_count = 3;
    acpi.overrides[0] = (struct acpi_override){ 0, 2, 0 };
    acpi.overrides[1] = (struct acpi_override){ 9, 9, SAYS_LEVEL | SAYS_LOW };
    acpi.overrides[2] = (struct acpi_override){ 10, 10, SAYS_EDGE | SAYS_HIGH };
    acpi.override_count = 3;
    cpu.apic_id = 5;
    ioapic_init();
}

TestSuite(ioapic, .init = setup);

Test(ioapic, all_are_closed_at_first)
{
    for (u32 line = 0; line < 24; line++)
        cr_assert(route(0, line) & MASKED);
    for (u32 line = 0; line < 8; line++)
        cr_assert(route(1, line) & MASKED);
}

Test(ioapic, lines)
{
    cr_assert(ioapic_has(0) && ioapic_has(23) && !ioapic_has(24) && !ioapic_has(39));
    cr_assert(ioapic_has(40) && ioapic_has(47) && !ioapic_has(48) && !ioapic_has(100));
    ioapic_mask(24); /* nothing */
}

Test(ioapic, routes)
{
    ioapic_route(3, false, false);
    cr_assert_eq(route(0, 3), VECTOR_GSI + 3);
    cr_assert_eq(ios[0].regs[ROUTES + 7], 5u << 24);
    ioapic_route(3, true, true); /* once more, while it is open */
    cr_assert_eq(route(0, 3), (VECTOR_GSI + 3) | LEVEL | LOW);
    ioapic_route(42, true, false);
    cr_assert_eq(route(1, 2), (VECTOR_GSI + 42) | LEVEL);
}

Test(ioapic, the_firmwares_word)
{
    cr_assert(ioapic_level(9, false) && !ioapic_level(10, true) && ioapic_level(2, true) && !ioapic_level(2, false));
    ioapic_route(9, false, false);
    cr_assert_eq(route(0, 9), (VECTOR_GSI + 9) | LEVEL | LOW);
    ioapic_route(10, true, true);
    cr_assert_eq(route(0, 10), VECTOR_GSI + 10);
    ioapic_route(2, true, true); /* it says nothing */
    cr_assert_eq(route(0, 2), (VECTOR_GSI + 2) | LEVEL | LOW);
}

Test(ioapic, masks)
{
    ioapic_route(4, true, false);
    ioapic_mask(4);
    cr_assert_eq(route(0, 4), (VECTOR_GSI + 4) | LEVEL | MASKED);
    ioapic_mask(4);
    ioapic_unmask(4);
    cr_assert_eq(route(0, 4), (VECTOR_GSI + 4) | LEVEL);
}
