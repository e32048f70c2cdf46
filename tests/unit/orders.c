/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Depth first: a run is a list of choices (which side goes on to its next access, or whose oldest buffered store gets out),
 * and begins anew for each list. A state that was seen before is not gone on from: a state is what was written to memory and
 * is in the buffers, and each side's registers and stack. (What memset() and the like write does not count.)
 *
 * Accesses to what no other side writes (or, if they write, reads) are no steps of their own. Which words are of that kind is
 * learnt: when one turns out not to be, all begins anew.
 *
 * While a side runs, its buffered stores are in memory, so that its plain accesses see them as well; they are taken out when
 * another side's turn comes.
 */
#include "orders_inner.h"

#include <criterion/criterion.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <ucontext.h>

#define STACK 65536u
#define BUFFER 16u
#define DEPTH 600u
#define STATES (1u << 21)

struct store {
    char *at;
    size_t size;
    char new[8], old[8]; /* old: what stood there when it was put into memory for its side */
};

static struct side {
    char stack[STACK] __attribute__((aligned(16)));
    ucontext_t context; /* to begin with */
    jmp_buf here;
    bool begun;
    struct store buffer[BUFFER];
    unsigned count;
    bool done, paused, drains;
    const char *sp; /* while another side runs: where its stack ends */
    uint64_t news; /* stores of others that had got out when it went on from its last pause */
    struct store plain; /* a plain store to shared memory that is just being made: at NULL: none */
    const void *load_pc, *load_at;
    uint64_t load_value;
} sides[ORDERS_SIDES];

static const struct orders *world;
static struct side *me; /* NULL: none runs */
static jmp_buf scheduler;
static bool running; /* a run is in progress: writes are noted, to be undone */
static char *main_stack; /* where its frames begin, downwards: not noted */
static const char *failure;
static uint64_t written[ORDERS_SIDES]; /* stores of a side that have got out and changed something */

static struct {
    uint16_t choice, count;
} path[DEPTH];
static unsigned depth, known; /* steps of this run; those whose choice is made */
static uint64_t states[STATES];
static unsigned state_count, run_count;

/* Where `at` is when no side runs. */
static char *canonical(char *at)
{
    char *common = world->common;

    return me && common && at >= common && at < common + world->common_size
               ? (char *)world->own[me - sides] + (at - common) : at;
}

/* `at` is about to be written. What is its own memory is `common` while a side runs, so the copy still has the old value. */
static void note(char *at, size_t size)
{
    words_note(canonical(at), size);
}

/* Does it matter when the side that runs accesses this? */
static bool contended(char *at, size_t size, bool write)
{
    return words_contended(canonical(at), size, orders_side(), write);
}

/* ---- The way to a failure ---- */

static struct {
    unsigned side;
    const char *what;
    const void *pc, *at;
    uint64_t value;
} trace[4 * DEPTH];
static unsigned trace_count;

static void trace_add(unsigned side, const char *what, const void *pc, const void *at, uint64_t value)
{
    if (trace_count == 4 * DEPTH)
        return;
    trace[trace_count].side = side;
    trace[trace_count].what = what;
    trace[trace_count].pc = pc;
    trace[trace_count].at = at;
    trace[trace_count++].value = value;
}

extern const char __executable_start[]; /* the linker's */

static void fail(const char *why)
{
    for (unsigned i = 0; i < trace_count; i++)
        fprintf(stderr, "%*sside %u, code %p: %s %p: %lx\n", (int)(4 * trace[i].side), "", trace[i].side,
                (void *)((const char *)trace[i].pc - __executable_start), trace[i].what, trace[i].at,
                (unsigned long)trace[i].value);
    cr_assert_fail("%s (run %u; addr2line knows the code)", why, run_count);
}

/* ---- Store buffers ---- */

static uint64_t value_at(const void *at, size_t size)
{
    uint64_t v = 0;

    memcpy(&v, at, size < sizeof(v) ? size : sizeof(v));
    return v;
}

static void view_enter(struct side *s)
{
    for (unsigned i = 0; i < s->count; i++) {
        memcpy(s->buffer[i].old, s->buffer[i].at, s->buffer[i].size);
        memcpy(s->buffer[i].at, s->buffer[i].new, s->buffer[i].size);
    }
    if (world->common)
        memcpy(world->common, world->own[s - sides], world->common_size);
    me = s;
}

static void view_leave(struct side *s)
{
    me = NULL;
    if (world->common)
        memcpy(world->own[s - sides], world->common, world->common_size);
    for (unsigned i = s->count; i--;)
        memcpy(s->buffer[i].at, s->buffer[i].old, s->buffer[i].size);
}

/* The store at `at` has been made, for its side alone. */
static void buffer_add(char *at, size_t size, const char *old)
{
    struct store *b = &me->buffer[me->count];

    cr_assert_lt(me->count, BUFFER, "too many stores on the way");
    me->count++;
    b->at = canonical(at);
    b->size = size;
    memcpy(b->old, old, size);
    memcpy(b->new, at, size);
}

static void buffer_flush(struct side *s)
{
    struct store b = s->buffer[0];

    written[s - sides] += memcmp(b.at, b.new, b.size) != 0;
    memcpy(b.at, b.new, b.size);
    s->count--;
    memmove(s->buffer, s->buffer + 1, s->count * sizeof(b));
    written[s - sides]++;
    trace_add((unsigned)(s - sides), "gets out", NULL, b.at, value_at(b.new, b.size));
}

/* The plain store that was announced has been made by now. */
static void plain_settle(void)
{
    struct store p = me->plain;

    if (!p.at)
        return;
    me->plain.at = NULL;
    buffer_add(p.at, p.size, p.old);
}

/* ---- The sides ---- */

static void to_scheduler(void)
{
    me->sp = (const char *)__builtin_frame_address(0) - 16 * sizeof(word); /* what this function has pushed, too */
    if (!_setjmp(me->here))
        _longjmp(scheduler, 1);
    __asm__ volatile("" : : : "memory"); /* others have run */
}

static void yield(bool drains)
{
    plain_settle();
    me->drains = drains;
    to_scheduler();
}

unsigned orders_side(void)
{
    return me ? (unsigned)(me - sides) : 0;
}

static uint64_t written_by_others(const struct side *s)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < world->count; i++)
        n += s == &sides[i] ? 0 : written[i];
    return n;
}

void orders_pause(void)
{
    plain_settle();
    me->load_pc = NULL;
    if (me->news == written_by_others(me)) {
        me->paused = true;
        yield(false);
    }
    me->news = written_by_others(me);
}

void orders_leave(void)
{
    plain_settle();
    me->done = true;
    to_scheduler();
    __builtin_unreachable();
}

void orders_require(bool holds, const char *what)
{
    if (holds)
        return;
    failure = what;
    if (me)
        to_scheduler();
}

static void side_main(void)
{
    world->side[me - sides]();
    orders_leave();
}

static void sides_init(void)
{
    for (unsigned i = 0; i < world->count; i++) {
        struct side *s = &sides[i];

        memset((char *)s + offsetof(struct side, begun), 0, sizeof(*s) - offsetof(struct side, begun));
        written[i] = 0;
    }
}

/* ---- The search ---- */

/* What decides how a side goes on: its registers and its stack; and what of its stores has not got out. */
static uint64_t side_state(const struct side *s)
{
    const word *registers = (const void *)s->here, *top = (const void *)(s->stack + STACK);
    uint64_t h = 1u + s->begun + 2u * s->done + 4u * s->paused + 8u * (s->news == written_by_others(s)) + 16u * s->drains;

    if (s->begun && !s->done) {
        for (unsigned i = 0; i < 8; i++)
            h = mix(h, registers[i]);
        for (const word *w = (const void *)s->sp; w < top; w++)
            h = mix(h, *w);
        h = mix(mix(mix(h, (uintptr_t)s->load_pc), (uintptr_t)s->load_at), s->load_value);
    }
    for (unsigned i = 0; i < s->count; i++)
        h = mix(mix(h, (uintptr_t)s->buffer[i].at), value_at(s->buffer[i].new, s->buffer[i].size));
    return h;
}

static uint64_t state_now(void)
{
    uint64_t h = 1;

    for (unsigned i = 0; i < world->count; i++)
        h = mix(h, side_state(&sides[i]));
    h = mix(h, words_state());
    return h ? h : 1;
}

/* False: it was seen before. */
static bool state_new(void)
{
    uint64_t state = state_now();
    unsigned i = (unsigned)(state % STATES);

    for (; states[i]; i = (i + 1) % STATES) {
        if (states[i] == state)
            return false;
    }
    states[i] = state;
    cr_assert_lt(++state_count, STATES / 2, "too many states");
    return true;
}

static bool side_runs(const struct side *s)
{
    return !s->done && !(s->drains && s->count) && !(s->paused && s->news == written_by_others(s));
}

/* The sides that can go on, then those with stores to get out. */
static unsigned options(struct side *out[2 * ORDERS_SIDES], unsigned *runs)
{
    unsigned n = 0;

    for (unsigned i = 0; i < world->count; i++) {
        if (side_runs(&sides[i]))
            out[n++] = &sides[i];
    }
    *runs = n;
    for (unsigned i = 0; i < world->count; i++) {
        if (sides[i].count)
            out[n++] = &sides[i];
    }
    return n;
}

static bool all_done(void)
{
    for (unsigned i = 0; i < world->count; i++) {
        if (!sides[i].done)
            return false;
    }
    return true;
}

static void side_run(struct side *s)
{
    s->paused = false;
    view_enter(s);
    if (!_setjmp(scheduler)) {
        if (s->begun)
            _longjmp(s->here, 1);
        s->begun = true;
        setcontext(&s->context);
    }
    __asm__ volatile("" : : : "memory");
    view_leave(me);
}

static void run(void)
{
    running = true;
    main_stack = __builtin_frame_address(0);
    trace_count = 0;
    failure = NULL;
    world->begin();
    sides_init();
    words_learnt = false;
    for (depth = 0; !failure && !words_learnt; depth++) {
        struct side *can[2 * ORDERS_SIDES];
        unsigned runs, n = options(can, &runs), choice;

        if (!n) {
            if (!all_done())
                fail("sides wait for ever");
            if (world->end)
                world->end();
            break;
        }
        cr_assert_lt(depth, DEPTH, "too many steps");
        if (depth >= known) {
            if (!state_new())
                break;
            path[depth].choice = 0;
            path[depth].count = (uint16_t)n;
            known = depth + 1;
        }
        cr_assert_eq(path[depth].count, n, "a run is not like the one before");
        choice = path[depth].choice;
        if (choice < runs)
            side_run(can[choice]);
        else
            buffer_flush(can[choice]);
    }
    if (failure)
        fail(failure);
    running = false;
    words_undo();
}

void orders_search(const struct orders *o)
{
    world = o;
    words_forget();
    run_count = 0;
    for (unsigned i = 0; i < world->count; i++) {
        getcontext(&sides[i].context);
        sides[i].context.uc_stack.ss_sp = sides[i].stack;
        sides[i].context.uc_stack.ss_size = STACK;
        makecontext(&sides[i].context, side_main, 0);
    }
    words_learnt = true;
    do {
        if (words_learnt) {
            memset(states, 0, sizeof(states));
            state_count = known = 0;
        }
        run_count++;
        run();
        while (known && !words_learnt && ++path[known - 1].choice == path[known - 1].count)
            known--;
    } while (known);
    cr_log_info("%u states, %u runs", state_count, run_count);
}

/* ---- Accesses ---- */

static bool is_shared(const char *at)
{
    for (unsigned i = 0; i < sizeof(world->shared) / sizeof(world->shared[0]); i++) {
        const char *from = world->shared[i].at;

        if (from && at >= from && at < from + world->shared[i].size)
            return true;
    }
    return false;
}

static bool is_stack(const char *at)
{
    char *top = me ? me->stack + STACK : main_stack;

    return at < top && at >= top - STACK;
}

void access_plain_read(const void *at, size_t size, const void *pc)
{
    if (!me)
        return;
    me->load_pc = NULL;
    if (is_stack(at))
        return;
    plain_settle();
    if (is_shared(at)) {
        if (contended((char *)(uintptr_t)at, size, false))
            yield(false);
        trace_add(orders_side(), "reads", pc, at, value_at(at, size));
    }
}

void access_plain_write(void *at, size_t size, const void *pc)
{
    bool shared;

    if (me)
        me->load_pc = NULL;
    if (!running || is_stack(at))
        return;
    shared = is_shared(at);
    if (!me) {
        note(at, size);
        return;
    }
    plain_settle();
    if (shared && contended(at, size, true)) {
        cr_assert_leq(size, 8u);
        yield(false);
        me->plain.at = at;
        me->plain.size = size;
        memcpy(me->plain.old, at, size);
        trace_add(orders_side(), "writes", pc, at, 0);
    }
    note(at, size);
}

/* A loop of nothing but a load, as in lock_take(), waits for somebody to write. */
void access_load(const void *at, size_t size, const void *pc)
{
    uint64_t value;

    if (!me)
        return;
    plain_settle();
    if (contended((char *)(uintptr_t)at, size, false))
        yield(false);
    if (me->load_pc == pc && me->load_at == at) {
        while (me->load_value == value_at(at, size))
            orders_pause();
    }
    value = value_at(at, size);
    me->load_pc = pc;
    me->load_at = at;
    me->load_value = value;
    trace_add(orders_side(), "loads", pc, at, value);
}

/* Before a store that does not wait in the buffer (it, or what it is part of, empties it). */
void access_exchange(void *at, size_t size, const void *pc)
{
    if (me) {
        plain_settle();
        if (contended(at, size, true) || me->count)
            yield(true);
        me->load_pc = NULL;
        trace_add(orders_side(), "changes", pc, at, value_at(at, size));
    }
    if (running)
        note(at, size);
}

void access_changes(void)
{
    if (me)
        written[me - sides]++;
}

void access_store(void *at, size_t size, const void *value, int order, const void *pc)
{
    char old[8];

    if (!me || order == __ATOMIC_SEQ_CST) {
        access_exchange(at, size, pc);
        if (memcmp(at, value, size) != 0)
            access_changes();
        memcpy(at, value, size);
        return;
    }
    plain_settle();
    me->load_pc = NULL;
    if (!contended(at, size, true)) {
        note(at, size);
        memcpy(at, value, size);
        return;
    }
    yield(false);
    note(at, size);
    memcpy(old, at, size);
    memcpy(at, value, size);
    buffer_add(at, size, old);
    trace_add(orders_side(), "stores", pc, at, value_at(value, size));
}

void access_fence(void)
{
    if (!me)
        return;
    plain_settle();
    if (me->count)
        yield(true);
}

void access_none(void)
{
    if (me)
        me->load_pc = NULL;
}
