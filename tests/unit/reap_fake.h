/* SPDX-License-Identifier: GPL-2.0-only */
/* A reaper that only counts, and calls that are refused, for tests of what stands below them. */
#ifndef REAP_FAKE_H
#define REAP_FAKE_H

#include "reap.h"

extern unsigned reap_fake_killed; /* objects that lost their first capability */

#endif
