/* SPDX-License-Identifier: GPL-2.0-only */
/* What needs no queue or has a short one: the machine portal with calls of all kinds, and the source of random bytes. */
#include <criterion/criterion.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <corbel.h>

#include "../../vmm/machine.h"
#include "../../vmm/vcpu.h"
#include "dev/dev.h"
#include "random.h"

#define VCPUS 3u
#define RAM 0x10000u
#define PORT 20u

static uint8_t memory[RAM];
struct machine machine = {.vcpu_count = VCPUS, .ram = {memory, RAM}};

static struct cb_utcb utcb;
static struct thread thread = {.utcb = &utcb};
struct thread *thread_fake = &thread;

static struct vcpu vcpu = {.number = 1};
static bool is_running, stopped;
static struct vcpu_start started;
static uint32_t started_number, routed;
static jmp_buf ended;
static uint64_t reason;
static char text[400];

/* ---- What the devices call ---- */

bool vcpu_start(uint32_t number, const struct vcpu_start *start)
{
    cr_assert_lt(number, VCPUS);
    started = *start;
    started_number = number;
    return !is_running;
}

void vcpu_stop(struct vcpu *which)
{
    cr_assert_eq(which, &vcpu);
    stopped = true;
}

bool ports_route(uint64_t port, uint32_t number)
{
    cr_assert_lt(number, VCPUS);
    routed = number;
    return port == PORT;
}

_Noreturn void task_exit(uint64_t why, const char *format, ...)
{
    va_list list;

    va_start(list, format);
    vsnprintf(text, sizeof(text), format, list);
    va_end(list);
    reason = why;
    longjmp(ended, 1);
}

void random_bytes(void *buffer, size_t size)
{
    memset(buffer, 0x77, size);
}

/* ---- The machine portal ---- */

static uint64_t call(uint64_t operation, uint64_t a, uint64_t b, uint64_t c, uint32_t words)
{
    struct cb_args message = {operation, a, b, c, CB_INFO(words, 0, 0)};

    power_call(&vcpu, &message);
    cr_assert(message.a2 == 0 && message.a3 == 0 && message.a4 == 0 && message.a5 == 0, "the reply has one word");
    return message.a1;
}

static void expect_end(uint64_t operation, uint64_t size, uint32_t words, uint64_t why, const char *wanted)
{
    if (setjmp(ended) == 0) {
        call(operation, size, 0, 0, words);
        cr_assert_fail("%lu ends nothing", operation);
    }
    cr_assert_eq(reason, why);
    cr_assert_str_eq(text, wanted);
}

Test(devices, virtual_cpus)
{
    static const uint64_t wrong[] = {1ull << 47, 0xffff7fffffffffff, 1ull << 63};

    cr_assert_eq(call(CB_MACHINE_START, 2, 0xffffffff81000000, 0x3000, 0), 0);
    cr_assert(started_number == 2 && started.rip == 0xffffffff81000000 && started.cr3 == 0x3000 && started.rsi == 0);
    cr_assert_eq(call(CB_MACHINE_START, 0, (1ull << 47) - 1, RAM - 0x1000, 0), 0);
    for (unsigned i = 0; i < 3; i++)
        cr_assert_eq(call(CB_MACHINE_START, 2, wrong[i], 0x3000, 0), CB_MACHINE_ERROR_STATE, "rip %lx", wrong[i]);
    cr_assert_eq(call(CB_MACHINE_START, 2, 0, 0x3008, 0), CB_MACHINE_ERROR_STATE, "no page");
    cr_assert_eq(call(CB_MACHINE_START, 2, 0, RAM, 0), CB_MACHINE_ERROR_STATE, "no memory");
    cr_assert_eq(call(CB_MACHINE_START, 2, 0, -0x1000ull, 0), CB_MACHINE_ERROR_STATE);
    cr_assert_eq(call(CB_MACHINE_START, VCPUS, 0, 0x3000, 0), CB_MACHINE_ERROR_VCPU);
    cr_assert_eq(call(CB_MACHINE_START, 1ull << 32, 0, 0x3000, 0), CB_MACHINE_ERROR_VCPU);
    is_running = true;
    cr_assert_eq(call(CB_MACHINE_START, 2, 0, 0x3000, 0), CB_MACHINE_ERROR_VCPU);
    cr_assert_not(stopped);
    cr_assert_eq(call(CB_MACHINE_STOP, 0, 0, 0, 0), 0);
    cr_assert(stopped);
}

Test(devices, ports)
{
    cr_assert(call(CB_MACHINE_ROUTE, PORT, 2, 0, 0) == 0 && routed == 2);
    cr_assert_eq(call(CB_MACHINE_ROUTE, PORT + 1, 2, 0, 0), CB_MACHINE_ERROR_PORT);
    cr_assert_eq(call(CB_MACHINE_ROUTE, PORT, VCPUS, 0, 0), CB_MACHINE_ERROR_VCPU);
    cr_assert_eq(call(CB_MACHINE_ROUTE, PORT, 1ull << 32, 0, 0), CB_MACHINE_ERROR_VCPU);
    cr_assert_eq(call(99, 0, 0, 0, 0), CB_MACHINE_ERROR_OPERATION);
}

Test(devices, ends)
{
    expect_end(CB_MACHINE_POWER_OFF, 0, 0, CB_EXIT_REASON_DONE, "");
    expect_end(CB_MACHINE_REBOOT, 0, 0, CB_EXIT_REASON_REBOOT, "");
    expect_end(CB_MACHINE_PANIC, 0, 0, CB_EXIT_REASON_CRASHED, "guest panic: ");
    memcpy(utcb.words, "no\033luck\n\n\0 and a secret", 24);
    cr_assert_eq(call(CB_MACHINE_REPORT, 9, 0, 0, 4), 0);
    expect_end(CB_MACHINE_REBOOT, 0, 0, CB_EXIT_REASON_REBOOT, "guest panic: no luck");
    expect_end(CB_MACHINE_PANIC, 0, 0, CB_EXIT_REASON_CRASHED, "guest panic: no luck");
    memcpy(utcb.words, "more words, and a secret", 24);
    expect_end(CB_MACHINE_PANIC, 1000, 1, CB_EXIT_REASON_CRASHED, "guest panic: more wor");
}

/* More than there is room for, also where all words are in use. */
Test(devices, long_last_words)
{
    char wanted[300];

    memset(utcb.words, 'x', sizeof(utcb.words));
    snprintf(wanted, sizeof(wanted), "guest panic: %.*s", 256, (const char *)utcb.words);
    expect_end(CB_MACHINE_PANIC, 257, CB_UTCB_WORDS, CB_EXIT_REASON_CRASHED, wanted);
    expect_end(CB_MACHINE_PANIC, UINT64_MAX, CB_UTCB_WORDS, CB_EXIT_REASON_CRASHED, wanted);
}

/* ---- Random bytes ---- */

Test(devices, random_bytes)
{
    static uint8_t buffer[8192];
    static struct virtqueue_chain chain;

    for (uint32_t size = 0; size < 6000; size += size < 200 ? 1 : 777) {
        uint32_t limit = size < 4096 ? size : 4096, done = 0, first = (uint32_t)random_below(size + 1);

        memset(buffer, 0, sizeof(buffer));
        chain = (struct virtqueue_chain){.count = 2, .write_size = size, .spans = {{buffer, first}, {buffer + first, size - first}}};
        cr_assert_eq(rng_ops.serve(NULL, 0, &chain), limit, "of %u bytes", size);
        while (done < sizeof(buffer) && buffer[done] == 0x77)
            done++;
        cr_assert_eq(done, limit);
    }
}
