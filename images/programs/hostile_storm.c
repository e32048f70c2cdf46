/* SPDX-License-Identifier: GPL-2.0-only */
/* Threads and a forked process make requests at random on the same few sets, with right and wrong handles. */
#include "hostile.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS 4
#define REQUESTS 3000
#define SETS 2
#define EVENTFDS 3
#define SHORT_NS 100000u

static int sets[SETS], eventfds[EVENTFDS];

static uint64_t next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state >> 11;
}

static void use_memory(int set, uint32_t handle)
{
    int fd = (int)request(set, CORBEL_IOC_MEMORY, &(struct corbel_handle){handle, 0});
    volatile char *page;

    if (fd < 0)
        return;
    page = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (page == MAP_FAILED)
        return;
    (void)page[0];
    munmap((char *)(uintptr_t)page, 4096);
}

static void one_request(uint64_t *state)
{
    int set = sets[next(state) % SETS], fd = (int)(next(state) % (EVENTFDS + 1));
    uint32_t handle = (uint32_t)(next(state) % 12);
    struct corbel_get get_it = {.name = "bench"};
    struct corbel_eventfd bind = {handle, fd < EVENTFDS ? eventfds[fd] : -1};
    struct corbel_call call = {.handle = handle, .word = {handle}};
    uint64_t one = 1;

    if (next(state) % 2)
        get_it = (struct corbel_get){.name = "echo"};
    switch (next(state) % 10) {
    case 0:
    case 1: request(set, CORBEL_IOC_GET, &get_it); break;
    case 2: request(set, CORBEL_IOC_DROP, &(struct corbel_handle){handle, 0}); break;
    case 3:
        if (!request(set, CORBEL_IOC_CALL, &call) && !call.status && call.word[0] != handle)
            check("echo in the storm", (long)call.word[0], handle);
        break;
    case 4: request(set, CORBEL_IOC_SIGNAL, &(struct corbel_signal){.handle = handle}); break;
    case 5: request(set, CORBEL_IOC_WAIT, &(struct corbel_wait){handle, 0, from_now(SHORT_NS)}); break;
    case 6: request(set, CORBEL_IOC_EVENTFD_IN, &bind); break;
    case 7: request(set, CORBEL_IOC_EVENTFD_OUT, &bind); break;
    case 8: use_memory(set, handle); break;
    case 9: (void)!write(eventfds[next(state) % EVENTFDS], &one, sizeof(one)); break;
    default: break;
    }
}

static void *storm(void *seed)
{
    uint64_t state = (uintptr_t)seed | 1;

    for (int i = 0; i < REQUESTS; i++)
        one_request(&state);
    return NULL;
}

void test_storm(uint64_t seed)
{
    pthread_t threads[THREADS];
    int status = -1;
    pid_t child;

    printf("hostile: seed %llu\n", (unsigned long long)seed);
    fflush(stdout);
    for (int i = 0; i < SETS; i++)
        sets[i] = corbel_open();
    for (int i = 0; i < EVENTFDS; i++)
        eventfds[i] = eventfd(0, EFD_NONBLOCK);

    child = fork();
    if (child == 0) {
        storm((void *)(uintptr_t)(seed * 3));
        _exit(0);
    }
    for (uintptr_t i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, storm, (void *)(uintptr_t)((seed + i) * 0x9e3779b97f4a7c15u));
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    waitpid(child, &status, 0);
    check("the storm's child", status, 0);
    for (int i = 0; i < SETS; i++)
        close(sets[i]);
    for (int i = 0; i < EVENTFDS; i++)
        close(eventfds[i]);
}
