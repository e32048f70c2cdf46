/* SPDX-License-Identifier: GPL-2.0-only */
#include "kstring.h"

void *memset(void *at, int value, size_t bytes)
{
    void *p = at;

    __asm__ volatile("rep stosb" : "+D"(p), "+c"(bytes) : "a"(value) : "memory");
    return at;
}

void *memcpy(void *restrict to, const void *restrict from, size_t bytes)
{
    void *p = to;

    __asm__ volatile("rep movsb" : "+D"(p), "+S"(from), "+c"(bytes) : : "memory");
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
