/* SPDX-License-Identifier: GPL-2.0-only */
#include "corbel.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

int corbel_open(void)
{
    return open("/dev/corbel", O_RDWR | O_CLOEXEC);
}

static void drop(int set, uint32_t handle)
{
    struct corbel_handle drop = {.handle = handle};
    int reason = errno;

    (void)!ioctl(set, CORBEL_IOC_DROP, &drop);
    errno = reason;
}

/* The grant of that name, if it is of that kind. */
static int get(int set, const char *name, uint32_t kind, struct corbel_get *got)
{
    memset(got, 0, sizeof(*got));
    if (strlen(name) >= sizeof(got->name)) {
        errno = ENOENT;
        return -1;
    }
    memcpy(got->name, name, strlen(name));
    if (ioctl(set, CORBEL_IOC_GET, got) < 0)
        return -1;
    if (got->kind != kind) {
        drop(set, got->handle);
        errno = ENOENT;
        return -1;
    }
    return 0;
}

int corbel_get_service(int set, const char *name)
{
    struct corbel_get got;

    return get(set, name, CORBEL_KIND_SERVICE, &got) < 0 ? -1 : (int)got.handle;
}

static void *map(int set, uint32_t handle, size_t size)
{
    struct corbel_handle of = {.handle = handle};
    int fd = ioctl(set, CORBEL_IOC_MEMORY, &of);
    void *memory;

    if (fd < 0)
        return MAP_FAILED;
    memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    return memory;
}

int corbel_get_link(int set, const char *name, struct corbel_link *link)
{
    struct corbel_get got;

    if (get(set, name, CORBEL_KIND_LINK, &got) < 0)
        return -1;
    *link = (struct corbel_link){.set = set, .handle = got.handle, .side = got.side, .size = got.memory};
    if (!link->size)
        return 0;
    link->memory = map(set, link->handle, link->size);
    if (link->memory == MAP_FAILED) {
        drop(set, link->handle);
        return -1;
    }
    return 0;
}

int64_t corbel_call(int set, int service, uint64_t word[4], uint64_t *buffer, uint32_t *words, uint32_t room)
{
    struct corbel_call call = {
        .handle = (uint32_t)service,
        .words = *words,
        .room = room,
        .buffer = (uintptr_t)buffer,
    };

    memcpy(call.word, word, sizeof(call.word));
    if (ioctl(set, CORBEL_IOC_CALL, &call) < 0)
        return -1;
    memcpy(word, call.word, sizeof(call.word));
    *words = call.words;
    return call.status;
}

int64_t corbel_signal(const struct corbel_link *link)
{
    struct corbel_signal signal = {.handle = link->handle};

    return ioctl(link->set, CORBEL_IOC_SIGNAL, &signal) < 0 ? -1 : (int64_t)signal.status;
}

int corbel_wait(const struct corbel_link *link, uint64_t deadline)
{
    struct corbel_wait wait = {.handle = link->handle, .deadline = deadline};
    int result;

    do
        result = ioctl(link->set, CORBEL_IOC_WAIT, &wait);
    while (result < 0 && errno == EINTR);
    return result;
}
