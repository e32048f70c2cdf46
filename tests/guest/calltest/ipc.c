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
    struct thread *handler = way_handler(echo);

    return handler ? way_portal(handler, badge) : 0;
}

void test_call_words(void)
{
    struct cb_args message = {10, 20, 30, UINT64_MAX, 0};
    uint32_t portal = echo_portal(0);

    CHECK(portal);
    for (uint64_t i = 0; i < 1000; i++) {
        message = (struct cb_args){i, 2 * i, 3 * i, UINT64_MAX - i, 0};
        CHECK_OK(way_call(portal, &message));
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
        CHECK_OK(way_call(portal, &message));
        CHECK_EQUAL(message.a5, CB_INFO(count, 0, 0));
        for (uint32_t i = 0; i < CB_UTCB_WORDS; i++)
            CHECK_EQUAL(words[i], i < count ? count - 1 - i + 1000 : i + 1000);
    }
}

void test_call_badge(void)
{
    struct thread *handler = way_handler(echo);
    struct cb_args first = {0}, second = {0};

    CHECK(handler);
    uint32_t portal = way_portal(handler, 500), other = way_portal(handler, 1ull << 63);

    CHECK(portal && other);
    CHECK_OK(way_call(portal, &first));
    CHECK_OK(way_call(other, &second));
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

        CHECK_STATUS(way_call(portal, &message), STATUS(BAD_PARAM, 5));
    }
}

void test_call_rights(void)
{
    struct cb_args message = {0};
    uint32_t portal = echo_portal(0), event = test_event();

    CHECK(portal && event);
    uint32_t weak = way_derive(portal, CB_RIGHTS_ALL & ~CB_RIGHT_CALL);
    uint32_t just = way_derive(portal, CB_RIGHT_CALL);

    CHECK(weak && just);
    CHECK_STATUS(way_call(weak, &message), STATUS(BAD_RIGHT, 0));
    CHECK_STATUS(way_call(event, &message), STATUS(BAD_CAP, 0));
    CHECK_STATUS(way_call(NO_CAP, &message), STATUS(BAD_CAP, 0));
    CHECK_STATUS(way_call(0, &message), STATUS(BAD_CAP, 0));
    CHECK_OK(way_call(just, &message));
}

/* Calls on through the portal in word 1, one level less deep. */
static void forward(uint64_t badge, struct cb_args *message)
{
    uint32_t next = (uint32_t)message->a2;
    uint64_t status = way_call(next, message);

    (void)badge;
    if (status != CB_OK)
        *message = (struct cb_args){.a1 = status};
}

void test_call_nested(void)
{
    struct thread *handler = way_handler(forward);
    uint32_t inner = echo_portal(7), outer = handler ? way_portal(handler, 0) : 0;
    struct cb_args message = {41, inner, 3, 4, 0};

    CHECK(inner && outer);
    CHECK_OK(way_call(outer, &message));
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
    struct thread *handler = way_handler(take_items);
    uint32_t portal = handler ? way_portal(handler, 0) : 0, event = test_event(), window = scratch_range(3);
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
    CHECK_OK(way_call(portal, &message));
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
    struct thread *handler = way_handler(take_items);
    uint32_t portal = handler ? way_portal(handler, 0) : 0, event = test_event(), window = scratch_range(6);
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
    CHECK_OK(way_call(portal, &message));
    CHECK_EQUAL(items_delivered, 1u << 4);
    CHECK_EQUAL(test_type(window), CB_TYPE_NULL);
    CHECK_EQUAL(test_type(window + 2), CB_TYPE_NULL);
    CHECK_EQUAL(test_type(window + 5), CB_TYPE_NULL);
}

void test_call_counters(void)
{
    struct thread *handler = way_handler(echo);
    uint32_t portal = handler ? way_portal(handler, 0) : 0;
    uint64_t before[5], after[5], served[5];

    CHECK(portal);
    CHECK_OK(cb_counters(CB_TASK_SEL_THREAD, 0, before));
    for (uint32_t i = 0; i < 10; i++) {
        struct cb_args message = {0};

        CHECK_OK(way_call(portal, &message));
    }
    CHECK_OK(cb_counters(CB_TASK_SEL_THREAD, 0, after));
    CHECK_OK(cb_counters(handler->sel, 0, served));
    CHECK_EQUAL(after[0] - before[0], 10);
    CHECK_EQUAL(served[1] - way_occupations(handler), 10);
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
    struct thread *handler = way_handler(reply_badly);
    uint32_t portal = handler ? way_portal(handler, 0) : 0;
    struct cb_args message = {5, 6, 7, 8, 0};

    CHECK(portal);
    CHECK_OK(way_call(portal, &message));
    CHECK_EQUAL(message.a5, 0);
    CHECK_OK(way_call(portal, &message));
}

static volatile uint64_t refusal;

static void reply_with_groups(uint64_t badge, struct cb_args *message)
{
    struct cb_args reply = {.a5 = CB_INFO(0, 0, CB_GROUP_RIP)};

    (void)badge;
    refusal = cb_reply(&reply);
    message->a1++;
    message->a5 = 0;
}

/* State groups are for the replies to exits and exceptions. A refused reply leaves the handler with its caller. */
void test_reply_groups(void)
{
    struct cb_args message = {5, 6, 7, 8, 0};
    struct thread *handler = way_handler(reply_with_groups);
    uint32_t portal = handler ? way_portal(handler, 0) : 0;

    CHECK(portal);
    refusal = CB_OK;
    CHECK_OK(way_call(portal, &message));
    CHECK_STATUS(refusal, STATUS(BAD_PARAM, 5));
    CHECK_EQUAL(message.a1, 6);
}

/* ---- Registers: probe.S ---- */

struct probe_regs {
    uint64_t rax, rcx, rdx, rbx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15, rflags;
};
#define PROBE_SECRET 0x5ec7e7ca11e75ec7ull
#define PROBE_REPLY_SECRET 0x5ec7e7a45e7e75ecull
#define PROBE_FLAGS 0xcd5u     /* arithmetic, direction */
#define PROBE_FLAGS_OWN 0x202u /* as they always are */

void probe_call(uint64_t word, uint64_t info, uint64_t secret, struct probe_regs *after);
void probe_entry(void);
extern struct probe_regs probe_seen;
extern uint64_t probe_reply_info, probe_reply_secret;
struct probe_regs probe_seen;
uint64_t probe_reply_info, probe_reply_secret = PROBE_REPLY_SECRET;

static bool probe_either(uint64_t value, uint64_t other)
{
    return value == 0 || value == other;
}

/* What the caller finds where nothing was sent: what it had there now or at some time, but nothing of others. */
static bool probe_own(const struct probe_regs *r)
{
    const uint64_t lost[] = {r->rbx, r->rbp, r->r12, r->r13, r->r14, r->r15};

    for (uint32_t i = 0; i < sizeof(lost) / sizeof(*lost); i++)
        if (lost[i] == PROBE_REPLY_SECRET || (lost[i] >> 63 && lost[i] < -4096ull)) /* the handler's, the kernel's */
            return false;
    return true;
}

/* Nothing but the message goes from one side to the other, in either direction. */
void test_call_scrubbed(void)
{
    struct thread *handler = way_handler(echo);
    uint32_t portal = handler ? way_portal_at(handler, (uint64_t)probe_entry, 77) : 0;
    uint64_t info = CB_INFO(0, way == WAY_ITEM, 0); /* none in the plain way: only that takes the fast path */
    struct probe_regs after = {0};

    CHECK(portal);
    probe_reply_info = info;
    handler->utcb->items[0] = thread_utcb()->items[0] = (struct cb_item){.sel = CB_SEL_NULL};
    CHECK(way_prepare(portal));
    probe_call(CB_CALL_WORD(CB_CALL_call, 0, portal), info, PROBE_SECRET, &after);
    CHECK_EQUAL(probe_seen.rdi, 77);
    CHECK(probe_seen.rsi == 1 && probe_seen.rdx == 2 && probe_seen.r8 == 3 && probe_seen.r9 == 4);
    CHECK_EQUAL(probe_seen.r10, info);
    CHECK((probe_seen.rbx | probe_seen.rbp | probe_seen.r12 | probe_seen.r13 | probe_seen.r14 | probe_seen.r15) == 0);
    CHECK_EQUAL(probe_seen.rax, 0);
    CHECK(probe_either(probe_seen.rcx, (uint64_t)probe_entry)); /* left there by the way into user mode */
    CHECK(probe_either(probe_seen.r11 & ~PROBE_FLAGS_OWN, 0));
    CHECK_EQUAL(probe_seen.rflags & PROBE_FLAGS, 0);
    CHECK_OK(after.rax);
    CHECK(after.rsi == 1 && after.rdx == 2 && after.r8 == 3 && after.r9 == 4);
    CHECK_EQUAL(after.r10, info);
    CHECK(probe_own(&after));
    CHECK(probe_either(after.rdi, CB_CALL_WORD(CB_CALL_call, 0, portal)));
    CHECK(after.rcx - (uint64_t)probe_call < 256); /* behind the call */
    CHECK(probe_either(after.r11 & ~PROBE_FLAGS_OWN, 0));
    CHECK_EQUAL(after.rflags & PROBE_FLAGS, 0);
    /* Refusals tell nothing of what was looked at either. */
    probe_call(CB_CALL_WORD(CB_CALL_reply, 0, 0), 0, PROBE_SECRET, &after);
    CHECK_STATUS(after.rax, STATUS(BAD_CALL, 0));
    CHECK(probe_own(&after));
}
