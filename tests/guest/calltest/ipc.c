/* SPDX-License-Identifier: GPL-2.0-only */
/* call and reply: messages, capabilities, and broken-off calls. */
#include "calltest.h"

#include <string.h>

/* Gives back the words plus one, the badge added to word 3, and the UTCB words in reverse order. */
static void echo(uint64_t badge, struct cb_args *message)
{
    uint64_t *words = thread_utcb()->words;
    uint32_t count = CB_INFO_WORDS(message->a5);

    message->a1++;
    message->a2++;
    message->a3++;
    message->a4 += 1 + badge;
    for (uint32_t i = 0; i < count / 2; i++) {
        uint64_t word = words[i];

        words[i] = words[count - 1 - i];
        words[count - 1 - i] = word;
    }
    message->a5 = CB_INFO(count, 0, 0);
}

static uint32_t echo_portal(uint64_t badge)
{
    struct thread *handler = test_handler(CPU_MAIN, echo, NULL);

    return handler ? test_portal(handler, badge, 0) : 0;
}

void test_call_words(void)
{
    struct cb_args message = {10, 20, 30, UINT64_MAX, 0};
    uint32_t portal = echo_portal(0);

    CHECK(portal);
    for (uint64_t i = 0; i < 1000; i++) {
        message = (struct cb_args){i, 2 * i, 3 * i, UINT64_MAX - i, 0};
        CHECK_OK(cb_call(portal, &message));
        CHECK_EQUAL(message.a1, i + 1);
        CHECK_EQUAL(message.a2, 2 * i + 1);
        CHECK_EQUAL(message.a3, 3 * i + 1);
        CHECK_EQUAL(message.a4, 0 - i);
        CHECK_EQUAL(message.a5, 0);
    }
}

void test_call_utcb(void)
{
    uint64_t *words = thread_utcb()->words;
    uint32_t portal = echo_portal(0);

    CHECK(portal);
    for (uint32_t count = 0; count <= CB_UTCB_WORDS; count += count < 4 ? 1 : 76) {
        struct cb_args message = {.a5 = CB_INFO(count, 0, 0)};

        for (uint32_t i = 0; i < CB_UTCB_WORDS; i++)
            words[i] = i + 1000;
        CHECK_OK(cb_call(portal, &message));
        CHECK_EQUAL(message.a5, CB_INFO(count, 0, 0));
        for (uint32_t i = 0; i < CB_UTCB_WORDS; i++)
            CHECK_EQUAL(words[i], i < count ? count - 1 - i + 1000 : i + 1000);
    }
}

void test_call_badge(void)
{
    struct thread *handler = test_handler(CPU_MAIN, echo, NULL);
    struct cb_args first = {0}, second = {0};

    CHECK(handler);
    uint32_t portal = test_portal(handler, 500, 0), other = test_portal(handler, 1ull << 63, 0);

    CHECK(portal && other);
    CHECK_OK(cb_call(portal, &first));
    CHECK_OK(cb_call(other, &second));
    CHECK_EQUAL(first.a4, 501);
    CHECK_EQUAL(second.a4, (1ull << 63) + 1);
}

void test_call_bad_info(void)
{
    static const uint64_t infos[] = {
        CB_INFO(CB_UTCB_WORDS + 1, 0, 0), CB_INFO(0xffff, 0, 0),          CB_INFO(0, CB_UTCB_ITEMS + 1, 0),
        CB_INFO(0, 0xffff, 0),            CB_INFO(0, 0, CB_GROUP_RIP),    UINT64_MAX,
    };
    uint32_t portal = echo_portal(0);

    CHECK(portal);
    for (uint32_t i = 0; i < sizeof(infos) / sizeof(*infos); i++) {
        struct cb_args message = {1, 2, 3, 4, infos[i]};

        CHECK_STATUS(cb_call(portal, &message), STATUS(BAD_PARAM, 5));
    }
}

void test_call_rights(void)
{
    struct cb_args message = {0};
    uint32_t portal = echo_portal(0), event = test_event();

    CHECK(portal && event);
    uint32_t weak = test_derive(portal, CB_RIGHTS_ALL & ~CB_RIGHT_CALL, 0);
    uint32_t just = test_derive(portal, CB_RIGHT_CALL, 0);

    CHECK(weak && just);
    CHECK_STATUS(cb_call(weak, &message), STATUS(BAD_RIGHT, 0));
    CHECK_STATUS(cb_call(event, &message), STATUS(BAD_CAP, 0));
    CHECK_STATUS(cb_call(NO_CAP, &message), STATUS(BAD_CAP, 0));
    CHECK_STATUS(cb_call(0, &message), STATUS(BAD_CAP, 0));
    CHECK_OK(cb_call(just, &message));
}

void test_call_other_cpu(void)
{
    struct cb_args message = {0};

    if (!test_has_two_cpus())
        return;
    struct thread *handler = test_handler(test_other_cpu(), echo, NULL);
    uint32_t portal = handler ? test_portal(handler, 0, 0) : 0;

    CHECK(portal);
    CHECK_STATUS(cb_call(portal, &message), STATUS(BAD_CPU, 0));
    CHECK_OK(thread_handler_serve(handler, PRIORITY_MID));
    CHECK_OK(cb_call(portal, &message));
    CHECK_EQUAL(message.a4, 1);
}

/* Calls on through the portal in word 1, one level less deep. */
static void forward(uint64_t badge, struct cb_args *message)
{
    uint32_t next = (uint32_t)message->a2;
    uint64_t status = cb_call(next, message);

    (void)badge;
    if (status != CB_OK)
        *message = (struct cb_args){.a1 = status};
}

void test_call_nested(void)
{
    struct thread *handler = test_handler(CPU_MAIN, forward, NULL);
    uint32_t inner = echo_portal(7), outer = handler ? test_portal(handler, 0, 0) : 0;
    struct cb_args message = {41, inner, 3, 4, 0};

    CHECK(inner && outer);
    CHECK_OK(cb_call(outer, &message));
    CHECK_EQUAL(message.a1, 42);
    CHECK_EQUAL(message.a4, 12);
}

/* ---- Capabilities in messages ---- */

static volatile uint32_t items_delivered;

static void take_items(uint64_t badge, struct cb_args *message)
{
    (void)badge;
    items_delivered = thread_utcb()->delivered;
    /* One goes back: what arrived first. */
    thread_utcb()->items[0] = (struct cb_item){.sel = thread_utcb()->window, .rights = CB_RIGHTS_ALL};
    *message = (struct cb_args){.a5 = CB_INFO(0, message->a1, 0)};
}

void test_call_items(void)
{
    struct thread *handler = test_handler(CPU_MAIN, take_items, NULL);
    uint32_t portal = handler ? test_portal(handler, 0, 0) : 0, event = test_event(), window = scratch_range(3);
    struct cb_utcb *utcb = thread_utcb();
    struct cb_args message = {.a1 = 1, .a5 = CB_INFO(0, 2, 0)};
    uint64_t bits = 0;
    struct cb_identity identity;

    CHECK(portal && event);
    handler->utcb->window = window;
    handler->utcb->window_count = 2;
    utcb->window = window + 2;
    utcb->window_count = 1;
    utcb->items[0] = (struct cb_item){event, CB_RIGHT_SIGNAL, 0x10, 0};
    utcb->items[1] = (struct cb_item){test_frame, CB_RIGHT_READ, 3, 2};
    CHECK_OK(cb_call(portal, &message));
    utcb->window_count = 0;
    CHECK_EQUAL(items_delivered, 3);
    CHECK_EQUAL(utcb->delivered, 1);
    CHECK_OK(cb_identify(window + 1, &identity));
    CHECK(identity.type == CB_TYPE_FRAME && identity.rights == CB_RIGHT_READ && identity.x == 2);
    CHECK_OK(cb_identify(window, &identity));
    CHECK(identity.type == CB_TYPE_EVENT && identity.rights == CB_RIGHT_SIGNAL && identity.x == 0x10);
    CHECK_OK(cb_signal(window + 2));
    CHECK_OK(cb_wait(event, CB_WAIT_POLL, 0, &bits));
    CHECK_EQUAL(bits, 0x10);
    /* Taking back the first takes back what came from it. */
    CHECK_OK(cb_revoke(event, 0));
    CHECK_EQUAL(test_type(window), CB_TYPE_NULL);
    CHECK_EQUAL(test_type(window + 2), CB_TYPE_NULL);
}

void test_call_items_refused(void)
{
    struct thread *handler = test_handler(CPU_MAIN, take_items, NULL);
    uint32_t portal = handler ? test_portal(handler, 0, 0) : 0, event = test_event(), window = scratch_range(6);
    uint32_t mapping = scratch();
    struct cb_utcb *utcb = thread_utcb();
    struct cb_args message = {.a1 = 0, .a5 = CB_INFO(0, 6, 0)};

    CHECK(portal && event);
    CHECK_OK(cb_map(test_frame, CB_MAP_READ, mapping, CB_SELF, test_space(1), 0, 1));
    CHECK_OK(cb_derive(event, window + 3, CB_SELF, CB_RIGHTS_ALL, 0, 0)); /* not empty */
    handler->utcb->window = window;
    handler->utcb->window_count = 5;
    utcb->items[0] = (struct cb_item){NO_CAP, CB_RIGHTS_ALL, 0, 0};
    utcb->items[1] = (struct cb_item){mapping, CB_RIGHTS_ALL, 0, 0};
    utcb->items[2] = (struct cb_item){test_frame, CB_RIGHTS_ALL, TEST_FRAME_PAGES, 1};
    utcb->items[3] = (struct cb_item){event, CB_RIGHTS_ALL, 0, 0};
    utcb->items[4] = (struct cb_item){event, CB_RIGHT_WAIT, 0, 0};
    utcb->items[5] = (struct cb_item){event, CB_RIGHTS_ALL, 0, 0}; /* outside of the window */
    CHECK_OK(cb_call(portal, &message));
    CHECK_EQUAL(items_delivered, 1u << 4);
    CHECK_EQUAL(test_type(window), CB_TYPE_NULL);
    CHECK_EQUAL(test_type(window + 2), CB_TYPE_NULL);
    CHECK_EQUAL(test_type(window + 5), CB_TYPE_NULL);
}

void test_call_counters(void)
{
    struct thread *handler = test_handler(CPU_MAIN, echo, NULL);
    uint32_t portal = handler ? test_portal(handler, 0, 0) : 0;
    uint64_t before[5], after[5], served[5];

    CHECK(portal);
    CHECK_OK(cb_counters(CB_TASK_SEL_THREAD, 0, before));
    for (uint32_t i = 0; i < 10; i++) {
        struct cb_args message = {0};

        CHECK_OK(cb_call(portal, &message));
    }
    CHECK_OK(cb_counters(CB_TASK_SEL_THREAD, 0, after));
    CHECK_OK(cb_counters(handler->sel, 0, served));
    CHECK_EQUAL(after[0] - before[0], 10);
    CHECK_EQUAL(served[1], 10);
    CHECK_EQUAL(served[2], 0);
}

void test_reply_refused(void)
{
    struct cb_args message = {0};

    CHECK_STATUS(cb_reply(&message), STATUS(BAD_CALL, 0));
}

static void reply_badly(uint64_t badge, struct cb_args *message)
{
    (void)badge;
    message->a5 = CB_INFO(CB_UTCB_WORDS + 1, 0, 0);
}

/* The runtime then replies with nothing in the UTCB. */
void test_reply_bad_info(void)
{
    struct thread *handler = test_handler(CPU_MAIN, reply_badly, NULL);
    uint32_t portal = handler ? test_portal(handler, 0, 0) : 0;
    struct cb_args message = {5, 6, 7, 8, 0};

    CHECK(portal);
    CHECK_OK(cb_call(portal, &message));
    CHECK_EQUAL(message.a5, 0);
    CHECK_OK(cb_call(portal, &message));
}
