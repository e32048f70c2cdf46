/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Unmap, settle and reuse of ram: memory that gets a new use (account_create, ram_split, frame_create) is in nobody's
 * TLB, although TLBs are flushed late, by grace periods (docs/grace-periods.md).
 *
 * Mirrors: slot_remove() with space_unmap(), slot_exhume() (slot.c); ram_take() (memory.c), account_create_top(),
 * account_release_top() (account.c); grace_begin(), grace_over(), grace_pass(), grace_settle() (grace.c); exit_hazards()
 * (exit.c).
 *
 * What goes wrong without one of the rules:
 *   SPLIT  "settled" is looked at in one hold of tree_lock, "no children" in another
 *   BEGUN  an unmap is content with the period that has begun already
 *   KEPT   a frame that goes does not hand the epoch of its last unmap to the ram that it was made of
 */
#define CPUS 3   /* 0: makes an account; 1: maps and revokes; 2: runs in user mode */
#define ROUNDS 2 /* of each */

bool lock;                   /* tree_lock */
bool child, mapped;          /* the ram has a frame below it; a table entry leads there */
bool kernel;                 /* an account lies in the ram */
byte unmapped, frame;        /* in the slots of ram and frame: the period after which nobody reaches what was below it */
byte wanted, seen[CPUS];     /* grace.c */
bool tlb[CPUS];              /* holds the translation */

#define OVER(epoch) (seen[0] >= epoch && seen[1] >= epoch && seen[2] >= epoch)

inline take() { atomic { !lock -> lock = true } }
inline drop() { lock = false }

#ifdef BEGUN
#define NEXT wanted
#else
#define NEXT (wanted + 1)
#endif

/* exit_hazards(), grace_pass(): the way out of the kernel. */
inline pass(cpu)
{
    w = wanted;
    tlb[cpu] = false;
    seen[cpu] = w;
    w = 0;
}

/* A write in user mode. */
inline use(cpu)
{
    atomic {
        if
        :: tlb[cpu] || mapped -> tlb[cpu] = true; assert(!kernel)
        :: else
        fi
    }
}

/* The call waits for `unmapped`, which begins a period if need be, or is refused: either way its CPU passes. */
inline wait(cpu)
{
    if
    :: unmapped > wanted -> wanted++
    :: else
    fi;
    drop();
    pass(cpu)
}

/* The check of ram_take() and account_create_top(); `settled` says whether the lock is still held, and all is well. */
inline settle(cpu)
{
    take();
    settled = OVER(unmapped);
#ifdef SPLIT
    drop();
    take();
#endif
    if
    :: settled && !child && !kernel
    :: else -> settled = false; wait(cpu)
    fi
}

active proctype creator()
{
    byte w, n;
    bool settled;

    do
    :: n < ROUNDS ->
        settle(0);
        if
        :: settled -> kernel = true; drop(); pass(0); /* account_create_top() */
           /* account_release_top(): cleared, out of the direct map, which is a translation, too */
           take(); kernel = false; unmapped = NEXT; drop(); pass(0); n++
        :: else
        fi
    :: break
    od;
    do
    :: pass(0)
    od
}

active proctype mapper()
{
    byte w, n;
    bool settled;

    do
    :: n < ROUNDS ->
        settle(1);
        if
        :: settled -> child = true; drop(); pass(1); /* frame_create() */
           take(); mapped = true; drop(); pass(1);   /* map() */
           take(); mapped = false; frame = NEXT; drop(); pass(1); /* revoke(): the mapping, then the frame */
           take();
           child = false;
#ifndef KEPT
           unmapped = (frame > unmapped -> frame : unmapped);
#endif
           drop(); pass(1); n++
        :: else
        fi
    :: use(1)
    :: break
    od;
    do
    :: pass(1)
    od
}

active proctype user()
{
    byte w;

    do
    :: use(2)
    :: pass(2)
    od
}
