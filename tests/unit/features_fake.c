/* SPDX-License-Identifier: GPL-2.0-only */
/* The processor that the code under test believes to run on. */
#include "cpu_init.h"

struct features features;
