/* SPDX-License-Identifier: GPL-2.0-only */
#include "calltest.h"

#include <string.h>

#define CHILDREN 2u

/* The shared page; child_code.S knows the offsets. */
struct child_command {
    uint64_t word;
    struct cb_args args;
    uint64_t status;
    struct cb_args results;
    uint64_t load;
    uint32_t done;
    struct child_look look;
};
_Static_assert(offsetof(struct child_command, look) == 108, "child_code.S");
_Static_assert(offsetof(struct child_command, status) == 48, "child_code.S");
_Static_assert(offsetof(struct child_command, load) == 96, "child_code.S");
_Static_assert(offsetof(struct child_command, done) == 104, "child_code.S");
_Static_assert(CB_CALL_wait == 4 && CB_CALL_signal == 3, "child_code.S");

extern const uint8_t child_code[], child_code_end[];

static uint32_t frame; /* page 0: code, page 1 + n: shared page of child n */
static uint8_t *pages;

bool child_init(void)
{
    uint32_t slot = sel_alloc_range(2);

    frame = sel_alloc();
    pages = (uint8_t *)pages_space((1 + CHILDREN) * CB_PAGE_SIZE, CB_PAGE_SIZE);
    if (pages_frame(1 + CHILDREN, 1, frame) != CB_OK ||
        pages_map(frame, CB_MAP_READ | CB_MAP_WRITE, CB_SELF, &slot, slot + 2, (uint64_t)pages, 0, 1 + CHILDREN) !=
            CB_OK)
        return false;
    memcpy(pages, child_code, (size_t)(child_code_end - child_code));
    return true;
}

static uint64_t create(struct child *child, uint32_t which, uint64_t account_pages)
{
    uint32_t domain = child->domain = scratch();
    uint64_t status;

    child->account = scratch();
    child->thread = scratch();
    child->sched = scratch();
    child->command_event = scratch();
    child->done_event = scratch();
    status = cb_account_create(CB_TASK_SEL_ACCOUNT, child->account, account_pages);
    if (status == CB_OK)
        status = cb_domain_create(child->account, 0, domain);
    if (status == CB_OK)
        status = cb_event_create(CB_TASK_SEL_ACCOUNT, child->command_event);
    if (status == CB_OK)
        status = cb_event_create(CB_TASK_SEL_ACCOUNT, child->done_event);
    if (status == CB_OK)
        status = cb_derive(child->command_event, CHILD_SEL_COMMAND, domain, CB_RIGHT_WAIT, 0, 0);
    if (status == CB_OK)
        status = cb_derive(child->done_event, CHILD_SEL_DONE, domain, CB_RIGHT_SIGNAL, 0, 0);
    if (status == CB_OK)
        status = cb_map(frame, CB_MAP_READ | CB_MAP_EXEC, CHILD_SEL_DONE + 1, domain, CHILD_CODE, 0, 1);
    if (status == CB_OK)
        status = cb_map(frame, CB_MAP_READ | CB_MAP_WRITE, CHILD_SEL_DONE + 2, domain, CHILD_SHARED, 1 + which, 1);
    if (status == CB_OK)
        status = cb_thread_create(child->account, child->thread, domain, CPU_MAIN, CHILD_UTCB, CHILD_CODE, 0);
    if (status == CB_OK)
        status = cb_sched_create(child->account, child->sched, CPU_MAIN, PRIORITY_MID, 10 * MS, 10 * MS);
    return status == CB_OK ? cb_sched_bind(child->sched, child->thread) : status;
}

bool child_make(struct child *child, uint32_t which, uint64_t account_pages)
{
    child->command = (struct child_command *)(pages + (1 + which) * CB_PAGE_SIZE);
    memset(child->command, 0, sizeof(*child->command));
    return test_status(__FILE__, __LINE__, "making a child domain", create(child, which, account_pages), CB_OK);
}

static void post(struct child *child)
{
    __atomic_store_n(&child->command->done, 0, __ATOMIC_SEQ_CST);
    (void)!cb_signal(child->command_event);
}

void child_post(struct child *child, uint64_t word, struct cb_args args)
{
    child->command->word = word;
    child->command->args = args;
    child->command->load = 0;
    post(child);
}

uint64_t child_wait(struct child *child)
{
    uint64_t bits, deadline = clock_in(PATIENCE);

    while (!__atomic_load_n(&child->command->done, __ATOMIC_SEQ_CST))
        if (cb_wait(child->done_event, 0, deadline, &bits) != CB_OK)
            return UINT64_MAX;
    return child->command->status;
}

uint64_t child_call(struct child *child, uint64_t word, struct cb_args args)
{
    child_post(child, word, args);
    return child_wait(child);
}

struct child_look *child_look(struct child *child)
{
    return &child->command->look;
}

uint64_t child_load(struct child *child, uint64_t address)
{
    child->command->load = address;
    post(child);
    return child_wait(child);
}
