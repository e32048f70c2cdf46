/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A reaper that only counts, and calls' arguments, for tests of what stands below them: each names what the test says, or
 * nothing.
 */
#ifndef REAP_FAKE_H
#define REAP_FAKE_H

#include "reap.h"

extern struct slot *call_fake_slot, *call_fake_destination;
extern struct account *call_fake_account;
extern struct domain *call_fake_domain;
extern unsigned reap_fake_killed; /* objects that lost their first capability */

#endif
