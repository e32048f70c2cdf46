/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The machine portal (corbel/guest.h): how the guest ends, restarts, or fails, starts and stops its vCPUs, and chooses
 * whom its devices interrupt.
 */
#include "dev.h"

#include <corbel.h>

#include <string.h>

#include "../machine.h"
#include "../vcpu.h"

#define PANIC_TEXT 256u
#define CANONICAL_SHIFT 47

/* What the guest says it dies of, or "". vCPUs that report at the same time garble it, no more. */
static char last_words[PANIC_TEXT + 1];

static void report(uint64_t size, uint64_t words)
{
    const struct cb_utcb *utcb = thread_utcb();
    char *text = last_words;

    if (size > words * 8)
        size = words * 8;
    if (size > PANIC_TEXT)
        size = PANIC_TEXT;
    memcpy(text, utcb->words, size);
    while (size && (text[size - 1] == '\n' || text[size - 1] == 0))
        size--;
    for (uint64_t i = 0; i < size; i++)
        if (text[i] < ' ' || text[i] > '~')
            text[i] = ' '; /* it goes to a terminal */
    text[size] = 0;
}

/* root has words of its own for the usual ends. */
static _Noreturn void end(uint64_t reason)
{
    bool panicked = last_words[0] != 0 || reason == CB_EXIT_REASON_CRASHED;

    task_exit(reason, "%s%s", panicked ? "guest panic: " : "", last_words);
}

static uint64_t start(uint64_t number, uint64_t rip, uint64_t cr3)
{
    const struct vcpu_start start = {.rip = rip, .cr3 = cr3};
    int64_t high = (int64_t)rip >> CANONICAL_SHIFT;

    if ((high != 0 && high != -1) || cr3 % CB_PAGE_SIZE != 0 || !gmem_at(&machine.ram, cr3, CB_PAGE_SIZE))
        return CB_MACHINE_ERROR_STATE;
    if (number >= machine.vcpu_count || !vcpu_start((uint32_t)number, &start))
        return CB_MACHINE_ERROR_VCPU;
    return 0;
}

static uint64_t route(uint64_t port, uint64_t number)
{
    if (number >= machine.vcpu_count)
        return CB_MACHINE_ERROR_VCPU;
    return ports_route(port, (uint32_t)number) ? 0 : CB_MACHINE_ERROR_PORT;
}

void power_call(struct vcpu *vcpu, struct cb_args *message)
{
    uint64_t result = 0;

    switch (message->a1) {
    case CB_MACHINE_POWER_OFF:
        end(CB_EXIT_REASON_DONE);
    case CB_MACHINE_REBOOT:
        end(CB_EXIT_REASON_REBOOT);
    case CB_MACHINE_PANIC:
        if (message->a2)
            report(message->a2, CB_INFO_WORDS(message->a5));
        end(CB_EXIT_REASON_CRASHED);
    case CB_MACHINE_REPORT:
        report(message->a2, CB_INFO_WORDS(message->a5));
        break;
    case CB_MACHINE_START:
        result = start(message->a2, message->a3, message->a4);
        break;
    case CB_MACHINE_STOP:
        vcpu_stop(vcpu);
        break;
    case CB_MACHINE_ROUTE:
        result = route(message->a2, message->a3);
        break;
    default:
        result = CB_MACHINE_ERROR_OPERATION;
    }
    *message = (struct cb_args){.a1 = result};
}
