/* SPDX-License-Identifier: GPL-2.0-only */
/* Everything of the native runtime library. */
#ifndef LIB_CORBEL_H
#define LIB_CORBEL_H

#include "area.h"
#include "calls.h"
#include "clock.h"
#include "grant.h"
#include "lock.h"
#include "pages.h"
#include "panic.h"
#include "print.h"
#include "random.h"
#include "sel.h"
#include "stream.h"
#include "task.h"
#include "thread.h"

#endif
