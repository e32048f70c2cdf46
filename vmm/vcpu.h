/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Virtual CPUs. Each has a handler thread on its own CPU that receives its exits, and its calls to the machine
 * portal; so only one thread ever looks at a vCPU's fields, but for `state` and what it publishes.
 */
#ifndef VMM_VCPU_H
#define VMM_VCPU_H

#include <corbel/guest.h>
#include <corbel/state.h>

#include <stdbool.h>
#include <stdint.h>

#define VCPU_CR0 0x80050033ull /* PG|AM|WP|NE|ET|MP|PE (corbel/guest.h, START) */
#define VCPU_CR4 0x20ull       /* PAE */
#define VCPU_EFER 0xd01ull     /* NXE|LMA|LME|SCE */

struct cb_args;

enum vcpu_state {
    VCPU_NEW,      /* has no scheduling context yet */
    VCPU_STOPPED,  /* asked to stop: waits in the exit RECALL */
    VCPU_CLAIMED,  /* somebody is starting it */
    VCPU_STARTING, /* `start` says where */
    VCPU_RUNNING,
};

struct vcpu_start {
    uint64_t rip, cr3, rsi;
};

struct vcpu {
    uint32_t number;
    uint32_t cpu;
    uint32_t sel, sched;      /* selectors */
    uint32_t wake;            /* event: a stopped vCPU is to start again */
    uint32_t state;           /* enum vcpu_state, atomic; VCPU_STARTING publishes `start` */
    struct vcpu_start start;
    struct thread *handler;
    uint32_t ipi[CB_IPI_STOP + 1];
};

/* Creates vCPU `number` with its handler, portals, scheduling context and IPI events. It does not run yet. */
void vcpu_create(uint32_t number, uint32_t cpu);
uint32_t vcpu_sel(uint32_t number);

/* False if there is no such vCPU or it is not stopped. */
bool vcpu_start(uint32_t number, const struct vcpu_start *start);
/* The vCPU whose call is being handled will stop after the reply. */
void vcpu_stop(struct vcpu *vcpu);

/* In exit.c: handles an exit, with its message; the groups that the reply has. */
uint32_t exit_handle(struct vcpu *vcpu, uint32_t class, struct cb_args *message, struct cb_state *state);
/* The groups that the portal of a class asks for. */
uint32_t exit_groups(uint32_t class);

/* In vcpu.c: the exits START and RECALL. */
uint32_t vcpu_enter(struct vcpu *vcpu, struct cb_state *state);

#endif
