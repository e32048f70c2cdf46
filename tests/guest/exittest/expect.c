/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What an exit delivers, against what the guest's state is to be: word by word of struct cb_state, each of which belongs to
 * one group.
 */
#include "machine.h"

#include <stddef.h>
#include <string.h>

#define PATTERN 0xa5c3000000000000ull /* what stands in the UTCB before: with the word's number */
#define OUT_LENGTH 2u
#define RFLAGS_CLEARED 0x34300ull     /* by an interrupt or exception: TF, IF, NT, RF, VM */

#define WORD(field) (offsetof(struct cb_state, field) / 8)

static const struct {
    size_t first;
    const char *name;
    uint32_t group;
} groups[] = {
    {WORD(rax), "ACDB", CB_GROUP_ACDB},
    {WORD(rsp), "RSP", CB_GROUP_RSP},
    {WORD(rbp), "BSD", CB_GROUP_BSD},
    {WORD(r8), "R8_R15", CB_GROUP_R8_R15},
    {WORD(rip), "RIP", CB_GROUP_RIP},
    {WORD(rflags), "RFLAGS", CB_GROUP_RFLAGS},
    {WORD(qual), "QUAL", CB_GROUP_QUAL},
    {WORD(qual) + 2, "(none)", 0}, /* qual[2] is for threads */
    {WORD(cr0), "CR", CB_GROUP_CR},
    {WORD(dr6), "DR", CB_GROUP_DR},
    {WORD(cs), "CS_SS", CB_GROUP_CS_SS},
    {WORD(ds), "DS_ES_FS_GS", CB_GROUP_DS_ES_FS_GS},
    {WORD(ldtr), "LDTR_TR", CB_GROUP_LDTR_TR},
    {WORD(gdtr), "GDTR_IDTR", CB_GROUP_GDTR_IDTR},
    {WORD(efer), "SYSCALL", CB_GROUP_SYSCALL},
    {WORD(inject), "INJECT", CB_GROUP_INJECT},
    {WORD(ctrl), "CTRL", CB_GROUP_CTRL},
    {WORD(apic), "VAPIC", CB_GROUP_VAPIC},
    {STATE_WORDS, "(none)", 0},
};

static uint64_t ignored[STATE_WORDS];

/* The row of `groups` for a word of the UTCB. */
static size_t group_of(size_t word)
{
    size_t row = 0;

    while (row + 1 < sizeof(groups) / sizeof(*groups) && word >= groups[row + 1].first)
        row++;
    return row;
}

void vm_ignore(const uint64_t *word, uint64_t bits)
{
    ignored[word - &now.rax] |= bits;
}

void vm_take(const struct cb_state *from, uint32_t named)
{
    const uint64_t *other = &from->rax;
    uint64_t *words = &now.rax;

    for (size_t word = 0; word < STATE_WORDS; word++)
        if (groups[group_of(word)].group & named)
            words[word] = other[word];
}

/* ---- What came ---- */

/* Bits that mean something. */
static uint64_t significant(size_t word)
{
    uint64_t mask = ~ignored[word];

    if (word == WORD(inject) && !(now.inject & CB_INJECT_VALID && now.inject & CB_INJECT_ERROR))
        mask &= UINT32_MAX; /* no error code */
    return mask;
}

static bool compare_words(const char *file, int line, uint32_t delivered)
{
    const uint64_t *wanted = &now.rax;

    for (size_t word = 0; word < CB_UTCB_WORDS; word++) {
        size_t row = group_of(word);
        uint64_t got = exchange.words[word];
        bool in = groups[row].group & delivered;
        uint64_t want = in ? wanted[word] : exchange.left[word];

        if (((got ^ want) & (in ? significant(word) : UINT64_MAX)) == 0)
            continue;
        test_fail(file, line, "word %lu of group %s: %#lx instead of %#lx%s", word - groups[row].first,
                  groups[row].name, got, want, in ? "" : ", which was there before");
        return false;
    }
    return true;
}

static bool compare_message(const char *file, int line, const struct expected *e, uint32_t delivered)
{
    const struct cb_args *got = &exchange.message;

    if (got->a1 != e->class) {
        test_fail(file, line, "exit %lu instead of %u; rip %#lx, qual %#lx %#lx, exit of groups %#lx", got->a1, e->class,
                  exchange.words[WORD(rip)], exchange.words[WORD(qual)], exchange.words[WORD(qual) + 1], got->a5 >> 32);
        return false;
    }
    if (got->a2 != e->length || got->a3 || got->a4 || got->a5 != CB_INFO(STATE_WORDS, 0, delivered)) {
        test_fail(file, line, "exit %lu: message %lu, %#lx, %#lx, %#lx: length is to be %lu, groups %#x", got->a1, got->a2,
                  got->a3, got->a4, got->a5, e->length, delivered);
        return false;
    }
    return true;
}

static bool expect(const char *file, int line, const struct expected *e)
{
    uint32_t delivered;

    if (!machine_wait()) {
        test_fail(file, line, "no exit comes");
        return false;
    }
    delivered = vm_group_set((uint32_t)exchange.badge);
    now.rip = e->rip;
    now.insn_len = e->length;
    now.qual[0] = e->qual[0];
    now.qual[1] = e->qual[1];
    return compare_message(file, line, e, delivered) && compare_words(file, line, delivered);
}

bool vm_expect(const char *file, int line, const struct expected *e)
{
    bool right = expect(file, line, e);

    memset(ignored, 0, sizeof(ignored));
    return right;
}

static bool expect_each(const char *file, int line, const struct expected *e)
{
    if (!expect(file, line, e))
        return false;
    for (uint32_t set = 0; set < GROUP_SETS; set++) {
        vm_groups(e->class, set);
        vm_reply(0, 0);
        if (!expect(file, line, e))
            return false;
        if (exchange.badge != set) {
            test_fail(file, line, "the exit came through another portal");
            return false;
        }
    }
    return true;
}

bool vm_expect_each(const char *file, int line, const struct expected *e)
{
    bool right = expect_each(file, line, e);

    memset(ignored, 0, sizeof(ignored));
    return right;
}

/* ---- Replies ---- */

void vm_reply(uint32_t named, uint64_t skip)
{
    const uint64_t *from = &now.rax;

    for (size_t word = 0; word < CB_UTCB_WORDS; word++)
        exchange.left[word] = groups[group_of(word)].group & named ? from[word] : PATTERN | word;
    exchange.message = (struct cb_args){.a1 = skip, .a5 = CB_INFO(0, 0, named)};
    if (named & CB_GROUP_INJECT)
        now.inject &= CB_INJECT_WINDOW | CB_INJECT_NMI_WINDOW;
    if (named & CB_GROUP_SKIP)
        now.blocked &= CB_BLOCKED_NMI;
    machine_answer();
}

/* ---- Events in the guest ---- */

/* A value of the guest's stack, `index` entries from its top. */
static uint64_t stacked(uint32_t index)
{
    const uint8_t *at = vm_view((uint32_t)now.rsp);

    switch (mode) {
    case REAL: return ((const uint16_t *)(const void *)at)[index];
    case LONG: return ((const uint64_t *)(const void *)at)[index];
    default: return ((const uint32_t *)(const void *)at)[index];
    }
}

static struct {
    uint64_t rip, rsp, rflags;
} interrupted;

bool vm_expect_event(const char *file, int line, uint32_t vector, uint64_t error, uint64_t rip)
{
    uint64_t size = mode == REAL ? 2 : mode == LONG ? 8 : 4, at = GUEST_STUBS + vector * 16;
    uint32_t more = error == NO_ERROR ? 0 : 1;
    bool user = now.cs.sel & 3;

    interrupted.rip = rip;
    interrupted.rsp = now.rsp;
    interrupted.rflags = now.rflags;
    if (user) {
        for (size_t word = WORD(cs); word < WORD(ds); word++)
            ignored[word] = UINT64_MAX;
    }
    if (mode == LONG) /* SDM 3A, 6.14.2 */
        now.rsp &= ~0xfull;
    now.rsp -= ((mode == LONG || user ? 5 : 3) + more) * size;
    now.rflags &= ~RFLAGS_CLEARED;
    now.blocked &= CB_BLOCKED_NMI;
    if (vector == VECTOR_NMI)
        now.blocked |= CB_BLOCKED_NMI;
    if (!vm_expect(file, line, VALUES(CB_EXIT_IO, at, OUT_LENGTH, vector | 1u << 16, at + OUT_LENGTH)))
        return false;
    if (more && stacked(0) != error)
        test_fail(file, line, "error code %#lx instead of %#lx", stacked(0), error);
    else if (stacked(more) != rip)
        test_fail(file, line, "it came at %#lx instead of %#lx", stacked(more), rip);
    else if (((stacked(more + 2) ^ interrupted.rflags) & ~RFLAGS_RF) != 0)
        test_fail(file, line, "it came with flags %#lx instead of %#lx", stacked(more + 2), interrupted.rflags);
    else
        return true;
    return false;
}

void vm_return(void)
{
    vm_reply(CB_GROUP_SKIP, OUT_LENGTH);
    now.rsp = interrupted.rsp;
    now.rflags = interrupted.rflags;
    now.blocked = 0;
}
