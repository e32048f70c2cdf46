/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Posted work: nothing posted is lost, what was posted before a grace period began is done before the home CPU passes it,
 * and no context is freed while it is queued or worked for (docs/continuations.md, docs/grace-periods.md).
 *
 * Mirrors: ctx_post(), ctx_take_posts(), ctx_take_ops(), ctx_put_ops(), ctx_run_posts() and ctx_is_quiet() (ctx.c, ctx.h);
 * exit_hazards() (exit.c); context_free() (reap.c).
 *
 * What goes wrong without one of the rules:
 *   IDLE   a context is no longer marked as queued while it is worked for (CTX_OP_WORKING)
 *   AFTER  the next context of the round is looked up when this one has been put back
 *   LATE   the period to pass is read when the posts have been taken
 *   QUIET  a context is freed without a look at what has been posted to it
 */
#define END 2       /* contexts are 0 and 1 */
#define WORKING 4   /* bits 0 and 1: what poster 0 and poster 1 want done */
#define ROUNDS 2     /* of poster 0; poster 1 comes once */

bool lock;          /* post_lock of the home CPU */
bool hazard;        /* HAZARD_POSTS */
byte posts = END, next[2];
byte ops[2];
bool dying, freed;  /* context 0 */
byte wanted, seen[3]; /* grace.c: posters' CPUs, and the home CPU */
byte owed[2];       /* posted before the period began, and not yet done */
byte due[2];        /* posted and not yet done */

inline take() { atomic { !lock -> lock = true } }
inline drop() { lock = false }

/* Each poster comes to the same contexts, through pointers that it read when it entered the kernel. */
proctype poster(byte me)
{
    byte n, c, before, w;

    do
    :: n < ROUNDS - me ->
        atomic {
            if
            :: !dying -> c = 0
            :: c = 1
            fi
        }
        take();
        assert(c == 1 || !freed);
        before = ops[c];
        ops[c] = before | (1 << me);
        if
        :: before == 0 -> next[c] = posts; posts = c; hazard = true
        :: else
        fi;
        atomic { due[c] = due[c] | (1 << me); lock = false }
        n++;
        atomic { seen[me] = wanted; c = 0; before = 0 }
    :: else -> break
    od;
    do
    :: atomic { seen[me] != wanted -> seen[me] = wanted }
    od
}

/* Destroys context 0. */
proctype reaper()
{
    dying = true;
    atomic { wanted++; owed[0] = due[0]; owed[1] = due[1] }
    do
    :: seen[0] >= wanted && seen[1] >= wanted && seen[2] >= wanted ->
#ifdef QUIET
        break
#else
        if
        :: ops[0] == 0 -> break
        :: else -> wanted++
        fi
#endif
    od;
    freed = true
}

inline work(c)
{
    take();
    assert(c == 1 || !freed);
    o = ops[c];
#ifdef IDLE
    ops[c] = 0;
#else
    ops[c] = WORKING;
#endif
    drop();
    atomic { due[c] = due[c] & ~o; owed[c] = owed[c] & ~o }
    assert(c == 1 || !freed);
#ifndef IDLE
    take();
    o = ops[c] & ~WORKING;
    if
    :: o != 0 -> next[c] = posts; posts = c; hazard = true
    :: else
    fi;
    ops[c] = o;
    drop()
#endif
}

active proctype home()
{
    byte w, o, c, rest = END;

    run poster(0);
    run poster(1);
    run reaper();
    do
    :: hazard || seen[2] != wanted ->
#ifndef LATE
        w = wanted;
#endif
        if
        :: hazard ->
            hazard = false;
            take();
            rest = posts;
            posts = END;
            drop();
            do
            :: rest != END ->
                c = rest;
#ifndef AFTER
                rest = next[c];
#endif
                work(c);
#ifdef AFTER
                rest = next[c]
#endif
            :: else -> break
            od
        :: else
        fi;
#ifdef LATE
        w = wanted;
#endif
        assert(w == 0 || owed[0] == 0 && owed[1] == 0);
        seen[2] = w;
        atomic { o = 0; c = 0; w = 0 }
    :: atomic { !hazard && !lock -> assert(posts == END && ops[0] == 0 && ops[1] == 0 && due[0] == 0 && due[1] == 0) }
    od
}
