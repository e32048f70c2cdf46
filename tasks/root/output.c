/* SPDX-License-Identifier: GPL-2.0-only */
#include "output.h"

#include "calls.h"
#include "clock.h"
#include "lock.h"
#include "port.h"
#include "print.h"
#include "stream.h"
#include "thread.h"

#include <corbel/boot.h>

#include <stdint.h>

#define COM1 0x3f8u
#define COM1_LSR (COM1 + 5)
#define LSR_THRE 0x20u
#define TRIES 100000u /* then a byte is written in any case: there may be no UART */
#define LINE_MAX 400

#define DRAIN_US 5000000u
#define FIFO_US 20000u /* more than 16 bytes take at 115200 baud */

static bool use_stream;

bool port_claim(uint16_t first, uint16_t count)
{
    return cb_ioport_grant(CB_ROOT_SEL_IOPORT, CB_ROOT_SEL_DOMAIN, first, count) == CB_OK;
}

static void serial_put(char byte)
{
    for (uint32_t i = 0; i < TRIES && !(port_in8(COM1_LSR) & LSR_THRE); i++)
        lock_pause();
    port_out8(COM1, (uint8_t)byte);
}

static void serial_write(const char *text, size_t size)
{
    static bool tried, granted;

    if (!tried) {
        tried = true;
        granted = port_claim(COM1, 8);
    }
    for (size_t i = 0; granted && i < size; i++) {
        if (text[i] == '\n')
            serial_put('\r');
        serial_put(text[i]);
    }
}

void output_line(const char *format, ...)
{
    char line[LINE_MAX];
    va_list list;
    int start = snprintf(line, sizeof(line), "root: ");

    va_start(list, format);
    int length = start + vsnprintf(line + start, sizeof(line) - (size_t)start, format, list);

    va_end(list);
    if (length > LINE_MAX - 2)
        length = LINE_MAX - 2;
    line[length++] = '\n';
    if (use_stream)
        stream_write(line, (size_t)length);
    else
        serial_write(line, (size_t)length);
}

void output_use_stream(bool use)
{
    use_stream = use;
}

void output_drain(void)
{
    if (use_stream)
        stream_drain(clock_in(DRAIN_US));
    thread_sleep_us(FIFO_US);
}
