/* SPDX-License-Identifier: GPL-2.0-only */
/* The ports of devices and links: which event signals each. At first all are on vCPU 0; the guest may move them. */
#include "machine.h"

#include <corbel.h>

#include "report.h"
#include "vcpu.h"

#define PORTS_MAX (1 + MACHINE_DEVICES * (1 + DEVICE_QUEUES) + CB_TASK_LINKS)

static struct {
    uint32_t port, event;
} ports[PORTS_MAX]; /* not changed once the guest runs */
static uint32_t port_count;

void ports_connect(uint32_t event, uint32_t port, const char *what)
{
    must(port_count < PORTS_MAX ? CB_OK : CB_NO_ROOM, what);
    must(cb_event_bind(event, vcpu_sel(0), port), what);
    ports[port_count].port = port;
    ports[port_count].event = event;
    port_count++;
}

bool ports_route(uint64_t port, uint32_t vcpu)
{
    for (uint32_t i = 0; i < port_count; i++)
        if (ports[i].port == port)
            return cb_event_bind(ports[i].event, vcpu_sel(vcpu), ports[i].port) == CB_OK;
    return false;
}
