/* SPDX-License-Identifier: GPL-2.0-only */
/* The library's vsnprintf() (called lib_ here) against the host's: random conversions, and buffers that are too small. */
#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "print.h"
#include "random.h"
#include "stream.h"

#define ROOM 300

static char printed[1000];

void stream_write(const void *data, size_t size)
{
    memcpy(printed, data, size);
    printed[size] = 0;
}

static void compare(const char *format, ...)
{
    char wanted[ROOM], got[ROOM + 1];
    size_t size = random_below(3) ? ROOM : random_below(20);
    va_list list, copy;

    va_start(list, format);
    va_copy(copy, list);
    int length = vsprintf(wanted, format, list);

    memset(got, '#', sizeof(got));
    cr_assert_eq(vsnprintf(got, size, format, copy), length, "%s", format);
    va_end(copy);
    va_end(list);
    if (size && (size_t)length >= size)
        wanted[size - 1] = 0;
    if (size)
        cr_assert_str_eq(got, wanted, "%s", format);
    for (size_t i = size; i < sizeof(got); i++)
        cr_assert_eq(got[i], '#', "%s: written beyond its end", format);
}

/* A conversion without its letter. Flags of no meaning for a letter are not used. */
static void make(char *format, const char *flags, bool precise, const char *rest)
{
    size_t at = 0;

    format[at++] = '<';
    format[at++] = '%';
    for (; *flags; flags++)
        if (random_below(3) == 0)
            format[at++] = *flags;
    if (random_below(2))
        at += (size_t)sprintf(format + at, "%u", 1 + (unsigned)random_below(30));
    if (precise && random_below(3) == 0)
        at += (size_t)sprintf(format + at, ".%u", (unsigned)random_below(25));
    sprintf(format + at, "%s>", rest);
}

Test(print, numbers)
{
    static const char *const lengths[] = {"", "hh", "h", "l", "ll", "z"}, *const letters[] = {"d", "i", "u", "x", "X"};

    for (unsigned round = 0; round < 40000; round++) {
        unsigned length = (unsigned)random_below(6), letter = (unsigned)random_below(5);
        uint64_t value = random_next() >> random_below(64);
        char format[40], rest[8];

        value = random_below(2) ? value : -value;
        snprintf(rest, sizeof(rest), "%s%s", lengths[length], letters[letter]);
        make(format, letter < 3 ? "-0" : "-0#", true, rest);
        if (length < 3)
            compare(format, (int)value);
        else
            compare(format, value);
    }
    compare("%ld %d %u", INT64_MIN, INT32_MIN, UINT32_MAX);
}

Test(print, texts)
{
    char format[40];

    for (unsigned round = 0; round < 2000; round++) {
        make(format, "-", true, "s");
        compare(format, "what is said");
        make(format, "-", false, "c");
        compare(format, 'x');
        compare("%*s|%-*d|%.*s|%%", (int)random_below(20) - 10, "width", (int)random_below(10), 5, (int)random_below(8),
                "precision");
    }
    compare("%p", (void *)&format);
}

/* Whatever is printed is one line. */
Test(print, long_lines_are_cut)
{
    char text[600];

    memset(text, 'x', sizeof(text));
    text[599] = 0;
    print("%s\n", text);
    cr_assert(strlen(printed) == 511 && printed[510] == '\n' && printed[509] == 'x');
    text[510] = 0;
    print("%s\n", text);
    cr_assert(strlen(printed) == 511 && printed[510] == '\n');
}
