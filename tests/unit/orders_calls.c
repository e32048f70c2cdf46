/* SPDX-License-Identifier: GPL-2.0-only */
/* What the compiler calls for each access of code that is compiled with -fsanitize=thread. */
#include "orders_inner.h"

#define PC __builtin_return_address(0)

void __tsan_init(void);
void __tsan_init(void) {}
void __tsan_func_entry(void *pc);
void __tsan_func_entry(void *pc)
{
    (void)pc;
    access_none();
}
void __tsan_func_exit(void);
void __tsan_func_exit(void) {}
void __tsan_atomic_signal_fence(int order);
void __tsan_atomic_signal_fence(int order) { (void)order; }

void __tsan_atomic_thread_fence(int order);
void __tsan_atomic_thread_fence(int order)
{
    if (order == __ATOMIC_SEQ_CST)
        access_fence();
}

#define PLAIN(name, n)                                                                                        \
    void __tsan_##name##read##n(void *at);                                                                    \
    void __tsan_##name##read##n(void *at) { access_plain_read(at, n, PC); }                                          \
    void __tsan_##name##write##n(void *at);                                                                   \
    void __tsan_##name##write##n(void *at) { access_plain_write(at, n, PC); }
PLAIN(, 1)
PLAIN(, 2)
PLAIN(, 4)
PLAIN(, 8)
PLAIN(, 16)
PLAIN(unaligned_, 2)
PLAIN(unaligned_, 4)
PLAIN(unaligned_, 8)
PLAIN(unaligned_, 16)

void __tsan_read_range(void *at, size_t size);
void __tsan_read_range(void *at, size_t size) { access_plain_read(at, size, PC); }
void __tsan_write_range(void *at, size_t size);
void __tsan_write_range(void *at, size_t size) { access_plain_write(at, size, PC); }

#define FETCH(bits, name, op)                                                                                 \
    uint##bits##_t __tsan_atomic##bits##_##name(volatile uint##bits##_t *at, uint##bits##_t v, int order);    \
    uint##bits##_t __tsan_atomic##bits##_##name(volatile uint##bits##_t *at, uint##bits##_t v, int order)     \
    {                                                                                                         \
        uint##bits##_t old;                                                                                   \
                                                                                                              \
        (void)order;                                                                                          \
        access_exchange((void *)(uintptr_t)at, sizeof(*at), PC);                                                     \
        old = *at;                                                                                            \
        *at = (uint##bits##_t)(op);                                                                           \
        if (*at != old)                                                                                       \
            access_changes();                                                                                 \
        return old;                                                                                           \
    }

#define ATOMIC(bits)                                                                                          \
    uint##bits##_t __tsan_atomic##bits##_load(const volatile uint##bits##_t *at, int order);                  \
    uint##bits##_t __tsan_atomic##bits##_load(const volatile uint##bits##_t *at, int order)                   \
    {                                                                                                         \
        (void)order;                                                                                          \
        access_load((const void *)(uintptr_t)at, sizeof(*at), PC);                                                   \
        return *at;                                                                                           \
    }                                                                                                         \
    void __tsan_atomic##bits##_store(volatile uint##bits##_t *at, uint##bits##_t v, int order);               \
    void __tsan_atomic##bits##_store(volatile uint##bits##_t *at, uint##bits##_t v, int order)                \
    {                                                                                                         \
        access_store((void *)(uintptr_t)at, sizeof(*at), &v, order, PC);                                             \
    }                                                                                                         \
    FETCH(bits, exchange, v)                                                                                  \
    FETCH(bits, fetch_add, old + v)                                                                           \
    FETCH(bits, fetch_sub, old - v)                                                                           \
    FETCH(bits, fetch_and, old & v)                                                                           \
    FETCH(bits, fetch_or, old | v)                                                                            \
    FETCH(bits, fetch_xor, old ^ v)                                                                           \
    /* GCC calls the first one, clang the second. */                                                          \
    int __tsan_atomic##bits##_compare_exchange_strong(volatile uint##bits##_t *at, uint##bits##_t *expected,  \
                                                      uint##bits##_t v, int order, int otherwise);            \
    int __tsan_atomic##bits##_compare_exchange_strong(volatile uint##bits##_t *at, uint##bits##_t *expected,  \
                                                      uint##bits##_t v, int order, int otherwise)             \
    {                                                                                                         \
        uint##bits##_t wanted = *expected;                                                                    \
                                                                                                              \
        (void)order, (void)otherwise;                                                                         \
        access_exchange((void *)(uintptr_t)at, sizeof(*at), PC);                                              \
        *expected = *at;                                                                                      \
        if (*at == wanted) {                                                                                  \
            access_changes();                                                                                 \
            *at = v;                                                                                          \
        }                                                                                                     \
        return *expected == wanted;                                                                           \
    }                                                                                                         \
    uint##bits##_t __tsan_atomic##bits##_compare_exchange_val(volatile uint##bits##_t *at,                    \
                                                              uint##bits##_t wanted, uint##bits##_t v,        \
                                                              int order, int otherwise);                      \
    uint##bits##_t __tsan_atomic##bits##_compare_exchange_val(volatile uint##bits##_t *at,                    \
                                                              uint##bits##_t wanted, uint##bits##_t v,        \
                                                              int order, int otherwise)                       \
    {                                                                                                         \
        (void)__tsan_atomic##bits##_compare_exchange_strong(at, &wanted, v, order, otherwise);                \
        return wanted;                                                                                        \
    }
ATOMIC(8)
ATOMIC(16)
ATOMIC(32)
ATOMIC(64)
