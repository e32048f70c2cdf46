/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Instructions that do nothing, for the plugin that counts (tests/bench/closed.c): nopl BASE + kind(%rax). VICTIM: once in
 * each round of the victim's loop; PHASE, END: around an attack.
 */
#ifndef MARKS_H
#define MARKS_H

#define MARK_BASE 0x43420000
#define MARK_VICTIM 5
#define MARK_PHASE 6
#define MARK_END 7
#define MARK(kind) __asm__ volatile(".byte 0x0f, 0x1f, 0x80; .long %c0" ::"i"(MARK_BASE + (kind)) : "memory")

/* Instructions from one VICTIM to the next (victim.c). */
#define VICTIM_ROUND 204u

#endif
