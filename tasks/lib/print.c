/* SPDX-License-Identifier: GPL-2.0-only */
#include "print.h"

#include "stream.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define PRINT_MAX 512

struct output {
    char *buffer;
    size_t size;
    size_t length; /* wanted so far; may exceed size */
};

/* One conversion: %[-0#][width][.precision][length]letter */
struct spec {
    bool left, zero, prefix;
    unsigned width;
    int precision; /* -1: none */
    unsigned bytes;
};

static void put(struct output *out, char byte)
{
    if (out->length + 1 < out->size)
        out->buffer[out->length] = byte;
    out->length++;
}

static void put_padded(struct output *out, const struct spec *spec, const char *sign, const char *text, size_t length)
{
    size_t total = strlen(sign) + length, pad = spec->width > total ? spec->width - total : 0;

    if (!spec->left && !spec->zero)
        for (; pad; pad--)
            put(out, ' ');
    while (*sign)
        put(out, *sign++);
    if (!spec->left)
        for (; pad; pad--)
            put(out, '0');
    for (size_t i = 0; i < length; i++)
        put(out, text[i]);
    for (; pad; pad--)
        put(out, ' ');
}

static void put_number(struct output *out, struct spec *spec, const char *sign, uint64_t value, unsigned base,
                       const char *digits)
{
    char text[64];
    size_t at = sizeof(text);
    int least = spec->precision < 0 ? 1 : spec->precision;

    if (spec->precision >= 0)
        spec->zero = false;
    for (; value; value /= base)
        text[--at] = digits[value % base];
    while ((int)(sizeof(text) - at) < least && at > 0)
        text[--at] = '0';
    put_padded(out, spec, sign, text + at, sizeof(text) - at);
}

static const char *parse_number(const char *format, va_list *list, int *number)
{
    if (*format == '*') {
        *number = va_arg(*list, int);
        return format + 1;
    }
    for (*number = 0; *format >= '0' && *format <= '9'; format++)
        if (*number < 10000)
            *number = *number * 10 + (*format - '0');
    return format;
}

static const char *parse_spec(const char *format, va_list *list, struct spec *spec)
{
    int width;

    *spec = (struct spec){.precision = -1, .bytes = sizeof(int)};
    for (; *format == '-' || *format == '0' || *format == '#'; format++) {
        spec->left |= *format == '-';
        spec->prefix |= *format == '#';
        spec->zero |= *format == '0';
    }
    format = parse_number(format, list, &width);
    spec->left |= width < 0;
    spec->width = (unsigned)(width < 0 ? -width : width);
    if (*format == '.')
        format = parse_number(format + 1, list, &spec->precision);
    for (;; format++) {
        if (*format == 'h')
            spec->bytes /= 2;
        else if (*format == 'l' || *format == 'z')
            spec->bytes = sizeof(long);
        else
            return format;
    }
}

static uint64_t get_unsigned(const struct spec *spec, va_list *list)
{
    if (spec->bytes == sizeof(long))
        return va_arg(*list, unsigned long);
    return va_arg(*list, unsigned) & (UINT64_MAX >> (64 - 8 * spec->bytes));
}

static int64_t get_signed(const struct spec *spec, va_list *list)
{
    unsigned shift = 64 - 8 * spec->bytes;

    if (spec->bytes == sizeof(long))
        return va_arg(*list, long);
    return (int64_t)((uint64_t)va_arg(*list, int) << shift) >> shift;
}

static void put_string(struct output *out, const struct spec *spec, const char *text)
{
    if (text == NULL)
        text = "(null)";
    put_padded(out, spec, "", text, spec->precision < 0 ? strlen(text) : strnlen(text, (size_t)spec->precision));
}

static void convert(struct output *out, struct spec *spec, char letter, va_list *list)
{
    static const char lower[] = "0123456789abcdef", upper[] = "0123456789ABCDEF";
    char byte = letter;

    switch (letter) {
    case 'd':
    case 'i': {
        int64_t value = get_signed(spec, list);

        put_number(out, spec, value < 0 ? "-" : "", value < 0 ? -(uint64_t)value : (uint64_t)value, 10, lower);
        return;
    }
    case 'u':
        put_number(out, spec, "", get_unsigned(spec, list), 10, lower);
        return;
    case 'x':
    case 'X': {
        uint64_t value = get_unsigned(spec, list);
        const char *prefix = letter == 'x' ? "0x" : "0X";

        put_number(out, spec, spec->prefix && value ? prefix : "", value, 16, letter == 'x' ? lower : upper);
        return;
    }
    case 'p':
        put_number(out, spec, "0x", (uint64_t)va_arg(*list, void *), 16, lower);
        return;
    case 's':
        put_string(out, spec, va_arg(*list, const char *));
        return;
    case 'c':
        byte = (char)va_arg(*list, int);
        break;
    default:
        break;
    }
    spec->zero = false;
    put_padded(out, spec, "", &byte, 1);
}

int vsnprintf(char *buffer, size_t size, const char *format, va_list list)
{
    struct output out = {.buffer = buffer, .size = size};
    va_list copy;

    va_copy(copy, list);
    for (; *format; format++) {
        struct spec spec;

        if (*format != '%') {
            put(&out, *format);
            continue;
        }
        format = parse_spec(format + 1, &copy, &spec);
        if (*format == 0)
            break;
        convert(&out, &spec, *format, &copy);
    }
    va_end(copy);
    if (size)
        buffer[out.length < size ? out.length : size - 1] = 0;
    return (int)out.length;
}

int snprintf(char *buffer, size_t size, const char *format, ...)
{
    va_list list;

    va_start(list, format);
    int length = vsnprintf(buffer, size, format, list);

    va_end(list);
    return length;
}

void print(const char *format, ...)
{
    char line[PRINT_MAX];
    va_list list;

    va_start(list, format);
    int length = vsnprintf(line, sizeof(line), format, list);

    va_end(list);
    if (length >= PRINT_MAX) {
        /* Cut off, but still a line of its own. */
        length = PRINT_MAX - 1;
        line[length - 1] = '\n';
    }
    stream_write(line, (size_t)length);
}
