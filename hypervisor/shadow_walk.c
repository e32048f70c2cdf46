/* SPDX-License-Identifier: GPL-2.0-only */
#include "shadow_walk.h"

#include "kpage.h"
#include "pte.h"
#include "space.h"
#include "x86.h"

#define PSE_LARGE 0xffc00000ull      /* of a 4-byte entry: bits 31:22 of the address ... */
#define PSE_HIGH(entry) (((entry) >> 13 & 0xffull) << 32) /* ... and 39:32 */
#define PSE_RESERVED (1ull << 21)
#define PAE_RESERVED 0x7ff0000000000000ull /* outside of long mode */
#define PDPTE_RESERVED 0x1e6ull      /* of the four entries that PAE paging begins with */
#define LEVELS_MAX 4u

u32 walk_physical_bits = 36;
bool walk_pages_1g;

/* One walk. */
struct steps {
    const struct paging *p;
    const struct space *s;
    u32 bytes;                          /* of an entry: 4 or 8 */
    u32 top;                            /* level */
    u64 entry[LEVELS_MAX + 1], at[LEVELS_MAX + 1]; /* by level: what was read, and where (guest-physical) */
};

/* The window onto the guest-physical address, or NULL, and what is missing. */
static void *entry_window(const struct space *s, u64 at, bool write, struct walk *w)
{
    unsigned level;
    u64 leaf = at < space_end(s) ? space_find(s, at, &level) : 0;

    w->address = at;
    w->missing_write = leaf & PTE_P;
    if (!(leaf & PTE_P) || (write && !(leaf & PTE_W)))
        return NULL;
    at = pte_base(leaf, level) + at % pte_span(level);
    return (u8 *)kpage_window(align_down(at, PAGE_SIZE)) + at % PAGE_SIZE;
}

static bool entry_read(struct steps *t, u32 level, struct walk *w)
{
    const void *e = entry_window(t->s, t->at[level], false, w);

    if (!e)
        return false;
    t->entry[level] = t->bytes == 8 ? __atomic_load_n((const u64 *)e, __ATOMIC_RELAXED)
                                    : __atomic_load_n((const u32 *)e, __ATOMIC_RELAXED);
    return true;
}

/* Sets bits in an entry as hardware does: all at once, and only if it is still the same. */
static enum walk_result entry_mark(const struct steps *t, u32 level, u64 bits, struct walk *w)
{
    u64 old = t->entry[level];
    u32 old32 = (u32)old;
    void *e;
    bool same;

    if ((old & bits) == bits)
        return WALK_OK;
    e = entry_window(t->s, t->at[level], true, w);
    if (!e)
        return WALK_MEMORY;
    if (t->bytes == 8)
        same = __atomic_compare_exchange_n((u64 *)e, &old, old | bits, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
    else
        same = __atomic_compare_exchange_n((u32 *)e, &old32, old32 | (u32)bits, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
    return same ? WALK_OK : WALK_AGAIN;
}

static u32 level_shift(const struct steps *t, u32 level)
{
    return PAGE_SHIFT + (t->bytes == 8 ? 9 : 10) * (level - 1);
}

static bool is_pae_top(const struct steps *t, u32 level)
{
    return t->top == 3 && level == 3;
}

static bool is_large(const struct steps *t, u32 level)
{
    if (level == 1 || !(t->entry[level] & PTE_LARGE))
        return false;
    if (t->bytes == 4)
        return t->p->cr4 & CR4_PSE;
    return level == 2 || (level == 3 && t->top == 4 && walk_pages_1g);
}

/* Bits that must be clear in an entry that is present. */
static u64 reserved_bits(const struct steps *t, u32 level, bool large)
{
    u64 bits, entry = t->entry[level];

    if (t->bytes == 4) {
        if (!large)
            return 0;
        return PSE_RESERVED | (PSE_HIGH(entry) >> walk_physical_bits ? entry & 0x1fe000 : 0);
    }
    bits = PTE_ADDRESS & ~((1ull << walk_physical_bits) - 1);
    if (t->top == 3)
        bits |= PAE_RESERVED;
    if (!(t->p->efer & EFER_NXE) || is_pae_top(t, level))
        bits |= PTE_NX;
    if (is_pae_top(t, level))
        return bits | PDPTE_RESERVED;
    if (large)
        bits |= (pte_span(level) - 1) & PTE_ADDRESS & ~0x1000ull; /* bit 12: PAT */
    else if (level > 2)
        bits |= PTE_LARGE;
    return bits;
}

static u64 page_base(const struct steps *t, u32 level, bool large)
{
    u64 entry = t->entry[level];

    if (t->bytes == 4)
        return large ? (entry & PSE_LARGE) | PSE_HIGH(entry) : entry & 0xfffff000;
    return pte_base(entry, large ? level : 1);
}

static enum walk_result fault(const struct paging *p, u32 access, u32 why, struct walk *w)
{
    bool tells_exec = (p->cr4 & CR4_SMEP) || ((p->cr4 & CR4_PAE) && (p->efer & EFER_NXE));

    w->error = why | (access & (PF_WRITE | PF_USER)) | (tells_exec ? access & PF_EXEC : 0);
    return WALK_FAULT;
}

static void steps_begin(struct steps *t, u64 linear)
{
    const struct paging *p = t->p;
    u64 base = p->cr3 & 0xfffff000;

    t->bytes = p->cr4 & CR4_PAE || paging_long(p) ? 8 : 4;
    t->top = paging_long(p) ? 4 : t->bytes == 8 ? 3 : 2;
    if (t->top == 4)
        base = pte_address(p->cr3);
    else if (t->top == 3)
        base = p->cr3 & 0xffffffe0;
    t->at[t->top] = base + (linear >> level_shift(t, t->top) & (t->top == 3 ? 3 : t->bytes == 8 ? 511 : 1023)) * t->bytes;
}

/* Down to the entry that maps the page; rights are those of all levels together. */
static enum walk_result descend(struct steps *t, u64 linear, u32 access, struct walk *w, u32 *last)
{
    u32 level = t->top;

    w->user = w->write = w->exec = true;
    for (;; level--) {
        u64 entry;
        bool large;

        if (!entry_read(t, level, w))
            return WALK_MEMORY;
        entry = t->entry[level];
        large = is_large(t, level);
        if (!(entry & PTE_P))
            return fault(t->p, access, 0, w);
        if (entry & reserved_bits(t, level, large))
            return fault(t->p, access, PF_PRESENT | PF_RESERVED, w);
        if (!is_pae_top(t, level)) {
            w->user = w->user && (entry & PTE_U);
            w->write = w->write && (entry & PTE_W);
            w->exec = w->exec && !(t->bytes == 8 && (entry & PTE_NX));
        }
        if (level == 1 || large) {
            u64 span = 1ull << level_shift(t, level);

            *last = level;
            w->level = (u8)(level == 1 ? 1 : span == PAGE_2M ? 2 : WALK_LARGER);
            w->address = page_base(t, level, large) + (linear & (span - 1));
            return WALK_OK;
        }
        t->at[level - 1] = page_base(t, level, false) +
                           (linear >> level_shift(t, level - 1) & (t->bytes == 8 ? 511 : 1023)) * t->bytes;
    }
}

static bool allowed(const struct paging *p, u32 access, const struct walk *w)
{
    bool user = access & PF_USER;

    if (user && !w->user)
        return false;
    if ((access & PF_WRITE) && !w->write && (user || (p->cr0 & CR0_WP)))
        return false;
    if (access & PF_EXEC)
        return w->exec && (user || !w->user || !(p->cr4 & CR4_SMEP));
    return user || !w->user || !(p->cr4 & CR4_SMAP) || (access & PF_AC);
}

/* Accessed in all entries that have such a bit, dirty in the last. */
static enum walk_result mark(const struct steps *t, u32 access, u32 last, struct walk *w)
{
    u64 address = w->address;

    for (u32 level = t->top; level >= last; level--) {
        u64 bits = PTE_A | (level == last && (access & PF_WRITE) ? PTE_D : 0);
        enum walk_result result = is_pae_top(t, level) ? WALK_OK : entry_mark(t, level, bits, w);

        if (result != WALK_OK)
            return result;
    }
    w->address = address;
    return WALK_OK;
}

static enum walk_result walk_tables(struct steps *t, u64 linear, u32 access, struct walk *w)
{
    enum walk_result result;
    u32 last;

    steps_begin(t, linear);
    result = descend(t, linear, access, w, &last);
    if (result != WALK_OK)
        return result;
    if (!allowed(t->p, access, w))
        return fault(t->p, access, PF_PRESENT, w);
    result = mark(t, access, last, w);
    w->dirty = (access & PF_WRITE) || (t->entry[last] & PTE_D);
    w->global = (t->p->cr4 & CR4_PGE) && (t->entry[last] & PTE_G);
    return result;
}

enum walk_result walk(const struct paging *p, const struct space *s, u64 linear, u32 access, struct walk *w)
{
    struct steps t = { .p = p, .s = s };
    enum walk_result result;

    if (!paging_long(p))
        linear = (u32)linear;
    if (!(p->cr0 & CR0_PG)) {
        *w = (struct walk){ .address = linear, .level = WALK_LARGER, .user = true, .write = true, .exec = true,
                            .dirty = true };
        return WALK_OK;
    }
    *w = (struct walk){ 0 };
    result = walk_tables(&t, linear, access, w);
    kpage_window_close();
    return result;
}
