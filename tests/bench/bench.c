/* SPDX-License-Identifier: GPL-2.0-only */
#include "bench.h"

#include "print.h"

#define CALIBRATION 2000u /* turns of a loop of two instructions */
#define CALIBRATION_TRIES 16

static uint64_t ticks[BENCH_ROUNDS], instructions[BENCH_ROUNDS];
static bool exact;                              /* a tick is an instruction */
static uint64_t counter;                        /* of instructions, for RDPMC */
static uint64_t empty_ticks, empty_instructions; /* of a round with nothing in it */
static unsigned paths;                          /* measured so far, as counter.c numbers them */

struct summary {
    uint64_t min, median, p99;
};

/* The fewest ticks that the loop takes: an interrupt may come between. */
static uint64_t calibration(uint64_t turns)
{
    uint64_t least = UINT64_MAX;

    for (int i = 0; i < CALIBRATION_TRIES; i++) {
        uint64_t now = bench_calibrate_loop(turns);

        least = now < least ? now : least;
    }
    return least;
}

void bench_calibrate(uint64_t pmc)
{
    uint64_t taken = calibration(2 * CALIBRATION) - calibration(CALIBRATION);

    counter = pmc;
    exact = taken == 2 * CALIBRATION;
    bench_print("bench calibration instructions=%u ticks=%lu: %s\n", 2 * CALIBRATION, taken,
                exact ? "a tick is an instruction" : "ticks are cycles");
    if (!exact)
        bench_print("bench instructions are %s\n", pmc == BENCH_NO_PMC ? "not counted: there is no open counter"
                                                                       : "counted with RDPMC");
}

static void sift(uint64_t *heap, size_t at, size_t count)
{
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && heap[child + 1] > heap[child])
            child++;
        if (heap[at] >= heap[child])
            return;

        uint64_t value = heap[at];

        heap[at] = heap[child];
        heap[child] = value;
    }
}

static void sort(uint64_t *values, size_t count)
{
    for (size_t i = count / 2; i-- > 0;)
        sift(values, i, count);
    for (size_t i = count; i-- > 1;) {
        uint64_t value = values[0];

        values[0] = values[i];
        values[i] = value;
        sift(values, 0, i);
    }
}

static uint64_t less(uint64_t value, uint64_t by)
{
    return value > by ? value - by : 0;
}

static struct summary summarize(uint64_t *values, uint64_t empty)
{
    sort(values, BENCH_ROUNDS);
    return (struct summary){less(values[0], empty), less(values[BENCH_ROUNDS / 2], empty),
                            less(values[BENCH_ROUNDS - BENCH_ROUNDS / 100 - 1], empty)};
}

static void run(bench_fn *function, struct bench_rounds *rounds, uint64_t count)
{
    rounds->left = count;
    rounds->ticks = ticks;
    rounds->instructions = instructions;
    function(rounds);
}

static void measure(bench_fn *function, struct bench_rounds *rounds)
{
    rounds->pmc = counter;
    run(function, rounds, BENCH_WARMUP);
    BENCH_MARK(BENCH_MARK_PATH); /* what warmed up is no path */
    run(function, rounds, BENCH_ROUNDS);
    BENCH_MARK(BENCH_MARK_PATH);
    paths++;
}

void bench_empty(bench_fn *empty)
{
    struct bench_rounds rounds = {0};

    measure(empty, &rounds);
    empty_ticks = summarize(ticks, 0).median;
    empty_instructions = counter == BENCH_NO_PMC ? 0 : summarize(instructions, 0).median;
    bench_print("bench empty round: %lu ticks, subtracted below\n", empty_ticks);
}

bool bench_path(const char *name, bench_fn *function, struct bench_rounds rounds, uint64_t user)
{
    measure(function, &rounds);

    struct summary s = summarize(ticks, empty_ticks);
    char parts[96] = "";

    if (rounds.failed) {
        bench_missing(name, "a round failed");
        return false;
    }
    if (exact && user)
        snprintf(parts, sizeof(parts), " user=%lu kernel=%lu", user, less(s.median, user));
    if (!exact && counter != BENCH_NO_PMC) {
        struct summary i = summarize(instructions, empty_instructions);

        snprintf(parts, sizeof(parts), " instructions_min=%lu instructions_median=%lu instructions_p99=%lu", i.min,
                 i.median, i.p99);
    }
    bench_print("bench path=%s unit=%s min=%lu median=%lu p99=%lu rounds=%u%s index=%u\n", name,
                exact ? "instructions" : "cycles", s.min, s.median, s.p99, BENCH_ROUNDS, parts, paths - 1);
    return true;
}

void bench_missing(const char *name, const char *why)
{
    bench_print("bench path=%s missing: %s\n", name, why);
}
