/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The console ring page: a task's side (stream.c) and the console service's side (client.c) against each other, and
 * each against one that writes nonsense. The page has exactly its size, so that the sanitizer sees what goes
 * beyond.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "calls_fake.h"
#include "client.h"
#include "clock.h"
#include "lock.h"
#include "pages.h"
#include "random.h"
#include "sel.h"
#include "stream.h"
#include "thread.h"

#define TO_SERVER 5u /* selectors */
#define TO_CLIENT 51u
#define BYTES 100000u

static struct cb_console *page;
static struct client *client;
static unsigned told_server, told_client, waits;
static void (*while_waiting)(void);
static bool server_is_gone;

static uint8_t output[BYTES]; /* what the server has got */
static uint32_t output_count;

uint64_t clock_khz = 1000;

/* ---- The library below ---- */

void lock_take(struct lock *lock)
{
    cr_assert_not(lock->taken);
    lock->taken = 1;
}

void lock_release(struct lock *lock)
{
    cr_assert(lock->taken);
    lock->taken = 0;
}

void thread_sleep_us(uint64_t us)
{
    (void)us;
    cr_assert_lt(++waits, 1000000u, "sleeps for ever");
}

uint32_t sel_alloc(void)
{
    return 99;
}

void sel_drop(uint32_t sel)
{
    (void)sel;
}

void *pages_alloc(uint64_t count)
{
    return calloc(count, 4096);
}

uint64_t area_map(struct area *area, uint32_t frame, uint32_t flags, uint64_t offset, uint64_t pages, uint64_t phase)
{
    (void)frame, (void)flags;
    cr_assert(offset == 0 && pages == 1 && phase == 0);
    *area = (struct area){.address = page};
    return CB_OK;
}

void area_drop(struct area *area)
{
    (void)area;
}

uint64_t cb_derive(uint32_t src, uint32_t dst, uint32_t domain, uint32_t rights, uint64_t arg1, uint64_t arg2)
{
    (void)src, (void)dst, (void)domain, (void)arg2;
    cr_assert_eq(rights, CB_RIGHT_SIGNAL);
    cr_assert_neq(arg1, 0, "every client has its own bit");
    return CB_OK;
}

uint64_t cb_signal(uint32_t event)
{
    cr_assert(event == TO_SERVER || event == TO_CLIENT);
    if (server_is_gone && event == TO_SERVER)
        return CB_BAD_CAP;
    *(event == TO_SERVER ? &told_server : &told_client) += 1;
    return CB_OK;
}

uint64_t cb_wait(uint32_t event, uint32_t flags, uint64_t deadline, uint64_t *bits)
{
    (void)flags, (void)deadline;
    cr_assert_eq(event, TO_CLIENT);
    cr_assert_lt(++waits, 1000000u, "waits for ever");
    *bits = 1;
    while_waiting();
    return CB_OK;
}

/* ---- The other side ---- */

static void serve(void)
{
    uint32_t count = client_output(client);

    count = (uint32_t)random_below(count + 1);
    for (uint32_t i = 0; i < count; i++) {
        cr_assert_lt(output_count, BYTES);
        output[output_count++] = client_peek(client, i);
    }
    client_take(client, count);
}

static void setup(void)
{
    page = aligned_alloc(4096, 4096);
    memset(page, 0, sizeof(*page));
    while_waiting = serve;
    stream_init(page, TO_SERVER, TO_CLIENT);
    client = client_add("task", 0, TO_CLIENT - 1, 9);
    cr_assert_not_null(client);
}

Test(console_ring, output_arrives)
{
    static uint8_t data[5000];
    static uint8_t sent[BYTES];
    uint32_t count = 0;

    setup();
    while (count < BYTES - sizeof(data)) {
        uint32_t size = (uint32_t)random_below(random_below(4) ? 100 : sizeof(data));

        for (uint32_t i = 0; i < size; i++)
            data[i] = (uint8_t)random_next();
        memcpy(sent + count, data, size);
        count += size;
        told_server = 0;
        stream_write(data, size);
        cr_assert(size == 0 || told_server, "the server is told");
        if (random_below(2))
            serve();
    }
    while (client_output(client))
        serve();
    cr_assert_eq(output_count, count);
    cr_assert(memcmp(output, sent, count) == 0);
    cr_assert_gt(waits, 10, "it never had to wait for room");
    cr_assert_eq(page->out_full, 0);
    free(page);
}

Test(console_ring, short_lines_are_never_seen_in_pieces)
{
    static const char line[] = "a line of some forty characters or so\n";

    setup();
    for (unsigned n = 0; n < 1000; n++) {
        uint32_t before = client_output(client);

        if (before + sizeof(line) > CB_CONSOLE_OUT) {
            client_take(client, before);
            continue;
        }
        stream_write(line, sizeof(line) - 1);
        cr_assert_eq(client_output(client), before + sizeof(line) - 1);
        for (uint32_t i = 0; i < sizeof(line) - 1; i++)
            cr_assert_eq(client_peek(client, before + i), line[i]);
    }
    free(page);
}

static void take_if_told(void)
{
    cr_assert_eq(page->out_full, 1, "the server does not know that somebody waits");
    client_take(client, 100);
}

Test(console_ring, room_is_announced_to_who_waits_for_it)
{
    static uint8_t data[CB_CONSOLE_OUT];

    setup();
    stream_write(data, sizeof(data));
    client_take(client, 10);
    cr_assert_eq(told_client, 0, "nobody waits");
    page->out_full = 1;
    client_take(client, 10);
    cr_assert_eq(told_client, 1);
    cr_assert_eq(page->out_full, 0);
    client_take(client, 10);
    cr_assert_eq(told_client, 1);
    while_waiting = take_if_told;
    stream_write(data, 200);
    cr_assert_eq(told_client, 3);
    free(page);
}

Test(console_ring, input_arrives)
{
    uint8_t next_in = 0, next_out = 0;

    setup();
    for (unsigned n = 0; n < 5000; n++) {
        uint8_t got[600];
        size_t count;

        for (uint64_t i = random_below(300); i > 0 && !client_input_is_full(client); i--)
            client_put_input(client, next_in++);
        if (random_below(3))
            client_flush_input(client);
        cr_assert_leq(page->in_head - page->in_tail, CB_CONSOLE_IN);
        count = stream_read(got, random_below(sizeof(got)), 0);
        for (size_t i = 0; i < count; i++)
            cr_assert_eq(got[i], next_out++);
    }
    free(page);
}

Test(console_ring, nothing_to_read)
{
    uint8_t byte;

    setup();
    cr_assert_eq(stream_read(&byte, 1, 0), 0);
    cr_assert_eq(waits, 0, "the deadline has passed");
    free(page);
}

/* ---- Nonsense ---- */

/* A number near what is right, or anything. */
static uint32_t nonsense(uint32_t near)
{
    return random_below(2) ? near + (uint32_t)random_below(4096) - 2048 : (uint32_t)random_next();
}

static void scribble_server(void)
{
    page->out_tail = nonsense(page->out_head);
    page->in_head = nonsense(page->in_tail);
}

Test(console_ring, a_hostile_server)
{
    static uint8_t data[5000];

    setup();
    while_waiting = scribble_server;
    for (unsigned n = 0; n < 20000; n++) {
        size_t size = random_below(sizeof(data));
        uint32_t length = (uint32_t)random_below(400), head;

        if (random_below(8) == 0)
            page->out_head = (uint32_t)random_next(); /* even our own index */
        scribble_server();
        cr_assert_leq(stream_read(data, size, 0), size < CB_CONSOLE_IN ? size : CB_CONSOLE_IN);
        head = page->out_head;
        stream_write(data, length);
        cr_assert_eq(page->out_head - head, length);
    }
    free(page);
}

Test(console_ring, a_hostile_client)
{
    setup();
    for (unsigned n = 0; n < 100000; n++) {
        uint32_t count;

        page->out_head = nonsense(page->out_tail);
        page->in_tail = nonsense(page->in_head);
        if (random_below(8) == 0)
            page->out_tail = (uint32_t)random_next();
        if (random_below(8) == 0)
            page->in_head = (uint32_t)random_next();
        page->out_full = (uint32_t)random_next();
        count = client_output(client);
        cr_assert_leq(count, CB_CONSOLE_OUT);
        for (uint32_t i = 0; i < count; i += 1 + (uint32_t)random_below(200))
            client_peek(client, i);
        client_take(client, (uint32_t)random_below(count + 1));
        while (!client_input_is_full(client) && random_below(20))
            client_put_input(client, 'x');
        client_flush_input(client);
    }
    free(page);
}

/* More outstanding than fits means broken, and is taken as empty. */
Test(console_ring, broken_rings_are_empty)
{
    uint8_t byte;

    setup();
    page->out_head = CB_CONSOLE_OUT;
    cr_assert_eq(client_output(client), CB_CONSOLE_OUT, "full");
    page->out_head++;
    cr_assert_eq(client_output(client), 0);
    page->out_head = UINT32_MAX;
    cr_assert_eq(client_output(client), 0);
    stream_drain(UINT64_MAX); /* which returns, as nothing is there */
    page->in_head = CB_CONSOLE_IN;
    cr_assert_eq(stream_read(&byte, 1, 0), 1, "full");
    page->in_head = page->in_tail + CB_CONSOLE_IN + 1;
    cr_assert_eq(stream_read(&byte, 1, 0), 0);
    page->in_tail = page->in_head + 1;
    client_put_input(client, 'x');
    cr_assert_not(client_flush_input(client), "there is nothing sensible to do with it");
    free(page);
}

static void nothing(void)
{
}

/* Nobody waits for a server that has ended, nor longer than he wants to for one that sleeps. */
Test(console_ring, a_server_that_does_not_serve)
{
    static const uint8_t data[CB_CONSOLE_OUT];

    setup();
    while_waiting = nothing;
    cr_assert(stream_write_until(data, sizeof(data), UINT64_MAX), "there is room");
    cr_assert_not(stream_write_until(data, 1, clock_tsc() + 1000));
    cr_assert_eq(client_output(client), CB_CONSOLE_OUT);
    serve();
    while (client_output(client))
        serve();
    cr_assert(stream_write_until(data, sizeof(data), clock_tsc() + 1000));
    server_is_gone = true;
    stream_write(data, sizeof(data));
    cr_assert_not(stream_write_until(data, 1, UINT64_MAX));
}

Test(console_ring, names_are_made_printable)
{
    setup();
    client = client_add("a b\033[2J\x7f\xff", 0, TO_CLIENT - 1, 9);
    cr_assert_not_null(client);
    cr_assert_str_eq(client->name, "a?b?[2J??");
    client = client_add("a-name-that-is-longer-than-thirty-one-characters", 0, TO_CLIENT - 1, 9);
    cr_assert_str_eq(client->name, "a-name-that-is-longer-than-thir");
    for (unsigned n = CLIENT_FIRST + 3; n < CLIENTS; n++)
        cr_assert_not_null(client_add("more", 0, TO_CLIENT - 1, 9));
    cr_assert_null(client_add("too many", 0, TO_CLIENT - 1, 9));
    client_remove(client);
    cr_assert_eq(client_add("again", 0, TO_CLIENT - 1, 9), client);
    free(page);
}
