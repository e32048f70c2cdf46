/* SPDX-License-Identifier: GPL-2.0-only */
/* Whom a machine check ends: what the manuals say of each bank's status (SDM 3B, table 16-6; APM 2, 9.3.2.2). */
#include <criterion/criterion.h>

#include "mce.h"

#define VALID (1ull << 63)
#define OVERFLOW (1ull << 62)
#define UNCORRECTED (1ull << 61)
#define CORRUPT (1ull << 57)
#define SIGNALED (1ull << 56)
#define ACTION (1ull << 55)
#define ERROR (VALID | UNCORRECTED)

static const struct {
    const char *what;
    u64 bank;
    bool recovers, intel;
    enum mce_verdict verdict;
} rows[] = {
    { "nothing", 0, true, true, MCE_GO_ON },
    { "all bits but the valid one", ~VALID, true, true, MCE_GO_ON },
    { "corrected", VALID | OVERFLOW, true, true, MCE_GO_ON },
    { "corrected, AMD", VALID, false, false, MCE_GO_ON },
    { "uncorrected, no action required yet", ERROR, true, true, MCE_GO_ON },
    { "action optional", ERROR | SIGNALED, true, true, MCE_GO_ON },
    { "action required", ERROR | SIGNALED | ACTION, true, true, MCE_CONTEXT },
    { "action required, one was lost", ERROR | OVERFLOW | SIGNALED | ACTION, true, true, MCE_FATAL },
    { "the processor's context is corrupt", ERROR | CORRUPT | SIGNALED | ACTION, true, true, MCE_FATAL },
    { "a processor that cannot recover", ERROR | SIGNALED | ACTION, false, true, MCE_FATAL },
    { "AMD, used", ERROR, true, false, MCE_CONTEXT },
    { "AMD, one was lost", ERROR | OVERFLOW, true, false, MCE_FATAL },
    { "AMD, corrupt", ERROR | CORRUPT, true, false, MCE_FATAL },
    { "AMD that cannot recover", ERROR, false, false, MCE_FATAL },
};

Test(mce, verdicts)
{
    for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        cr_expect_eq(mce_judge(rows[i].bank, rows[i].recovers, rows[i].intel), rows[i].verdict, "%s", rows[i].what);
}
