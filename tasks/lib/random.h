/* SPDX-License-Identifier: GPL-2.0-only */
/* Random bytes: ChaCha20 keyed with what root gave, and with a fresh key after each request. */
#ifndef LIB_RANDOM_H
#define LIB_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* Mixes `size` bytes into the key. */
void random_seed(const void *seed, size_t size);
void random_bytes(void *buffer, size_t size);
uint64_t random_u64(void);

#endif
