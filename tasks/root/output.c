/* SPDX-License-Identifier: GPL-2.0-only */
#include "output.h"

#include "boot.h"
#include "clock.h"
#include "lock.h"
#include "port.h"
#include "print.h"
#include "stream.h"
#include "thread.h"

#include <stdint.h>
#include <string.h>

#define COM1 0x3f8u
#define COM1_LSR (COM1 + 5)
#define LSR_THRE 0x20u
#define LSR_TEMT 0x40u /* all is sent */
#define TRIES 100000u /* then a byte is written in any case: the line may be broken */
#define LINE_MAX 400

#define TAKE_US 2000000u /* then a line is lost: the console service does not take it */
#define DRAIN_US 5000000u
#define QUIET_US 1000u
#define QUIET_TIMES 20u

static bool use_stream;

static void serial_put(char byte)
{
    for (uint32_t i = 0; i < TRIES && !(port_in8(COM1_LSR) & LSR_THRE); i++)
        lock_pause();
    port_out8(COM1, (uint8_t)byte);
}

static bool serial_claim(void)
{
    static bool tried, granted;

    if (!tried) {
        tried = true;
        granted = boot_claim_ports(COM1, 8) && port_is_uart(COM1);
    }
    return granted;
}

static void serial_write(const char *text, size_t size)
{
    bool granted = serial_claim();

    for (size_t i = 0; granted && i < size; i++) {
        if (text[i] == '\n')
            serial_put('\r');
        serial_put(text[i]);
    }
}

static int format_line(char line[LINE_MAX], const char *format, va_list list)
{
    int start = snprintf(line, LINE_MAX, "root: ");
    int length = start + vsnprintf(line + start, LINE_MAX - (size_t)start, format, list);

    if (length > LINE_MAX - 2) {
        length = LINE_MAX - 2;
        memcpy(line + length - 3, "...", 3);
    }
    line[length++] = '\n';
    return length;
}

/* When the console service takes lines again after some have been lost, it is told how many. */
static void stream_line(const char *line, size_t size)
{
    static uint32_t lost;
    char text[80];
    uint64_t deadline = lost ? 0 : clock_in(TAKE_US);

    if (lost) {
        int length = snprintf(text, sizeof(text), "root: %u lines are missing here: nobody took them\n", lost);

        if (stream_write_until(text, (size_t)length, deadline))
            lost = 0;
    }
    if (lost || !stream_write_until(line, size, deadline))
        lost++;
}

void output_line(const char *format, ...)
{
    char line[LINE_MAX];
    va_list list;

    va_start(list, format);
    int length = format_line(line, format, list);

    va_end(list);
    if (use_stream)
        stream_line(line, (size_t)length);
    else
        serial_write(line, (size_t)length);
}

void output_use_stream(bool use)
{
    use_stream = use;
}

/* What the console service has taken out of the ring waits in a queue of its own: the line is silent when that is empty. */
static void serial_drain(uint64_t deadline)
{
    for (uint32_t quiet = 0; quiet < QUIET_TIMES && clock_tsc() < deadline; thread_sleep_us(QUIET_US))
        quiet = port_in8(COM1_LSR) & LSR_TEMT ? quiet + 1 : 0;
}

void output_drain(void)
{
    uint64_t deadline = clock_in(DRAIN_US);

    if (use_stream)
        stream_drain(deadline);
    if (serial_claim())
        serial_drain(deadline);
}
