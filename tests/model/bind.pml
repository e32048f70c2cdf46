/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * An event is signalled by two CPUs while it is bound to a vCPU, which then dies, and while another one is bound in its
 * place. A signal reaches the event page of the vCPU that is bound in the end, unless it began when the other one was still
 * bound; and a vCPU's memory is used by nobody when it has been freed.
 *
 * Mirrors: event_signal(), event_set(), event_bind(), event_unbind() (event.c); vcpu_signal() (vcpu_event.c); vcpu_kill()
 * (vcpu.c); zombie_step() (reap.c); grace_pass() (grace.c). Which of them hold tree_lock is one process here.
 *
 * What goes wrong without one of the rules:
 *   BEFORE what was signalled before the event is bound is not looked for
 *   ONCE   the receiver is looked for only before the badge bits are written
 *   TAKEN  who finds a vCPU takes back all badge bits: also those of others, who found nobody
 *   UNDER  a vCPU dies without being unbound: that happens in the middle of its grace period
 */
#define NOBODY 2

byte receiver = NOBODY;   /* event->receiver: vCPU 0, vCPU 1 */
bool pending;             /* badge bits that nobody has taken */
bool port[2];             /* pending in the event page */
bool freed[2];
byte wanted, seen[3];     /* grace.c */
byte signalled;           /* signallers that are done */
bool unbound, ended;
bool due;                 /* a signal began when vCPU 0 was no receiver any more, or if it never ceased to be: any */

inline vcpu_signal(v)
{
    atomic { assert(!freed[v]); port[v] = true }
}

active [2] proctype signaller()
{
    byte w, found = NOBODY;
    bool late;

    do
    :: w = wanted; seen[_pid] = w; w = 0
    :: break
    od;
    late = unbound;
    found = receiver;
    if
    :: found == NOBODY ->
        pending = true;
#ifndef ONCE
        found = receiver;
#ifdef TAKEN
        if
        :: found != NOBODY -> pending = false
        :: else
        fi
#endif
#endif
    :: else
    fi;
    if
    :: found != NOBODY -> vcpu_signal(found)
    :: else
    fi;
    found = NOBODY;
    atomic { due = due || late || !unbound; late = false; signalled++ }
    do
    :: w = wanted; seen[_pid] = w; w = 0
    od
}

inline bind(v)
{
    receiver = v;
#ifndef BEFORE
    if
    :: atomic { pending -> pending = false }; vcpu_signal(v)
    :: else
    fi
#endif
}

inline period()
{
    wanted++;
    seen[2] = wanted;
    (seen[0] >= wanted && seen[1] >= wanted)
}

/* event_unbind(): what is pending has been for the vCPU. */
inline unbind()
{
    pending = false;
    receiver = NOBODY;
    atomic { unbound = true; due = false }
}

active proctype locked()
{
    bind(0);
    if
    :: true -> /* vcpu_kill() */
#ifdef UNDER
        wanted++;
        seen[2] = wanted;
        unbind();
        (seen[0] >= wanted && seen[1] >= wanted);
#else
        unbind();
        period();
#endif
        freed[0] = true;
        bind(1)
    :: true
    fi;
    ended = true;
    do
    :: seen[2] = wanted
    od
}

active proctype watch()
{
    atomic { (signalled == 2 && ended && due) -> assert(port[receiver]) }
}
