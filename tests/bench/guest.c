/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The paths of a guest, measured by a guest of its own: hypercall, exits to the VMM, calls to a native service, and
 * events between guests. The first word of its command line says what it is: `measure`, or `answer`, the other end
 * of a link, which answers as many signals as one measurement sends. Linked at its load address, without relocation.
 */
#include "guest/guest.h"

#include "print.h"

#include <corbel/cap.h>
#include <corbel/console.h>
#include <corbel/guest.h>
#include <corbel/utcb.h>

#include <libfdt.h>
#include <string.h>

#define CMD_LINE_PTR 0x228u /* in boot_params */
#define SETUP_DATA 0x250u
#define SETUP_DTB 2u

#define LEAF 0u       /* of CPUID */
#define PORT 0xe0u    /* where no machine has anything */
#define IDT_GATE 0x8e00u

struct regs {
    uint32_t eax, ebx, ecx, edx;
};

struct setup_data {
    uint64_t next;
    uint32_t type, size;
    uint8_t data[];
};

struct gate {
    uint16_t low, selector, flags, middle;
    uint32_t high, zero;
};

struct __attribute__((packed)) table_register {
    uint16_t limit;
    uint64_t base;
};

_Noreturn void guest_main(const uint8_t *boot_params);

struct cb_event_page *upcall_page;
uint64_t upcall_word, upcall_answer, upcall_count, upcall_failed;

static struct cb_console *ring;
static uint32_t ring_signal;
static struct gate idt[256];
static const void *fdt;

static struct regs cpuid(uint32_t leaf)
{
    struct regs r;

    __asm__ volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf), "c"(0));
    return r;
}

static void machine(uint64_t operation)
{
    struct cb_args args = {.a1 = operation};

    (void)guest_call(CB_CALL_WORD(CB_CALL_call, 0, CB_GUEST_SEL_MACHINE(0)), &args);
}

/* There is nobody to tell but the VMM: a triple fault, which it reports with the address. */
static _Noreturn void fail(void)
{
    for (;;)
        __asm__ volatile("ud2");
}

void bench_print(const char *format, ...)
{
    char line[256];
    struct cb_args args = {0};
    uint32_t head = ring->out_head;
    va_list list;

    va_start(list, format);
    vsnprintf(line, sizeof(line), format, list);
    va_end(list);
    for (const char *at = line; *at; at++) {
        while (head - __atomic_load_n(&ring->out_tail, __ATOMIC_ACQUIRE) >= CB_CONSOLE_OUT)
            __asm__ volatile("pause");
        ring->out[head++ % CB_CONSOLE_OUT] = (uint8_t)*at;
    }
    __atomic_store_n(&ring->out_head, head, __ATOMIC_RELEASE);
    (void)guest_call(CB_CALL_WORD(CB_CALL_signal, 0, ring_signal), &args); /* nobody listens without a console */
}

/* ---- What the VMM tells ---- */

/* CPUID FEATURES, edx: 1 if hypercalls are VMCALL, which is 0f 01 c1 in the place of 0f 01 d9. */
static void hypercalls_patch(uint32_t vmcall)
{
    for (uint8_t *const *at = guest_hypercalls; vmcall && at < guest_hypercalls_end; at++)
        (*at)[2] = 0xc1;
}

static void fdt_find(const uint8_t *boot_params)
{
    const struct setup_data *data = *(const struct setup_data *const *)(const void *)(boot_params + SETUP_DATA);

    while (data && data->type != SETUP_DTB)
        data = (const struct setup_data *)data->next;
    if (data == NULL || fdt_check_full(data->data, data->size) != 0)
        fail();
    fdt = data->data;
}

/* The grant with this label, or the first link if `label` is NULL; negative if there is none. */
static int grant_find(const char *label, const char *compatible)
{
    int node, all = fdt_path_offset(fdt, "/grants");

    if (all < 0)
        return all;
    fdt_for_each_subnode(node, fdt, all) {
        const char *name = fdt_getprop(fdt, node, "label", NULL);

        if (fdt_node_check_compatible(fdt, node, compatible) == 0 &&
            (label == NULL || (name && strcmp(name, label) == 0)))
            return node;
    }
    return node;
}

static uint32_t grant_cell(int node, const char *property)
{
    int length;
    const fdt32_t *cell = fdt_getprop(fdt, node, property, &length);

    if (cell == NULL || length < (int)sizeof(*cell))
        fail();
    return fdt32_ld(cell);
}

/* ---- Upcalls ---- */

static void upcalls_init(const struct regs *features)
{
    struct table_register idtr = {sizeof(idt) - 1, (uint64_t)idt};
    uint64_t entry = (uint64_t)upcall_entry;
    uint16_t code;

    __asm__("mov %%cs, %0" : "=r"(code));
    idt[CB_GUEST_UPCALL_VECTOR] = (struct gate){
        .low = (uint16_t)entry,
        .selector = code,
        .flags = IDT_GATE,
        .middle = (uint16_t)(entry >> 16),
        .high = (uint32_t)(entry >> 32),
    };
    __asm__ volatile("lidt %0" ::"m"(idtr));
    upcall_page = (struct cb_event_page *)((uint64_t)features->ecx * CB_PAGE_SIZE);
}

/* ---- Paths ---- */

static void measure_exits(void)
{
    struct bench_rounds null = {.word = CB_CALL_WORD(CB_CALL_null, 0, 0)};
    struct bench_rounds leaf = {.word = LEAF, .word2 = cpuid(LEAF).eax};
    struct bench_rounds port = {.word = PORT};

    bench_path("guest-null", round_hypercall, null, 0);
    bench_path("guest-cpuid", round_cpuid, leaf, 0);
    bench_path("guest-port", round_port, port, 0);
}

static void measure_call(void)
{
    int node = grant_find("echo", "corbel,service");

    if (node < 0) {
        bench_missing("guest-call", "no such service was given");
        return;
    }
    struct bench_rounds rounds = {.word = CB_CALL_WORD(CB_CALL_call, 0, grant_cell(node, "corbel,portals"))};

    bench_path("guest-call", round_words, rounds, 0);
}

static void measure_event(const char *name, bench_fn *function, const char *link)
{
    int node = grant_find(link, "corbel,link");

    if (node < 0) {
        bench_missing(name, "no such link was given");
        return;
    }
    struct bench_rounds rounds = {
        .word = CB_CALL_WORD(CB_CALL_signal, 0, grant_cell(node, "corbel,signal")),
    };

    upcall_word = grant_cell(node, "corbel,port") / 64;
    upcall_count = 0;
    bench_path(name, function, rounds, 0);
}

static void measure(void)
{
    bench_calibrate(BENCH_NO_PMC); /* RDPMC is not for guests */
    bench_empty(round_empty);
    measure_exits();
    measure_call();
    measure_event("guest-event", round_event, "same");
    measure_event("guest-event-other-cpu", round_event_other_cpu, "other");
    bench_print("bench end\n");
}

/* Halts until as many signals have been answered as one measurement sends. */
static void answer(void)
{
    struct cb_args args = {0};
    int node = grant_find(NULL, "corbel,link");

    if (node < 0)
        fail();
    upcall_word = grant_cell(node, "corbel,port") / 64;
    upcall_answer = CB_CALL_WORD(CB_CALL_signal, 0, grant_cell(node, "corbel,signal"));
    while (upcall_count < BENCH_WARMUP + BENCH_ROUNDS && !upcall_failed) {
        if (guest_call(CB_CALL_WORD(CB_CALL_halt, CB_HALT_ENABLE, 0), &args) != CB_OK)
            fail();
        __asm__ volatile("cli" ::: "memory");
    }
    if (upcall_failed)
        fail();
}

_Noreturn void guest_main(const uint8_t *boot_params)
{
    const char *cmdline = (const char *)(uint64_t)*(const uint32_t *)(const void *)(boot_params + CMD_LINE_PTR);
    struct regs features = cpuid(CB_CPUID_FEATURES), console = cpuid(CB_CPUID_CONSOLE);

    ring = (struct cb_console *)((uint64_t)console.eax * CB_PAGE_SIZE);
    ring_signal = console.ebx;
    hypercalls_patch(features.edx);
    fdt_find(boot_params);
    upcalls_init(&features);
    if (strncmp(cmdline, "answer", strlen("answer")) == 0)
        answer();
    else
        measure();
    machine(CB_MACHINE_POWER_OFF);
    for (;;) /* the call is broken off when the VMM ends */
        __asm__ volatile("cli; hlt");
}
