/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The guest's RAM as the VMM sees it: one range of guest-physical addresses from 0 on, mapped in one piece.
 *
 * Its content changes under our hands, and every address from the guest is hostile. gmem_at() is the only way
 * from a guest-physical address to a pointer.
 */
#ifndef VMM_GMEM_H
#define VMM_GMEM_H

#include <stddef.h>
#include <stdint.h>

struct gmem {
    uint8_t *base;
    uint64_t size; /* bytes */
};

/* `size` bytes at `address`, or NULL if they are not all RAM. */
static inline void *gmem_at(const struct gmem *mem, uint64_t address, uint64_t size)
{
    if (address > mem->size || size > mem->size - address)
        return NULL;
    return mem->base + address;
}

#endif
