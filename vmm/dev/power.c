/* SPDX-License-Identifier: GPL-2.0-only */
/* The machine portal (corbel/guest.h): how the guest ends, restarts, or fails, and starts and stops its vCPUs. */
#include "dev.h"

#include <corbel.h>

#include <string.h>

#include "../machine.h"
#include "../vcpu.h"

#define PANIC_TEXT 256u
#define CANONICAL_SHIFT 47

static _Noreturn void guest_panic(uint64_t size, uint64_t words)
{
    const struct cb_utcb *utcb = thread_utcb();
    char text[PANIC_TEXT + 1];

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
    task_exit(CB_EXIT_REASON_CRASHED, "guest panic: %s", text);
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

void power_call(struct vcpu *vcpu, struct cb_args *message)
{
    uint64_t result = 0;

    switch (message->a1) {
    case CB_MACHINE_POWER_OFF:
        task_exit(CB_EXIT_REASON_DONE, "%s", ""); /* root has words for these two */
    case CB_MACHINE_REBOOT:
        task_exit(CB_EXIT_REASON_REBOOT, "%s", "");
    case CB_MACHINE_PANIC:
        guest_panic(message->a2, CB_INFO_WORDS(message->a5));
    case CB_MACHINE_START:
        result = start(message->a2, message->a3, message->a4);
        break;
    case CB_MACHINE_STOP:
        vcpu_stop(vcpu);
        break;
    default:
        result = CB_MACHINE_ERROR_OPERATION;
    }
    *message = (struct cb_args){.a1 = result};
}
