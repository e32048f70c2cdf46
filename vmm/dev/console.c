/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The console: the guest gets this domain's own ring page and events, so the VMM is not in the way. Until the
 * guest uses the ring, what the VMM prints goes there; afterwards it does not print any more.
 */
#include "dev.h"

#include <corbel.h>

#include "../machine.h"
#include "../memory.h"
#include "../report.h"
#include "../vcpu.h"

/* What root gave: without a console service, there is a ring page, but neither of its events, and nobody reads it. */
static bool have(uint32_t sel, enum cb_type type)
{
    struct cb_identity identity;

    return cb_identify(sel, &identity) == CB_OK && identity.type == type;
}

void console_create(void)
{
    if (!have(CB_TASK_SEL_CONSOLE_PAGE, CB_TYPE_FRAME) || !have(CB_TASK_SEL_CONSOLE_SIGNAL, CB_TYPE_EVENT))
        return;
    machine.console_page = machine.special + MACHINE_CONSOLE;
    machine.console_signal = machine.next_sel++;
    machine.console_port = machine.next_port++;
    memory_map_page(CB_TASK_SEL_CONSOLE_PAGE, machine.console_page);
    must(cb_derive(CB_TASK_SEL_CONSOLE_SIGNAL, machine.console_signal, machine.domain, CB_RIGHT_SIGNAL, 0, 0),
         "give the guest the console's event");
    ports_connect(CB_TASK_SEL_CONSOLE_EVENT, machine.console_port, "bind the console's event");
}
