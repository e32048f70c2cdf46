/* SPDX-License-Identifier: MIT */
/*
 * Messages: the message information word, the UTCB page, and typed items.
 *
 * A message is four words in registers, up to CB_UTCB_WORDS more in the UTCB, and up to CB_UTCB_ITEMS
 * typed items, each of which derives one capability into the receiver's space. The kernel reads each UTCB
 * word once and treats it as hostile.
 */
#ifndef CORBEL_UTCB_H
#define CORBEL_UTCB_H

#include <corbel/types.h>

#define CB_UTCB_WORDS 384u
#define CB_UTCB_ITEMS 16u

/*
 * Message information (r10): bits 15:0 words in the UTCB, bits 31:16 typed items, bits 63:32 state groups
 * (corbel/state.h; in replies to exits and exceptions only). A count out of range ends the call with
 * BAD_PARAM; the other bits must be zero.
 */
#define CB_INFO(words, items, groups) ((uint64_t)(words) | (uint64_t)(items) << 16 | (uint64_t)(groups) << 32)
#define CB_INFO_WORDS(info) ((uint32_t)(info) & 0xffffu)
#define CB_INFO_ITEMS(info) ((uint32_t)(info) >> 16)
#define CB_INFO_GROUPS(info) ((uint32_t)((info) >> 32))

/*
 * One capability to pass on, derived as the call `derive` does it. The receiver's window decides where it
 * goes: item i into selector window + i, which must be empty. utcb.delivered tells which items arrived; it is
 * written only for messages that have items.
 */
struct cb_item {
    uint32_t sel;      /* the sender's capability */
    uint32_t rights;   /* what is left of its rights */
    uint64_t arg1;     /* event: badge; frame: offset in pages; else 0 */
    uint64_t arg2;     /* frame: pages, 0 for all from the offset on; else 0 */
};
CB_ASSERT_SIZE(struct cb_item, 24);

struct cb_utcb {
    uint32_t window;       /* receiver: first selector for capabilities that arrive */
    uint32_t window_count; /* receiver: how many it accepts, 0 for none */
    uint32_t delivered;    /* set by the kernel in the receiver's UTCB: bit i: item i arrived */
    uint32_t reserved0;
    uint64_t reserved[14];
    struct cb_item items[CB_UTCB_ITEMS];
    uint8_t unused[4096 - 128 - CB_UTCB_ITEMS * 24 - CB_UTCB_WORDS * 8];
    uint64_t words[CB_UTCB_WORDS]; /* message words, or struct cb_state in exits and exceptions */
};
CB_ASSERT_SIZE(struct cb_utcb, 4096);
CB_ASSERT_OFFSET(struct cb_utcb, items, 128);
CB_ASSERT_OFFSET(struct cb_utcb, words, 1024);

#endif
