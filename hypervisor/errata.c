/* SPDX-License-Identifier: GPL-2.0-only */
#include "errata.h"

#define STEPPINGS_ALL 0xffffu
#define STEPPING(n) (1u << (n))

/*
 * The first microcode without the erratum (specification updates: HSD, HSM, HSE, BDM, BDE, BDX, SKL, SKX and KBL, "IA32_TSC
 * deadline"). Steppings that stand in no line are as good as the models that do not.
 */
static const struct {
    u8 model;
    u16 steppings;
    u32 good;
} deadline[] = {
    { 0x3c, STEPPINGS_ALL, 0x22 },             /* Haswell */
    { 0x3f, STEPPING(2), 0x3a },               /* Haswell-EP */
    { 0x3f, STEPPING(4), 0x0f },               /* Haswell-EX */
    { 0x45, STEPPINGS_ALL, 0x20 },             /* Haswell-ULT */
    { 0x46, STEPPINGS_ALL, 0x17 },             /* Haswell with Crystal Well */
    { 0x3d, STEPPINGS_ALL, 0x25 },             /* Broadwell */
    { 0x47, STEPPINGS_ALL, 0x17 },             /* Broadwell with Crystal Well */
    { 0x4f, STEPPINGS_ALL, 0x0b000020 },       /* Broadwell-EP, -EX */
    { 0x56, STEPPING(2), 0x00000011 },         /* Broadwell-DE */
    { 0x56, STEPPING(3), 0x0700000e },
    { 0x56, STEPPING(4), 0x0f00000c },
    { 0x56, STEPPING(5), 0x0e000003 },
    { 0x4e, STEPPINGS_ALL, 0xb2 },             /* Skylake */
    { 0x5e, STEPPINGS_ALL, 0xb2 },
    { 0x55, STEPPING(3), 0x01000136 },         /* Skylake server */
    { 0x55, STEPPING(4), 0x02000014 },
    { 0x8e, STEPPINGS_ALL, 0x52 },             /* Kaby Lake */
    { 0x9e, STEPPINGS_ALL, 0x52 },
};

bool errata_deadline(const struct cpu_facts *f)
{
    /* A hypervisor below has timers of its own; an emulator that is none by its own account has no microcode. */
    if (!f->intel || f->family != 6 || f->guest || !f->microcode)
        return false;
    for (unsigned i = 0; i < ARRAY_SIZE(deadline); i++)
        if (deadline[i].model == f->model && (deadline[i].steppings & STEPPING(f->stepping)))
            return f->microcode < deadline[i].good;
    return false;
}

/* Erratum 400 (revision guides of families 0Fh to 12h). */
bool errata_c1e(const struct cpu_facts *f)
{
    return f->amd && !f->guest && ((f->family == 0xf && f->model >= 0x40) || (f->family >= 0x10 && f->family <= 0x12));
}
