/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The other end signals as fast as it can: whoever does not listen is not interrupted for it, and who does, once for each
 * time that it has taken the news.
 */
#include "hostile.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SIGNALS 20000u
#define TAKES 100
#define LONG_TIME 60000000000ull

/* Of all links, on all CPUs. */
static long link_interrupts(void)
{
    FILE *file = fopen("/proc/interrupts", "r");
    char line[512];
    long all = 0;

    while (file && fgets(line, sizeof(line), file)) {
        char *at = strchr(line, ':');
        long count;
        int length;

        for (; at && strstr(line, "corbel-link") && sscanf(at + 1, "%ld%n", &count, &length) == 1; at += length)
            all += count;
    }
    if (file)
        fclose(file);
    return all;
}

/* Until so many more signals have come. */
static void await_signals(const struct corbel_link *link, uint64_t count)
{
    uint64_t wanted = flag_of(link)[1] + count;

    while (flag_of(link)[1] < wanted)
        usleep(1000);
}

void test_flood(struct corbel_link *link)
{
    int set = corbel_open();
    uint32_t handle = get(set, "bench");
    long before, taken = 0;

    before = link_interrupts();
    *flag_of(link) = FLAG_FLOOD;
    check("begin the flood", corbel_signal(link), 0);
    await_signals(link, SIGNALS);
    before = link_interrupts() - before;
    check("the first signal interrupts", before >= 1, 1);
    check("the others do not", before <= 2, 1);

    before = link_interrupts();
    for (int i = 0; i < TAKES; i++)
        taken += request(set, CORBEL_IOC_WAIT, &(struct corbel_wait){handle, 0, from_now(LONG_TIME)}) == 0;
    check("the flood is heard", taken, TAKES);
    before = link_interrupts() - before;
    check("an interrupt each time that it was heard, at most", before <= TAKES + 2, 1);
    await_signals(link, SIGNALS);

    *flag_of(link) = 0;
    close(set);
}

void flood(struct corbel_link *link)
{
    volatile uint64_t *flag = flag_of(link);

    while (*flag == FLAG_FLOOD) {
        corbel_signal(link);
        flag[1]++;
    }
}
