/* SPDX-License-Identifier: GPL-2.0-only */
/* Signals, waits and eventfds. The other end answers each signal with one, sooner or later, or several with one. */
#include "hostile.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define SOON 20000000ull        /* ns */
#define LONG_TIME 60000000000ull
#define ROUNDS 50

static long wait_for(int set, uint32_t link, uint64_t deadline)
{
    return request(set, CORBEL_IOC_WAIT, &(struct corbel_wait){.handle = link, .deadline = deadline});
}

static long signal_to(int set, uint32_t link)
{
    struct corbel_signal signal = {.handle = link};
    long result = request(set, CORBEL_IOC_SIGNAL, &signal);

    return result ? result : (long)signal.status;
}

static long bind_in(int set, uint32_t link, int fd)
{
    return request(set, CORBEL_IOC_EVENTFD_IN, &(struct corbel_eventfd){link, fd});
}

static long bind_out(int set, uint32_t link, int fd)
{
    return request(set, CORBEL_IOC_EVENTFD_OUT, &(struct corbel_eventfd){link, fd});
}

/* Takes what is there, and what still comes. */
static void settle(int set, uint32_t link)
{
    while (wait_for(set, link, from_now(SOON)) == 0)
        ;
}

/* A thread that does one thing to a set while another one waits. */
struct other {
    int set;
    uint32_t link;
};

/* Until the main thread is inside an ioctl, as the kernel sees it; or for so long that it will not come any more. */
static void await_ioctl(void)
{
    char path[64], line[16];

    snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", getpid());
    for (int i = 0; i < 10000; i++) {
        FILE *file = fopen(path, "r");
        bool there = file && fgets(line, sizeof(line), file) && strtol(line, NULL, 10) == SYS_ioctl;

        if (file)
            fclose(file);
        if (there)
            return;
        usleep(1000);
    }
    check("the main thread waits", 0, 1);
}

static void *drop_it(void *context)
{
    struct other *other = context;

    await_ioctl();
    check("drop under a wait", request(other->set, CORBEL_IOC_DROP, &(struct corbel_handle){other->link, 0}), 0);
    return NULL;
}

static void *close_it(void *context)
{
    struct other *other = context;

    await_ioctl();
    close(other->set);
    return NULL;
}

static void on_alarm(int number)
{
    (void)number;
}

static void test_interrupted(int set, uint32_t link)
{
    /* Again and again: the first may come before the wait. */
    const struct itimerval often = {{0, 200000}, {0, 200000}}, never = {{0, 0}, {0, 0}};
    struct sigaction action = {.sa_handler = on_alarm};

    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    check("wait ends with a signal", wait_for(set, link, CORBEL_FOREVER), -EINTR);
    action.sa_flags = SA_RESTART;
    sigaction(SIGALRM, &action, NULL);
    check("wait goes on after a signal", wait_for(set, link, from_now(1500000000ull)), -ETIMEDOUT);
    setitimer(ITIMER_REAL, &never, NULL);
}

static void test_end_under_wait(void)
{
    struct other other = {.set = corbel_open()};
    pthread_t thread;

    other.link = get(other.set, "bench");
    settle(other.set, other.link);
    pthread_create(&thread, NULL, drop_it, &other);
    check("wait for what is dropped", wait_for(other.set, other.link, CORBEL_FOREVER), -EBADF);
    pthread_join(thread, NULL);

    other.link = get(other.set, "bench");
    pthread_create(&thread, NULL, close_it, &other);
    check("wait on what is closed", wait_for(other.set, other.link, from_now(50 * SOON)), -ETIMEDOUT);
    pthread_join(thread, NULL);
}

void test_links(void)
{
    int set = corbel_open();
    uint32_t link = get(set, "bench"), second = get(set, "bench");
    struct corbel_signal bad_signal = {.handle = link, .status = 1};
    struct corbel_wait bad_wait = {.handle = link, .reserved = 1};

    settle(set, link);
    settle(set, second);
    check("nothing has come", wait_for(set, link, 0), -ETIMEDOUT);
    check("deadline long ago", wait_for(set, link, 1), -ETIMEDOUT);
    check("deadline soon", wait_for(set, link, from_now(SOON)), -ETIMEDOUT);
    check("field of signal", request(set, CORBEL_IOC_SIGNAL, &bad_signal), -EINVAL);
    check("field of wait", request(set, CORBEL_IOC_WAIT, &bad_wait), -EINVAL);

    for (int i = 0; i < ROUNDS; i++) {
        check("signal", signal_to(set, link), 0);
        check("answer", wait_for(set, link, from_now(LONG_TIME)), 0);
        check("answer, second listener", wait_for(set, second, from_now(LONG_TIME)), 0);
    }
    settle(set, link);
    check("signal", signal_to(set, link), 0);
    check("answer with a deadline out of range", wait_for(set, link, 1ull << 63), 0);

    settle(set, link);
    test_interrupted(set, link);
    close(set);
    test_end_under_wait();
}

static long add_one(int fd)
{
    uint64_t one = 1;

    return write(fd, &one, sizeof(one));
}

static long expect_one(int fd, int timeout)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    uint64_t count;

    if (poll(&poll_fd, 1, timeout) != 1)
        return 0;
    return read(fd, &count, sizeof(count)) == sizeof(count) && count > 0;
}

static void test_wrong_eventfds(int set, uint32_t link, uint32_t second, int in, int out)
{
    int pipes[2], gone = dup(in);

    (void)!pipe(pipes);
    close(gone);
    check("in: a pipe", bind_in(set, link, pipes[0]), -EINVAL);
    check("out: a pipe", bind_out(set, link, pipes[1]), -EINVAL);
    check("in: the device", bind_in(set, link, set), -EINVAL);
    check("out: the device", bind_out(set, link, set), -EINVAL);
    check("in: closed", bind_in(set, link, gone), -EBADF);
    check("out: closed", bind_out(set, link, gone), -EBADF);
    check("in: negative", bind_in(set, link, -2), -EBADF);
    check("out: negative", bind_out(set, link, -2), -EBADF);
    close(pipes[0]);
    close(pipes[1]);

    check("in", bind_in(set, link, in), 0);
    check("in and out", bind_out(set, link, in), -ELOOP);
    check("in and out by way of another handle", bind_out(set, second, in), -ELOOP);
    check("out", bind_out(set, link, out), 0);
    check("out and in", bind_in(set, second, out), -ELOOP);
    check("the same again", bind_in(set, link, in), 0);
    check("the same again", bind_out(set, link, out), 0);
}

void test_eventfds(void)
{
    int set = corbel_open(), in = eventfd(0, 0), out = eventfd(0, 0), pending = eventfd(5, 0);
    uint32_t link = get(set, "bench"), second = get(set, "bench");

    settle(set, second);
    test_wrong_eventfds(set, link, second, in, out);
    for (int i = 0; i < ROUNDS; i++) {
        check("add", add_one(out), sizeof(uint64_t));
        check("answer", expect_one(in, 60000), 1);
        check("the same for another listener", wait_for(set, second, from_now(LONG_TIME)), 0);
    }
    check("what goes out is taken", expect_one(out, 0), 0);

    /* Removed, or its handle dropped, or replaced: the old ones are out of it. */
    settle(set, second);
    while (expect_one(in, 100))
        ;
    check("replace with one that has a count", bind_out(set, link, pending), 0);
    check("the count is a signal", wait_for(set, second, from_now(LONG_TIME)), 0);
    check("the count is taken", expect_one(pending, 0), 0);
    check("in as well", expect_one(in, 60000), 1);
    check("out is free", add_one(out), sizeof(uint64_t));
    check("and keeps its count", expect_one(out, 0), 1);
    check("remove in", bind_in(set, link, -1), 0);
    check("remove in twice", bind_in(set, link, -1), 0);
    check("signal", signal_to(set, link), 0);
    check("answer", wait_for(set, second, from_now(LONG_TIME)), 0);
    check("nothing comes in", expect_one(in, 100), 0);
    check("now the other way", bind_out(set, second, in), 0);

    close(pending);
    check("drop after its eventfd was closed", request(set, CORBEL_IOC_DROP, &(struct corbel_handle){link, 0}), 0);
    check("dropped", bind_in(set, link, out), -EBADF);
    check("bind once more", bind_in(set, second, out), 0);
    close(set);
    check("after the set", add_one(in), sizeof(uint64_t));
    close(in);
    close(out);
}
