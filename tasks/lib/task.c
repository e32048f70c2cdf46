/* SPDX-License-Identifier: GPL-2.0-only */
/* What is special about tasks that root starts. root has its own start_main() and panic(). */
#include "task.h"

#include "calls.h"
#include "clock.h"
#include "pages.h"
#include "panic.h"
#include "print.h"
#include "random.h"
#include "sel.h"
#include "stream.h"
#include "thread.h"

#include <libfdt.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

_Noreturn void start_main(void); /* called by start.S */

/* Sends the text in the UTCB to root, and sleeps: root destroys the domain. */
static _Noreturn void leave(uint64_t reason, const char *format, va_list list)
{
    struct cb_utcb *utcb = thread_utcb();
    int length = vsnprintf((char *)utcb->words, sizeof(utcb->words), format, list);

    if (length < 0 || (size_t)length >= sizeof(utcb->words))
        length = sizeof(utcb->words) - 1;
    uint64_t words = ((uint64_t)length + 7) / 8;

    for (;;) {
        struct cb_args message = {CB_ROOT_EXIT, reason, (uint64_t)length, 0, CB_INFO(words, 0, 0)};

        (void)!cb_call(CB_TASK_SEL_ROOT(thread_self()->cpu), &message);
        thread_sleep_us(1000000);
    }
}

_Noreturn void task_exit(uint64_t reason, const char *format, ...)
{
    va_list list;

    va_start(list, format);
    leave(reason, format, list);
}

_Noreturn void panic(const char *format, ...)
{
    va_list list;

    va_start(list, format);
    leave(CB_EXIT_REASON_CRASHED, format, list);
}

const char *task_bootargs(void)
{
    const void *fdt = (const void *)CB_TASK_FDT_ADDRESS;
    int length;
    const char *text = fdt_check_full(fdt, task_info()->fdt_size) == 0 ? fdt_getprop(fdt, 0, "bootargs", &length) : NULL;

    return text && length > 0 && text[length - 1] == 0 ? text : "";
}

uint64_t task_number(const char *name, uint64_t otherwise)
{
    const char *at = strstr(task_bootargs(), name);

    return at ? strtoul(at + strlen(name), NULL, 0) : otherwise;
}

const void *task_module(const char *name, size_t *size)
{
    const struct cb_task_info *info = task_info();

    for (uint32_t i = 0; i < info->module_count && i < CB_TASK_MODULES; i++) {
        const struct cb_task_module *module = &info->modules[i];

        if (strncmp(module->name, name, sizeof(module->name)) == 0) {
            *size = module->size;
            return (const void *)module->address;
        }
    }
    return NULL;
}

/* Without a console service there is a ring page, but nobody who reads it. */
static bool has_console(void)
{
    struct cb_identity identity;

    return cb_identify(CB_TASK_SEL_CONSOLE_SIGNAL, &identity) == CB_OK && identity.type == CB_TYPE_EVENT;
}

_Noreturn void start_main(void)
{
    const struct cb_task_info *info = task_info();

    clock_khz = info->tsc_khz ? info->tsc_khz : 1;
    clock_wall_ns = info->wall_ns;
    random_seed(info->seed, sizeof(info->seed));
    sel_init(CB_TASK_SEL_FREE);
    pages_init(CB_TASK_SEL_RAM);
    thread_init(info->cpu, CB_TASK_UTCB_ADDRESS);
    thread_fault_portals = true;
    if (info->version != CB_ABI_VERSION)
        task_exit(CB_EXIT_REASON_FAILED, "it knows version %u of the interface, but this is version %u", CB_ABI_VERSION,
                  info->version);
    if (has_console())
        stream_init((struct cb_console *)CB_TASK_CONSOLE_ADDRESS, CB_TASK_SEL_CONSOLE_SIGNAL,
                    CB_TASK_SEL_CONSOLE_EVENT);
    task_main(info);
    task_exit(CB_EXIT_REASON_DONE, "%s", "");
}
