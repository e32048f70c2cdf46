/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Guest to guest, over a link with memory. Its first page holds one request and one reply, the rest is for messages.
 *
 * A request is new when its number is not that of the reply; so either end can be started first, or be started again:
 * a server finds the request that waits for it, and a client goes on from the number that it finds. Each end waits
 * for the other's signal, and then looks; a signal too many does no harm.
 */
#include "ipcbench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define EVENT "guest-guest-event"
#define BULK "guest-guest-bulk"

#define CONTROL 4096u /* bytes before the messages */
#define STAMP 512u    /* words from one stamp in a message to the next */
#define PATIENCE_NS 2000000000ull
#define CHECKED_ROUNDS 3

enum op {
    OP_HELLO = 0x69706362, /* the answer is the same number, if both speak the same language */
    OP_EVENT = 1,          /* just answer */
    OP_BULK,               /* copy the message; the answer is the sum of the copy's stamps */
    OP_CHECK,              /* the same; the answer is the checksum of all of it */
    OP_BYE,
};

/* Each side writes one line of the cache. */
struct control {
    struct {
        _Alignas(64) uint64_t number; /* written last */
        uint64_t size;
        uint32_t op;
    } request;
    struct {
        _Alignas(64) uint64_t number; /* written last */
        uint64_t answer;
    } reply;
};

struct peer {
    struct corbel_link *link;
    struct control *control;
    uint64_t *message; /* in the shared memory */
    uint64_t *own;     /* what is sent, or the copy of what came */
    uint64_t size;
    uint64_t number;   /* of the last request */
};

static const uint64_t sizes[] = {8, 64, 512, 4096, 32768, 262144, 1048576};

#define SIZE_MAX_BULK (sizes[sizeof(sizes) / sizeof(sizes[0]) - 1])

static bool peer_init(struct peer *peer, struct corbel_link *link)
{
    *peer = (struct peer){.link = link, .control = link->memory};
    if (!link->memory || link->size <= CONTROL) {
        fprintf(stderr, "ipcbench: the link has no memory\n");
        return false;
    }
    peer->message = (uint64_t *)((char *)link->memory + CONTROL);
    peer->own = aligned_alloc(4096, SIZE_MAX_BULK);
    if (!peer->own)
        fprintf(stderr, "ipcbench: no memory\n");
    return peer->own;
}

static uint64_t sum_of_stamps(const uint64_t *words, uint64_t size)
{
    uint64_t sum = 0;

    for (uint64_t i = 0; i < size / sizeof(uint64_t); i += STAMP)
        sum += words[i];
    return sum;
}

/* Depends on each word and its place. */
static uint64_t checksum(const uint64_t *words, uint64_t size)
{
    uint64_t sum = size;

    for (uint64_t i = 0; i < size / sizeof(uint64_t); i++)
        sum = (sum ^ words[i]) * 0x100000001b3u;
    return sum;
}

/* ---- Side 0 ---- */

static uint64_t patience(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec + PATIENCE_NS;
}

/* Makes a request and waits until it is answered; false if the link is broken. */
static bool ask(struct peer *peer, enum op op, uint64_t size, uint64_t deadline, uint64_t *answer)
{
    struct control *control = peer->control;

    control->request.op = op;
    control->request.size = size;
    __atomic_store_n(&control->request.number, ++peer->number, __ATOMIC_RELEASE);
    if (corbel_signal(peer->link) != 0)
        return false;
    while (__atomic_load_n(&control->reply.number, __ATOMIC_ACQUIRE) != peer->number) {
        if (corbel_wait(peer->link, deadline) == 0)
            continue;
        if (errno != ETIMEDOUT)
            return false;
        fprintf(stderr, "ipcbench: waiting for the other guest: start ipcbench there\n");
        deadline = CORBEL_FOREVER;
    }
    *answer = control->reply.answer;
    return true;
}

/* Once they talk, the other end is there, or will be started again. */
static bool say_hello(struct peer *peer)
{
    uint64_t answer;

    peer->number = __atomic_load_n(&peer->control->request.number, __ATOMIC_RELAXED);
    return ask(peer, OP_HELLO, 0, patience(), &answer) && answer == OP_HELLO;
}

static bool event_round(void *context)
{
    uint64_t answer;

    return ask(context, OP_EVENT, 0, CORBEL_FOREVER, &answer);
}

static void stamp(void *context)
{
    struct peer *peer = context;

    for (uint64_t i = 0; i < peer->size / sizeof(uint64_t); i += STAMP)
        peer->own[i] += 0x9e3779b97f4a7c15u + i;
}

static bool bulk_round(void *context)
{
    struct peer *peer = context;
    uint64_t answer;

    memcpy(peer->message, peer->own, peer->size);
    return ask(peer, OP_BULK, peer->size, CORBEL_FOREVER, &answer) && answer == sum_of_stamps(peer->own, peer->size);
}

/* The whole message has come through, not only its stamps. */
static bool check(struct peer *peer)
{
    uint64_t answer;

    for (int round = 0; round < CHECKED_ROUNDS; round++) {
        for (uint64_t i = 0; i < peer->size / sizeof(uint64_t); i++)
            peer->own[i] = (peer->number + i) * 0xbf58476d1ce4e5b9u;
        memcpy(peer->message, peer->own, peer->size);
        if (!ask(peer, OP_CHECK, peer->size, CORBEL_FOREVER, &answer) || answer != checksum(peer->own, peer->size))
            return false;
    }
    return true;
}

static void measure_bulk(struct peer *peer, const struct rounds *rounds, uint64_t size)
{
    struct row *row = results_row(BULK, size, true);

    peer->size = size;
    if (size > peer->link->size - CONTROL)
        row->missing = "the link's memory is too small";
    else if (!check(peer))
        row->missing = "what arrived is not what was sent";
    else
        rounds_measure(rounds, row, stamp, bulk_round, peer);
    if (!row->missing && !check(peer))
        row->missing = "what arrived is not what was sent";
}

bool peer_measure(struct corbel_link *link, const struct rounds *rounds)
{
    struct peer peer;
    uint64_t answer;

    if (!peer_init(&peer, link))
        return false;
    if (!say_hello(&peer)) {
        fprintf(stderr, "ipcbench: the other guest cannot be reached, or runs another ipcbench\n");
        free(peer.own);
        return false;
    }
    rounds_measure(rounds, results_row(EVENT, 0, false), NULL, event_round, &peer);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        measure_bulk(&peer, rounds, sizes[i]);
    ask(&peer, OP_BYE, 0, CORBEL_FOREVER, &answer);
    free(peer.own);
    return true;
}

/* ---- Side 1 ---- */

/* What another guest writes is read once, and checked. */
static uint64_t serve(struct peer *peer, uint32_t op)
{
    uint64_t size = *(volatile uint64_t *)&peer->control->request.size;

    if (op == OP_HELLO)
        return OP_HELLO;
    if ((op != OP_BULK && op != OP_CHECK) || size > SIZE_MAX_BULK || size > peer->link->size - CONTROL)
        return 0;
    memcpy(peer->own, peer->message, size);
    return op == OP_BULK ? sum_of_stamps(peer->own, size) : checksum(peer->own, size);
}

uint64_t peer_serve(struct corbel_link *link)
{
    struct control *control;
    struct peer peer;
    uint64_t served = 0, number;
    uint32_t op = 0;

    if (!peer_init(&peer, link))
        return 0;
    control = peer.control;
    while (op != OP_BYE) {
        number = __atomic_load_n(&control->request.number, __ATOMIC_ACQUIRE);
        if (number == control->reply.number) {
            if (corbel_wait(link, CORBEL_FOREVER) != 0)
                break;
            continue;
        }
        op = *(volatile uint32_t *)&control->request.op;
        control->reply.answer = serve(&peer, op);
        __atomic_store_n(&control->reply.number, number, __ATOMIC_RELEASE);
        if (corbel_signal(link) != 0)
            break;
        served++;
    }
    free(peer.own);
    return op == OP_BYE ? served : 0;
}
