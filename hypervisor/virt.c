/* SPDX-License-Identifier: GPL-2.0-only */
#include "virt.h"

#include "cpu.h"
#include "log.h"

const struct virt_ops *virt;
const char *virt_missing;

void virt_probe(void)
{
    virt_missing = svm_ops.probe();
    if (!virt_missing)
        virt = &svm_ops;
}

void virt_cpu_init(void)
{
    if (virt && !virt->cpu_init())
        log_printf("corbel: CPU %u refuses %s: no vCPUs there", cpu.id, virt->name);
}
