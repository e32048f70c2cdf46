/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One typed stub for each call of the table, with the arguments in the order of hypercall-abi/spec.md.
 * Each returns the call's status word; results come through pointers, which are written only upon CB_OK.
 * calls.c checks that the table has no call without a stub.
 */
#ifndef LIB_CALLS_H
#define LIB_CALLS_H

#include <corbel/invoke.h>

#include <corbel/boot.h>
#include <corbel/cap.h>
#include <corbel/task.h>
#include <corbel/utcb.h>

#define CALL_RESULT __attribute__((warn_unused_result))

/* Any call that keeps callee-saved registers, its arguments left as they are. */
CALL_RESULT static inline uint64_t cb_do(uint64_t word, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4,
                                         uint64_t a5)
{
    struct cb_args args = {a1, a2, a3, a4, a5};

    return cb_invoke(word, &args);
}

CALL_RESULT static inline uint64_t cb_null(void)
{
    return cb_do(CB_CALL_WORD(CB_CALL_null, 0, 0), 0, 0, 0, 0, 0);
}

/* ---- Communication ---- */

/* message: four words and the message information, in and out. */
CALL_RESULT static inline uint64_t cb_call(uint32_t portal, struct cb_args *message)
{
    return cb_invoke_blocking(CB_CALL_WORD(CB_CALL_call, 0, portal), message);
}

/* Returns only if it is refused. Handlers made by thread_handler() reply by returning. */
CALL_RESULT static inline uint64_t cb_reply(struct cb_args *message)
{
    return cb_invoke_blocking(CB_CALL_WORD(CB_CALL_reply, 0, 0), message);
}

CALL_RESULT static inline uint64_t cb_signal(uint32_t event)
{
    return cb_do(CB_CALL_WORD(CB_CALL_signal, 0, event), 0, 0, 0, 0, 0);
}

CALL_RESULT static inline uint64_t cb_wait(uint32_t event, uint32_t flags, uint64_t deadline, uint64_t *bits)
{
    struct cb_args args = {.a1 = deadline};
    uint64_t status = cb_invoke_blocking(CB_CALL_WORD(CB_CALL_wait, flags, event), &args);

    if (status == CB_OK)
        *bits = args.a1;
    return status;
}

CALL_RESULT static inline uint64_t cb_yield(void)
{
    return cb_do(CB_CALL_WORD(CB_CALL_yield, 0, 0), 0, 0, 0, 0, 0);
}

/* ---- Objects ---- */

CALL_RESULT static inline uint64_t cb_account_create(uint32_t parent, uint32_t dst, uint64_t pages)
{
    return cb_do(CB_CALL_WORD(CB_CALL_account_create, 0, parent), dst, pages, 0, 0, 0);
}

CALL_RESULT static inline uint64_t cb_domain_create(uint32_t account, uint32_t flags, uint32_t dst)
{
    return cb_do(CB_CALL_WORD(CB_CALL_domain_create, flags, account), dst, 0, 0, 0, 0);
}

CALL_RESULT static inline uint64_t cb_thread_create(uint32_t account, uint32_t dst, uint32_t domain, uint32_t cpu,
                                                    uint64_t utcb, uint64_t entry, uint64_t stack)
{
    return cb_do(CB_CALL_WORD(CB_CALL_thread_create, 0, account), CB_PAIR(dst, domain), cpu, utcb, entry, stack);
}

CALL_RESULT static inline uint64_t cb_vcpu_create(uint32_t account, uint32_t dst, uint32_t domain, uint32_t cpu,
                                                  uint32_t number, uint64_t address)
{
    return cb_do(CB_CALL_WORD(CB_CALL_vcpu_create, 0, account), CB_PAIR(dst, domain), CB_PAIR(cpu, number), address,
                 0, 0);
}

/* budget and period in microseconds */
CALL_RESULT static inline uint64_t cb_sched_create_under(uint32_t account, uint32_t dst, uint32_t ceiling,
                                                         uint64_t priority, uint64_t budget, uint64_t period)
{
    return cb_do(CB_CALL_WORD(CB_CALL_sched_create, 0, account), CB_PAIR(dst, ceiling), priority, budget, period, 0);
}

/* Under what the domain has been given of that CPU, which root and every task finds in the same place. */
_Static_assert((uint32_t)CB_TASK_SEL_SCHED(0) == (uint32_t)CB_ROOT_SEL_SCHED(0), "the time of root and of tasks");

CALL_RESULT static inline uint64_t cb_sched_create(uint32_t account, uint32_t dst, uint32_t cpu, uint32_t priority,
                                                   uint64_t budget, uint64_t period)
{
    return cb_sched_create_under(account, dst, CB_TASK_SEL_SCHED(cpu), priority, budget, period);
}

CALL_RESULT static inline uint64_t cb_portal_create(uint32_t account, uint32_t dst, uint32_t thread, uint64_t entry,
                                                    uint64_t badge, uint32_t groups, uint32_t level)
{
    return cb_do(CB_CALL_WORD(CB_CALL_portal_create, 0, account), CB_PAIR(dst, thread), entry, badge,
                 CB_PAIR(groups, level), 0);
}

CALL_RESULT static inline uint64_t cb_event_create(uint32_t account, uint32_t dst)
{
    return cb_do(CB_CALL_WORD(CB_CALL_event_create, 0, account), dst, 0, 0, 0, 0);
}

/* ---- Memory ---- */

CALL_RESULT static inline uint64_t cb_ram_split(uint32_t ram, uint32_t dst, uint32_t domain, uint64_t pages,
                                                uint64_t align)
{
    return cb_do(CB_CALL_WORD(CB_CALL_ram_split, 0, ram), CB_PAIR(dst, domain), pages, align, 0, 0);
}

CALL_RESULT static inline uint64_t cb_frame_create(uint32_t ram, uint32_t dst, uint32_t domain, uint64_t pages,
                                                   uint64_t align)
{
    return cb_do(CB_CALL_WORD(CB_CALL_frame_create, 0, ram), CB_PAIR(dst, domain), pages, align, 0, 0);
}

/* flags: CB_MAP_*; offset and pages count pages of the frame */
CALL_RESULT static inline uint64_t cb_map(uint32_t frame, uint32_t flags, uint32_t dst, uint32_t domain,
                                          uint64_t address, uint32_t offset, uint32_t pages)
{
    return cb_do(CB_CALL_WORD(CB_CALL_map, flags, frame), CB_PAIR(dst, domain), address, CB_PAIR(offset, pages), 0,
                 0);
}

/* ---- Capabilities ---- */

CALL_RESULT static inline uint64_t cb_derive(uint32_t src, uint32_t dst, uint32_t domain, uint32_t rights,
                                             uint64_t arg1, uint64_t arg2)
{
    return cb_do(CB_CALL_WORD(CB_CALL_derive, 0, src), CB_PAIR(dst, domain), rights, arg1, arg2, 0);
}

CALL_RESULT static inline uint64_t cb_revoke(uint32_t sel, uint32_t flags)
{
    return cb_do(CB_CALL_WORD(CB_CALL_revoke, flags, sel), 0, 0, 0, 0, 0);
}

CALL_RESULT static inline uint64_t cb_destroy(uint32_t sel)
{
    return cb_do(CB_CALL_WORD(CB_CALL_destroy, 0, sel), 0, 0, 0, 0, 0);
}

struct cb_identity {
    uint64_t type, rights, x, y;
};

CALL_RESULT static inline uint64_t cb_identify(uint32_t sel, struct cb_identity *identity)
{
    struct cb_args args = {0};
    uint64_t status = cb_invoke(CB_CALL_WORD(CB_CALL_identify, 0, sel), &args);

    if (status == CB_OK)
        *identity = (struct cb_identity){args.a1, args.a2, args.a3, args.a4};
    return status;
}

CALL_RESULT static inline uint64_t cb_counters(uint32_t sel, uint64_t first, uint64_t counters[5])
{
    struct cb_args args = {.a1 = first};
    uint64_t status = cb_invoke(CB_CALL_WORD(CB_CALL_counters, 0, sel), &args);

    if (status == CB_OK) {
        counters[0] = args.a1;
        counters[1] = args.a2;
        counters[2] = args.a3;
        counters[3] = args.a4;
        counters[4] = args.a5;
    }
    return status;
}

/* ---- Execution ---- */

CALL_RESULT static inline uint64_t cb_sched_bind(uint32_t sched, uint32_t target)
{
    return cb_do(CB_CALL_WORD(CB_CALL_sched_bind, 0, sched), target, 0, 0, 0, 0);
}

CALL_RESULT static inline uint64_t cb_thread_set(uint32_t thread, uint64_t what, uint64_t value)
{
    return cb_do(CB_CALL_WORD(CB_CALL_thread_set, 0, thread), what, value, 0, 0, 0);
}

CALL_RESULT static inline uint64_t cb_recall(uint32_t sel)
{
    return cb_do(CB_CALL_WORD(CB_CALL_recall, 0, sel), 0, 0, 0, 0, 0);
}

CALL_RESULT static inline uint64_t cb_vcpu_exit(uint32_t vcpu, uint64_t exit_class, uint32_t portal)
{
    return cb_do(CB_CALL_WORD(CB_CALL_vcpu_exit, 0, vcpu), exit_class, portal, 0, 0, 0);
}

CALL_RESULT static inline uint64_t cb_event_bind(uint32_t event, uint32_t vcpu, uint64_t port)
{
    return cb_do(CB_CALL_WORD(CB_CALL_event_bind, 0, event), vcpu, port, 0, 0, 0);
}

/* ---- Hardware, log ---- */

CALL_RESULT static inline uint64_t cb_irq_bind(uint32_t irq, uint64_t gsi, uint32_t event, uint64_t flags)
{
    return cb_do(CB_CALL_WORD(CB_CALL_irq_bind, 0, irq), gsi, event, flags, 0, 0);
}

CALL_RESULT static inline uint64_t cb_irq_ack(uint32_t irq, uint64_t gsi)
{
    return cb_do(CB_CALL_WORD(CB_CALL_irq_ack, 0, irq), gsi, 0, 0, 0, 0);
}

CALL_RESULT static inline uint64_t cb_ioport_grant(uint32_t ioport, uint32_t domain, uint64_t first, uint64_t count)
{
    return cb_do(CB_CALL_WORD(CB_CALL_ioport_grant, 0, ioport), domain, first, count, 0, 0);
}

/* The bytes arrive in the words of the calling thread's UTCB. */
CALL_RESULT static inline uint64_t cb_log_read(uint32_t log, uint64_t position, uint64_t *next, uint64_t *bytes)
{
    struct cb_args args = {.a1 = position};
    uint64_t status = cb_invoke(CB_CALL_WORD(CB_CALL_log_read, 0, log), &args);

    if (status == CB_OK) {
        *next = args.a1;
        *bytes = args.a2;
    }
    return status;
}

CALL_RESULT static inline uint64_t cb_log_bind(uint32_t log, uint32_t event)
{
    return cb_do(CB_CALL_WORD(CB_CALL_log_bind, 0, log), event, 0, 0, 0, 0);
}

/* ---- Guest only: here for those who test that they are refused ---- */

CALL_RESULT static inline uint64_t cb_halt(uint32_t flags)
{
    return cb_do(CB_CALL_WORD(CB_CALL_halt, flags, 0), 0, 0, 0, 0, 0);
}

CALL_RESULT static inline uint64_t cb_timer(uint64_t deadline)
{
    return cb_do(CB_CALL_WORD(CB_CALL_timer, 0, 0), deadline, 0, 0, 0, 0);
}

CALL_RESULT static inline uint64_t cb_upcall(void)
{
    return cb_do(CB_CALL_WORD(CB_CALL_upcall, 0, 0), 0, 0, 0, 0, 0);
}

CALL_RESULT static inline uint64_t cb_tlb_flush(uint32_t domain, uint64_t vcpus)
{
    return cb_do(CB_CALL_WORD(CB_CALL_tlb_flush, 0, domain), vcpus, 0, 0, 0, 0);
}

#endif
