/* SPDX-License-Identifier: GPL-2.0-only */
/* Requests with wrong numbers, handles, sizes and addresses. */
#include "hostile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

static const uint32_t no_handles[] = {0, 1, CORBEL_HANDLES, CORBEL_HANDLES + 1, 0x80000000u, 0xffffffffu};

static void test_numbers(int set)
{
    struct corbel_get get = {.name = "bench"};

    check("version", request(set, CORBEL_IOC_VERSION, NULL), CORBEL_DEV_VERSION);
    check("no such number", request(set, _IO(0xcb, 0x2f), NULL), -ENOTTY);
    check("another size", request(set, _IOC(_IOC_READ | _IOC_WRITE, 0xcb, 0x21, sizeof(get) - 8), &get), -ENOTTY);
    check("another direction", request(set, _IOC(_IOC_READ, 0xcb, 0x21, sizeof(get)), &get), -ENOTTY);
    check("write to the device", write(set, &get, sizeof(get)) < 0 ? -errno : 0, -EINVAL);
    check("read from the device", read(set, &get, sizeof(get)) < 0 ? -errno : 0, -EINVAL);
}

static void test_no_handle(int set)
{
    for (size_t i = 0; i < sizeof(no_handles) / sizeof(no_handles[0]); i++) {
        uint32_t handle = no_handles[i];

        check("drop", request(set, CORBEL_IOC_DROP, &(struct corbel_handle){handle, 0}), -EBADF);
        check("memory", request(set, CORBEL_IOC_MEMORY, &(struct corbel_handle){handle, 0}), -EBADF);
        check("call", request(set, CORBEL_IOC_CALL, &(struct corbel_call){.handle = handle}), -EBADF);
        check("signal", request(set, CORBEL_IOC_SIGNAL, &(struct corbel_signal){.handle = handle}), -EBADF);
        check("wait", request(set, CORBEL_IOC_WAIT, &(struct corbel_wait){.handle = handle}), -EBADF);
        check("in", request(set, CORBEL_IOC_EVENTFD_IN, &(struct corbel_eventfd){handle, -1}), -EBADF);
        check("out", request(set, CORBEL_IOC_EVENTFD_OUT, &(struct corbel_eventfd){handle, -1}), -EBADF);
    }
}

static void test_addresses(int set)
{
    static const unsigned long numbers[] = {CORBEL_IOC_GET,  CORBEL_IOC_DROP,       CORBEL_IOC_CALL,
                                            CORBEL_IOC_SIGNAL, CORBEL_IOC_WAIT,     CORBEL_IOC_EVENTFD_IN,
                                            CORBEL_IOC_EVENTFD_OUT, CORBEL_IOC_MEMORY};
    struct corbel_get *get = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    mprotect((char *)get + 4096, 4096, PROT_NONE);

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        check("address 0", request(set, numbers[i], NULL), -EFAULT);
        check("address of the kernel", request(set, numbers[i], (void *)0xffffffff81000000ul), -EFAULT);
        check("address across an end", request(set, numbers[i], (char *)get + 4096 - 4), -EFAULT);
    }
    strcpy(get->name, "bench");
    mprotect(get, 4096, PROT_READ);
    check("answer to read-only memory", request(set, CORBEL_IOC_GET, get), -EFAULT);
    check("nothing was put in", request(set, CORBEL_IOC_DROP, &(struct corbel_handle){.handle = 1}), -EBADF);
    munmap(get, 8192);
}

static void test_get(int set)
{
    struct corbel_get get = {.name = "no such grant"};
    uint32_t last = 0;

    check("unknown name", request(set, CORBEL_IOC_GET, &get), -ENOENT);
    memset(&get, 0, sizeof(get));
    check("empty name", request(set, CORBEL_IOC_GET, &get), -ENOENT);
    memset(get.name, 'x', sizeof(get.name));
    check("name without end", request(set, CORBEL_IOC_GET, &get), -EINVAL);
    get = (struct corbel_get){.name = "bench", .reserved = 1};
    check("reserved field", request(set, CORBEL_IOC_GET, &get), -EINVAL);

    get.reserved = 0;
    for (unsigned i = 0; i < CORBEL_HANDLES; i++) {
        check("get", request(set, CORBEL_IOC_GET, &get), 0);
        last = get.handle;
    }
    check("full set", request(set, CORBEL_IOC_GET, &get), -EMFILE);
    check("drop", request(set, CORBEL_IOC_DROP, &(struct corbel_handle){.handle = last}), 0);
    check("drop twice", request(set, CORBEL_IOC_DROP, &(struct corbel_handle){.handle = last}), -EBADF);
    check("get again", request(set, CORBEL_IOC_GET, &get), 0);
    check("the handle that was free", get.handle, last);
    check("reserved field of drop", request(set, CORBEL_IOC_DROP, &(struct corbel_handle){last, 1}), -EINVAL);
}

void test_requests(void)
{
    int set = corbel_open(), other = corbel_open();

    test_numbers(set);
    test_no_handle(set);
    test_addresses(set);
    test_get(set);
    check("another set is empty", request(other, CORBEL_IOC_DROP, &(struct corbel_handle){.handle = 1}), -EBADF);
    close(set);
    close(other);
}

/* The service answers with what it gets. */
static void test_echo(int set, uint32_t service, uint32_t words, uint32_t room)
{
    uint64_t buffer[CORBEL_WORDS + 1];
    struct corbel_call call = {.handle = service, .words = words, .room = room, .buffer = (uintptr_t)buffer};
    unsigned wrong = 0;

    for (uint32_t i = 0; i <= CORBEL_WORDS; i++)
        buffer[i] = i * 3 + 1;
    for (uint32_t i = 0; i < 4; i++)
        call.word[i] = i + 100;
    check("echo", request(set, CORBEL_IOC_CALL, &call), 0);
    check("status of echo", call.status, 0);
    check("words of echo", call.words, words);
    for (uint32_t i = 0; i <= CORBEL_WORDS; i++)
        wrong += buffer[i] != i * 3 + 1;
    for (uint32_t i = 0; i < 4; i++)
        wrong += call.word[i] != i + 100;
    check("content of echo", wrong, 0);
}

void test_calls(void)
{
    int set = corbel_open();
    uint32_t service = get(set, "echo"), link = get(set, "bench");
    struct corbel_call call = {.handle = service};

    for (uint32_t words = 0; words <= CORBEL_WORDS; words += 48)
        test_echo(set, service, words, words);
    test_echo(set, service, CORBEL_WORDS, 0);
    test_echo(set, service, 0, CORBEL_WORDS);

    call.words = CORBEL_WORDS + 1;
    check("too many words", request(set, CORBEL_IOC_CALL, &call), -EINVAL);
    call = (struct corbel_call){.handle = service, .room = 0xffffffffu};
    check("too much room", request(set, CORBEL_IOC_CALL, &call), -EINVAL);
    call = (struct corbel_call){.handle = service, .flags = 1};
    check("flags", request(set, CORBEL_IOC_CALL, &call), -EINVAL);
    call = (struct corbel_call){.handle = service, .reserved = 1};
    check("reserved field", request(set, CORBEL_IOC_CALL, &call), -EINVAL);
    call = (struct corbel_call){.handle = service, .words = 1};
    check("buffer at 0", request(set, CORBEL_IOC_CALL, &call), -EFAULT);
    call = (struct corbel_call){.handle = service, .words = 1, .buffer = 0xffff888000000000ul};
    check("buffer in the kernel", request(set, CORBEL_IOC_CALL, &call), -EFAULT);
    call = (struct corbel_call){.handle = link};
    check("call a link", request(set, CORBEL_IOC_CALL, &call), -EINVAL);

    check("signal a service", request(set, CORBEL_IOC_SIGNAL, &(struct corbel_signal){.handle = service}), -EINVAL);
    check("wait for a service", request(set, CORBEL_IOC_WAIT, &(struct corbel_wait){.handle = service}), -EINVAL);
    check("memory of a service", request(set, CORBEL_IOC_MEMORY, &(struct corbel_handle){service, 0}), -EINVAL);
    check("eventfd of a service", request(set, CORBEL_IOC_EVENTFD_IN, &(struct corbel_eventfd){service, -1}), -EINVAL);
    close(set);
}
