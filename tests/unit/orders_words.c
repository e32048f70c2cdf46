/* SPDX-License-Identifier: GPL-2.0-only */
#include <criterion/criterion.h>
#include <string.h>

#include "orders_inner.h"

#define WORDS 1024u
#define PLACES (4 * WORDS)

static struct note {
    word *at;
    word old;
} notes[WORDS];
static unsigned note_index[PLACES], note_count; /* from 1 on; 0: none */

static struct {
    uintptr_t word;
    unsigned readers, writers; /* bits: sides */
} words[PLACES];
static unsigned word_count;

bool words_learnt;

static unsigned place(uintptr_t number)
{
    return (unsigned)(number * 0x9e3779b1u) % PLACES;
}

static void note_word(word *at)
{
    unsigned i = place((uintptr_t)at / sizeof(word));

    for (; note_index[i]; i = (i + 1) % PLACES) {
        if (notes[note_index[i] - 1].at == at)
            return;
    }
    cr_assert_lt(note_count, WORDS, "too much is written");
    notes[note_count] = (struct note){ at, *at };
    note_index[i] = ++note_count;
}

void words_note(const char *at, size_t size)
{
    uintptr_t first = (uintptr_t)at & -sizeof(word), last = (uintptr_t)at + size - 1;

    for (uintptr_t w = first; w <= last; w += sizeof(word))
        note_word((word *)w);
}

void words_undo(void)
{
    for (unsigned i = note_count; i--;)
        *notes[i].at = notes[i].old;
    memset(note_index, 0, sizeof(note_index));
    note_count = 0;
}

uint64_t words_state(void)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < note_count; i++) {
        if (*notes[i].at != notes[i].old)
            sum += mix(mix(7, (uintptr_t)notes[i].at), *notes[i].at);
    }
    return sum;
}

void words_forget(void)
{
    memset(words, 0, sizeof(words));
    word_count = 0;
}

static bool is_contended(unsigned readers, unsigned writers)
{
    unsigned all = readers | writers;

    return writers && (all & (all - 1));
}

static bool word_contended(uintptr_t number, unsigned side, bool write)
{
    unsigned i = place(number);
    bool before;

    while (words[i].word && words[i].word != number)
        i = (i + 1) % PLACES;
    if (!words[i].word)
        cr_assert_lt(++word_count, PLACES / 2, "too much is accessed");
    words[i].word = number;
    before = is_contended(words[i].readers, words[i].writers);
    if (write)
        words[i].writers |= 1u << side;
    else
        words[i].readers |= 1u << side;
    if (before)
        return true;
    if (!is_contended(words[i].readers, words[i].writers))
        return false;
    return words_learnt = true;
}

bool words_contended(const char *at, size_t size, unsigned side, bool write)
{
    uintptr_t first = (uintptr_t)at / sizeof(word), last = ((uintptr_t)at + size - 1) / sizeof(word);
    bool any = false;

    for (uintptr_t w = first; w <= last; w++)
        any |= word_contended(w, side, write);
    return any;
}
