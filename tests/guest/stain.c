/* SPDX-License-Identifier: GPL-2.0-only */
/* Looks for anything but zeros in all of its ram, leaves a stain there, and wants to be started again. */
#include "corbel.h"

#define SLOTS 16u
#define LARGE_PAGE 0x200000ull
#define STAIN 0x5a5a5a5a5a5a5a5aull

void task_main(const struct cb_task_info *info)
{
    struct cb_identity identity;
    uint32_t frame = sel_alloc(), slots = sel_alloc_range(SLOTS), slot = slots;

    if (cb_identify(CB_TASK_SEL_RAM, &identity) != CB_OK || identity.y * CB_PAGE_SIZE > info->ram_size)
        task_exit(CB_EXIT_REASON_FAILED, "stain: no ram");
    uint64_t address = pages_space(identity.y * CB_PAGE_SIZE, LARGE_PAGE);

    if (cb_frame_create(CB_TASK_SEL_RAM, frame, CB_SELF, identity.y, 1) != CB_OK ||
        pages_map(frame, CB_MAP_READ | CB_MAP_WRITE, CB_SELF, &slot, slots + SLOTS, address, 0, identity.y) != CB_OK)
        task_exit(CB_EXIT_REASON_FAILED, "stain: cannot map the ram");
    for (uint64_t *word = (uint64_t *)address; word < (uint64_t *)(address + identity.y * CB_PAGE_SIZE); word++) {
        if (*word)
            task_exit(CB_EXIT_REASON_FAILED, "stain: %lx at %lx", *word, (uint64_t)word);
        *word = STAIN;
    }
    task_exit(CB_EXIT_REASON_REBOOT, "%lu KiB were clean", identity.y * (CB_PAGE_SIZE / 1024));
}
