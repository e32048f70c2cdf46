/* SPDX-License-Identifier: GPL-2.0-only */
/* The objects that were found, by address. */
#include "dump.h"

#include <stdio.h>
#include <stdlib.h>

struct thing *things;
u32 thing_count;
static u32 thing_room;

static const char *type_name(u32 type)
{
    switch (type) {
#define NAME(number, name) case number: return #name;
        CB_TYPES(NAME)
#undef NAME
    default: return "?";
    }
}

struct thing *thing_add(const struct object *kernel)
{
    struct object *obj = (struct object *)dump_at(kernel, sizeof(*kernel));

    if (!obj)
        return NULL;
    if (thing_count == thing_room) {
        thing_room = MAX(1024u, thing_room * 2);
        things = realloc(things, thing_room * sizeof(*things));
        if (!things)
            abort();
    }
    things[thing_count] = (struct thing){ .kernel = (u64)kernel, .obj = obj };
    return &things[thing_count++];
}

static int order(const void *a, const void *b)
{
    u64 x = ((const struct thing *)a)->kernel, y = ((const struct thing *)b)->kernel;

    return x < y ? -1 : x > y;
}

/* An object that was met twice (dying, but still in the tree) becomes one. */
void things_sort(void)
{
    u32 kept = 0;

    qsort(things, thing_count, sizeof(*things), order);
    for (u32 i = 0; i < thing_count; i++) {
        if (kept && things[kept - 1].kernel == things[i].kernel)
            things[kept - 1].alive |= things[i].alive;
        else
            things[kept++] = things[i];
    }
    thing_count = kept;
}

struct thing *thing_find(const void *kernel)
{
    struct thing key = { .kernel = (u64)kernel };

    return things ? bsearch(&key, things, thing_count, sizeof(*things), order) : NULL;
}

struct thing *thing_expect(const void *kernel, enum cb_type type, const char *area, const char *what)
{
    struct thing *t = thing_find(kernel);

    if (t && t->obj->type == type)
        return t;
    bad(area, "%s: %p is no %s", what, kernel, type_name(type));
    return NULL;
}
