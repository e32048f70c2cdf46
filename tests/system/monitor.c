/* SPDX-License-Identifier: GPL-2.0-only */
#define _GNU_SOURCE
#include "monitor.h"

#include "machine.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

/* What the monitor says before its prompt. Valid until the next call. */
static const char *monitor_read(FILE *monitor)
{
    static char text[65536];
    static const char prompt[] = "(qemu) ";
    size_t length = 0;
    int c;

    while (length < sizeof(text) - 1 && (c = fgetc(monitor)) != EOF) {
        text[length++] = (char)c;
        text[length] = 0;
        if (length >= strlen(prompt) && !strcmp(text + length - strlen(prompt), prompt))
            return text;
    }
    cr_assert_fail("the monitor does not answer");
    return NULL;
}

FILE *monitor_open(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval limit = {.tv_sec = MINUTES};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    FILE *monitor;

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    cr_assert(fd >= 0 && !connect(fd, (struct sockaddr *)&address, sizeof(address)), "no monitor");
    cr_assert(!setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)));
    monitor = fdopen(fd, "r+");
    cr_assert(monitor);
    setvbuf(monitor, NULL, _IONBF, 0);
    monitor_read(monitor);
    return monitor;
}

const char *monitor_do(FILE *monitor, const char *command)
{
    fprintf(monitor, "%s\n", command);
    return monitor_read(monitor);
}

void iso_copy(const char *from, const char *to, const char *old, const char *text)
{
    FILE *in, *out;
    size_t size;
    char *data, *at;

    mkdir(BUILD "/logs", 0777);
    in = fopen(from, "rb");
    out = fopen(to, "wb");
    cr_assert(in && out && strlen(old) == strlen(text) && !fseek(in, 0, SEEK_END));
    size = (size_t)ftell(in);
    data = malloc(size);
    rewind(in);
    cr_assert(data && fread(data, 1, size, in) == size);
    at = memmem(data, size, old, strlen(old));
    cr_assert(at, "there is no %s in %s", old, from);
    memcpy(at, text, strlen(text));
    cr_assert(fwrite(data, 1, size, out) == size && !fclose(out));
    fclose(in);
    free(data);
}
