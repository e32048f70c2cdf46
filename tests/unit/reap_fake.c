/* SPDX-License-Identifier: GPL-2.0-only */
#include "reap_fake.h"

unsigned reap_fake_killed;

void reap_object(struct object *obj)
{
    obj->dying = 1;
    reap_fake_killed++;
}

void reap_note_unmap(void)
{
}

void reap_grave(struct slot *tombstone)
{
    (void)tombstone;
}

bool reap_settle_unmaps(status_t *status)
{
    (void)status;
    return false;
}
