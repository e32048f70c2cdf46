/* SPDX-License-Identifier: GPL-2.0-only */
/* The 16550 UART at COM1, by interrupts. Without one, output vanishes and there is no input. */
#ifndef CONSOLE_UART_H
#define CONSOLE_UART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The interrupt signals `event` with its badge. Without it, uart_poll() must be called now and then. */
uint64_t uart_init(uint32_t irq, uint32_t event);

/* Room for output that waits for the UART, in bytes. */
size_t uart_room(void);
void uart_put(uint8_t byte); /* only if there is room */

/* Moves output into the UART as far as it takes it; true if all is out. */
bool uart_flush(void);

/* A received byte, if there is one. */
bool uart_get(uint8_t *byte);

/* Whether the UART shall interrupt for input. Off: what comes stays in its FIFO, and RTS asks for no more. */
void uart_want_input(bool want);

/* After the event was signalled for the interrupt: allows the next one. To be called before looking at the UART. */
void uart_ack(void);

#endif
