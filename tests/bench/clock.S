/* SPDX-License-Identifier: GPL-2.0-only */
/* What finds out about the clock. */
#include "rounds.h"

    .text

rounds_function round_empty
    round_begin
    round_end
rounds_end

/* uint64_t bench_calibrate_loop(uint64_t n): ticks of 2 * n instructions, and some more */
    .globl bench_calibrate_loop
bench_calibrate_loop:
    lfence
    rdtsc
    lfence
    shl $32, %rdx
    or %rdx, %rax
    mov %rax, %rsi
1:  dec %rdi
    jnz 1b
    lfence
    rdtsc
    shl $32, %rdx
    or %rdx, %rax
    sub %rsi, %rax
    ret

    .section .note.GNU-stack, "", @progbits
