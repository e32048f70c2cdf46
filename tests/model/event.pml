/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A thread waits for an event on its CPU, another CPU signals it, a third one destroys the thread, or the event, or one
 * after the other. The thread never sleeps beside a signal or a dead event, and its memory is used by nobody when it has
 * been freed.
 *
 * Mirrors: event_wait(), event_take(), event_set(), event_signal(), event_wake(), event_kill() (event.c); ctx_post(),
 * ctx_run_posts(), ctx_kill(), ctx_abort() (ctx.c); zombie_step(), context_free() (reap.c); grace_pass() (grace.c).
 *
 * What goes wrong without one of the rules:
 *   ONCE   a context is freed one grace period after its death: its CPU unlinks it from the event in the middle of that
 *   LOOKED the thread looks for news before it can be found
 *   FOUND  whoever kills the event looks for a receiver before it says that the event is dying
 *   NOISY  a context with posted work is freed
 */
#define SIGNALS 2
#define WAKE 1
#define KILL 2
#define GONE 4

mtype = { READY, WAITING, STOPPED };
mtype state = READY;           /* the thread's */
byte ops;                      /* its post_ops */
bool working;                  /* CTX_OP_WORKING */
bool freed;                    /* its memory is somebody else's */
bool receiver;                 /* event->receiver is the thread */
bool pending, dying;           /* the event's */
byte wanted, seen[3];          /* grace.c */
bool signalled, reaped;        /* the other two have come to their end */

inline post(what)
{
    atomic { assert(!freed); ops = ops | what }
}

inline leave() { receiver = false }

/* ctx_take_ops(), ctx_run_post(). */
inline run_posts()
{
    do
    :: atomic { ops != 0 -> assert(!freed); now = ops; ops = 0; working = true };
       if
       :: (now & KILL) && state == WAITING -> leave(); state = STOPPED
       :: (now & KILL) && state == READY -> state = STOPPED
       :: else ->
            if
            :: (now & WAKE) && state == WAITING && pending -> pending = false; leave(); state = READY
            :: else
            fi;
            if
            :: (now & GONE) && state == WAITING && dying -> leave(); state = READY
            :: else
            fi
       fi
    :: atomic { ops == 0 -> working = false; now = 0; break }
    od
}

/* Posted work comes before the pass: exit_hazards(). */
active proctype home()
{
    byte w, now;
    bool news;

    do
    :: state == READY && !dying ->
#ifdef LOOKED
        news = pending || dying;
        receiver = true;
#else
        receiver = true;
        news = pending || dying;
#endif
        if
        :: news -> pending = false; leave()
        :: else -> state = WAITING
        fi;
        news = false
    :: w = wanted; run_posts(); seen[0] = w; w = 0
    od
}

active proctype signaller()
{
    byte w, n;
    bool found;

    do
    :: n < SIGNALS && !dying -> /* it has found the capability */
        pending = true;
        found = receiver;
        if
        :: found -> post(WAKE)
        :: else
        fi;
        found = false;
        n++
    :: w = wanted; seen[1] = w; w = 0
    :: n == SIGNALS || dying -> break
    od;
    signalled = true;
    do
    :: w = wanted; seen[1] = w; w = 0
    od
}

inline period()
{
    wanted++;
    seen[2] = wanted;
    (seen[0] >= wanted && seen[1] >= wanted)
}

inline kill_thread()
{
    post(KILL);
    period();
#ifndef ONCE
    period();
#endif
#ifndef NOISY
    do
    :: ops != 0 || working -> period()
    :: else -> break
    od;
#endif
    freed = true
}

inline kill_event()
{
#ifdef FOUND
    found = receiver;
    dying = true;
#else
    dying = true;
    found = receiver;
#endif
    if
    :: found -> post(GONE)
    :: else
    fi;
    found = false
}

active proctype reaper()
{
    bool found;

    if
    :: kill_thread()
    :: kill_event(); period()
    :: kill_event(); kill_thread()
    :: kill_thread(); kill_event()
    :: true
    fi;
    reaped = true;
    do
    :: seen[2] = wanted
    od
}

active proctype watch()
{
    atomic { (signalled && reaped && ops == 0 && !working && state == WAITING) -> assert(!pending && !dying) }
}
