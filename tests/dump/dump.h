/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The hypervisor's memory, read after the fact: a file with the machine's physical memory, and the hypervisor's ELF
 * for its symbols. The structures are those of the hypervisor's own headers. Kernel pointers are never followed as
 * they are: AT() gives the host's view, or NULL, with a complaint, for what points to nowhere.
 */
#ifndef DUMP_H
#define DUMP_H

#include "cpu.h"
#include "ctx.h"
#include "domain.h"
#include "slot.h"
#include "types.h"

/* ---- The file ---- */

/*
 * Both, in this order; they end the program if a file is not what it should be. Writing to the memory changes this
 * process's view only.
 */
void dump_open_elf(const char *path);
void dump_open_memory(const char *path);

/* The host's view of `bytes` bytes at a host-physical address; NULL: beyond the dump. */
void *dump_physical(u64 at, u64 bytes);

/* The same at a kernel address. CPU-local ones are those of the CPU last chosen. */
void *dump_at(const void *kernel, u64 bytes);
void dump_choose_cpu(u32 id);
#define AT(p) ((__typeof__(p))dump_at((p), sizeof(*(p))))

/* The kernel's address, in the direct map, of what is seen at `view`. */
u64 dump_kernel(const void *view);

/* Where a kernel pointer leads, host-physical; UINT64_MAX: nowhere. */
u64 dump_translate(u64 kernel);

/* A symbol, that of a source file if `file` is not NULL; ends the program if there is none of that size. */
u64 dump_symbol_address(const char *file, const char *name, u64 bytes);
#define SYMBOL(type, file, name) \
    (*(__typeof__(type) *)dump_at((void *)dump_symbol_address(file, #name, sizeof(type)), sizeof(type)))

const struct cpu *dump_cpu(u32 id); /* NULL: there is none */
u64 *dump_cpu_entry(u64 pdpt, u64 address); /* of one of a CPU's pages, below its PDPT; NULL: it leads nowhere */
u64 *dump_window(u32 id);           /* the page table entry of its window (kpage.h); NULL: its tables lead nowhere */
u32 dump_cpu_count(void);

/* ---- Complaints and counts ---- */

extern bool quiet_expected; /* nothing was going on: no lock taken, nothing dying */
extern u32 bad_count;
extern bool bad_silent;     /* only remembers */
extern char bad_areas[];    /* those complained about, each after a space */

/* Something is wrong. */
void bad(const char *area, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same if quiet was expected; else a remark. */
void unquiet(const char *area, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* So many more of these were looked at. */
void seen(const char *what, u64 count);
void seen_print(void);

/* ---- Lists ---- */

/* for (n = list_begin(&w, head, area); n; n = list_next(&w)): kernel addresses of the nodes, both links checked. */
struct list_walk {
    const struct list *head, *at;
    const char *area;
    u32 count;
};
const struct list *list_begin(struct list_walk *w, const struct list *head, const char *area);
const struct list *list_next(struct list_walk *w);

/* The kernel address of a member of what is at a kernel address, and back. */
#define KMEMBER(k, type, member) ((__typeof__(((type *)0)->member) *)((u64)(k) + offsetof(type, member)))
#define KCONTAINER(k, type, member) ((type *)((u64)(k) - offsetof(type, member)))

/* ---- What was found ---- */

/* An object. The counts say how often it was met where each that is alive must be just once. */
struct thing {
    u64 kernel;
    struct object *obj;
    bool alive;           /* its first capability is in the tree */
    u32 in_domain, in_portals, in_waiters, in_remote, in_remote_portal, in_helpers, in_throttled, in_queue, in_timers;
    u32 in_grace, in_events;
    u64 claimed;          /* account: pages */
    u64 quotas;           /* account: of its children */
};
extern struct thing *things;
extern u32 thing_count;

struct thing *thing_add(const struct object *kernel);
void things_sort(void); /* then: */
struct thing *thing_find(const void *kernel);
/* The object of that type at a kernel address; NULL, with a complaint, if there is none. */
struct thing *thing_expect(const void *kernel, enum cb_type type, const char *area, const char *what);

/* A capability, in the order of the tree. */
struct cap {
    u64 kernel;
    struct slot *slot;
    struct cap *parent;   /* NULL: none above it */
    bool found;           /* in a capability space, or in an object */
    u64 domain;           /* kernel address; whose space that is, 0: an object */
};
extern struct cap *caps;
extern u32 cap_count;

/* The areas, in the order in which they build on one another. */
void check_tree(void);
void check_spaces(void);    /* capability spaces */
void check_accounts(void);
void check_mappings(void);
void check_objects(void);
void check_contexts(void);
void check_cpus(void);
void check_timers(u32 cpu_id);

/* The scheduling context's own budget; NULL: it has none. */
const struct budget *sched_own(const struct thing *t);

/* remote.c: calls between CPUs, as the caller, the handler and the portal know of them. The caller's last. */
void check_followers(const struct thing *s); /* of a queued scheduling context */
void check_remote_server(const struct thing *t);
void check_remote_portal(const struct thing *t);
void check_remote(const struct thing *t);

/* Pages of kernel memory with their owners, for check_mappings(). */
bool page_is_kernel(u64 physical_from, u64 bytes);

/* Corrupts copies in several ways; each must be noticed, in the right area. The number of those that were not. */
u32 corrupt_all(void);

/* All checks. */
void check_all(void);

#endif
