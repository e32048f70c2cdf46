/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Proof that the checks can fail: each corruption is made in a child process, whose view of the dump is its own, and
 * must be found wrong in the area that it is in.
 */
#include "dump.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "account.h"
#include "event.h"
#include "portal.h"
#include "pte.h"
#include "thread.h"

enum { FOUND, MISSED, NO_VICTIM };

/* The n-th object of a type, or the n-th context in a state; NULL: there are not so many. */
static void *object(enum cb_type type)
{
    for (u32 i = thing_count; i-- > 0;)
        if (things[i].obj->type == type && things[i].alive && things[i].obj->account)
            return things[i].obj;
    return NULL;
}

static struct ctx *context(enum ctx_state state)
{
    for (u32 i = 0; i < thing_count; i++) {
        struct ctx *c = (struct ctx *)(void *)things[i].obj;

        if (c->state == state && (c->obj.type == CB_TYPE_THREAD || (c->obj.type == CB_TYPE_VCPU && state != CTX_WAITING)))
            return c;
    }
    return NULL;
}

static struct sched *sched_in(enum sched_state state)
{
    for (u32 i = 0; i < thing_count; i++) {
        struct sched *s = (struct sched *)(void *)things[i].obj;

        if (s->obj.type == CB_TYPE_SCHED && s->state == state)
            return s;
    }
    return NULL;
}

static struct slot *capability(enum cb_type type)
{
    for (u32 i = cap_count; i-- > 0;)
        if (slot_word_type(slot_word(caps[i].slot)) == type && caps[i].parent)
            return caps[i].slot;
    return NULL;
}

static struct cpu *cpu_view(void)
{
    return (struct cpu *)(uintptr_t)dump_cpu(0);
}

/* The page table entry of CPU 0's I/O bitmap. */
static u64 *bitmap_entry(void)
{
    return dump_cpu_entry(cpu_view()->user_pdpt ? cpu_view()->user_pdpt : cpu_view()->kernel_pdpt, CPU_TSS + PAGE_SIZE);
}

/* The page table entry of some mapping of one page. */
static u64 *translation(void)
{
    const struct slot *s = capability(CB_TYPE_MAPPING);
    const struct domain *d = s ? AT(s->mapping.domain) : NULL;
    u64 *table = d ? dump_at(d->space.root, PAGE_SIZE) : NULL;

    for (unsigned level = d ? d->space.levels : 0; table; level--) {
        u64 *entry = &table[pte_index(s->mapping.address, level)];

        if (level == 1 || (*entry & PTE_LARGE))
            return entry;
        table = *entry & PTE_P ? dump_physical(pte_address(*entry), PAGE_SIZE) : NULL;
    }
    return NULL;
}

/* X(name, area that must complain, what is corrupted, how) with `v` for the victim. */
#define CORRUPTIONS(X)                                                                                              \
    X(link_back, "tree", struct slot *, capability(CB_TYPE_EVENT), v->prev = v->next)                               \
    X(link_forth, "tree", struct slot *, capability(CB_TYPE_EVENT), AT(v->prev)->next = v->next)                    \
    X(depth, "tree", struct slot *, capability(CB_TYPE_MAPPING), v->depth = (u16)(v->depth + 2))                    \
    X(parent, "tree", struct slot *, capability(CB_TYPE_MAPPING), v->parent = AT(v->parent)->parent)                \
    X(rights, "tree", struct slot *, capability(CB_TYPE_FRAME), v->frame.base -= PAGE_SIZE)                         \
    X(kind, "tree", struct slot *, capability(CB_TYPE_EVENT),                                                       \
      v->word = slot_word_make(CB_TYPE_PORTAL, CB_RIGHTS_ALL, slot_word_object(slot_word(v))))                      \
    X(first, "tree", struct object *, object(CB_TYPE_EVENT), v->root = v->root + 1)                                 \
    X(payer, "tree", struct object *, object(CB_TYPE_EVENT), v->account = (struct account *)((u64)v->account + 64)) \
    X(removed, "spaces", struct slot *, capability(CB_TYPE_MAPPING),                                                \
      (AT(v->prev)->next = v->next, AT(v->next)->prev = v->prev))                                                   \
    X(domain, "spaces", struct slot *, capability(CB_TYPE_MAPPING), v->mapping.domain = v->mapping.domain + 1)      \
    X(word, "spaces", struct slot *, capability(CB_TYPE_MAPPING),                                                   \
      (AT(v->prev)->next = v->next, AT(v->next)->prev = v->prev, v->next = v->prev = NULL))                         \
    X(used, "accounts", struct account *, object(CB_TYPE_ACCOUNT), v->used++)                                       \
    X(quota, "accounts", struct account *, object(CB_TYPE_ACCOUNT), v->quota--)                                     \
    X(leak, "accounts", struct account *, AT(((struct account *)object(CB_TYPE_ACCOUNT))->top),                     \
      v->free_pages = *(void **)dump_at(v->free_pages, 8))                                                          \
    X(utcb, "accounts", struct ctx *, context(CTX_WAITING), v->utcb = (struct cb_utcb *)(void *)v->fpu)             \
    X(slab, "accounts", struct slab *, dump_at((void *)(dump_kernel(object(CB_TYPE_EVENT)) & ~0xfffull), 64), v->used--) \
    X(mapped, "mappings", u64 *, translation(), *v = 0)                                                             \
    X(elsewhere, "mappings", u64 *, translation(), *v ^= PAGE_2M)                                                   \
    X(writable, "mappings", struct ctx *, context(CTX_WAITING), v->utcb_address += PAGE_SIZE)                       \
    X(handler, "objects", struct portal *, object(CB_TYPE_PORTAL), v->handler = NULL)                               \
    X(portals, "objects", struct portal *, object(CB_TYPE_PORTAL), v->node.prev = (struct list *)dump_kernel(&v->node)) \
    X(event, "objects", struct ctx *, context(CTX_WAITING), v->event = NULL)                                        \
    X(receiver, "contexts", struct ctx *, context(CTX_WAITING), AT(v->event)->receiver = NULL)                      \
    X(caller, "contexts", struct ctx *, context(CTX_CALLING), AT(v->callee)->caller = NULL)                         \
    X(callee, "contexts", struct ctx *, context(CTX_CALLING), v->callee = NULL)                                     \
    X(remote, "contexts", struct ctx *, context(CTX_REMOTE), v->remote.portal = NULL)                               \
    X(remote_list, "contexts", struct ctx *, context(CTX_REMOTE), AT(v->remote.node.prev)->next = v->remote.node.next) \
    X(helper, "contexts", struct ctx *, context(CTX_HELPING), v->state = CTX_READY)                                 \
    X(asleep, "contexts", struct ctx *, context(CTX_WAITING), v->state = CTX_READY)                                 \
    X(parked, "cpus", struct sched *, sched_in(SCHED_PARKED), v->state = SCHED_THROTTLED)                           \
    X(bitmap, "cpus", struct cpu *, cpu_view(), v->runqueue.bitmap[0] ^= 0x400)                                     \
    X(queue, "cpus", struct cpu *, cpu_view(), v->runqueue.queue[7].next = v->runqueue.queue[8].next)               \
    X(timers, "cpus", struct cpu *, cpu_view(), v->timers.first = NULL)                                             \
    X(timer, "cpus", struct cpu *, cpu_view()->timers.root ? cpu_view() : NULL, AT(v->timers.root)->queued = 0)     \
    X(ports, "cpus", struct cpu *, cpu_view(), v->io_vcpu = (struct vcpu *)dump_kernel(v))                          \
    X(window, "cpus", u64 *, dump_window(0), *v = PTE_P)                                                            \
    X(tss, "cpus", u64 *, bitmap_entry(), *v ^= PAGE_SIZE | PTE_P)                                                  \
    X(grace, "cpus", struct cpu *, cpu_view(), v->grace_seen += 1000)

#define CORRUPTION(name, area, type, victim, damage)  \
    static bool corrupt_##name(void)                  \
    {                                                 \
        type v = victim;                              \
                                                      \
        if (!v)                                       \
            return false;                             \
        damage;                                       \
        return true;                                  \
    }
CORRUPTIONS(CORRUPTION)
#undef CORRUPTION

static const struct {
    const char *name, *area;
    bool (*make)(void);
} corruptions[] = {
#define ROW(name, area, type, victim, damage) { #name, area, corrupt_##name },
    CORRUPTIONS(ROW)
#undef ROW
};

static int corrupt_one(u32 i)
{
    if (!corruptions[i].make())
        return NO_VICTIM;
    bad_count = 0;
    bad_areas[0] = 0;
    check_all();
    return strstr(bad_areas, corruptions[i].area) ? FOUND : MISSED;
}

u32 corrupt_all(void)
{
    u32 failed = 0;

    bad_silent = true;
    check_all(); /* finds the victims */
    for (u32 i = 0; i < ARRAY_SIZE(corruptions); i++) {
        int status = 0;
        pid_t child;

        fflush(stdout);
        child = fork();
        if (child == 0)
            _exit(corrupt_one(i));
        if (child < 0 || waitpid(child, &status, 0) != child)
            abort();
        if (WIFEXITED(status) && WEXITSTATUS(status) == FOUND) {
            printf("corruption %s: found in %s\n", corruptions[i].name, corruptions[i].area);
            continue;
        }
        failed++;
        printf("corruption %s: %s\n", corruptions[i].name,
               !WIFEXITED(status) ? "the checker crashed" :
               WEXITSTATUS(status) == NO_VICTIM ? "nothing to corrupt" : "NOT FOUND");
    }
    printf("%u corruptions, %u not found\n", (u32)ARRAY_SIZE(corruptions), failed);
    return failed;
}
