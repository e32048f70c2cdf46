/* SPDX-License-Identifier: MIT */
/*
 * The console ring page: shared between one client (a native task or a guest kernel) and whoever serves its
 * console. Two byte rings, each with one producer and one consumer on free-running indices. A producer
 * writes data, then its index (release); then signals the other side's event. Either side treats the
 * other's index as hostile: more than the ring's size outstanding means broken, and is taken as empty.
 * After it has read input, the client signals too: the server may have waited for room.
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

/*
 * The console service's portal, called by whoever introduces clients. Word 0 = operation; word 0 of the reply is
 * 0, or 1 if it was refused.
 *   ATTACH  word 1: CB_CONSOLE_* flags; word 2: what the service names to root to END the client (corbel/task.h); word
 *           3: by which number users choose it;
 *           CB_CONSOLE_NAME bytes of UTCB words: the client's name, zero terminated;
 *           typed item 0: frame of the ring page, 1: event that tells the client of input and room.
 *           Reply: word 1: number of the client; typed item 0: event that tells the server of output.
 *   DETACH  word 1: number of the client. What is left in its ring is printed, then it is forgotten.
 */
#define CB_CONSOLE_ATTACH 1u
#define CB_CONSOLE_DETACH 2u

#define CB_CONSOLE_VM 0x1u    /* a virtual machine: has the keyboard rather than others when nobody was chosen */
#define CB_CONSOLE_NAMED 0x2u /* each line of output carries the client's name; else output is left as it is */
#define CB_CONSOLE_INPUT 0x4u /* has the keyboard until another one is chosen */
#define CB_CONSOLE_DOMAIN 0x8u /* can be chosen to have the keyboard */

#define CB_CONSOLE_NAME 32u

#endif
