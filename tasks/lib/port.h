/* SPDX-License-Identifier: GPL-2.0-only */
/* I/O ports, for those who have been granted them. */
#ifndef LIB_PORT_H
#define LIB_PORT_H

#include <stdbool.h>
#include <stdint.h>

static inline uint8_t port_in8(uint16_t port)
{
    uint8_t value;

    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline void port_out8(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" ::"a"(value), "Nd"(port));
}

static inline uint16_t port_in16(uint16_t port)
{
    uint16_t value;

    __asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline void port_out16(uint16_t port, uint16_t value)
{
    __asm__ volatile("outw %0, %1" ::"a"(value), "Nd"(port));
}

/* A UART keeps what is written to its scratch register; where there is none, reads may give anything. */
static inline bool port_is_uart(uint16_t base)
{
    bool kept = true;

    for (uint8_t value = 0x5a; value; value = value == 0x5a ? 0xa5 : 0) {
        port_out8((uint16_t)(base + 7), value);
        kept &= port_in8((uint16_t)(base + 7)) == value;
    }
    return kept;
}

#endif
