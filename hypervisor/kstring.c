/* SPDX-License-Identifier: GPL-2.0-only */
#include "kstring.h"

/* By words: not every processor is fast with bytes. */

void *memset(void *at, int value, size_t bytes)
{
    unsigned long word = (unsigned char)value * 0x0101010101010101ul;
    size_t words = bytes / sizeof(word), rest = bytes % sizeof(word);
    void *p = at;

    __asm__ volatile("rep stosq" : "+D"(p), "+c"(words) : "a"(word) : "memory");
    if (rest)
        __asm__ volatile("rep stosb" : "+D"(p), "+c"(rest) : "a"(word) : "memory");
    return at;
}

void *memcpy(void *restrict to, const void *restrict from, size_t bytes)
{
    size_t words = bytes / sizeof(unsigned long), rest = bytes % sizeof(unsigned long);
    void *p = to;

    __asm__ volatile("rep movsq" : "+D"(p), "+S"(from), "+c"(words) : : "memory");
    if (rest)
        __asm__ volatile("rep movsb" : "+D"(p), "+S"(from), "+c"(rest) : : "memory");
    return to;
}

void *memmove(void *to, const void *from, size_t bytes)
{
    unsigned char *p = to;
    const unsigned char *q = from;

    if (p <= q)
        return memcpy(to, from, bytes);
    while (bytes--)
        p[bytes] = q[bytes];
    return to;
}

int memcmp(const void *a, const void *b, size_t bytes)
{
    const unsigned char *p = a, *q = b;

    for (; bytes; bytes--, p++, q++) {
        if (*p != *q)
            return *p - *q;
    }
    return 0;
}
