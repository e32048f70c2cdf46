/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A plugin of QEMU that counts the instructions between two marks (bench.h) by where they stand: kernel, user level,
 * guest. So each of them is counted, however long the path is that they are on, and nothing runs differently for it.
 *
 *   -plugin counter.so,out=FILE,guest=FIRST-LAST
 *
 * FIRST and LAST are addresses in hexadecimal: what runs between them is a guest's. FILE gets a line for each path:
 *
 *   path INDEX ROUNDS KERNEL USER GUEST THERE SAME : ADDRESS ...
 *
 * These are the counts that most rounds have in common (THERE: kernel, up to the first mark of that name, 0 if there is
 * none), SAME is the number of those rounds, and the addresses are all instructions of one of them, in the order in
 * which they ran. INDEX -1 is what warmed up before path 0, and so on:
 * see bench.c.
 *
 * An instruction that leaves the guest counts as one of the guest's, though it does not retire.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "plugin.h"

#define KERNEL_BASE 0xffff800000000000u
#define TRACE_MAX 65536u
#define KINDS_MAX 1024u /* different counts within one path; those beyond are not told apart */

enum place { KERNEL, USER, GUEST, THERE, PLACES };

struct counts {
    uint64_t at[PLACES];
    uint64_t rounds;
    uint64_t *trace; /* of the first such round */
    size_t trace_length;
};

static FILE *out;
static uint64_t guest_first = 1, guest_last;
static bool counting;
static struct counts now, kinds[KINDS_MAX];
static uint64_t trace[TRACE_MAX];
static unsigned kind_count;
static uint64_t rounds;
static int path;

static void end_round(void)
{
    unsigned i;

    counting = false;
    rounds++;
    for (i = 0; i < kind_count; i++)
        if (memcmp(kinds[i].at, now.at, sizeof(now.at)) == 0)
            break;
    if (i == KINDS_MAX)
        return;
    if (i == kind_count) {
        kinds[kind_count++] = now;
        kinds[i].trace = malloc(now.trace_length * sizeof(*trace));
        if (kinds[i].trace)
            memcpy(kinds[i].trace, trace, now.trace_length * sizeof(*trace));
        else
            kinds[i].trace_length = 0;
    }
    kinds[i].rounds++;
}

static void end_path(void)
{
    const struct counts *most = &kinds[0];

    for (unsigned i = 1; i < kind_count; i++)
        if (kinds[i].rounds > most->rounds)
            most = &kinds[i];
    /* Warming up and measuring take turns, and so do their indices. */
    fprintf(out, "path %d %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " :",
            path % 2 ? path / 2 : -1,
            rounds, most->at[KERNEL], most->at[USER], most->at[GUEST], most->at[THERE], most->rounds);
    for (size_t i = 0; i < most->trace_length && path % 2; i++)
        fprintf(out, " %" PRIx64, most->trace[i]);
    fprintf(out, "\n");
    fflush(out);
    for (unsigned i = 0; i < kind_count; i++)
        free(kinds[i].trace);
    memset(kinds, 0, sizeof(kinds));
    kind_count = 0;
    rounds = 0;
    path++;
}

/* Runs before each instruction. */
static void on_instruction(unsigned cpu, void *address)
{
    uint64_t at = (uint64_t)address;

    (void)cpu;
    if (!counting)
        return;
    now.at[at >= KERNEL_BASE ? KERNEL : at >= guest_first && at <= guest_last ? GUEST : USER]++;
    if (now.trace_length < TRACE_MAX)
        trace[now.trace_length++] = at;
}

static void on_mark(unsigned cpu, void *kind)
{
    (void)cpu;
    switch ((uint64_t)kind) {
    case BENCH_MARK_BEGIN:
        memset(&now, 0, sizeof(now));
        counting = true;
        break;
    case BENCH_MARK_END:
        if (counting)
            end_round();
        break;
    case BENCH_MARK_THERE:
        if (counting && now.at[THERE] == 0)
            now.at[THERE] = now.at[KERNEL];
        now.at[GUEST]++; /* it stands between the other two, and signals arrive in guests alone */
        break;
    case BENCH_MARK_PATH:
        end_path();
        break;
    }
}

/* The kind of mark that an instruction is, 0 if it is none. */
static uint64_t mark_of(const struct qemu_plugin_insn *insn)
{
    static const uint8_t nopl[] = {0x0f, 0x1f, 0x80};
    const uint8_t *bytes = qemu_plugin_insn_data(insn);
    uint32_t number;

    if (qemu_plugin_insn_size(insn) != sizeof(nopl) + sizeof(number) || memcmp(bytes, nopl, sizeof(nopl)) != 0)
        return 0;
    memcpy(&number, bytes + sizeof(nopl), sizeof(number));
    number -= BENCH_MARK_BASE;
    return number <= BENCH_MARK_THERE ? number : 0;
}

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    (void)id;
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        uint64_t kind = mark_of(insn);

        qemu_plugin_register_vcpu_insn_exec_cb(insn, kind ? on_mark : on_instruction, QEMU_PLUGIN_CB_NO_REGS,
                                               (void *)(kind ? kind : qemu_plugin_insn_vaddr(insn)));
    }
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv)
{
    (void)info;
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "out=", 4) == 0)
            out = fopen(argv[i] + 4, "w");
        else if (sscanf(argv[i], "guest=%" SCNx64 "-%" SCNx64, &guest_first, &guest_last) != 2)
            return -1;
    }
    if (out == NULL)
        return -1;
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    return 0;
}
