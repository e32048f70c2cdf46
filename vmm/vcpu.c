/* SPDX-License-Identifier: GPL-2.0-only */
#include "vcpu.h"

#include <corbel.h>

#include <string.h>

#include "boot.h"
#include "cpuid.h"
#include "dev/dev.h"
#include "machine.h"
#include "report.h"

#define SLICE_US 5000u /* vCPUs of one priority take turns */

/* A portal's badge: vCPU << 8 | exit class, or this for the machine portal. */
#define BADGE_MACHINE 0xffu
#define BADGE(number, what) ((uint64_t)(number) << 8 | (what))

/* Segment attributes (corbel/state.h): type, S, DPL 0, P; L or D/B; G. */
#define ATTR_CODE 0xa9bu     /* execute, read, accessed; 64-bit */
#define ATTR_DATA 0xc93u     /* read, write, accessed */
#define ATTR_TSS 0x8bu       /* busy 64-bit TSS: what VM entry on VT-x wants too */
#define ATTR_UNUSABLE 0x1000u
#define RFLAGS_FIXED 0x2ull
#define DR6_RESET 0xffff0ff0ull
#define DR7_RESET 0x400ull
#define PAT_RESET 0x0007040600070406ull /* APM 2, 7.8.1 */

static struct vcpu vcpus[CB_GUEST_VCPUS];
static uint32_t vcpu_count;

/* The state in which every vCPU starts (corbel/guest.h, START), the first too: the boot protocol fits into it. */
static void reset(struct cb_state *state)
{
    const struct cb_segment code = {BOOT_CS, ATTR_CODE, 0xffffffff, 0};
    const struct cb_segment data = {BOOT_DS, ATTR_DATA, 0xffffffff, 0};

    memset(state, 0, sizeof(*state));
    state->rflags = RFLAGS_FIXED;
    state->cr0 = VCPU_CR0;
    state->cr4 = VCPU_CR4;
    state->efer = VCPU_EFER;
    state->dr6 = DR6_RESET;
    state->dr7 = DR7_RESET;
    state->pat = PAT_RESET;
    state->cs = code;
    state->ss = state->ds = state->es = state->fs = state->gs = data;
    state->ldtr.attr = ATTR_UNUSABLE;
    state->tr = (struct cb_segment){0, ATTR_TSS, 0x67, 0};
    state->upcall_vector = CB_GUEST_UPCALL_VECTOR;
    state->ctrl = CB_CTRL_UPCALL;
    state->xcr0 = cpuid_xcr0(); /* all that it may have: what is the host's, too, need not be switched */
}

uint32_t vcpu_enter(struct vcpu *vcpu, struct cb_state *state)
{
    uint64_t bits;

    /* Pairs with the release in vcpu_start(). The wait ends early if somebody recalls this thread: look again. */
    while (__atomic_load_n(&vcpu->state, __ATOMIC_ACQUIRE) != VCPU_STARTING)
        (void)!cb_wait(vcpu->wake, 0, CB_DEADLINE_NONE, &bits);
    reset(state);
    state->rip = vcpu->start.rip;
    state->rsi = vcpu->start.rsi;
    state->cr3 = vcpu->start.cr3;
    if (vcpu->start.rsi) { /* the kernel's first entry: the boot protocol wants a GDT */
        state->gdtr.base = BOOT_GDT;
        state->gdtr.limit = BOOT_GDT_SIZE - 1;
    }
    __atomic_store_n(&vcpu->state, VCPU_RUNNING, __ATOMIC_RELEASE);
    return CB_GROUPS_VCPU & ~CB_GROUP_QUAL;
}

/* All calls of a vCPU's handler thread. */
static void handle(uint64_t badge, struct cb_args *message)
{
    struct vcpu *vcpu = &vcpus[badge >> 8];
    uint32_t what = badge & 0xff, groups;

    if (what == BADGE_MACHINE) {
        power_call(vcpu, message);
        return;
    }
    groups = exit_handle(vcpu, what, message, (struct cb_state *)thread_utcb()->words);
    message->a5 = CB_INFO(sizeof(struct cb_state) / 8, 0, groups);
}

static void connect_exits(struct vcpu *vcpu)
{
    for (uint32_t class = 0; class < CB_EXIT_COUNT; class++) {
        uint32_t portal;

        must(thread_portal(vcpu->handler, BADGE(vcpu->number, class), exit_groups(class), &portal),
             "create an exit portal");
        must(cb_vcpu_exit(vcpu->sel, class, portal), "set an exit portal");
    }
}

/* The portal is called by its own vCPU only: its handler lives on that vCPU's CPU. */
static void connect_machine(struct vcpu *vcpu)
{
    uint32_t portal;

    must(thread_portal(vcpu->handler, BADGE(vcpu->number, BADGE_MACHINE), 0, &portal), "create a machine portal");
    must(cb_derive(portal, CB_GUEST_SEL_MACHINE(vcpu->number), machine.domain, CB_RIGHT_CALL, 0, 0),
         "give the guest a machine portal");
}

/* For the guest to see how often it has left guest mode, and why. */
static void connect_counters(const struct vcpu *vcpu)
{
    must(cb_derive(vcpu->sel, CB_GUEST_SEL_VCPU(vcpu->number), machine.domain, CB_RIGHT_READ, 0, 0),
         "give the guest a vCPU's counters");
}

static void connect_ipis(struct vcpu *vcpu)
{
    for (uint32_t kind = 0; kind <= CB_IPI_STOP; kind++) {
        uint32_t event = vcpu->ipi[kind] = must_sel();

        must(cb_event_create(CB_TASK_SEL_ACCOUNT, event), "create an IPI event");
        must(cb_event_bind(event, vcpu->sel, CB_PORT_IPI(kind)), "bind an IPI event");
        must(cb_derive(event, CB_GUEST_SEL_IPI(vcpu->number, kind), machine.domain, CB_RIGHT_SIGNAL, 0, 0),
             "give the guest an IPI event");
    }
}

void vcpu_create(uint32_t number, uint32_t cpu)
{
    struct vcpu *vcpu = &vcpus[number];

    *vcpu = (struct vcpu){.number = number, .cpu = cpu, .sel = must_sel(), .sched = must_sel(), .wake = must_sel()};
    must(cb_vcpu_create(CB_TASK_SEL_ACCOUNT, vcpu->sel, machine.domain, cpu, number, machine_event_page(number)),
         "create a vCPU");
    must(cb_sched_create(CB_TASK_SEL_ACCOUNT, vcpu->sched, cpu, machine.priority, SLICE_US, SLICE_US),
         "create a vCPU's scheduling context");
    must(cb_event_create(CB_TASK_SEL_ACCOUNT, vcpu->wake), "create a vCPU's event");
    must(thread_handler(cpu, handle, NULL, &vcpu->handler), "create a vCPU's handler");
    connect_exits(vcpu);
    connect_machine(vcpu);
    connect_counters(vcpu);
    connect_ipis(vcpu);
    vcpu_count = number + 1;
}

uint32_t vcpu_sel(uint32_t number)
{
    return vcpus[number].sel;
}

/* Takes the vCPU from `from` to CLAIMED, so that of several starters one wins. */
static bool claim(struct vcpu *vcpu, uint32_t from)
{
    return __atomic_compare_exchange_n(&vcpu->state, &from, VCPU_CLAIMED, false, __ATOMIC_ACQUIRE,
                                       __ATOMIC_RELAXED);
}

bool vcpu_start(uint32_t number, const struct vcpu_start *start)
{
    struct vcpu *vcpu;
    bool fresh;

    if (number >= vcpu_count)
        return false;
    vcpu = &vcpus[number];
    fresh = claim(vcpu, VCPU_NEW);
    if (!fresh && !claim(vcpu, VCPU_STOPPED))
        return false;
    vcpu->start = *start;
    /* Pairs with the acquire in vcpu_enter(). */
    __atomic_store_n(&vcpu->state, VCPU_STARTING, __ATOMIC_RELEASE);
    if (fresh)
        must(cb_sched_bind(vcpu->sched, vcpu->sel), "start a vCPU");
    else
        must(cb_signal(vcpu->wake), "wake a vCPU");
    return true;
}

void vcpu_stop(struct vcpu *vcpu)
{
    __atomic_store_n(&vcpu->state, VCPU_STOPPED, __ATOMIC_RELEASE);
    must(cb_recall(vcpu->sel), "stop a vCPU");
}
