/* SPDX-License-Identifier: GPL-2.0-only */
/* How the VMM ends when the hypervisor refuses what it needs. */
#ifndef VMM_REPORT_H
#define VMM_REPORT_H

#include <corbel.h>

/* Ends the VMM, with what was attempted and why it was refused, unless the status is OK. */
static inline void must(uint64_t status, const char *what)
{
    if (status != CB_OK)
        task_exit(CB_EXIT_REASON_FAILED, "cannot %s: %s (argument %u): %s", what, cb_status_name(status),
                  CB_STATUS_ARG(status), cb_status_text(status));
}

/* The same for selectors: 0 is none. */
static inline uint32_t must_sel(void)
{
    uint32_t sel = sel_alloc();

    if (!sel)
        task_exit(CB_EXIT_REASON_FAILED, "no selector is left");
    return sel;
}

#endif
