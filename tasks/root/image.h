/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a task finds in its address space when it starts (corbel/task.h): the segments of its executable, a
 * stack, the task information, its FDT, and the console ring page, all in one frame, in this order.
 */
#ifndef ROOT_IMAGE_H
#define ROOT_IMAGE_H

#include "domain.h"
#include "program.h"

struct grants;

struct image {
    struct program program;
    const void *file;
    void *fdt;         /* from malloc() */
    size_t fdt_size;
    uint64_t stack;    /* first page of each part in the frame */
    uint64_t info;
    uint64_t fdt_page;
    uint64_t ring;
    uint64_t pages;
};

/* Reads the executable, makes the FDT, and lays all of it out. Upon success image_release() must follow. */
bool image_plan(struct image *image, const struct domain *domain, const void *manifest, const struct grants *grants,
                struct config_error *error);
void image_release(struct image *image);

/* Fills the domain's frame, and maps it and the modules into the domain. ram_size: what goes to the domain. */
bool image_load(const struct image *image, struct domain *domain, uint64_t ram_size, struct config_error *error);

#endif
