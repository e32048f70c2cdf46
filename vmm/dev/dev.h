/* SPDX-License-Identifier: GPL-2.0-only */
/* The device types there are. machine.c lists those that a machine has. */
#ifndef VMM_DEV_H
#define VMM_DEV_H

#include "../device.h"

#include <corbel/state.h>

#include <stdbool.h>

struct cb_args;
struct vcpu;

extern const struct dev_ops blk_ops; /* blk.c: a disk in memory */
extern const struct dev_ops rng_ops; /* rng.c: random numbers */

/* power.c: the machine portal: power-off, reboot, panic, vCPUs, ports. `message` becomes the reply. */
void power_call(struct vcpu *vcpu, struct cb_args *message);

/* console.c: hands this domain's own console to the guest. */
void console_create(void);

/* serial.c: an I/O port of a serial line that can only send. False: not one of its ports. */
bool serial_write(uint16_t port, uint8_t value);

#endif
