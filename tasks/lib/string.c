/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory and strings. The block operations are string instructions, so that the compiler cannot turn their
 * loops into calls of themselves.
 */
#include <string.h>

#include "panic.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

/* What libfdt.a, which is compiled with a stack protector, calls when a canary is gone. */
_Noreturn void __stack_chk_fail(void);

void *memcpy(void *restrict to, const void *restrict from, size_t size)
{
    void *start = to;
    size_t words = size / 8;

    /* Words first: emulators take a step for each repetition. */
    size %= 8;
    __asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(words)::"memory");
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size)::"memory");
    return start;
}

void *memmove(void *to, const void *from, size_t size)
{
    if ((uintptr_t)to - (uintptr_t)from >= size)
        return memcpy(to, from, size);
    void *last = (uint8_t *)to + size - 1;
    const void *from_last = (const uint8_t *)from + size - 1;

    __asm__ volatile("std; rep movsb; cld" : "+D"(last), "+S"(from_last), "+c"(size)::"memory");
    return to;
}

void *memset(void *to, int byte, size_t size)
{
    void *start = to;
    size_t words = size / 8;
    uint64_t word = (uint8_t)byte * 0x0101010101010101ull;

    size %= 8;
    __asm__ volatile("rep stosq" : "+D"(to), "+c"(words) : "a"(word) : "memory");
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(size) : "a"(word) : "memory");
    return start;
}

int memcmp(const void *a, const void *b, size_t size)
{
    const uint8_t *left = a, *right = b;

    for (size_t i = 0; i < size; i++)
        if (left[i] != right[i])
            return left[i] < right[i] ? -1 : 1;
    return 0;
}

void *memchr(const void *in, int byte, size_t size)
{
    const uint8_t *bytes = in;

    for (size_t i = 0; i < size; i++)
        if (bytes[i] == (uint8_t)byte)
            return (void *)(uintptr_t)(bytes + i);
    return NULL;
}

size_t strlen(const char *text)
{
    size_t length = 0;

    while (text[length])
        length++;
    return length;
}

size_t strnlen(const char *text, size_t limit)
{
    size_t length = 0;

    while (length < limit && text[length])
        length++;
    return length;
}

int strncmp(const char *a, const char *b, size_t limit)
{
    for (size_t i = 0; i < limit; i++) {
        uint8_t left = (uint8_t)a[i], right = (uint8_t)b[i];

        if (left != right)
            return left < right ? -1 : 1;
        if (left == 0)
            break;
    }
    return 0;
}

int strcmp(const char *a, const char *b)
{
    return strncmp(a, b, SIZE_MAX);
}

char *strrchr(const char *text, int byte)
{
    for (size_t i = strlen(text) + 1; i > 0; i--)
        if (text[i - 1] == (char)byte)
            return (char *)(uintptr_t)(text + i - 1);
    return NULL;
}

char *strstr(const char *text, const char *part)
{
    size_t length = strlen(part);

    for (;; text++) {
        if (strncmp(text, part, length) == 0)
            return (char *)(uintptr_t)text;
        if (*text == 0)
            return NULL;
    }
}

/* The value of a digit in any base up to 36, 36 for what is no digit. */
static unsigned digit_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return (unsigned)(digit - '0');
    digit |= 0x20;
    if (digit >= 'a' && digit <= 'z')
        return (unsigned)(digit - 'a') + 10;
    return 36;
}

unsigned long strtoul(const char *text, char **end, int base)
{
    const char *at = text;
    unsigned long value = 0;

    while (*at == ' ' || (*at >= '\t' && *at <= '\r'))
        at++;
    if ((base == 0 || base == 16) && at[0] == '0' && (at[1] | 0x20) == 'x' && digit_value(at[2]) < 16) {
        at += 2;
        base = 16;
    }
    if (base == 0)
        base = *at == '0' ? 8 : 10;
    const char *digits = at;

    bool overflow = false;

    for (; digit_value(*at) < (unsigned)base; at++)
        overflow |= __builtin_mul_overflow(value, (unsigned long)base, &value) ||
                    __builtin_add_overflow(value, (unsigned long)digit_value(*at), &value);
    if (end)
        *end = (char *)(uintptr_t)(at == digits ? text : at);
    return overflow ? UINT64_MAX : value;
}

_Noreturn void __stack_chk_fail(void)
{
    panic("stack overflow: a function's canary is gone");
}
