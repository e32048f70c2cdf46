/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A thin library on /dev/corbel (linux/corbel.h says what the requests mean). Functions give -1 and errno, unless
 * said otherwise.
 */
#ifndef CORBEL_H
#define CORBEL_H

#include <linux/corbel.h>
#include <stddef.h>
#include <stdint.h>

/* One end of a link, with its memory mapped. */
struct corbel_link {
    int set;
    uint32_t handle;
    uint32_t side;
    void *memory; /* NULL: the link has none */
    size_t size;
};

/* A new, empty set of capabilities; a file descriptor. */
int corbel_open(void);

/* The handle of a granted service, now in the set. */
int corbel_get_service(int set, const char *name);

/* Puts a granted link into the set and maps its memory. */
int corbel_get_link(int set, const char *name, struct corbel_link *link);

/*
 * Calls a service: four words each way, and *words more of `buffer`, which has room for `room` words of the reply;
 * *words becomes how many came. The hypervisor's status word, 0 for success; or -1.
 */
int64_t corbel_call(int set, int service, uint64_t word[4], uint64_t *buffer, uint32_t *words, uint32_t room);

/* The hypervisor's status word, 0 for success; or -1. */
int64_t corbel_signal(const struct corbel_link *link);

/* Waits for a signal. deadline: CLOCK_MONOTONIC in ns, or CORBEL_FOREVER. Goes on after signal handlers. */
int corbel_wait(const struct corbel_link *link, uint64_t deadline);

#endif
