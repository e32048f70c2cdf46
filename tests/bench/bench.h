/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What every program of the suite does the same way, natively and in a guest: rounds that are measured one by one,
 * and a line about them that people and tests/bench/run can read. docs/bench.md says what is counted.
 *
 * Marks are instructions that do nothing, known by their bytes to the instruction counter (counter.c) that
 * tests/bench/run loads into QEMU: BEGIN and END stand around what is measured; THERE is where a signal
 * arrives, in the middle of it; PATH ends the rounds of a path.
 */
#ifndef BENCH_H
#define BENCH_H

#define BENCH_ROUNDS 10000
#define BENCH_WARMUP 200

#define BENCH_MARK_BASE 0x43420000 /* nopl BASE + kind(%rax): 0f 1f 80, then the displacement */
#define BENCH_MARK_BEGIN 1
#define BENCH_MARK_END 2
#define BENCH_MARK_PATH 3
#define BENCH_MARK_THERE 4

/* Offsets in struct bench_rounds, for rounds.S. */
#define ROUNDS_LEFT 0
#define ROUNDS_TICKS 8
#define ROUNDS_INSTRUCTIONS 16
#define ROUNDS_PMC 24
#define ROUNDS_START 32
#define ROUNDS_START_INSTRUCTIONS 40
#define ROUNDS_FAILED 48
#define ROUNDS_WORD 56
#define ROUNDS_WORD2 64
#define ROUNDS_ARG1 72
#define ROUNDS_ARG2 80
#define ROUNDS_ARG3 88

#define BENCH_NO_PMC 0xffffffffffffffffu

#ifdef __ASSEMBLER__

.macro bench_mark kind
    .byte 0x0f, 0x1f, 0x80
    .long BENCH_MARK_BASE + \kind
.endm

#else

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BENCH_MARK(kind) __asm__ volatile(".byte 0x0f, 0x1f, 0x80; .long %c0" ::"i"(BENCH_MARK_BASE + (kind)) : "memory")

/* One run of rounds: what rounds.S works on. */
struct bench_rounds {
    uint64_t left;               /* rounds to go */
    uint64_t *ticks;             /* where the next sample goes: TSC ticks, */
    uint64_t *instructions;      /* and instructions retired, if there is a counter */
    uint64_t pmc;                /* the counter's number for RDPMC, or BENCH_NO_PMC */
    uint64_t start, start_instructions;
    uint64_t failed;             /* all statuses or-ed together, and whatever else was wrong */
    uint64_t word, word2;        /* call words, */
    uint64_t arg1, arg2, arg3;   /* and arguments of the second call */
};
_Static_assert(offsetof(struct bench_rounds, pmc) == ROUNDS_PMC, "rounds.S");
_Static_assert(offsetof(struct bench_rounds, failed) == ROUNDS_FAILED, "rounds.S");
_Static_assert(offsetof(struct bench_rounds, arg3) == ROUNDS_ARG3, "rounds.S");

typedef void bench_fn(struct bench_rounds *rounds);

/* Ticks that 2 * n instructions take, and a few more for reading the clock. */
uint64_t bench_calibrate_loop(uint64_t n);

/*
 * Finds out whether a tick is an instruction, and says so. pmc: the number, for RDPMC, of a counter of retired
 * instructions, or BENCH_NO_PMC. Before all others.
 */
void bench_calibrate(uint64_t pmc);

/* Measures a round that has nothing in it; what it takes is subtracted from all that follow. */
void bench_empty(bench_fn *empty);

/*
 * Measures a path: a few rounds to warm up, then BENCH_ROUNDS. user: instructions of a round at user level, as they
 * were written down; 0 if they are not known. Prints a line; false if a round failed.
 */
bool bench_path(const char *name, bench_fn *function, struct bench_rounds rounds, uint64_t user);

/* Written by the program: to its console, at most 200 characters. */
void bench_print(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A path that could not be measured, and why. */
void bench_missing(const char *name, const char *why);

#endif
#endif
