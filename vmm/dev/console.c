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

void console_create(void)
{
    struct cb_identity page;

    machine.console_signal = machine.next_sel++;
    machine.console_port = machine.next_port++;
    /* Without a console service there is no console; the guest's kernel finds a page that nobody looks at. */
    if (cb_identify(CB_TASK_SEL_CONSOLE_PAGE, &page) != CB_OK || page.type != CB_TYPE_FRAME) {
        memory_share_page(machine.special + MACHINE_CONSOLE);
        return;
    }
    memory_map_page(CB_TASK_SEL_CONSOLE_PAGE, machine.special + MACHINE_CONSOLE);
    must(cb_derive(CB_TASK_SEL_CONSOLE_SIGNAL, machine.console_signal, machine.domain, CB_RIGHT_SIGNAL, 0, 0),
         "give the guest the console's event");
    must(cb_event_bind(CB_TASK_SEL_CONSOLE_EVENT, vcpu_sel(0), machine.console_port), "bind the console's event");
}
