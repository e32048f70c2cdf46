/* SPDX-License-Identifier: GPL-2.0-only */
/* For domain.c: what it does to the processor is done to the test's model (included before anything else). */
#ifndef ORDERS_TABLES_H
#define ORDERS_TABLES_H

#include "kpage.h"
#include "trap.h"
#include "x86.h"

u64 tables_read(void);
void tables_load(u64 word);
struct entry_page *tables_entry(void);

#define read_cr3 tables_read
#define write_cr3 tables_load
#define kpage_entry tables_entry
#define selectors_clear() ((void)0)

#endif
