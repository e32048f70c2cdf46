/* SPDX-License-Identifier: GPL-2.0-only */
/* The first serial port, output only: for the log until user level takes over, and for panics. */
#ifndef SERIAL_H
#define SERIAL_H

#include "types.h"

/* False if there is none; then what is written to it is lost. */
bool serial_init(void);
void serial_write(const char *text, u32 bytes);

#endif
