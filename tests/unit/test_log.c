/* SPDX-License-Identifier: GPL-2.0-only */
/* The log: lines as long as they may be, a ring that goes round, and who is told of news. */
#include "log.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include <corbel/utcb.h>

#include "apic.h"
#include "call.h"
#include "event.h"
#include "fake.h"
#include "reap_fake.h"
#include "screen.h"
#include "serial.h"
#include "trap.h"
#include "x86.h"

#define RING 65536u

static struct event event;
static struct slot log_slot, signaller;
static struct cb_utcb utcb;
static struct ctx reader = { .utcb = &utcb };
static unsigned signals;
static char shown[4096];
static u32 shown_bytes;

void serial_write(const char *text, u32 bytes)
{
    cr_assert_leq(shown_bytes + bytes, sizeof(shown));
    memcpy(shown + shown_bytes, text, bytes);
    shown_bytes += bytes;
}

void screen_write(const char *text, u32 bytes)
{
    (void)text, (void)bytes;
}

void apic_send_nmi_others(void)
{
}

const char *boot_option(const char *name)
{
    (void)name;
    return NULL;
}

void outb(u16 port, u8 v)
{
    (void)port, (void)v;
}

void event_signal(struct event *e, u64 badge)
{
    cr_assert(e == &event && badge == 0x20);
    signals++;
}

const struct slot *caps_linear(u32 sel)
{
    (void)sel;
    return &log_slot;
}

status_t call_lookup_slow(u32 sel, enum cb_type type, u32 rights, unsigned arg, u64 *word)
{
    (void)sel, (void)type, (void)rights, (void)word;
    return FAULT(BAD_RIGHT, arg);
}

static void setup(void)
{
    log_event_kill(&event);
    memset(&cpu, 0, sizeof(cpu));
    memset(&event, 0, sizeof(event));
    cpu.current = &reader;
    shown_bytes = signals = 0;
    signaller.badge = 0x20;
    atomic_store(&log_slot.word, slot_word_make(CB_TYPE_LOG, CB_RIGHTS_ALL, NULL));
    atomic_store(&signaller.word, slot_word_make(CB_TYPE_EVENT, CB_RIGHT_SIGNAL, &event));
    call_fake_slot = &signaller;
}

TestSuite(log, .init = setup);

/* What comes from `*position` on, as text. */
static const char *read_log(u64 *position)
{
    static char text[sizeof(utcb.words) + 1];
    struct regs r = { .rdi = CB_CALL_WORD(CB_CALL_log_read, 0, 1), .rsi = *position };

    cr_assert_eq(log_read(&r), CB_OK);
    cr_assert_leq(r.rdx, sizeof(utcb.words));
    *position = r.rsi;
    memcpy(text, utcb.words, r.rdx);
    text[r.rdx] = 0;
    return text;
}

static u64 end_of_log(void)
{
    u64 position = UINT64_MAX;

    (void)read_log(&position);
    return position;
}

static status_t bind(void)
{
    struct regs r = { .rdi = CB_CALL_WORD(CB_CALL_log_bind, 0, 1), .rsi = 2 };

    return log_bind(&r);
}

Test(log, formats)
{
    u64 at = end_of_log();

    log_printf("%s|%d|%u|%x|%lu|%lx|%c|%%", "text", -5, 4000000000u, 0xabcdu, 1ul << 40, ~0ul, 'z');
    cr_assert_str_eq(read_log(&at), "text|-5|4000000000|abcd|1099511627776|ffffffffffffffff|z|%\n");
    cr_assert_str_eq(read_log(&at), "", "nothing comes twice");
}

Test(log, a_line_that_is_too_long)
{
    char text[400];
    u64 at = end_of_log();
    const char *line;

    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = 0;
    log_printf("%s", text);
    line = read_log(&at);
    cr_assert_eq(strlen(line), 256);
    cr_assert_str_eq(line + 252, "...\n");
}

/* Each line, whoever reads in whatever pieces, and however often it has gone round. */
Test(log, the_ring_goes_round)
{
    u64 at = end_of_log(), start;
    char all[300 * 30], *to = all;

    for (unsigned round = 0; round < 20; round++) {
        to = all;
        start = at;
        for (unsigned i = 0; i < 200; i++) {
            int bytes = sprintf(to, "round %u, line %u\n", round, i);

            to[bytes - 1] = 0;
            shown_bytes = 0;
            log_printf("%s", to);
            to[bytes - 1] = '\n';
            to += bytes;
        }
        for (const char *from = all; from < to;) {
            const char *text = read_log(&at);

            cr_assert(*text);
            cr_assert_eq(memcmp(text, from, strlen(text)), 0);
            from += strlen(text);
        }
        cr_assert_eq(at - start, (u64)(to - all));
    }
    cr_assert_gt(at, RING / 2);
    for (unsigned i = 0; i < RING / 16; i++) {
        shown_bytes = 0;
        log_printf("0123456789abcde%c", '0' + (char)(i % 10));
    }
    at = 0; /* long gone */
    (void)read_log(&at);
    cr_assert_gt(at, 0);
    cr_assert_eq(end_of_log() - (at - sizeof(utcb.words)), RING, "as much as there is");
}

Test(log, who_is_told)
{
    log_flush();
    log_printf("before");
    cr_assert_eq(shown_bytes, 7);
    cr_assert(cpu_hazards() & HAZARD_LOG);
    cr_assert_eq(bind(), CB_OK);
    cr_assert_eq(bind(), FAULT(BUSY, 0));
    log_printf("after");
    cr_assert_eq(shown_bytes, 7, "somebody else shows it now");
    cr_assert_eq(signals, 0, "on the way out");
    log_flush();
    cr_assert_eq(signals, 1);
    log_event_kill(&event);
    log_flush();
    cr_assert_eq(signals, 1);
    log_printf("again");
    cr_assert_eq(shown_bytes, 13);
}

Test(log, what_is_refused)
{
    event.obj.dying = 1;
    cr_assert_eq(bind(), FAULT(DYING, 1));
    atomic_store(&log_slot.word, slot_word_make(CB_TYPE_LOG, CB_RIGHT_READ, NULL));
    cr_assert_eq(bind(), FAULT(BAD_RIGHT, 0));
}
