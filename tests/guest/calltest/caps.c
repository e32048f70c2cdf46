/* SPDX-License-Identifier: GPL-2.0-only */
/* Capabilities: deriving, taking back, looking at them. */
#include "calltest.h"

void test_derive_arguments(void)
{
    uint32_t event = test_event(), dst = scratch(), mapping = scratch();

    CHECK(event);
    CHECK_OK(cb_map(test_frame, CB_MAP_READ, mapping, CB_SELF, test_space(1), 0, 1));
    CHECK_STATUS(cb_derive(NO_CAP, dst, CB_SELF, CB_RIGHTS_ALL, 0, 0), STATUS(BAD_CAP, 0));
    CHECK_STATUS(cb_derive(0, dst, CB_SELF, CB_RIGHTS_ALL, 0, 0), STATUS(BAD_CAP, 0));
    CHECK_STATUS(cb_derive(mapping, dst, CB_SELF, CB_RIGHTS_ALL, 0, 0), STATUS(BAD_CAP, 0));
    CHECK_STATUS(cb_derive(CB_TASK_SEL_RAM, dst, CB_SELF, CB_RIGHTS_ALL, 0, 0), STATUS(BAD_CAP, 0));
    CHECK_STATUS(cb_derive(event, event, CB_SELF, CB_RIGHTS_ALL, 0, 0), STATUS(OCCUPIED, 1));
    CHECK_STATUS(cb_derive(event, 0, CB_SELF, CB_RIGHTS_ALL, 0, 0), STATUS(BAD_PARAM, 1));
    CHECK_STATUS(cb_derive(test_frame, dst, CB_SELF, CB_RIGHTS_ALL, TEST_FRAME_PAGES, 0), STATUS(BAD_PARAM, 3));
    CHECK_STATUS(cb_derive(test_frame, dst, CB_SELF, CB_RIGHTS_ALL, 1, TEST_FRAME_PAGES), STATUS(BAD_PARAM, 4));
    CHECK_STATUS(cb_derive(CB_TASK_SEL_THREAD, dst, CB_SELF, CB_RIGHTS_ALL, 1, 0), STATUS(BAD_PARAM, 3));
    CHECK_STATUS(cb_derive(CB_TASK_SEL_THREAD, dst, CB_SELF, CB_RIGHTS_ALL, 0, 1), STATUS(BAD_PARAM, 4));
    CHECK_EQUAL(test_type(dst), CB_TYPE_NULL);
    /* A selector is taken modulo the number of slots. */
    CHECK_OK(cb_derive(event + CB_SELECTORS, dst + 3 * CB_SELECTORS, CB_SELF, CB_RIGHTS_ALL, 0, 0));
    CHECK_EQUAL(test_type(dst), CB_TYPE_EVENT);
}

/* Rights only ever get fewer. */
void test_derive_rights(void)
{
    uint32_t event = test_event(), a = scratch(), b = scratch(), c = scratch();
    struct cb_identity identity;

    CHECK(event);
    CHECK_OK(cb_derive(event, a, CB_SELF, CB_RIGHT_SIGNAL | CB_RIGHT_READ, 0, 0));
    CHECK_OK(cb_derive(a, b, CB_SELF, CB_RIGHTS_ALL, 0, 0));
    CHECK_OK(cb_derive(b, c, CB_SELF, CB_RIGHT_WAIT | CB_RIGHT_DESTROY, 0, 0));
    CHECK_OK(cb_identify(b, &identity));
    CHECK_EQUAL(identity.rights, CB_RIGHT_SIGNAL | CB_RIGHT_READ);
    CHECK_OK(cb_identify(c, &identity));
    CHECK_EQUAL(identity.rights, 0);
}

/* A chain of capabilities ends somewhere, without harm, and goes away at once. */
void test_derive_depth(void)
{
    uint32_t event = test_event(), first = scratch_range(120), i = 0;
    uint64_t status = CB_OK;

    CHECK(event);
    for (uint32_t from = event; i < 120 && status == CB_OK; from = first + i, i++)
        status = cb_derive(from, first + i, CB_SELF, CB_RIGHTS_ALL, 0, 0);
    CHECK(CB_STATUS_CODE(status) == CB_OK || CB_STATUS_CODE(status) == CB_TOO_DEEP);
    CHECK(i > 8);
    CHECK_OK(cb_revoke(event, 0));
    for (i = 0; i < 120; i++)
        CHECK_EQUAL(test_type(first + i), CB_TYPE_NULL);
    CHECK_EQUAL(test_type(event), CB_TYPE_EVENT);
}

void test_identify(void)
{
    struct cb_identity identity;

    CHECK_OK(cb_identify(0, &identity));
    CHECK_EQUAL(identity.type, CB_TYPE_NULL);
    CHECK_OK(cb_identify(NO_CAP, &identity));
    CHECK(identity.type == CB_TYPE_NULL && identity.rights == 0);
    CHECK_OK(cb_identify(CB_TASK_SEL_DOMAIN, &identity));
    CHECK_EQUAL(identity.type, CB_TYPE_DOMAIN);
    CHECK_OK(cb_identify(CB_TASK_SEL_THREAD, &identity));
    CHECK(identity.type == CB_TYPE_THREAD && identity.x == CPU_MAIN);
    CHECK_OK(cb_identify(CB_TASK_SEL_SCHED(CPU_MAIN), &identity));
    CHECK(identity.type == CB_TYPE_SCHED && identity.x == CPU_MAIN);
    CHECK_OK(cb_identify(CB_TASK_SEL_RAM, &identity));
    CHECK(identity.type == CB_TYPE_RAM && identity.x == task_info()->ram_size / CB_PAGE_SIZE);
    CHECK_OK(cb_identify(CB_TASK_SEL_ROOT(CPU_MAIN), &identity));
    CHECK(identity.type == CB_TYPE_PORTAL && identity.rights == CB_RIGHT_CALL);
    CHECK_OK(cb_identify(test_frame, &identity));
    CHECK(identity.type == CB_TYPE_FRAME && identity.x == TEST_FRAME_PAGES);
}

void test_revoke(void)
{
    uint32_t event = test_event();

    CHECK(event);
    uint32_t child = test_derive(event, CB_RIGHTS_ALL, 0), grandchild = test_derive(child, CB_RIGHTS_ALL, 0);

    CHECK(child && grandchild);
    CHECK_STATUS(cb_revoke(NO_CAP, 0), STATUS(BAD_CAP, 0));
    CHECK_OK(cb_revoke(child, 0));
    CHECK_EQUAL(test_type(grandchild), CB_TYPE_NULL);
    CHECK_EQUAL(test_type(child), CB_TYPE_EVENT);
    CHECK_OK(cb_revoke(child, CB_REVOKE_SELF));
    CHECK_EQUAL(test_type(child), CB_TYPE_NULL);
    CHECK_EQUAL(test_type(event), CB_TYPE_EVENT);
    CHECK_STATUS(cb_revoke(child, CB_REVOKE_SELF), STATUS(BAD_CAP, 0));
    /* With its first capability, the object dies. */
    child = test_derive(event, CB_RIGHTS_ALL, 0);
    CHECK(child);
    CHECK_OK(cb_revoke(event, CB_REVOKE_SELF));
    CHECK_STATUS(cb_signal(child), STATUS(BAD_CAP, 0));
}

/* A wide and deep tree goes with one call; its neighbours stay. */
void test_revoke_tree(void)
{
    uint32_t event = test_event(), top = test_derive(event, CB_RIGHTS_ALL, 0), first = scratch_range(128);
    uint32_t neighbour = test_derive(event, CB_RIGHTS_ALL, 0);

    CHECK(event && top && neighbour);
    CHECK_OK(cb_derive(top, first, CB_SELF, CB_RIGHTS_ALL, 0, 0));
    for (uint32_t i = 1; i < 128; i++)
        CHECK_OK(cb_derive(first + (i - 1) / 2, first + i, CB_SELF, CB_RIGHTS_ALL, 0, 0));
    CHECK_OK(cb_revoke(first + 1, 0));
    CHECK_EQUAL(test_type(first + 3), CB_TYPE_NULL);
    CHECK_EQUAL(test_type(first + 2), CB_TYPE_EVENT);
    CHECK_OK(cb_revoke(top, 0));
    for (uint32_t i = 0; i < 128; i++)
        CHECK_EQUAL(test_type(first + i), CB_TYPE_NULL);
    CHECK_OK(cb_signal(neighbour));
}

void test_destroy(void)
{
    uint32_t event = test_event();

    CHECK(event);
    uint32_t weak = test_derive(event, CB_RIGHTS_ALL & ~CB_RIGHT_DESTROY, 0);
    uint32_t strong = test_derive(event, CB_RIGHT_DESTROY, 0);

    CHECK(weak && strong);
    CHECK_STATUS(cb_destroy(weak), STATUS(BAD_RIGHT, 0));
    CHECK_STATUS(cb_destroy(NO_CAP), STATUS(BAD_CAP, 0));
    CHECK_STATUS(cb_destroy(test_frame), STATUS(BAD_CAP, 0)); /* no object */
    CHECK_STATUS(cb_destroy(CB_TASK_SEL_DOMAIN), STATUS(BAD_RIGHT, 0));
    CHECK_OK(cb_destroy(strong)); /* from a derived capability: the first one goes too */
    CHECK_EQUAL(test_type(event), CB_TYPE_NULL);
    CHECK_EQUAL(test_type(weak), CB_TYPE_NULL);
    CHECK_EQUAL(test_type(strong), CB_TYPE_NULL);
}

void test_counters(void)
{
    uint32_t event = test_event(), dst = scratch();
    uint64_t counters[5];

    CHECK(event);
    uint32_t weak = test_derive(event, CB_RIGHT_SIGNAL, 0);

    CHECK(weak);
    CHECK_STATUS(cb_counters(weak, 0, counters), STATUS(BAD_RIGHT, 0));
    CHECK_STATUS(cb_counters(test_frame, 0, counters), STATUS(BAD_CAP, 0));
    CHECK_STATUS(cb_counters(NO_CAP, 0, counters), STATUS(BAD_CAP, 0));
    CHECK_OK(cb_signal(event));
    CHECK_OK(cb_signal(weak));
    CHECK_OK(cb_counters(event, 0, counters));
    CHECK(counters[0] == 2 && counters[1] == 0 && counters[4] == 0);
    CHECK_OK(cb_counters(event, UINT64_MAX, counters));
    CHECK(counters[0] == 0 && counters[1] == 0);
    CHECK_OK(cb_counters(CB_TASK_SEL_SCHED(CPU_MAIN), 0, counters));
    CHECK(counters[0] > 0);
    CHECK_OK(cb_account_create(CB_TASK_SEL_ACCOUNT, dst, 32));
    CHECK_OK(cb_counters(dst, 0, counters));
    CHECK(counters[0] == 32 && counters[1] < 32);
}
