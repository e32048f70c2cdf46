/* SPDX-License-Identifier: GPL-2.0-only */
#include "log.h"

#include <stdarg.h>

#include <corbel/utcb.h>

#include "apic.h"
#include "call.h"
#include "event.h"
#include "kstring.h"
#include "lock.h"
#include "screen.h"
#include "serial.h"
#include "trap.h"
#include "x86.h"

#define LOG_SIZE 65536u
#define LINE_MAX 256u
#define PANIC_MAX 1024u
#define READ_MAX (CB_UTCB_WORDS * 8)

static struct lock lock; /* ring, end, and the devices */
static char ring[LOG_SIZE];
static u64 end; /* bytes ever written */

static _Atomic(struct event *) log_event; /* tree_lock to write */
static u64 log_badge;                     /* constant while there is an event */

static _Atomic u32 panicking; /* 1 + number of the CPU that panics */

/* ---- Formatting ---- */

struct out {
    char *p;
    u32 used, room;
};

static void put(struct out *o, char c)
{
    if (o->used + 1 < o->room)
        o->p[o->used++] = c;
}

static void put_text(struct out *o, const char *s)
{
    while (s && *s)
        put(o, *s++);
}

static void put_number(struct out *o, u64 v, u32 base)
{
    char digits[20];
    u32 n = 0;

    do {
        digits[n++] = "0123456789abcdef"[v % base];
        v /= base;
    } while (v);
    while (n)
        put(o, digits[--n]);
}

static void put_signed(struct out *o, int v)
{
    if (v < 0)
        put(o, '-');
    put_number(o, v < 0 ? -(u64)(s64)v : (u64)v, 10);
}

static void format_text(struct out *o, const char *f, va_list args)
{
    for (; *f; f++) {
        bool wide = f[0] == '%' && f[1] == 'l';

        if (*f != '%') {
            put(o, *f);
            continue;
        }
        f += wide ? 2 : 1;
        switch (*f) {
        case 's': put_text(o, va_arg(args, const char *)); break;
        case 'c': put(o, (char)va_arg(args, int)); break;
        case 'd': put_signed(o, va_arg(args, int)); break;
        case 'u': put_number(o, wide ? va_arg(args, u64) : va_arg(args, u32), 10); break;
        case 'x': put_number(o, wide ? va_arg(args, u64) : va_arg(args, u32), 16); break;
        case 'p': put_number(o, va_arg(args, u64), 16); break;
        case 0: return;
        default: put(o, *f); break;
        }
    }
}

void log_format(char *to, u32 bytes, const char *format, ...)
{
    struct out o = { to, 0, bytes };
    va_list args;

    va_start(args, format);
    format_text(&o, format, args);
    va_end(args);
    to[o.used] = 0;
}

/* ---- The ring ---- */

static void show(const char *text, u32 bytes)
{
    serial_write(text, bytes);
    screen_write(text, bytes);
}

static bool has_event(void)
{
    return atomic_load_explicit(&log_event, memory_order_relaxed) != NULL;
}

static void append(const char *text, u32 bytes)
{
    for (u32 i = 0; i < bytes; i++)
        ring[end++ % LOG_SIZE] = text[i];
}

void log_printf(const char *format, ...)
{
    char line[LINE_MAX];
    struct out o = { line, 0, sizeof(line) };
    va_list args;

    va_start(args, format);
    format_text(&o, format, args);
    va_end(args);
    if (o.used == sizeof(line) - 1)
        memcpy(line + o.used - 3, "...", 3); /* it may have been longer */
    line[o.used++] = '\n';

    lock_take(&lock);
    append(line, o.used);
    if (!has_event())
        show(line, o.used);
    lock_drop(&lock);
    if (cpu_count)
        cpu_hazard(HAZARD_LOG);
}

void log_show(void)
{
    lock_take(&lock);
    for (u64 i = end > LOG_SIZE ? end - LOG_SIZE : 0; i < end; i++)
        screen_write(&ring[i % LOG_SIZE], 1);
    lock_drop(&lock);
}

/* Copies up to `bytes` from byte `position` of the log's history on; moves `*position` past what is returned. */
static u32 copy(u64 *position, char *to, u32 bytes)
{
    u32 n = 0;

    lock_take(&lock);
    if (*position > end)
        *position = end;
    if (end - *position > LOG_SIZE)
        *position = end - LOG_SIZE;
    while (n < bytes && *position < end) {
        u32 at = (u32)(*position % LOG_SIZE), piece = (u32)MIN(MIN(bytes - n, LOG_SIZE - at), end - *position);

        memcpy(to + n, &ring[at], piece);
        n += piece;
        *position += piece;
    }
    lock_drop(&lock);
    return n;
}

/* ---- Who is told ---- */

void log_event_kill(struct event *e)
{
    if (atomic_load_explicit(&log_event, memory_order_relaxed) == e)
        atomic_store_explicit(&log_event, NULL, memory_order_relaxed);
}

void log_flush(void)
{
    struct event *e = atomic_load_explicit(&log_event, memory_order_acquire);

    if (e)
        event_signal(e, log_badge);
}

/* ---- Calls ---- */

status_t log_read(struct regs *r)
{
    u64 word, position = r->rsi;
    status_t status = call_target(r, CB_TYPE_LOG, CB_RIGHT_READ, &word);

    if (status)
        return status;
    r->rdx = copy(&position, (char *)cpu.current->utcb->words, READ_MAX);
    r->rsi = position;
    return CB_OK;
}

static status_t log_bind_locked(struct regs *r)
{
    struct event *e;
    struct slot *s;
    u64 word;
    status_t status = call_lookup(CALL_SEL(r), CB_TYPE_LOG, CB_RIGHT_CONTROL, 0, &word);

    if (status)
        return status;
    if (HIGH(r->rsi))
        return FAULT(BAD_PARAM, 1);
    status = call_slot(LOW(r->rsi), CB_TYPE_EVENT, CB_RIGHT_SIGNAL, 1, &s);
    if (status)
        return status;
    if (has_event())
        return FAULT(BUSY, 0);
    e = slot_word_object(slot_word(s));
    if (e->obj.dying)
        return FAULT(DYING, 1);
    log_badge = s->badge;
    /* Pairs with log_flush(): the badge belongs to the event. */
    atomic_store_explicit(&log_event, e, memory_order_release);
    return CB_OK;
}

CALL_LOCKED(log_bind)

/* ---- Panic ---- */

/* volatile: read only where it is mapped, since the compiler would do so in advance. */
static u32 panic_cpu(void)
{
    return cpu_count ? *(volatile const u32 *)&cpu.id : 0;
}

bool panic_stops(void)
{
    return atomic_load(&panicking) != 0;
}

static void panic_exit(void)
{
    const char *option = boot_option("exit-port");
    u32 port = 0;

    if (!option || option[0] != '0' || option[1] != 'x')
        return;
    for (option += 2; *option && *option != ' '; option++) {
        u32 digit = (u32)*option | 0x20u;

        port = port << 4 | (digit >= 'a' ? digit - 'a' + 10 : digit & 0xfu);
    }
    outb((u16)port, 0x7f);
}

/* The line is built beforehand, and written without the lock, which a stopped CPU may hold. */
NORETURN void panic(const char *format, ...)
{
    char line[PANIC_MAX];
    struct out o = { line, 0, sizeof(line) };
    u32 nobody = 0;
    va_list args;

    interrupts_off();
    if (!atomic_compare_exchange_strong(&panicking, &nobody, panic_cpu() + 1))
        cpu_stop();
    if (cpu_count > 1)
        apic_send_nmi_others();
    put_text(&o, "hypervisor: panic: CPU ");
    put_number(&o, panic_cpu(), 10);
    put_text(&o, ": ");
    va_start(args, format);
    format_text(&o, format, args);
    va_end(args);
    line[o.used++] = '\n';
    append(line, o.used);
    show("\n", 1);
    show(line, o.used);
    panic_exit();
    cpu_stop();
}
