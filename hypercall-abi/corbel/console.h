/* SPDX-License-Identifier: MIT */
/*
 * The console ring page: shared between one client (a native task or a guest kernel) and whoever serves its
 * console. Two byte rings, each with one producer and one consumer on free-running indices. A producer
 * writes data, then its index (release); then signals the other side's event. Either side treats the
 * other's index as hostile: more than the ring's size outstanding means broken, and is taken as empty.
 */
#ifndef CORBEL_CONSOLE_H
#define CORBEL_CONSOLE_H

#include <corbel/types.h>

#define CB_CONSOLE_OUT 2048u
#define CB_CONSOLE_IN 512u

struct cb_console {
    uint32_t out_head; /* client: bytes ever written */
    uint32_t out_tail; /* server: bytes ever taken */
    uint32_t in_head;  /* server: bytes ever written */
    uint32_t in_tail;  /* client: bytes ever taken */
    uint32_t out_full; /* client: 1: signal me when there is room again; the server clears it and signals */
    uint32_t reserved[123];
    uint8_t in[CB_CONSOLE_IN];    /* byte n of the stream is at n % CB_CONSOLE_IN */
    uint8_t unused[1024];
    uint8_t out[CB_CONSOLE_OUT]; /* byte n of the stream is at n % CB_CONSOLE_OUT */
};
CB_ASSERT_SIZE(struct cb_console, 4096);
CB_ASSERT_OFFSET(struct cb_console, in, 512);
CB_ASSERT_OFFSET(struct cb_console, out, 2048);

#endif
