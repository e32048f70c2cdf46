/* SPDX-License-Identifier: GPL-2.0-only */
/* What tests of native test tasks check. A check that fails ends the test. */
#ifndef CHECK_H
#define CHECK_H

#include <stdint.h>

/* Prints what is wrong with the running test, which has failed. */
void test_fail(const char *file, int line, const char *format, ...) __attribute__((format(printf, 3, 4)));

#define CHECK(condition)                                     \
    do {                                                     \
        if (!(condition)) {                                  \
            test_fail(__FILE__, __LINE__, "%s", #condition); \
            return;                                          \
        }                                                    \
    } while (0)
#define CHECK_EQUAL(value, wanted)                                                          \
    do {                                                                                    \
        uint64_t got_ = (value), want_ = (wanted);                                          \
        if (got_ != want_) {                                                                \
            test_fail(__FILE__, __LINE__, "%s: %#lx instead of %#lx", #value, got_, want_); \
            return;                                                                         \
        }                                                                                   \
    } while (0)

#endif
