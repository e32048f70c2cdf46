/* SPDX-License-Identifier: GPL-2.0-only */
/* I/O ports. root grants them to itself when it needs them. */
#ifndef ROOT_PORT_H
#define ROOT_PORT_H

#include <stdbool.h>
#include <stdint.h>

/* True if root may now use these ports. */
bool port_claim(uint16_t first, uint16_t count);

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

#endif
