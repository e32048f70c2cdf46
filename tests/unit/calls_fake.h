/* SPDX-License-Identifier: GPL-2.0-only */
/* Included before sources of native tasks (-include), in place of the library's stubs: calls that a test answers. */
#ifndef LIB_CALLS_H
#define LIB_CALLS_H

#include <corbel/call.h>
#include <corbel/cap.h>
#include <corbel/invoke.h>
#include <corbel/status.h>
#include <corbel/task.h>

uint64_t cb_signal(uint32_t event);
uint64_t cb_wait(uint32_t event, uint32_t flags, uint64_t deadline, uint64_t *bits);
uint64_t cb_map(uint32_t frame, uint32_t flags, uint32_t dst, uint32_t domain, uint64_t address, uint32_t offset,
                uint32_t pages);
uint64_t cb_derive(uint32_t src, uint32_t dst, uint32_t domain, uint32_t rights, uint64_t arg1, uint64_t arg2);

struct cb_identity {
    uint64_t type, rights, x, y;
};

uint64_t cb_identify(uint32_t sel, struct cb_identity *identity);
uint64_t cb_revoke(uint32_t sel, uint32_t flags);
uint64_t cb_ram_split(uint32_t ram, uint32_t dst, uint32_t domain, uint64_t pages, uint64_t align);
uint64_t cb_frame_create(uint32_t ram, uint32_t dst, uint32_t domain, uint64_t pages, uint64_t align);
uint64_t cb_account_create(uint32_t parent, uint32_t dst, uint64_t pages);
uint64_t cb_event_create(uint32_t account, uint32_t dst);
uint64_t cb_portal_create(uint32_t account, uint32_t dst, uint32_t thread, uint64_t entry, uint64_t badge,
                          uint32_t groups, uint32_t level);
uint64_t cb_recall(uint32_t thread);
uint64_t cb_call(uint32_t portal, struct cb_args *message);

#endif
