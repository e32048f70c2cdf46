/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The interrupt is edge triggered: the line is unmasked first, and then the UART is served until it has nothing
 * more to say (or is told to be silent about it), so that the next event makes a new edge.
 */
#include "uart.h"

#include "calls.h"
#include "port.h"

#define COM1 0x3f8u
#define COM1_GSI 4u

/* Registers, 16550 data sheet (National Semiconductor PC16550D), table II. */
#define DATA (COM1 + 0)
#define IER (COM1 + 1)
#define IER_RX 0x01u
#define IER_TX 0x02u
#define IIR (COM1 + 2)
#define FCR (COM1 + 2)
#define FCR_ENABLE 0x01u
#define MCR (COM1 + 4)
#define MCR_DTR 0x01u
#define MCR_RTS 0x02u
#define MCR_OUT2 0x08u /* on PCs: lets the interrupt out */
#define LSR (COM1 + 5)
#define LSR_READY 0x01u
#define LSR_THRE 0x20u

#define FIFO 16u
#define QUEUE 4096u /* a power of two */

static bool present;
static uint32_t irq_sel;
static uint8_t enabled; /* what IER holds */

static uint8_t queue[QUEUE];
static uint32_t queue_head, queue_tail; /* free-running */

static uint32_t burst = 1; /* bytes that the transmitter takes at once */

static void enable(uint8_t bits)
{
    if (bits == enabled)
        return;
    enabled = bits;
    port_out8(IER, bits);
}

uint64_t uart_init(uint32_t irq, uint32_t event)
{
    present = port_is_uart(COM1);
    if (!present)
        return CB_OK;
    /*
     * Speed and format stay as the hypervisor has set them; it prints on this line until the log is bound. Enabling
     * the FIFOs clears the receiver: if input is waiting, more may be behind it, and none of it is to be lost, so
     * then there are no FIFOs.
     */
    if (!(port_in8(LSR) & LSR_READY)) {
        port_out8(FCR, FCR_ENABLE);
        burst = FIFO;
    }
    port_out8(MCR, MCR_DTR | MCR_RTS | MCR_OUT2);
    port_out8(IER, 0);
    (void)port_in8(IIR);
    irq_sel = irq;
    return cb_irq_bind(irq, COM1_GSI, event, 0);
}

size_t uart_room(void)
{
    return QUEUE - (queue_head - queue_tail);
}

void uart_put(uint8_t byte)
{
    if (present)
        queue[queue_head++ % QUEUE] = byte;
}

bool uart_flush(void)
{
    while (queue_head != queue_tail && (port_in8(LSR) & LSR_THRE))
        for (uint32_t i = 0; i < burst && queue_head != queue_tail; i++)
            port_out8(DATA, queue[queue_tail++ % QUEUE]);
    bool done = queue_head == queue_tail;

    enable((uint8_t)(done ? enabled & ~IER_TX : enabled | IER_TX));
    return done;
}

bool uart_get(uint8_t *byte)
{
    if (!present || !(port_in8(LSR) & LSR_READY))
        return false;
    *byte = port_in8(DATA);
    return true;
}

void uart_want_input(bool want)
{
    if (!present || want == ((enabled & IER_RX) != 0))
        return;
    port_out8(MCR, MCR_DTR | MCR_OUT2 | (want ? MCR_RTS : 0));
    enable((uint8_t)(want ? enabled | IER_RX : enabled & ~IER_RX));
}

void uart_ack(void)
{
    if (!present)
        return;
    (void)!cb_irq_ack(irq_sel, COM1_GSI);
    (void)port_in8(IIR); /* takes back the transmitter's request */
}
