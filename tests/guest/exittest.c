/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Runs all tests of exittest/exittest.h in all modes of the guest that they are for; with test=TEXT in `bootargs`, only those
 * whose name begins with that.
 */
#include "exittest/exittest.h"

#include <string.h>

static const struct {
    const char *name;
    void (*run)(void);
    uint32_t modes;
} tests[] = {
#define TEST_ROW(name, modes) {#name, test_##name, modes},
    TESTS(TEST_ROW)
};

static const char *const mode_names[MODES] = {"16 bits", "32 bits", "32 bits, paging", "64 bits"};
static const char *running;
static uint32_t passed, wrong;
static bool failed;

void test_fail(const char *file, int line, const char *format, ...)
{
    char text[300];
    va_list list;

    va_start(list, format);
    vsnprintf(text, sizeof(text), format, list);
    va_end(list);
    print("test %s (%s): FAILED %s:%d %s\n", running, mode_names[mode], file, line, text);
    failed = true;
}

static void run(uint32_t index)
{
    running = tests[index].name;
    failed = false;
    tests[index].run();
    vm_end();
    if (failed) {
        wrong++;
        return;
    }
    passed++;
    print("test %s (%s): ok\n", running, mode_names[mode]);
}

static bool is_chosen(const char *name)
{
    const char *only = strstr(task_bootargs(), "test=");

    if (!only)
        return true;
    for (only += strlen("test="); *only && *only != ' '; only++)
        if (*only != *name++)
            return false;
    return true;
}

void task_main(const struct cb_task_info *info)
{
    if (!(info->features & (CB_FEATURE_SVM | CB_FEATURE_VMX)))
        task_exit(CB_EXIT_REASON_FAILED, "no virtual CPUs: %s", info->no_vcpu);
    for (uint32_t i = 0; i < sizeof(tests) / sizeof(*tests); i++)
        for (mode = REAL; is_chosen(tests[i].name) && mode < MODES; mode++)
            if (tests[i].modes & 1u << mode)
                run(i);
    print("exittest: %u passed, %u failed, on %s\n", passed, wrong, vendor_is_vmx() ? "VT-x" : "AMD-V");
    if (wrong)
        task_exit(CB_EXIT_REASON_FAILED, "%u of %u tests failed", wrong, passed + wrong);
}
