/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A plugin of QEMU that looks for the longest closed stretches: instructions that a CPU executes in the hypervisor
 * between two points where it would take an interrupt (docs/bounded-work.md). Open are user mode, guest mode, and in the
 * hypervisor what stands behind an STI, until CLI (kernel_preempt(), the idle loop).
 *
 *   -plugin closed.so,out=FILE[,victim=on]
 *
 * The interface shows no registers, so IF and GIF are followed through the instructions that change them. Each STI in the
 * hypervisor has at most two instructions behind it that run open (sti; nop; cli and sti; hlt; cli); all else that runs
 * then is an interrupt's entry. FILE gets a line for each kind of stretch, the longest of its kind, the longest kind
 * first; a kind is where most of its instructions were:
 *
 *   closed COUNT CPU START END : ADDRESS*COUNT ...
 *
 * The addresses are those of the blocks of code that ran, in their order, with the number of their instructions.
 * The first stretch of a CPU, which is boot, does not count. See closed.py for what can be read.
 *
 * It also watches a victim: code at user level that marks each round of its loop, while others mark where they begin and
 * end to attack (tests/guest/hostile/hostile.h). For each attack and CPU with a victim there is a line, in the CPU's own
 * time, which is what it executes, whoever does:
 *
 *   victim PHASE CPU ALL OWN GAP
 *
 * ALL instructions were executed there, OWN by the victim, and GAP was the longest while in which it did not get on.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../guest/hostile/marks.h"
#include "plugin.h"

#define HYPERVISOR 0xffffffff80000000u /* layout.h: KERNEL_BASE */
#define CPUS_MAX 256u
#define TRACE_MAX 8192u /* blocks of a stretch that are remembered: the first half of these, and the last */
#define KINDS_MAX 256u
#define OPEN_BYTES 2u   /* behind an STI: NOP or HLT, then CLI */
#define WORTH 1000u     /* instructions: a shorter stretch is of no interest */
#define PHASES_MAX 256u

struct block {
    uint64_t address;
    uint32_t count;
    bool exit;    /* begins behind the VMRUN */
    uint64_t sum; /* for kind_of() */
};

struct run {
    struct block *block;
    uint64_t count;
};

struct stretch {
    uint64_t count, start, end;
    unsigned cpu;
    size_t runs; /* of trace; more than TRACE_MAX if some are forgotten */
    struct run *trace;
};

struct cpu {
    uint64_t all;         /* instructions ever executed */
    uint64_t begun, last; /* of these: when the phase began, when the victim last got on */
    uint64_t own, gap;    /* in this phase */
    bool booted, open, guest, gif_clear;
    uint64_t sti; /* the last one */
    struct stretch now;
};

/* Where the instruction stands in its block, for those that change something. */
struct special {
    uint64_t address;
    uint32_t left; /* instructions behind it in its block */
};

static const char *out;
static bool watch; /* a victim */
static struct cpu cpus[CPUS_MAX];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* kinds */
static struct stretch kinds[KINDS_MAX];
static uint64_t kind_names[KINDS_MAX];
static unsigned kind_count;
static unsigned phase, phase_count; /* 0: between phases; begun */
static struct result {
    unsigned phase, cpu;
    uint64_t all, own, gap;
} results[PHASES_MAX * 4];
static unsigned result_count;
static const uint8_t *vmrun; /* where QEMU has the byte behind it: no guest has that memory */

static void *need(void *p)
{
    if (p == NULL)
        abort();
    return p;
}

static int by_count(const void *a, const void *b)
{
    const struct stretch *x = a, *y = b;

    return x->count < y->count ? 1 : x->count > y->count ? -1 : 0;
}

static void write_all(void)
{
    struct stretch sorted[KINDS_MAX];
    FILE *f = fopen(out, "w");

    if (f == NULL)
        return;
    memcpy(sorted, kinds, sizeof(sorted));
    qsort(sorted, kind_count, sizeof(*sorted), by_count);
    for (unsigned i = 0; i < kind_count; i++) {
        const struct stretch *s = &sorted[i];

        fprintf(f, "closed %" PRIu64 " %u %" PRIx64 " %" PRIx64 " :", s->count, s->cpu, s->start, s->end);
        for (size_t j = 0; j < s->runs && j < TRACE_MAX; j++)
            fprintf(f, " %" PRIx64 "*%" PRIu64, s->trace[j].block->address, s->trace[j].count);
        fprintf(f, "\n");
    }
    for (unsigned i = 0; i < result_count; i++)
        fprintf(f, "victim %u %u %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", results[i].phase, results[i].cpu, results[i].all,
                results[i].own, results[i].gap);
    fclose(f);
}

/* Where most of it was, and where it came from. Under the lock. */
static uint64_t kind_of(const struct stretch *s)
{
    size_t n = s->runs < TRACE_MAX ? s->runs : TRACE_MAX;
    const struct block *most = s->trace[0].block;

    for (size_t i = 0; i < n; i++)
        s->trace[i].block->sum = 0;
    for (size_t i = 0; i < n; i++) {
        struct block *b = s->trace[i].block;

        b->sum += s->trace[i].count;
        if (b->sum > most->sum)
            most = b;
    }
    return most->address ^ s->start << 32;
}

static void keep(const struct stretch *s)
{
    struct stretch *k;
    struct run *trace;
    uint64_t name;
    unsigned i;

    pthread_mutex_lock(&lock);
    name = kind_of(s);
    for (i = 0; i < kind_count && kind_names[i] != name; i++)
        ;
    if (i == kind_count && kind_count == KINDS_MAX)
        i--;
    k = &kinds[i];
    if (s->count > k->count) {
        if (i == kind_count) {
            kind_names[kind_count++] = name;
            k->trace = need(malloc(TRACE_MAX * sizeof(*k->trace)));
        }
        trace = k->trace;
        *k = *s;
        k->trace = trace;
        memcpy(trace, s->trace, TRACE_MAX * sizeof(*trace));
    }
    pthread_mutex_unlock(&lock);
}

static void begin(unsigned number, uint64_t address)
{
    struct cpu *c = &cpus[number];

    c->open = false;
    c->now.count = 0;
    c->now.runs = 0;
    c->now.cpu = number;
    c->now.start = address;
}

static void end(struct cpu *c, uint64_t address)
{
    if (c->open)
        return;
    c->open = true;
    c->now.end = address;
    if (c->booted && c->now.count >= WORTH)
        keep(&c->now);
    c->booted = true;
}

static void remember(struct stretch *s, struct block *b)
{
    size_t at = s->runs < TRACE_MAX ? s->runs : TRACE_MAX / 2 + s->runs % (TRACE_MAX / 2);
    size_t before = s->runs - 1 < TRACE_MAX ? s->runs - 1 : TRACE_MAX / 2 + (s->runs - 1) % (TRACE_MAX / 2);

    if (s->runs && s->trace[before].block == b) {
        s->trace[before].count += b->count;
        return;
    }
    s->trace[at] = (struct run){b, b->count};
    s->runs++;
}

/* Runs before each block of the hypervisor, and of guests that have the same addresses. */
static void on_block(unsigned number, void *block)
{
    struct block *b = block;
    struct cpu *c = &cpus[number];

    if (c->guest && !b->exit)
        return;
    if (c->now.trace == NULL)
        c->now.trace = need(malloc(TRACE_MAX * sizeof(*c->now.trace)));
    c->guest = false;
    if (c->sti && !c->gif_clear && b->address > c->sti && b->address <= c->sti + OPEN_BYTES) {
        end(c, b->address); /* or an interrupt that came behind the STI has returned */
        return;
    }
    if (c->open)
        begin(number, b->address);
    c->now.count += b->count;
    remember(&c->now, b);
}

static void on_sti(unsigned number, void *special)
{
    struct cpu *c = &cpus[number];

    if (c->guest)
        return;
    if (!c->gif_clear) {
        c->sti = ((struct special *)special)->address;
        end(c, c->sti);
    }
}

static void on_cli(unsigned number, void *special)
{
    const struct special *s = special;
    struct cpu *c = &cpus[number];

    if (c->guest || !c->open)
        return;
    begin(number, s->address);
    c->now.count = s->left;
}

/* To user mode; or back from an interrupt, which on_block() sees. */
static void on_return(unsigned number, void *special)
{
    if (!cpus[number].guest)
        end(&cpus[number], ((struct special *)special)->address);
}

static void on_clgi(unsigned number, void *special)
{
    (void)special;
    if (!cpus[number].guest)
        cpus[number].gif_clear = true;
}

static void on_stgi(unsigned number, void *special)
{
    (void)special;
    if (!cpus[number].guest)
        cpus[number].gif_clear = false;
}

static void on_vmrun(unsigned number, void *special)
{
    if (cpus[number].guest)
        return;
    cpus[number].guest = true;
    end(&cpus[number], ((struct special *)special)->address);
}

/* ---- The victim: with all CPUs on one thread of the host, and so without locks ---- */

static void on_any_block(unsigned number, void *count)
{
    cpus[number].all += (uint64_t)count;
}

static void on_victim(unsigned number, void *unused)
{
    struct cpu *c = &cpus[number];
    uint64_t since = c->all - c->last;

    (void)unused;
    if (phase) {
        c->own += since < VICTIM_ROUND ? since : VICTIM_ROUND;
        if (since > c->gap + VICTIM_ROUND)
            c->gap = since - VICTIM_ROUND;
    }
    c->last = c->all;
}

static void on_phase(unsigned number, void *unused)
{
    (void)number, (void)unused;
    phase = ++phase_count;
    for (unsigned i = 0; i < CPUS_MAX; i++) {
        cpus[i].begun = cpus[i].last = cpus[i].all;
        cpus[i].own = cpus[i].gap = 0;
    }
}

static void on_phase_end(unsigned number, void *unused)
{
    (void)number, (void)unused;
    for (unsigned i = 0; i < CPUS_MAX && phase && result_count < sizeof(results) / sizeof(*results); i++) {
        struct cpu *c = &cpus[i];

        if (c->all - c->last > c->gap) /* it has not come back */
            c->gap = c->all - c->last;
        if (c->own)
            results[result_count++] = (struct result){phase, i, c->all - c->begun, c->own, c->gap};
    }
    phase = 0;
}

/* What is to be done at a mark; NULL: it is none. */
static void (*mark_of(const struct qemu_plugin_insn *insn))(unsigned, void *)
{
    static const uint8_t nopl[] = {0x0f, 0x1f, 0x80};
    const uint8_t *bytes = qemu_plugin_insn_data(insn);
    uint32_t number;

    if (qemu_plugin_insn_size(insn) != sizeof(nopl) + sizeof(number) || memcmp(bytes, nopl, sizeof(nopl)) != 0)
        return NULL;
    memcpy(&number, bytes + sizeof(nopl), sizeof(number));
    switch (number - MARK_BASE) {
    case MARK_VICTIM: return on_victim;
    case MARK_PHASE: return on_phase;
    case MARK_END: return on_phase_end;
    default: return NULL;
    }
}

/* ---- */

/* What is to be done at an instruction of the hypervisor; NULL: nothing. */
static void (*special_of(const struct qemu_plugin_insn *insn))(unsigned, void *)
{
    static const struct {
        uint8_t length, bytes[3];
        void (*function)(unsigned, void *);
    } table[] = {
        {1, {0xfb}, on_sti},
        {1, {0xfa}, on_cli},
        {2, {0x48, 0xcf}, on_return},             /* iretq */
        {3, {0x48, 0x0f, 0x07}, on_return},       /* sysretq */
        {3, {0x0f, 0x01, 0xdd}, on_clgi},
        {3, {0x0f, 0x01, 0xdc}, on_stgi},
        {3, {0x0f, 0x01, 0xd8}, on_vmrun},
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
        if (qemu_plugin_insn_size(insn) == table[i].length &&
            memcmp(qemu_plugin_insn_data(insn), table[i].bytes, table[i].length) == 0)
            return table[i].function;
    return NULL;
}

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    size_t n = qemu_plugin_tb_n_insns(tb);
    struct block *b;

    (void)id;
    if (watch)
        qemu_plugin_register_vcpu_tb_exec_cb(tb, on_any_block, QEMU_PLUGIN_CB_NO_REGS, (void *)n);
    if (watch && qemu_plugin_tb_vaddr(tb) < HYPERVISOR) {
        for (size_t i = 0; i < n; i++) {
            struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
            void (*function)(unsigned, void *) = mark_of(insn);

            if (function)
                qemu_plugin_register_vcpu_insn_exec_cb(insn, function, QEMU_PLUGIN_CB_NO_REGS, NULL);
        }
    }
    if (qemu_plugin_tb_vaddr(tb) < HYPERVISOR)
        return;
    b = need(malloc(sizeof(*b)));
    *b = (struct block){.address = qemu_plugin_tb_vaddr(tb), .count = (uint32_t)n};
    b->exit = vmrun && qemu_plugin_insn_haddr(qemu_plugin_tb_get_insn(tb, 0)) == vmrun;
    qemu_plugin_register_vcpu_tb_exec_cb(tb, on_block, QEMU_PLUGIN_CB_NO_REGS, b);
    for (size_t i = 0; i < n; i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        void (*function)(unsigned, void *) = special_of(insn);
        struct special *s;

        if (function == NULL)
            continue;
        s = need(malloc(sizeof(*s)));
        *s = (struct special){qemu_plugin_insn_vaddr(insn), (uint32_t)(n - i - 1)};
        if (function == on_vmrun && vmrun == NULL)
            vmrun = (uint8_t *)qemu_plugin_insn_haddr(insn) + qemu_plugin_insn_size(insn);
        qemu_plugin_register_vcpu_insn_exec_cb(insn, function, QEMU_PLUGIN_CB_NO_REGS, s);
    }
}

static void on_end(qemu_plugin_id_t id, void *data)
{
    (void)id;
    (void)data;
    write_all();
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv)
{
    (void)info;
    if (argc < 1 || strncmp(argv[0], "out=", 4) != 0)
        return -1;
    out = strdup(argv[0] + 4);
    watch = argc == 2 && strcmp(argv[1], "victim=on") == 0;
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    qemu_plugin_register_atexit_cb(id, on_end, NULL);
    return 0;
}
