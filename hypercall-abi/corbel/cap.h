/* SPDX-License-Identifier: MIT */
/*
 * Capabilities: types, rights and selectors.
 *
 * A selector is an index into the capability space of the caller's domain. Every space has
 * CB_SELECTORS slots; a selector is taken modulo that number. Selector 0 never holds a capability.
 * Where a call takes the domain that shall receive a new capability, 0 means the caller's own.
 */
#ifndef CORBEL_CAP_H
#define CORBEL_CAP_H

#include <corbel/types.h>

#define CB_SELECTORS_LOG2 16
#define CB_SELECTORS (1u << CB_SELECTORS_LOG2)
#define CB_SEL_NULL 0u
#define CB_SELF 0u /* in place of a domain selector: the caller's own domain */

/* X(number, name) */
#define CB_TYPES(X)                                               \
    X(0, NULL)    /* an empty slot */                             \
    X(1, RAM)     /* a range of RAM that nobody can map */        \
    X(2, FRAME)   /* a range of memory that can be mapped */      \
    X(3, MAPPING) /* one mapping of a frame into a domain */      \
    X(4, ACCOUNT) /* kernel memory that pays for objects */       \
    X(5, DOMAIN)  /* protection domain */                         \
    X(6, THREAD)  /* execution context in user mode */            \
    X(7, VCPU)    /* execution context in guest mode */           \
    X(8, SCHED)   /* scheduling context */                        \
    X(9, PORTAL)  /* entry for calls */                           \
    X(10, EVENT)  /* asynchronous notification */                 \
    X(11, IRQ)    /* the right to bind hardware interrupts */     \
    X(12, IOPORT) /* the right to hand out I/O ports */           \
    X(13, LOG)    /* the hypervisor's log */

enum cb_type {
#define CB_TYPE_ENUM(number, name) CB_TYPE_##name = number,
    CB_TYPES(CB_TYPE_ENUM)
#undef CB_TYPE_ENUM
};

/*
 * Rights. Derivation can only take rights away. CB_RIGHT_DESTROY means the same for every object;
 * the others are reused from type to type.
 */
#define CB_RIGHT_READ 0x01u    /* frame: map readable. thread, vcpu, sched, account, log...: read state */
#define CB_RIGHT_WRITE 0x02u   /* frame: map writable */
#define CB_RIGHT_EXEC 0x04u    /* frame: map executable */
#define CB_RIGHT_SPLIT 0x01u   /* ram: make children of it */
#define CB_RIGHT_PAY 0x02u     /* account: create objects that it pays for */
#define CB_RIGHT_INSERT 0x02u  /* domain: put capabilities and mappings into it */
#define CB_RIGHT_POPULATE 0x04u /* domain: create threads and vCPUs in it */
#define CB_RIGHT_FLUSH 0x08u   /* domain: flush guest TLBs */
#define CB_RIGHT_CONTROL 0x02u /* thread, vcpu, portal, irq, ioport, log: change it. sched: bind it, make more under it */
#define CB_RIGHT_CALL 0x04u    /* portal: call through it */
#define CB_RIGHT_SIGNAL 0x02u  /* event: signal it */
#define CB_RIGHT_WAIT 0x04u    /* event: wait on it, or bind it */
#define CB_RIGHT_DESTROY 0x40u /* object: destroy it for everyone */
#define CB_RIGHTS_ALL 0x7fu

#endif
