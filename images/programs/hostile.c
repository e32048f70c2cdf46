/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Uses /dev/corbel wrongly in every way that comes to mind, and rightly in between; run in both guests of a link. The
 * end on side 1 answers signals, through eventfds both ways, until the other one is done.
 *
 *   hostile [SEED]
 */
#include "hostile.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

static unsigned checks, failures;

void check(const char *what, long result, long wanted)
{
    checks++;
    if (result == wanted)
        return;
    failures++;
    printf("hostile: %s: %ld instead of %ld\n", what, result, wanted);
}

long request(int set, unsigned long number, void *argument)
{
    int result = ioctl(set, number, argument);

    return result < 0 ? -errno : result;
}

uint32_t get(int set, const char *name)
{
    struct corbel_get get = {0};

    strncpy(get.name, name, sizeof(get.name) - 1);
    check(name, request(set, CORBEL_IOC_GET, &get), 0);
    return get.handle;
}

uint64_t from_now(uint64_t ns)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec + ns;
}

volatile uint64_t *flag_of(const struct corbel_link *link)
{
    return (volatile uint64_t *)((char *)link->memory + link->size - 4096);
}

/* Answers each signal until the flag says that it is over. */
static int answer(struct corbel_link *link)
{
    struct corbel_eventfd in = {.handle = link->handle, .fd = eventfd(0, EFD_CLOEXEC)};
    struct corbel_eventfd out = {.handle = link->handle, .fd = eventfd(0, EFD_CLOEXEC)};
    uint64_t count, one = 1, answered = 0;

    check("eventfd in", request(link->set, CORBEL_IOC_EVENTFD_IN, &in), 0);
    check("eventfd out", request(link->set, CORBEL_IOC_EVENTFD_OUT, &out), 0);
    while (!failures) {
        check("read an eventfd", read(in.fd, &count, sizeof(count)), sizeof(count));
        check("write an eventfd", write(out.fd, &one, sizeof(one)), sizeof(one));
        answered++;
        flood(link);
        if (*flag_of(link) == FLAG_DONE)
            break;
    }
    *flag_of(link) = 0;
    printf("hostile: side 1 answered %s\n", answered ? "signals" : "nothing");
    return failures != 0;
}

static int attack(struct corbel_link *link, uint64_t seed)
{
    test_requests();
    test_calls();
    test_links();
    test_eventfds();
    test_memory();
    test_passing();
    test_flood(link);
    test_storm(seed);

    *flag_of(link) = FLAG_DONE;
    check("signal the end", corbel_signal(link), 0);
    printf("hostile: %u checks, %u failed\n", checks, failures);
    return failures != 0;
}

int main(int argc, char **argv)
{
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : from_now(0);
    struct corbel_link link;
    int set = corbel_open();

    if (set < 0 || corbel_get_link(set, "bench", &link) < 0 || !link.memory) {
        perror("hostile: no link named bench");
        return 1;
    }
    return link.side == 0 ? attack(&link, seed) : answer(&link);
}
