/* SPDX-License-Identifier: MIT */
/*
 * Status codes: the result of every call, and the words that every tool prints for them.
 *
 * A call returns a status word: bits 7:0 are the code, bits 15:8 the number of the argument at fault
 * (0 = the selector the call names, 1 to 5 = the arguments after it; meaningless with CB_OK). Bits 63:16
 * are zero.
 */
#ifndef CORBEL_STATUS_H
#define CORBEL_STATUS_H

#include <corbel/types.h>

/* X(number, name, what it means) */
#define CB_STATUSES(X)                                                                   \
    X(0, OK, "success")                                                                  \
    X(1, BAD_CALL, "no such call, or not for this kind of caller")                       \
    X(2, BAD_CAP, "the selector holds no capability of the type this call needs")        \
    X(3, BAD_RIGHT, "the capability lacks the right this call needs")                    \
    X(4, BAD_PARAM, "an argument is out of its range")                                   \
    X(5, BAD_CPU, "no such CPU, or the object lives on another one")                     \
    X(6, NO_MEMORY, "the account cannot pay for this")                                   \
    X(7, NO_ROOM, "the range is too small for this")                                     \
    X(8, OCCUPIED, "the destination selector or address is in use")                      \
    X(9, TOO_LARGE, "more than one call may do at once; ask for less")                   \
    X(10, BUSY, "the object is in use in a way that excludes this")                      \
    X(11, EMPTY, "nothing is pending, and the caller did not want to wait for it")       \
    X(12, TIMEOUT, "the deadline has passed")                                            \
    X(13, ABORTED, "the wait or call was broken off from outside")                       \
    X(14, UNSUPPORTED, "this machine lacks the feature")                                 \
    X(15, TOO_DEEP, "the derivation chain is as long as it may get")                     \
    X(16, DYING, "the object is being revoked or destroyed")                             \
    X(17, INTERRUPTED, "an upcall is due; the call goes on, and can be waited for again")

enum cb_status {
#define CB_STATUS_ENUM(number, name, text) CB_##name = number,
    CB_STATUSES(CB_STATUS_ENUM)
#undef CB_STATUS_ENUM
};

#define CB_STATUS_CODE(word) ((enum cb_status)((word) & 0xff))
#define CB_STATUS_ARG(word) ((unsigned)((word) >> 8) & 0xff)

/* The code's name as printed by every tool, "?" for a number that is no code. */
static inline const char *cb_status_name(uint64_t word)
{
    switch (word & 0xff) {
#define CB_STATUS_NAME(number, name, text) \
    case number: return #name;
        CB_STATUSES(CB_STATUS_NAME)
#undef CB_STATUS_NAME
    default: return "?";
    }
}

/* What the code means, in words. */
static inline const char *cb_status_text(uint64_t word)
{
    switch (word & 0xff) {
#define CB_STATUS_TEXT(number, name, text) \
    case number: return text;
        CB_STATUSES(CB_STATUS_TEXT)
#undef CB_STATUS_TEXT
    default: return "unknown status";
    }
}

#endif
