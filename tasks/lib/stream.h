/* SPDX-License-Identifier: GPL-2.0-only */
/* The client side of the console ring page (corbel/console.h). */
#ifndef LIB_STREAM_H
#define LIB_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cb_console;

/* signal: tells the server of output; event: the server tells us of input and room. Called by the entry code. */
void stream_init(struct cb_console *ring, uint32_t signal, uint32_t event);

/*
 * Writes all of it, waiting for room as long as it takes. Without a console, or with a broken one, the output
 * goes nowhere.
 */
void stream_write(const void *data, size_t size);

/* The same, but not longer than until the deadline; false if not all was written. A line is written whole or not at all. */
bool stream_write_until(const void *data, size_t size, uint64_t deadline);

/* The server is gone: whoever waits for it returns, and output goes nowhere. Any thread may call this. */
void stream_abandon(void);

/* Reads what is there, at most `size` bytes; waits for the first until the deadline. Gives the number read. */
size_t stream_read(void *data, size_t size, uint64_t deadline);

/* Waits until the server has taken all output, at most until the deadline. */
void stream_drain(uint64_t deadline);

#endif
