/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * An emulated machine under test: a child process whose serial line is a pair of pipes. Whatever goes wrong
 * fails the running test with the last lines of the serial output; all of it is in build/logs/NAME.log.
 */
#ifndef MACHINE_H
#define MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define ISO(manifest) BUILD "/iso/" manifest ".iso" /* that of boot/MANIFEST.dts */

/* Limits only end what hangs: an emulator on a busy machine takes many times what it takes on an idle one. */
#define SECONDS 180 /* for what takes seconds */
#define MINUTES 900 /* for what takes a minute or so: the boot of Linux, a test task */

struct machine {
    pid_t pid;
    int in;        /* to the serial line, -1 if it takes no input */
    int out;       /* from the serial line */
    int log;
    char *text;    /* all that came, zero terminated */
    size_t length;
    size_t room;   /* bytes allocated */
    size_t seen;   /* what machine_expect has gone past */
    char name[64];
};

/* What random numbers begin with, from the environment's SEED if it is there; printed. */
uint64_t machine_seed(const char *name);

/* Starts a program; argv ends with NULL. */
void machine_start(struct machine *m, const char *name, const char *const argv[]);

/* Starts QEMU on the ISO of a manifest; options end with NULL. */
void machine_start_qemu(struct machine *m, const char *name, const char *iso, const char *const options[]);

/* Starts Bochs on the ISO of a manifest. */
void machine_start_bochs(struct machine *m, const char *name, const char *iso, int cpus);

/* Types text on the serial line. */
void machine_send(struct machine *m, const char *text);

/* Waits for text and goes past it. Fails after so many seconds, or when the machine ends or panics. */
void machine_expect(struct machine *m, const char *text, int seconds);

/* As machine_expect, then for the end of the line: the rest of it. Valid until the next call. */
const char *machine_expect_line(struct machine *m, const char *text, int seconds);

/* What came in the next seconds. Valid until the next call. */
const char *machine_listen(struct machine *m, int seconds);

/* Whether text has come at any time. */
bool machine_said(const struct machine *m, const char *text);

/* The last line that came. Valid until the next call. */
const char *machine_last_line(const struct machine *m);

/* Waits until the machine has switched itself off: the exit code. */
int machine_wait(struct machine *m, int seconds);

/* The same; fails if it is not the given one, or if the hypervisor panicked. */
void machine_expect_end(struct machine *m, int code, int seconds);

/* Ends the machine if it still runs. */
void machine_stop(struct machine *m);

#endif
