/* SPDX-License-Identifier: GPL-2.0-only */
/* The free selectors of this domain. */
#ifndef LIB_SEL_H
#define LIB_SEL_H

#include <stdint.h>

/* From `first` on nothing is used. Called once by the entry code. */
void sel_init(uint32_t first);

/* A free selector, or the first of `count` in a row; 0 if there are none. */
uint32_t sel_alloc(void);
uint32_t sel_alloc_range(uint32_t count);

/* Gives back selectors whose slots are empty. */
void sel_free(uint32_t sel);
void sel_free_range(uint32_t first, uint32_t count);

/* Removes the capability and everything derived from it, and gives back the selector. 0 is allowed. */
void sel_drop(uint32_t sel);

#endif
