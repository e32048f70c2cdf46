/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The native test task: one function for each test, one row for each in TESTS. A test that finds something
 * wrong prints it and returns; what it leaves behind in scratch selectors and threads is cleaned up for it.
 */
#ifndef CALLTEST_H
#define CALLTEST_H

#include "check.h"
#include "corbel.h"

#include <corbel/state.h>

#include <stdbool.h>
#include <stdint.h>

/* These run in several ways: see ways.c. */
#define IPC_TESTS(X)                                                                 \
    X(call_words) X(call_utcb) X(call_badge) X(call_bad_info) X(call_rights)         \
    X(call_nested) X(call_items) X(call_items_refused) X(call_scrubbed)              \
    X(call_counters) X(reply_bad_info) X(reply_groups)                               \
    X(abort_recall) X(abort_portal) X(abort_handler) X(abort_queued) X(abort_self_call)
/* These need two CPUs. */
#define REMOTE_TESTS(X)                                                              \
    X(remote_bind) X(remote_priority) X(remote_sched) X(remote_portal)               \
    X(remote_fault) X(remote_domain) X(remote_circle) X(remote_turns)                \
    X(remote_donation) X(remote_helping) X(remote_vcpu) X(remote_vcpu_recall)          \
    X(storm_recall) X(crowd_remote)
#define TESTS(X)                                                                     \
    X(null) X(unknown_calls) X(guest_calls) X(undefined_flags) X(reply_refused)      \
    X(crowd_destroy) X(crowd_wait) X(crowd_served)                                   \
    X(upcall_resume) X(upcall_drop) X(upcall_again)                                  \
    X(event_bits) X(event_poll) X(event_timeout) X(event_rights) X(event_badges)     \
    X(event_two_waiters) X(event_recall) X(event_destroy) X(event_cpus)              \
    X(account_create) X(account_of_ram) X(account_exhaust) X(account_destroy)        \
    X(domain_create) X(thread_create) X(thread_set) X(sched_create) X(sched_bind)    \
    X(portal_create) X(event_create) X(vcpu_create)                                  \
    X(ram_split) X(frame_create) X(map_arguments) X(map_rights) X(map_content)       \
    X(map_occupied) X(map_shootdown)                                                 \
    X(derive_arguments) X(derive_rights) X(derive_depth) X(identify) X(revoke)       \
    X(revoke_tree) X(destroy) X(counters)                                            \
    X(child_delegate) X(child_revoke_event) X(child_revoke_frame) X(child_no_rights) \
    X(child_registers) X(child_destroys_itself) X(child_account_ends)                                   \
    X(fault_page) X(fault_vectors) X(fault_resume) X(fault_kills) X(fault_fs_base)   \
    X(fault_deep) X(orphan)                                                          \
    X(yield) X(priority) X(equals) X(budget) X(helping) X(queue_priority)            \
    X(time_made_under_it) X(time_shared) X(time_made_again) X(time_handed_on)        \
    X(fpu_state)                                                                     \
    X(irq) X(ioport) X(vcpu_ports) X(vcpu_refused) X(log)

#define TEST_DECLARE(name) void test_##name(void);
IPC_TESTS(TEST_DECLARE)
REMOTE_TESTS(TEST_DECLARE)
TESTS(TEST_DECLARE)

#define PRIORITY_LOW 10u
#define PRIORITY_MID 20u
#define PRIORITY_MAIN 32u /* of the main thread, as the manifest's default has it */
#define MS 1000u          /* in us */
#define NO_CAP 60000u     /* a selector that is never used */

#define STATUS(code, arg) ((uint64_t)CB_##code | (uint64_t)(arg) << 8)

/* True if the status is the one that is wanted; else prints both. */
bool test_status(const char *file, int line, const char *what, uint64_t got, uint64_t want);

#define CHECK_STATUS(call, want)                                      \
    do {                                                              \
        uint64_t got_ = (call), want_ = (want);                       \
        if (got_ != want_) {                                          \
            test_status(__FILE__, __LINE__, #call, got_, want_);      \
            return;                                                   \
        }                                                             \
    } while (0)
#define CHECK_OK(call) CHECK_STATUS(call, CB_OK)

/* A selector for this test, and the first of `count` in a row. All are revoked when it ends. */
uint32_t scratch(void);
uint32_t scratch_range(uint32_t count);

/* Threads of this test, destroyed when it ends; NULL if that is refused, with a message. */
struct thread *test_thread(uint32_t cpu, uint32_t priority, thread_fn *function, void *argument);
struct thread *test_thread_budget(uint32_t cpu, uint32_t priority, uint64_t budget, uint64_t period,
                                  thread_fn *function, void *argument);
struct thread *test_handler(uint32_t cpu, thread_handler_fn *handler, void *argument);
void test_thread_end(struct thread *thread);

/* A portal to a handler, at a scratch selector; 0 if that is refused, with a message. */
uint32_t test_portal(const struct thread *handler, uint64_t badge, uint32_t groups);

/* Ways of a call (ways.c). */
enum way { WAY_PLAIN, WAY_ITEM, WAY_BUSY, WAY_REMOTE, WAYS };
const char *way_name(enum way which);
void way_begin(enum way which); /* before a test */

/* For the tests in IPC_TESTS: a handler, portals to it (0: refused, with a message), and calls. */
struct thread *way_handler(thread_handler_fn *serve);
uint32_t way_portal(const struct thread *handler, uint64_t badge);
uint32_t way_portal_at(const struct thread *handler, uint64_t entry, uint64_t badge);
uint32_t way_derive(uint32_t portal, uint32_t rights);
uint64_t way_call(uint32_t portal, struct cb_args *message);
uint64_t way_call_queued(uint32_t portal, struct cb_args *message); /* the test keeps the handler busy itself */
bool way_prepare(uint32_t portal);                                  /* for a call that the test makes itself */
uint32_t way_occupations(const struct thread *handler); /* how many calls it has got that are not the test's */
extern enum way way;

/* A new event at a scratch selector, and a derived one; 0 if that is refused, with a message. */
uint32_t test_event(void);
uint32_t test_derive(uint32_t sel, uint32_t rights, uint64_t badge);

/* How long tests wait for what must come: an emulator on a busy machine is slow. */
#define PATIENCE (30000 * MS)

/* Wait until *word has the value, or a larger one; false after PATIENCE. */
bool test_await(const volatile uint32_t *word, uint32_t value);
bool test_await_more(const volatile uint32_t *word, uint32_t value);

/* Waits until no thread of this task can run on the CPU any more: the lowest priority of all gets its turn. */
bool test_settle(uint32_t cpu);

/* Pages for mapping tests: a frame of TEST_FRAME_PAGES pages that is there for the whole time. */
#define TEST_FRAME_PAGES 16u
extern uint32_t test_frame;

/* Free addresses, for the whole test. */
uint64_t test_space(uint64_t pages);

/* The boot CPU, another one, and whether there is one. */
#define CPU_MAIN (task_info()->cpu)
bool test_has_two_cpus(void);
uint32_t test_other_cpu(void);

uint32_t test_type(uint32_t sel); /* CB_TYPE_* of what a selector holds */

/*
 * A child domain with one thread that makes the calls it is told to make. It has its command event at
 * CHILD_SEL_COMMAND and signals CHILD_SEL_DONE.
 */
#define CHILD_CODE 0x10000ull
#define CHILD_SHARED 0x20000ull
#define CHILD_UTCB 0x40000ull
#define CHILD_DATA 0x100000ull /* free for the test */
#define CHILD_SEL_COMMAND 16u
#define CHILD_SEL_DONE 17u
#define CHILD_SEL_TEST 32u     /* free for the test, from here on */
#define CHILD_PAGES 128u       /* of its account */

struct child_command;

struct child {
    uint32_t account, domain, thread, sched, command_event, done_event;
    struct child_command *command;
};

/* False, with a message, if anything is refused. At most two at a time, `which` is 0 or 1. */
bool child_make(struct child *child, uint32_t which, uint64_t pages);

/* Lets the child make a call; gives its status, or UINT64_MAX if it does not come back for PATIENCE. */
uint64_t child_call(struct child *child, uint64_t word, struct cb_args args);
void child_post(struct child *child, uint64_t word, struct cb_args args);
uint64_t child_wait(struct child *child);

/* Lets the child read a byte; UINT64_MAX if it does not come back. */
/* What a child sees of others, if `look` is not 0 (2: XINUSE too). */
struct child_look {
    uint32_t look, ds, es, gs, xinuse;
};
struct child_look *child_look(struct child *child);
uint64_t child_load(struct child *child, uint64_t address);

/* Once, at the start. */
bool child_init(void);

/* A handler for faults: writes down what it sees, and lets the thread go on at `resume` (0: where it was). */
struct fault {
    volatile uint32_t count;
    volatile uint64_t vector, error, address, rip;
    uint64_t resume;
};
void fault_handler(uint64_t badge, struct cb_args *message); /* argument of the thread: struct fault */
#define FAULT_GROUPS (CB_GROUP_RIP | CB_GROUP_QUAL)

#endif
