/* SPDX-License-Identifier: GPL-2.0-only */
/* Places of the fields of struct thread that assembly code knows; each is checked in thread.h. */
#ifndef LIB_OFFSETS_H
#define LIB_OFFSETS_H

#define THREAD_SELF 0
#define THREAD_HANDLER 16

#endif
