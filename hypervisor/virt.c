/* SPDX-License-Identifier: GPL-2.0-only */
#include "virt.h"

#include <corbel/boot.h>

#include "cpu.h"
#include "irq.h"
#include "log.h"
#include "shadow.h"

const struct virt_ops *virt;
const char *virt_missing = virt_absent;
bool virt_nested, virt_vapic;
const char virt_absent[] = "the processor has no hardware virtualization";

static const struct virt_ops *const backends[] = { &svm_ops, &vmx_ops };

void virt_probe(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(backends) && !virt; i++) {
        const char *refusal = backends[i]->probe();

        if (!refusal)
            virt = backends[i];
        else if (refusal != virt_absent)
            virt_missing = refusal;
    }
    if (virt && !virt_nested)
        shadow_probe();
}

/* Tables that software walks have the format of nested ones, of which shadow entries are copies. */
enum space_format virt_format(void)
{
    return virt_nested ? virt->format : SPACE_NPT;
}

u64 virt_features(void)
{
    return virt->features | (virt_nested ? CB_FEATURE_NESTED : 0) | (virt_vapic ? CB_FEATURE_VAPIC : 0);
}

void virt_cpu_init(void)
{
    if (virt && !virt->cpu_init())
        log_printf("corbel: CPU %u refuses %s: no vCPUs there", cpu.id, virt->name);
    if (cpu.virt)
        io_cpu_init();
}
