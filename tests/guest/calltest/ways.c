/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Ways of one and the same call: the tests in IPC_TESTS run in each, and must find the same. A test makes its
 * handlers, portals and calls with the functions here, and knows nothing of the way.
 *
 * The busy handler: an `occupant` calls it, and it waits at its gate. Then the test's call comes, and blocks; only
 * when nobody of a higher priority can run does the `releaser` open the gate.
 */
#include "calltest.h"

#define SERVERS 4u
#define PORTALS 8u
#define BADGE_OCCUPY 0x6f63637570616e74ull

enum way way;

struct server {
    struct thread *handler;
    thread_handler_fn *serve;
    uint32_t go, occupied, arm, gate; /* events */
    uint32_t portal;                  /* the occupant's */
    uint32_t occupations;
    volatile uint32_t released;
};

static struct server servers[SERVERS];
static uint32_t server_count;
static struct {
    uint32_t sel;
    struct server *server;
} portals[PORTALS];
static uint32_t portal_count;

const char *way_name(enum way which)
{
    static const char *const names[] = {
        [WAY_PLAIN] = "plain",
        [WAY_ITEM] = "an empty item",
        [WAY_BUSY] = "a busy handler",
        [WAY_REMOTE] = "another CPU",
    };

    return names[which];
}

void way_begin(enum way which)
{
    way = which;
    server_count = portal_count = 0;
}

/* One more item, which does not arrive. */
static void add_item(struct cb_args *message)
{
    uint32_t items = CB_INFO_ITEMS(message->a5);

    if (way != WAY_ITEM || items >= CB_UTCB_ITEMS)
        return;
    thread_utcb()->items[items] = (struct cb_item){.sel = CB_SEL_NULL};
    message->a5 += CB_INFO(0, 1, 0);
}

static void drop_item(struct cb_args *message)
{
    if (way == WAY_ITEM && CB_INFO_ITEMS(message->a5))
        message->a5 -= CB_INFO(0, 1, 0);
}

static void enter(uint64_t badge, struct cb_args *message)
{
    struct server *server = thread_self()->argument;
    uint64_t bits;

    if (badge == BADGE_OCCUPY) {
        if (cb_signal(server->occupied) == CB_OK)
            (void)!cb_wait(server->gate, 0, CB_DEADLINE_NONE, &bits);
        return;
    }
    drop_item(message);
    server->serve(badge, message);
    add_item(message);
}

static void occupy(void *argument)
{
    const struct server *server = argument;
    struct cb_args message = {0};
    uint64_t bits;

    while (cb_wait(server->go, 0, CB_DEADLINE_NONE, &bits) == CB_OK)
        (void)!cb_call(server->portal, &message);
}

static void release(void *argument)
{
    struct server *server = argument;
    uint64_t bits;

    while (cb_wait(server->arm, 0, CB_DEADLINE_NONE, &bits) == CB_OK) {
        server->released = 1;
        (void)!cb_signal(server->gate);
    }
}

static bool make_busy(struct server *server)
{
    server->go = test_event();
    server->occupied = test_event();
    server->arm = test_event();
    server->gate = test_event();
    server->portal = test_portal(server->handler, BADGE_OCCUPY, 0);
    return server->gate && server->portal && test_thread(CPU_MAIN, PRIORITY_MID, occupy, server) &&
           test_thread(CPU_MAIN, PRIORITY_LOW, release, server);
}

struct thread *way_handler(thread_handler_fn *serve)
{
    struct server *server = &servers[server_count];
    uint32_t cpu = way == WAY_REMOTE ? test_other_cpu() : CPU_MAIN;

    if (server_count == SERVERS)
        panic("a test has more than %u handlers", SERVERS);
    *server = (struct server){.handler = test_handler(cpu, enter, server), .serve = serve};
    if (server->handler == NULL)
        return NULL;
    if (way == WAY_REMOTE &&
        !test_status(__FILE__, __LINE__, "serving", thread_handler_serve(server->handler, PRIORITY_MID), CB_OK))
        return NULL;
    if (way == WAY_BUSY && !make_busy(server))
        return NULL;
    server_count++;
    return server->handler;
}

static uint32_t remember(uint32_t portal, const struct thread *handler)
{
    if (portal_count == PORTALS)
        panic("a test has more than %u portals", PORTALS);
    for (uint32_t i = 0; i < server_count; i++)
        if (servers[i].handler == handler)
            portals[portal_count].server = &servers[i];
    portals[portal_count++].sel = portal;
    return portal;
}

/* One that is made later lies above those before, so that its handler can call them. */
uint32_t way_portal_at(const struct thread *handler, uint64_t entry, uint64_t badge)
{
    uint32_t sel = scratch(), level = LEVEL_DEFAULT + portal_count % (CB_LEVELS - LEVEL_DEFAULT);
    uint64_t status =
        handler ? cb_portal_create(CB_TASK_SEL_ACCOUNT, sel, handler->sel, entry, badge, 0, level) : CB_BAD_CAP;

    return test_status(__FILE__, __LINE__, "making a portal", status, CB_OK) ? remember(sel, handler) : 0;
}

uint32_t way_portal(const struct thread *handler, uint64_t badge)
{
    return way_portal_at(handler, (uint64_t)thread_portal_entry, badge);
}

static struct server *server_of(uint32_t portal)
{
    for (uint32_t i = 0; i < portal_count; i++)
        if (portals[i].sel == portal)
            return portals[i].server;
    return NULL;
}

uint32_t way_derive(uint32_t portal, uint32_t rights)
{
    uint32_t sel = test_derive(portal, rights, 0);

    return sel ? remember(sel, server_of(portal)->handler) : 0;
}

bool way_prepare(uint32_t portal)
{
    struct server *server = server_of(portal);
    uint64_t bits;

    if (way != WAY_BUSY || server == NULL)
        return true;
    if (cb_signal(server->go) != CB_OK || cb_wait(server->occupied, 0, clock_in(PATIENCE), &bits) != CB_OK) {
        test_fail(__FILE__, __LINE__, "nobody has occupied the handler");
        return false;
    }
    server->occupations++;
    server->released = 0;
    return cb_signal(server->arm) == CB_OK;
}

uint64_t way_call_queued(uint32_t portal, struct cb_args *message)
{
    add_item(message);
    uint64_t status = cb_call(portal, message);

    drop_item(message);
    return status;
}

uint64_t way_call(uint32_t portal, struct cb_args *message)
{
    const struct server *server = server_of(portal);

    if (!way_prepare(portal))
        return UINT64_MAX;
    if (way == WAY_BUSY && server && server->released)
        test_fail(__FILE__, __LINE__, "the handler is not busy any more");
    return way_call_queued(portal, message);
}

uint32_t way_occupations(const struct thread *handler)
{
    for (uint32_t i = 0; i < server_count; i++)
        if (servers[i].handler == handler)
            return servers[i].occupations;
    return 0;
}
