/* SPDX-License-Identifier: GPL-2.0-only */
/* Prints size and hash (FNV-1a, 64 bits) of each of its modules. */
#include "corbel.h"

void task_main(const struct cb_task_info *info)
{
    for (uint32_t i = 0; i < info->module_count; i++) {
        const struct cb_task_module *module = &info->modules[i];
        const uint8_t *bytes = (const uint8_t *)module->address;
        uint64_t hash = 0xcbf29ce484222325ull;

        for (uint64_t at = 0; at < module->size; at++)
            hash = (hash ^ bytes[at]) * 0x100000001b3ull;
        print("module %s: %lu bytes, %lx\n", module->name, module->size, hash);
    }
}
