/* SPDX-License-Identifier: GPL-2.0-only */
/* What the parts of ipcbench share. */
#ifndef IPCBENCH_H
#define IPCBENCH_H

#include "corbel.h"

#include <stdbool.h>
#include <stdint.h>

/* One row of the results. */
struct row {
    const char *path;
    uint64_t size;       /* bytes of a message, one way */
    bool bulk;           /* so many that ticks per byte mean something */
    const char *missing; /* why there are no numbers, NULL if there are */
    uint64_t rounds;
    uint64_t min, median, p99; /* ticks of the TSC */
};

/* ---- rounds.c: measuring ---- */

/* One round; false if what came back is not what it should be. */
typedef bool round_fn(void *context);

struct rounds {
    uint64_t wanted; /* rounds of each path */
    bool boxed;      /* end a path early when it takes too long */
};

#define ROUNDS_DEFAULT 10000u
#define ROUNDS_MIN 100u
#define ROUNDS_MAX 10000000u

/* Measures the rounds of a path. `prepare` runs before each round, untimed; NULL: nothing. */
void rounds_measure(const struct rounds *rounds, struct row *row, void (*prepare)(void *context), round_fn *round,
                    void *context);

/* What a tick of the TSC is here: "instructions" in an emulator that counts them, else "cycles". */
const char *rounds_unit(void);

/* ---- service.c: calls to the service `echo` ---- */

void service_measure(int set, const struct rounds *rounds);

/* ---- peer.c: the other guest ---- */

/* Side 0: measures what side 1 serves; false if they cannot talk. */
bool peer_measure(struct corbel_link *link, const struct rounds *rounds);

/* Side 1: serves until the other side says that it is done; the requests served, 0 if they cannot talk. */
uint64_t peer_serve(struct corbel_link *link);

/* ---- results.c ---- */

/* A new row, which is printed in this order. */
struct row *results_row(const char *path, uint64_t size, bool bulk);

/* Whether there are numbers in all rows. */
bool results_complete(void);

void results_print_table(void);
bool results_print_json(const char *path); /* "-": standard output */

#endif
