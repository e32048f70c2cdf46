/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The console service: one serial line for the hypervisor's log and for all clients. The main thread does all
 * the work; the handler of the portal, which lives on the boot CPU, only passes on what it is asked.
 */
#include "calls.h"
#include "client.h"
#include "clock.h"
#include "keys.h"
#include "line.h"
#include "panic.h"
#include "sel.h"
#include "task.h"
#include "thread.h"
#include "uart.h"

#include <string.h>

#define BOOT_CPU 0u

/* Bits of the main thread's event; from bit 8 on the clients', see client.c. */
#define BIT_UART 0x1u
#define BIT_LOG 0x2u
#define BIT_REQUEST 0x4u

#define RETRY_US 10000u    /* when the UART is full, or a client's input ring is: it need not tell us */
#define POLL_US 10000u     /* without an interrupt */
#define CLOSE_US 3000000u  /* then the rest of a closing client's output is lost */

/*
 * A request that the handler passes on. The handler fills it, sets `pending` (release), and waits for its event;
 * the main thread answers and clears `pending` (release).
 */
static struct {
    uint32_t pending;
    uint64_t operation, argument, domain, number;
    char name[CB_CONSOLE_NAME];
    uint32_t sels;              /* of the two capabilities that came with ATTACH */
    bool refused;
    struct client *client;
    uint64_t deadline;          /* of a DETACH that waits for the client's output */
} request;

static uint32_t event, done_event;
static uint32_t request_event; /* tells the main thread of a request, not of an interrupt */
static bool polled;             /* there is no interrupt */
static uint64_t log_position;

/* ---- The handler ---- */

static void pass_on(void)
{
    uint64_t bits;

    __atomic_store_n(&request.pending, 1, __ATOMIC_RELEASE);
    (void)!cb_signal(request_event);
    while (__atomic_load_n(&request.pending, __ATOMIC_ACQUIRE))
        (void)!cb_wait(done_event, 0, CB_DEADLINE_NONE, &bits);
}

static void handle(uint64_t badge, struct cb_args *message)
{
    struct cb_utcb *utcb = thread_utcb();
    bool attach = message->a1 == CB_CONSOLE_ATTACH;
    uint32_t items = CB_INFO_ITEMS(message->a5);

    (void)badge;
    request.operation = message->a1;
    request.argument = message->a2;
    request.domain = message->a3;
    request.number = message->a4;
    request.sels = utcb->window;
    request.client = NULL;
    memcpy(request.name, utcb->words, sizeof(request.name));
    request.name[sizeof(request.name) - 1] = 0;
    request.refused = attach && (items != 2 || utcb->delivered != 3);
    if (!request.refused)
        pass_on();
    *message = (struct cb_args){.a1 = request.refused};
    if (attach && !request.refused) {
        utcb->window = sel_alloc_range(2);
        utcb->items[0] = (struct cb_item){.sel = request.client->signal, .rights = CB_RIGHT_SIGNAL};
        message->a2 = (uint64_t)(request.client - clients);
        message->a5 = CB_INFO(0, 1, 0);
    } else if (items) {
        (void)!cb_revoke(utcb->window, CB_REVOKE_SELF);
        (void)!cb_revoke(utcb->window + 1, CB_REVOKE_SELF);
    }
}

/* ---- The main thread ---- */

static void answer(void)
{
    __atomic_store_n(&request.pending, 0, __ATOMIC_RELEASE);
    (void)!cb_signal(done_event);
}

static void attach(void)
{
    request.client = client_add(request.name, (uint32_t)request.argument, request.sels, event);
    request.refused = request.client == NULL;
    if (request.client) {
        request.client->domain = request.domain;
        request.client->number = request.number;
        keys_add(request.client);
    }
    answer();
}

static bool is_client(uint64_t number)
{
    return number >= CLIENT_FIRST && number < CLIENTS && clients[number].ring;
}

static void begin_detach(void)
{
    request.client = &clients[request.argument];
    request.client->closing = true;
    request.deadline = clock_in(CLOSE_US);
    keys_remove(request.client);
}

/* True while the client still has output that can be printed. */
static bool end_detach(void)
{
    if (client_output(request.client) && clock_tsc() < request.deadline)
        return true;
    line_forget(request.client);
    client_remove(request.client);
    answer();
    return false;
}

/* Does what the handler asks; true if that takes longer. */
static bool serve_request(void)
{
    if (!__atomic_load_n(&request.pending, __ATOMIC_ACQUIRE))
        return false;
    if (request.client)
        return end_detach();
    if (request.operation == CB_CONSOLE_ATTACH) {
        attach();
    } else if (request.operation == CB_CONSOLE_DETACH && is_client(request.argument)) {
        begin_detach();
        return true;
    } else {
        request.refused = true;
        answer();
    }
    return false;
}

/* Copies the hypervisor's log into the ring of its client; true if something came. */
static bool serve_log(void)
{
    struct client *client = &clients[CLIENT_LOG];
    uint64_t next, bytes;

    if (client_output(client) == CB_CONSOLE_OUT || cb_log_read(CB_TASK_SEL_LOG, log_position, &next, &bytes) != CB_OK)
        return false;
    if (bytes > sizeof(thread_utcb()->words))
        bytes = sizeof(thread_utcb()->words);
    uint32_t count = client_print(client, thread_utcb()->words, (uint32_t)bytes);

    log_position = next - bytes + count;
    return count != 0;
}

/* What the hypervisor has printed itself is not printed again. */
static void skip_log(void)
{
    uint64_t next, bytes;

    while (cb_log_read(CB_TASK_SEL_LOG, log_position, &next, &bytes) == CB_OK && bytes)
        log_position = next;
}

static void lower(uint64_t *deadline, uint64_t us)
{
    uint64_t to = clock_in(us);

    if (to < *deadline)
        *deadline = to;
}

static void serve_input(uint64_t *deadline)
{
    uint8_t key;

    while (keys_ready(deadline) && uart_get(&key))
        keys_put(key);
    uart_want_input(keys_ready(deadline));
    for (struct client *client = clients + CLIENT_FIRST; client < clients + CLIENTS; client++)
        if (client->ring && !client->closing && !client_flush_input(client))
            lower(deadline, RETRY_US);
}

/* All that can be done now; gives the time when there may be more to do without an event. */
static uint64_t serve(void)
{
    uint64_t deadline = polled ? clock_in(POLL_US) : CB_DEADLINE_NONE;
    bool moved;

    do {
        bool waits = serve_request();

        serve_input(&deadline); /* first: what a key makes the console say is then printed, too */
        moved = serve_log();
        moved |= line_serve(&deadline);
        if (!uart_flush() || (waits && !moved))
            lower(&deadline, RETRY_US);
    } while (moved && uart_room() > CB_CONSOLE_OUT);
    return deadline;
}

static uint32_t derive(uint64_t badge)
{
    uint32_t sel = sel_alloc();
    uint64_t status = cb_derive(event, sel, CB_SELF, CB_RIGHT_SIGNAL, badge, 0);

    if (status != CB_OK)
        panic("cannot derive an event: %s", cb_status_text(status));
    return sel;
}

/* Offers the service to root, which calls it on the boot CPU. */
static void offer(void)
{
    struct thread *handler;
    uint32_t portal;
    uint64_t status = thread_handler(BOOT_CPU, handle, NULL, &handler);

    if (status == CB_OK) {
        handler->utcb->window = sel_alloc_range(2);
        handler->utcb->window_count = 2;
        status = thread_portal(handler, 0, 0, &portal);
    }
    if (status != CB_OK)
        panic("cannot make the portal: %s", cb_status_text(status));
    struct cb_args message = {CB_ROOT_SERVE, CB_SERVE_CONSOLE, 0, 0, CB_INFO(0, 1, 0)};

    thread_utcb()->items[0] = (struct cb_item){.sel = portal, .rights = CB_RIGHT_CALL};
    status = cb_call(CB_TASK_SEL_ROOT(thread_self()->cpu), &message);
    if (status != CB_OK || message.a1 != 0)
        panic("root does not take the portal: %s", cb_status_text(status));
}

void task_main(const struct cb_task_info *info)
{
    uint64_t bits = 0, status;

    (void)info;
    event = sel_alloc();
    done_event = sel_alloc();
    if (cb_event_create(CB_TASK_SEL_ACCOUNT, event) != CB_OK ||
        cb_event_create(CB_TASK_SEL_ACCOUNT, done_event) != CB_OK || !client_init())
        panic("there is too little memory");
    polled = uart_init(CB_TASK_SEL_IRQ, derive(BIT_UART)) != CB_OK;
    skip_log();
    status = cb_log_bind(CB_TASK_SEL_LOG, derive(BIT_LOG));
    if (status != CB_OK)
        panic("cannot bind the log: %s", cb_status_text(status));
    request_event = derive(BIT_REQUEST);
    offer();
    for (;;) {
        if (bits & BIT_UART)
            uart_ack();
        uint64_t deadline = serve();

        bits = 0;
        (void)!cb_wait(event, 0, deadline, &bits);
    }
}
