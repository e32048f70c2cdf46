/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The transmitter of a 16550 at COM1, for kernels that print before they know their console ("earlyprintk=serial").
 * Nothing is ever received, and it is always ready: an unused port reads all ones, which says just that in the
 * line status register. The characters go into the console ring, so a guest that has begun to use the ring itself
 * must not use this any more.
 */
#include "dev.h"

#include <corbel.h>

#define PORT_DATA 0x3f8u /* the divisor's low byte while DLAB is set */
#define PORT_LCR 0x3fbu
#define LCR_DLAB 0x80u
#define PATIENCE_US 100000u /* then nobody takes output, and this is lost */

bool serial_write(uint16_t port, uint8_t value)
{
    static uint8_t lcr; /* a race between vCPUs garbles debugging output, no more */

    if (port == PORT_LCR)
        lcr = value;
    else if (port != PORT_DATA)
        return false;
    else if ((lcr & LCR_DLAB) == 0)
        (void)stream_write_until(&value, 1, clock_in(PATIENCE_US));
    return true;
}
