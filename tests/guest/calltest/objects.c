/* SPDX-License-Identifier: GPL-2.0-only */
/* Creation of objects, and accounts that pay for them. */
#include "calltest.h"

#include <corbel/boot.h>

#define ACCOUNT CB_TASK_SEL_ACCOUNT
#define WRONG_CPU 64u

/* An account without the right to pay, and one that can. */
static bool account_pair(uint32_t *weak, uint32_t *event)
{
    *weak = test_derive(ACCOUNT, CB_RIGHT_READ, 0);
    *event = test_event();
    return *weak && *event;
}

static uint64_t pages_free_in(uint32_t account)
{
    struct cb_identity identity;

    return cb_identify(account, &identity) == CB_OK ? identity.x : 0;
}

void test_account_create(void)
{
    uint32_t weak, event, account = scratch(), child = scratch();
    uint64_t before = pages_free_in(ACCOUNT);
    struct cb_identity identity;

    CHECK(account_pair(&weak, &event));
    CHECK_STATUS(cb_account_create(weak, account, 10), STATUS(BAD_RIGHT, 0));
    CHECK_STATUS(cb_account_create(event, account, 10), STATUS(BAD_CAP, 0));
    CHECK_STATUS(cb_account_create(ACCOUNT, event, 10), STATUS(OCCUPIED, 1));
    CHECK_STATUS(cb_account_create(ACCOUNT, account, 0), STATUS(BAD_PARAM, 2));
    CHECK_STATUS(cb_account_create(ACCOUNT, account, 1ull << 40), STATUS(NO_MEMORY, 0));
    CHECK_STATUS(cb_account_create(ACCOUNT, account, UINT64_MAX), STATUS(NO_MEMORY, 0));
    CHECK_OK(cb_account_create(ACCOUNT, account, 64));
    CHECK_OK(cb_identify(account, &identity));
    CHECK(identity.type == CB_TYPE_ACCOUNT && identity.y == 64 && identity.x <= 64);
    CHECK(pages_free_in(ACCOUNT) <= before - 64);
    CHECK_OK(cb_account_create(account, child, 32));
    CHECK_STATUS(cb_account_create(account, scratch(), 33), STATUS(NO_MEMORY, 0));
    CHECK_OK(cb_destroy(account));
    CHECK_EQUAL(test_type(child), CB_TYPE_NULL);
    CHECK_EQUAL(pages_free_in(ACCOUNT), before);
}

/* A top account needs whole granules of 2 MiB; this task has little ram, so only the refusals are sure. */
void test_account_of_ram(void)
{
    uint32_t ram = scratch(), part = scratch(), account = scratch();
    struct cb_identity identity;

    CHECK_OK(cb_ram_split(CB_TASK_SEL_RAM, ram, CB_SELF, 2, 1));
    CHECK_STATUS(cb_account_create(ram, account, 0), STATUS(BAD_PARAM, 0));
    CHECK_STATUS(cb_account_create(ram, account, 5), STATUS(BAD_PARAM, 2));
    CHECK_STATUS(cb_account_create(CB_TASK_SEL_RAM, account, 0), STATUS(BUSY, 0));
    if (cb_ram_split(CB_TASK_SEL_RAM, part, CB_SELF, 512, 512) != CB_OK) {
        print("test account_of_ram: no 2 MiB of ram left, the rest is left out\n");
        return;
    }
    CHECK_STATUS(cb_account_create(part, part, 0), STATUS(OCCUPIED, 1));
    CHECK_OK(cb_account_create(part, account, 0));
    CHECK_STATUS(cb_ram_split(part, ram + 100, CB_SELF, 1, 1), STATUS(BUSY, 0));
    CHECK_STATUS(cb_frame_create(part, ram + 100, CB_SELF, 1, 1), STATUS(BUSY, 0));
    CHECK_OK(cb_event_create(account, scratch()));
    CHECK_OK(cb_destroy(account));
    CHECK_OK(cb_identify(part, &identity));
    CHECK_EQUAL(identity.y, 512);
    CHECK_OK(cb_frame_create(part, scratch(), CB_SELF, 512, 1));
}

/* One account at its end; another one, and the parent, do not notice. */
void test_account_exhaust(void)
{
    uint32_t small = scratch(), other = scratch(), first = scratch_range(100), count = 0, dst;
    uint64_t before = pages_free_in(ACCOUNT), status = CB_OK;

    CHECK_OK(cb_account_create(ACCOUNT, small, 4));
    CHECK_OK(cb_account_create(ACCOUNT, other, 64));
    for (; count < 20 && status == CB_OK; count++)
        status = cb_domain_create(small, 0, first + count);
    CHECK_STATUS(status, STATUS(NO_MEMORY, 0));
    CHECK_EQUAL(test_type(first + count - 1), CB_TYPE_NULL);
    status = CB_OK;
    for (; count < 99 && status == CB_OK; count++)
        status = cb_event_create(small, first + count);
    dst = scratch();
    CHECK_OK(cb_domain_create(other, 0, dst));
    CHECK_OK(cb_event_create(ACCOUNT, first + 99));
    CHECK_OK(cb_destroy(small));
    CHECK_OK(cb_destroy(other));
    CHECK_OK(cb_destroy(first + 99));
    CHECK_EQUAL(pages_free_in(ACCOUNT), before);
    for (uint32_t i = 0; i < 99; i++)
        CHECK_EQUAL(test_type(first + i), CB_TYPE_NULL);
}

static volatile uint32_t waiter_done;
static volatile uint64_t waiter_status;

static void wait_on(void *argument)
{
    uint64_t bits;

    waiter_status = cb_wait((uint32_t)(uint64_t)argument, 0, CB_DEADLINE_NONE, &bits);
    waiter_done = 1;
}

/* All its objects die with an account, wherever they are referenced. */
void test_account_destroy(void)
{
    uint32_t account = scratch(), event = scratch(), derived = scratch(), domain = scratch(), sched = scratch();
    uint32_t weak = scratch();
    uint64_t before = pages_free_in(ACCOUNT);

    CHECK_OK(cb_account_create(ACCOUNT, account, 64));
    CHECK_OK(cb_event_create(account, event));
    CHECK_OK(cb_derive(event, derived, CB_SELF, CB_RIGHT_WAIT, 0, 0));
    CHECK_OK(cb_domain_create(account, 0, domain));
    CHECK_OK(cb_sched_create(account, sched, CPU_MAIN, PRIORITY_LOW, MS, MS));
    CHECK_OK(cb_derive(account, weak, CB_SELF, CB_RIGHT_PAY, 0, 0));
    waiter_done = 0;
    struct thread *thread = test_thread(CPU_MAIN, PRIORITY_MAIN, wait_on, (void *)(uint64_t)derived);

    CHECK(thread);
    CHECK(test_settle(CPU_MAIN));
    CHECK_STATUS(cb_destroy(weak), STATUS(BAD_RIGHT, 0));
    CHECK_OK(cb_destroy(account));
    CHECK(test_await(&waiter_done, 1));
    CHECK_STATUS(waiter_status, STATUS(ABORTED, 0));
    test_thread_end(thread);
    for (uint32_t sel = account; sel <= weak; sel++)
        CHECK_EQUAL(test_type(sel), CB_TYPE_NULL);
    CHECK(pages_free_in(ACCOUNT) >= before);
}

void test_domain_create(void)
{
    uint32_t weak, event, domain = scratch(), inside;

    CHECK(account_pair(&weak, &event));
    CHECK_STATUS(cb_domain_create(weak, 0, domain), STATUS(BAD_RIGHT, 0));
    CHECK_STATUS(cb_domain_create(event, 0, domain), STATUS(BAD_CAP, 0));
    CHECK_STATUS(cb_domain_create(ACCOUNT, 0, event), STATUS(OCCUPIED, 1));
    CHECK_STATUS(cb_domain_create(ACCOUNT, 0, 0), STATUS(BAD_PARAM, 1)); /* selector 0 stays empty */
    CHECK_OK(cb_domain_create(ACCOUNT, 0, domain));
    /* Into it, with the right for that. */
    inside = test_derive(domain, CB_RIGHTS_ALL & ~CB_RIGHT_INSERT, 0);
    CHECK(inside);
    CHECK_STATUS(cb_derive(event, 5, inside, CB_RIGHTS_ALL, 0, 0), STATUS(BAD_RIGHT, 1));
    CHECK_STATUS(cb_derive(event, 5, event, CB_RIGHTS_ALL, 0, 0), STATUS(BAD_CAP, 1));
    CHECK_OK(cb_derive(event, 5, domain, CB_RIGHTS_ALL, 0, 0));
    CHECK_STATUS(cb_derive(event, 5, domain, CB_RIGHTS_ALL, 0, 0), STATUS(OCCUPIED, 1));
    if (task_info()->features & (CB_FEATURE_SVM | CB_FEATURE_VMX))
        CHECK_OK(cb_domain_create(ACCOUNT, CB_DOMAIN_GUEST, scratch()));
    else
        CHECK_STATUS(cb_domain_create(ACCOUNT, CB_DOMAIN_GUEST, scratch()), STATUS(UNSUPPORTED, 0));
}

void test_thread_create(void)
{
    uint32_t weak, event, thread = scratch(), domain, no_populate, cpu = CPU_MAIN;
    const uint64_t utcb = test_space(1), entry = 0x400000;

    CHECK(account_pair(&weak, &event));
    domain = test_derive(CB_TASK_SEL_DOMAIN, CB_RIGHTS_ALL, 0);
    no_populate = test_derive(CB_TASK_SEL_DOMAIN, CB_RIGHT_INSERT, 0);
    CHECK(domain && no_populate);
    CHECK_STATUS(cb_thread_create(weak, thread, 0, cpu, utcb, entry, 0), STATUS(BAD_RIGHT, 0));
    CHECK_STATUS(cb_thread_create(event, thread, 0, cpu, utcb, entry, 0), STATUS(BAD_CAP, 0));
    CHECK_STATUS(cb_thread_create(ACCOUNT, event, 0, cpu, utcb, entry, 0), STATUS(OCCUPIED, 1));
    CHECK_STATUS(cb_thread_create(ACCOUNT, thread, event, cpu, utcb, entry, 0), STATUS(BAD_CAP, 1));
    CHECK_STATUS(cb_thread_create(ACCOUNT, thread, no_populate, cpu, utcb, entry, 0), STATUS(BAD_RIGHT, 1));
    CHECK_STATUS(cb_thread_create(ACCOUNT, thread, 0, WRONG_CPU, utcb, entry, 0), STATUS(BAD_CPU, 2));
    CHECK_STATUS(cb_thread_create(ACCOUNT, thread, 0, task_info()->cpu_count, utcb, entry, 0), STATUS(BAD_CPU, 2));
    CHECK_STATUS(cb_thread_create(ACCOUNT, thread, 0, cpu, utcb + 8, entry, 0), STATUS(BAD_PARAM, 3));
    CHECK_STATUS(cb_thread_create(ACCOUNT, thread, 0, cpu, CB_USER_END, entry, 0), STATUS(BAD_PARAM, 3));
    CHECK_STATUS(cb_thread_create(ACCOUNT, thread, 0, cpu, CB_TASK_UTCB_ADDRESS, entry, 0), STATUS(OCCUPIED, 3));
    CHECK_STATUS(cb_thread_create(ACCOUNT, thread, 0, cpu, utcb, 1ull << 63, 0), STATUS(BAD_PARAM, 4));
    CHECK_STATUS(cb_thread_create(ACCOUNT, thread, 0, cpu, utcb, entry, 1ull << 63), STATUS(BAD_PARAM, 5));
    CHECK_OK(cb_thread_create(ACCOUNT, thread, domain, cpu, utcb, entry, 0));
    *(volatile uint64_t *)(utcb + 1024) = 1; /* mapped for us to write */
    CHECK_STATUS(cb_thread_create(ACCOUNT, scratch(), 0, cpu, utcb, entry, 0), STATUS(OCCUPIED, 3));
    CHECK_OK(cb_destroy(thread));
    CHECK_OK(cb_thread_create(ACCOUNT, thread, 0, cpu, utcb, 0, 0));
}

void test_thread_set(void)
{
    uint32_t weak = test_derive(CB_TASK_SEL_THREAD, CB_RIGHT_READ, 0), event = test_event();
    uint32_t thread = CB_TASK_SEL_THREAD;
    uint64_t base = (uint64_t)thread_self();

    CHECK(weak && event);
    CHECK_STATUS(cb_thread_set(weak, CB_THREAD_FS_BASE, base), STATUS(BAD_RIGHT, 0));
    CHECK_STATUS(cb_thread_set(event, CB_THREAD_FS_BASE, base), STATUS(BAD_CAP, 0));
    CHECK_STATUS(cb_thread_set(thread, 99, base), STATUS(BAD_PARAM, 1));
    CHECK_STATUS(cb_thread_set(thread, CB_THREAD_FS_BASE, 1ull << 62), STATUS(BAD_PARAM, 2));
    CHECK_STATUS(cb_thread_set(thread, CB_THREAD_FS_BASE, 0xffff800000000000), STATUS(BAD_PARAM, 2));
    CHECK_STATUS(cb_thread_set(thread, CB_THREAD_EXCEPTION, event), STATUS(BAD_CAP, 2));
    CHECK_OK(cb_thread_set(thread, CB_THREAD_FS_BASE, base));
    CHECK(thread_self() == (struct thread *)base);
}

void test_sched_create(void)
{
    uint32_t weak, event, sched = scratch(), cpu = CPU_MAIN;

    CHECK(account_pair(&weak, &event));
    CHECK_STATUS(cb_sched_create(weak, sched, cpu, 1, MS, MS), STATUS(BAD_RIGHT, 0));
    CHECK_STATUS(cb_sched_create(event, sched, cpu, 1, MS, MS), STATUS(BAD_CAP, 0));
    CHECK_STATUS(cb_sched_create(ACCOUNT, event, cpu, 1, MS, MS), STATUS(OCCUPIED, 1));
    uint32_t weak_sched = test_derive(CB_TASK_SEL_SCHED(cpu), CB_RIGHT_READ, 0);

    CHECK(weak_sched);
    CHECK_STATUS(cb_sched_create_under(ACCOUNT, sched, event, 1, MS, MS), STATUS(BAD_CAP, 1));
    CHECK_STATUS(cb_sched_create_under(ACCOUNT, sched, weak_sched, 1, MS, MS), STATUS(BAD_RIGHT, 1));
    CHECK_STATUS(cb_sched_create_under(ACCOUNT, sched, CB_TASK_SEL_SCHED(cpu), 1ull << 32 | 1, MS, MS), STATUS(BAD_PARAM, 2));
    CHECK_STATUS(cb_sched_create(ACCOUNT, sched, cpu, 0, MS, MS), STATUS(BAD_PARAM, 2));
    CHECK_STATUS(cb_sched_create(ACCOUNT, sched, cpu, CB_PRIORITIES, MS, MS), STATUS(BAD_PARAM, 2));
    CHECK_STATUS(cb_sched_create(ACCOUNT, sched, cpu, (uint32_t)task_info()->priority + 1, MS, MS), STATUS(BAD_PARAM, 2));
    CHECK_STATUS(cb_sched_create(ACCOUNT, sched, cpu, 1, 49, MS), STATUS(BAD_PARAM, 3));
    CHECK_STATUS(cb_sched_create(ACCOUNT, sched, cpu, 1, MS + 1, MS), STATUS(BAD_PARAM, 3));
    CHECK_STATUS(cb_sched_create(ACCOUNT, sched, cpu, 1, 60, 99), STATUS(BAD_PARAM, 4));
    CHECK_STATUS(cb_sched_create(ACCOUNT, sched, cpu, 1, MS, 1000001), STATUS(BAD_PARAM, 4));
    CHECK_OK(cb_sched_create(ACCOUNT, sched, cpu, (uint32_t)task_info()->priority, 50, 1000000));
}

void test_sched_bind(void)
{
    uint32_t sched = scratch(), other = scratch(), event = test_event();
    struct thread *handler = test_handler(CPU_MAIN, fault_handler, NULL);

    CHECK(event && handler);
    CHECK_OK(cb_sched_create(ACCOUNT, sched, CPU_MAIN, PRIORITY_LOW, MS, MS));
    uint32_t weak = test_derive(sched, CB_RIGHT_READ, 0);
    uint32_t weak_thread = test_derive(CB_TASK_SEL_THREAD, CB_RIGHT_READ, 0);

    CHECK(weak && weak_thread);
    CHECK_STATUS(cb_sched_bind(weak, CB_TASK_SEL_THREAD), STATUS(BAD_RIGHT, 0));
    CHECK_STATUS(cb_sched_bind(event, CB_TASK_SEL_THREAD), STATUS(BAD_CAP, 0));
    CHECK_STATUS(cb_sched_bind(sched, event), STATUS(BAD_CAP, 1));
    CHECK_STATUS(cb_sched_bind(sched, weak_thread), STATUS(BAD_RIGHT, 1));
    CHECK_STATUS(cb_sched_bind(sched, CB_TASK_SEL_THREAD), STATUS(BUSY, 1));
    CHECK_STATUS(cb_sched_bind(CB_TASK_SEL_SCHED(CPU_MAIN), CB_TASK_SEL_THREAD), STATUS(BUSY, 0));
    CHECK_OK(cb_sched_bind(sched, handler->sel));
    CHECK_STATUS(cb_sched_bind(sched, handler->sel), STATUS(BUSY, 0));
    if (!test_has_two_cpus())
        return;
    CHECK_OK(cb_sched_create(ACCOUNT, other, test_other_cpu(), PRIORITY_LOW, MS, MS));
    uint64_t status = cb_sched_bind(other, CB_TASK_SEL_THREAD);

    CHECK(CB_STATUS_CODE(status) == CB_BAD_CPU || CB_STATUS_CODE(status) == CB_BUSY);
}

void test_portal_create(void)
{
    uint32_t weak, event, portal = scratch();
    struct thread *handler = test_handler(CPU_MAIN, fault_handler, NULL);
    const uint64_t entry = (uint64_t)thread_portal_entry;

    CHECK(account_pair(&weak, &event) && handler);
    uint32_t weak_handler = test_derive(handler->sel, CB_RIGHT_READ, 0);

    CHECK(weak_handler);
    CHECK_STATUS(cb_portal_create(weak, portal, handler->sel, entry, 0, 0, 0), STATUS(BAD_RIGHT, 0));
    CHECK_STATUS(cb_portal_create(ACCOUNT, event, handler->sel, entry, 0, 0, 0), STATUS(OCCUPIED, 1));
    CHECK_STATUS(cb_portal_create(ACCOUNT, portal, event, entry, 0, 0, 0), STATUS(BAD_CAP, 1));
    CHECK_STATUS(cb_portal_create(ACCOUNT, portal, weak_handler, entry, 0, 0, 0), STATUS(BAD_RIGHT, 1));
    CHECK_STATUS(cb_portal_create(ACCOUNT, portal, CB_TASK_SEL_THREAD, entry, 0, 0, 0), STATUS(BAD_PARAM, 1));
    CHECK_STATUS(cb_portal_create(ACCOUNT, portal, handler->sel, 1ull << 63, 0, 0, 0), STATUS(BAD_PARAM, 2));
    CHECK_STATUS(cb_portal_create(ACCOUNT, portal, handler->sel, entry, 0, 1u << 31, 0), STATUS(BAD_PARAM, 4));
    CHECK_STATUS(cb_portal_create(ACCOUNT, portal, handler->sel, entry, 0, 0, CB_LEVELS), STATUS(BAD_PARAM, 4));
    CHECK_OK(cb_portal_create(ACCOUNT, portal, handler->sel, entry, UINT64_MAX, CB_GROUPS_THREAD, 0));
}

void test_event_create(void)
{
    uint32_t weak, event, dst = scratch();

    CHECK(account_pair(&weak, &event));
    CHECK_STATUS(cb_event_create(weak, dst), STATUS(BAD_RIGHT, 0));
    CHECK_STATUS(cb_event_create(event, dst), STATUS(BAD_CAP, 0));
    CHECK_STATUS(cb_event_create(NO_CAP, dst), STATUS(BAD_CAP, 0));
    CHECK_STATUS(cb_event_create(ACCOUNT, event), STATUS(OCCUPIED, 1));
    CHECK_OK(cb_event_create(ACCOUNT, dst));
}

static void refuse_vcpu(void)
{
    uint64_t status = cb_vcpu_create(ACCOUNT, scratch(), CB_TASK_SEL_DOMAIN, CPU_MAIN, 0, 0x100000);

    CHECK_STATUS(status, STATUS(UNSUPPORTED, 0));
    CHECK(task_info()->no_vcpu[0]);
    print("test vcpu_create: refused as it should be: %s\n", task_info()->no_vcpu);
}

void test_vcpu_create(void)
{
    uint32_t guest = scratch(), vcpu = scratch(), second = scratch(), cpu = CPU_MAIN;

    if (!(task_info()->features & (CB_FEATURE_SVM | CB_FEATURE_VMX))) {
        refuse_vcpu();
        return;
    }
    CHECK_OK(cb_domain_create(ACCOUNT, CB_DOMAIN_GUEST, guest));
    CHECK_STATUS(cb_vcpu_create(ACCOUNT, vcpu, CB_TASK_SEL_DOMAIN, cpu, 0, 0x100000), STATUS(BAD_CAP, 1));
    CHECK_STATUS(cb_vcpu_create(ACCOUNT, vcpu, guest, WRONG_CPU, 0, 0x100000), STATUS(BAD_CPU, 2));
    CHECK_STATUS(cb_vcpu_create(ACCOUNT, vcpu, guest, cpu, 48, 0x100000), STATUS(BAD_PARAM, 2));
    CHECK_STATUS(cb_vcpu_create(ACCOUNT, vcpu, guest, cpu, 0, 0x100800), STATUS(BAD_PARAM, 3));
    CHECK_OK(cb_vcpu_create(ACCOUNT, vcpu, guest, cpu, 0, 0x100000));
    CHECK_STATUS(cb_vcpu_create(ACCOUNT, scratch(), guest, cpu, 0, 0x200000), STATUS(OCCUPIED, 2));
    CHECK_STATUS(cb_vcpu_create(ACCOUNT, scratch(), guest, cpu, 1, 0x101000), STATUS(OCCUPIED, 3));
    CHECK_STATUS(cb_thread_create(ACCOUNT, scratch(), guest, cpu, 0x300000, 0, 0), STATUS(BAD_CAP, 1));
    CHECK_STATUS(cb_vcpu_exit(vcpu, CB_EXIT_COUNT, 0), STATUS(BAD_PARAM, 1));
    CHECK_STATUS(cb_vcpu_exit(vcpu, CB_EXIT_IO, ACCOUNT), STATUS(BAD_CAP, 2));
    CHECK_STATUS(cb_vcpu_exit(guest, CB_EXIT_IO, 0), STATUS(BAD_CAP, 0));
    uint32_t event = test_event();

    CHECK(event);
    CHECK_STATUS(cb_event_bind(event, vcpu, 0), STATUS(BAD_PARAM, 2));
    CHECK_STATUS(cb_event_bind(event, vcpu, 4096), STATUS(BAD_PARAM, 2));
    CHECK_OK(cb_event_bind(event, vcpu, 4095));
    CHECK_STATUS(cb_event_bind(event, vcpu, 1), STATUS(BUSY, 0));
    CHECK_OK(cb_event_bind(event, vcpu, 4095));

    /* It moves to another vCPU, and outlives the one that it was bound to. */
    CHECK_OK(cb_vcpu_create(ACCOUNT, second, guest, cpu, 1, 0x200000));
    CHECK_STATUS(cb_event_bind(event, second, 1), STATUS(BUSY, 0));
    CHECK_OK(cb_event_bind(event, second, 4095));
    CHECK_OK(cb_destroy(vcpu));
    CHECK_STATUS(cb_event_bind(event, second, 1), STATUS(BUSY, 0));
    uint64_t bits;

    CHECK_STATUS(cb_wait(event, CB_WAIT_POLL, 0, &bits), STATUS(BUSY, 0));
    CHECK_OK(cb_signal(event));
    CHECK_OK(cb_destroy(guest));
    CHECK_EQUAL(test_type(guest), CB_TYPE_NULL);
}
