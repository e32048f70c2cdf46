/* SPDX-License-Identifier: GPL-2.0-only */
#include "clock.h"

uint64_t clock_khz = 1; /* until the entry code knows better: no division by zero */
uint64_t clock_wall_ns;
