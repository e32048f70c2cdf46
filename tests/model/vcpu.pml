/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Mode and hazards of a vCPU, against signals, flushes and its death: no upcall is slept over or kept from a guest that runs,
 * no translation is used once the flush of it has ended, and who is dead does not run.
 *
 * Mirrors: vcpu_announce(), vcpu_is_quiet(), vcpu_out() (vcpu_enter.h); vcpu_run(), vcpu_prepare_upcall() (vcpu_run.c);
 * vcpu_raise(), vcpu_upcall_due(), vcpu_halt(), vcpu_wake(), flush_begin(), flush_awaited() (vcpu_event.c);
 * vcpu_not_entered() (vcpu.h); ctx_run_posts() for CTX_OP_WAKE and CTX_OP_KILL (ctx.c).
 *
 * `home` is the vCPU's CPU. The kernel runs with interrupts off there: what is posted to it waits until guest mode or idling
 * ends, which an interrupt (`kick`) does. `other` is a CPU that signals and flushes, and kills the vCPU in the end.
 *
 * What goes wrong without one of the rules:
 *   LOOKED   hazards and the generation of translations are looked at before `mode` says INSIDE
 *   SLEEPS   what is due is looked at before `mode` says HALTED
 *   CLEARED  the hazard is cleared after the event page was looked at, not before
 *   CLOCK    `entered` is written after the generation of translations was looked at
 *   REFUSED  an entry that did not take place counts as one that has flushed
 *   POSTED   death is posted without an interrupt
 */
#define SIGNALS 2
#define FLUSHES 2
#define DUE_AGAIN 255

mtype = { OUT, INSIDE, HALTED };
mtype mode = OUT;
bool hazard, upcall;      /* VCPU_HAZARD_UPCALL; the event page's word */
bool kick, wake, kill;    /* an interrupt is pending at home; CTX_OP_WAKE, CTX_OP_KILL are posted there */
bool waiting, dead;       /* CTX_WAITING, CTX_STOPPED */
bool inject, in_guest;    /* v->inject; the processor executes the guest */
bool busy;                /* the interrupt was taken, and what is posted is being done */
byte flushes, flushed;    /* v->flushes; what tlb.c believes of the TLB */
byte clock, entered;      /* vcpu_flush_clock; v->entered */
byte clean, over;         /* flushes that the TLB has had, and those that have ended */

/* vcpu_upcall_due(), vcpu_prepare_upcall(): is an upcall due, or has the guest looked by itself? */
inline look()
{
#ifdef CLEARED
    page = upcall; hazard = false;
#else
    hazard = false; page = upcall;
#endif
}

inline due()
{
    is_due = false;
    if
    :: hazard ->
        look();
        if
        :: page -> hazard = true; is_due = true
        :: else -> is_due = hazard
        fi;
        page = false
    :: else
    fi
}

/* The way out of the kernel: ctx_run_posts() has taken what was posted at once. */
inline posts()
{
    if
    :: killed -> dead = true; waiting = false
    :: else
    fi;
    if
    :: woken && waiting && mode == HALTED ->
        due();
        if
        :: is_due -> mode = OUT; waiting = false
        :: else
        fi;
        is_due = false
    :: else
    fi;
    killed = false; woken = false;
    busy = false
}

/* Until an interrupt ends it, or the guest leaves by itself. Its handler takes `upcall` back before it looks for events. */
inline guest()
{
    in_guest = true;
    do
    :: atomic { inject -> inject = false; upcall = false }
    :: upcall = false /* it looks by itself */
    :: assert(clean >= over && !dead); break
    :: kick -> break
    :: !kick && !inject -> (kick) /* it stays where it is */
    od;
    in_guest = false
}

inline enter()
{
#ifdef LOOKED
    due_now = hazard; generation = flushes;
#endif
    mode = INSIDE;
#ifndef CLOCK
    entered = clock;
#endif
#ifndef LOOKED
    due_now = hazard; generation = flushes;
#endif
#ifdef CLOCK
    entered = clock;
#endif
    if
    :: due_now && !inject -> look(); inject = page; page = false
    :: else
    fi;
    if
    :: generation != flushed -> flushed = generation; flush = true
    :: else
    fi;
    if
    :: true -> /* refused, or not even tried */
#ifndef REFUSED
        if
        :: flush -> flushed = DUE_AGAIN
        :: else
        fi
#endif
    :: true ->
        if
        :: flush -> clean = generation
        :: else
        fi;
        guest()
    fi;
    due_now = false; flush = false; generation = 0;
    mode = OUT
}

inline halt()
{
#ifdef SLEEPS
    due();
    mode = HALTED;
#else
    mode = HALTED;
    due();
#endif
    if
    :: is_due -> mode = OUT
    :: else -> waiting = true
    fi;
    is_due = false
}

active proctype home()
{
    bool page, is_due, due_now, flush, killed, woken;
    byte generation;

    do
    :: atomic { kick -> kick = false; busy = true; killed = kill; kill = false; woken = wake; wake = false }; posts()
    :: !kick && !waiting && !dead -> enter()
    :: !kick && !waiting && !dead && !inject -> halt()
    :: dead -> break
    od
}

active proctype other()
{
    byte n, f, at, c;
    bool raised;
    mtype seen;

    do
    :: n < SIGNALS -> /* vcpu_signal() */
        n++;
        upcall = true;
        atomic { raised = !hazard; hazard = true };
        if
        :: raised ->
            seen = mode;
            if
            :: seen == INSIDE -> kick = true
            :: seen == HALTED -> wake = true; kick = true
            :: else
            fi
        :: else
        fi
    :: f < FLUSHES -> /* vcpu_do_tlb_flush() */
        f++;
        flushes++;
        atomic { clock++; c = clock };
        seen = mode;
        if
        :: seen == INSIDE ->
            kick = true;
            do
            :: mode == INSIDE -> at = entered; if :: at >= c -> break :: else fi
            :: mode != INSIDE -> break
            od
        :: else
        fi;
        over = f
    :: n == SIGNALS && f == FLUSHES -> break
    od;
    if
    :: waiting && !kick && !busy -> assert(!upcall)          /* slept over */
    :: in_guest && !kick && !inject -> assert(!upcall || !hazard) /* kept from it */
    :: true
    fi;
    kill = true;
#ifndef POSTED
    kick = true;
#endif
    if
    :: in_guest && !kick -> assert(!kill)
    :: waiting && !kick && !busy -> assert(!kill)
    :: true
    fi
}
