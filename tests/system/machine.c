/* SPDX-License-Identifier: GPL-2.0-only */

#define _GNU_SOURCE
#include "machine.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PANIC "hypervisor: panic:"
#define TAIL 3000 /* bytes of output in a failure's message */
#define OPTIONS 32

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Fails the test with the last output. */
static void __attribute__((format(printf, 2, 3), noreturn)) fail(struct machine *m, const char *format, ...)
{
    char reason[512];
    va_list args;

    va_start(args, format);
    vsnprintf(reason, sizeof(reason), format, args);
    va_end(args);
    machine_stop(m);
    cr_assert_fail("%s: %s; the last output was:\n%s\n", m->name, reason,
                   m->text + (m->length > TAIL ? m->length - TAIL : 0));
    abort();
}

uint64_t machine_seed(const char *name)
{
    const char *text = getenv("SEED");
    uint64_t seed = text ? strtoull(text, NULL, 0) : 0;

    while (!seed)
        cr_assert_eq(getrandom(&seed, sizeof(seed), 0), (ssize_t)sizeof(seed));
    fprintf(stderr, "%s: SEED=0x%llx\n", name, (unsigned long long)seed);
    return seed;
}

void machine_start(struct machine *m, const char *name, const char *const argv[])
{
    int in[2], out[2];
    char path[256];

    memset(m, 0, sizeof(*m));
    snprintf(m->name, sizeof(m->name), "%s", name);
    m->room = 1 << 16;
    m->text = calloc(1, m->room);
    mkdir(BUILD "/logs", 0777);
    snprintf(path, sizeof(path), BUILD "/logs/%s.log", name);
    m->log = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    cr_assert(m->text && m->log >= 0 && !pipe2(in, O_CLOEXEC) && !pipe2(out, O_CLOEXEC));
    signal(SIGPIPE, SIG_IGN);

    m->pid = fork();
    cr_assert(m->pid >= 0);
    if (m->pid == 0) {
        /* Must not outlive a test that crashes. */
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(in[0], 0);
        dup2(out[1], 1);
        dup2(m->log, 2);
        execvp(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    m->in = in[1];
    m->out = out[0];
}

void machine_start_qemu(struct machine *m, const char *name, const char *iso, const char *const options[])
{
    const char *argv[OPTIONS] = {"boot/qemu", iso, "-serial", "stdio"};
    size_t count = 4;

    while (options && *options && count < OPTIONS - 1)
        argv[count++] = *options++;
    machine_start(m, name, argv);
}

void machine_start_bochs(struct machine *m, const char *name, const char *iso, int cpus)
{
    char folder[256], cpu_count[8];
    const char *argv[] = {"boot/bochs", iso, cpu_count, folder, NULL};

    snprintf(cpu_count, sizeof(cpu_count), "%d", cpus);
    snprintf(folder, sizeof(folder), BUILD "/logs/%s", name);
    machine_start(m, name, argv);
}

/* Takes output that has come, or comes until the deadline. False if there will be no more. */
static bool take(struct machine *m, double deadline)
{
    struct pollfd wait = {.fd = m->out, .events = POLLIN};
    double left = deadline - now();
    ssize_t got;

    if (poll(&wait, 1, left > 0 ? (int)(left * 1000) + 1 : 0) <= 0)
        return true;
    if (m->room - m->length < 4097) {
        m->room *= 2;
        m->text = realloc(m->text, m->room);
        cr_assert(m->text);
    }
    got = read(m->out, m->text + m->length, 4096);
    if (got <= 0)
        return false;
    for (ssize_t i = 0; i < got; i++)
        if (!m->text[m->length + (size_t)i])
            m->text[m->length + (size_t)i] = '?';
    cr_assert_eq(write(m->log, m->text + m->length, (size_t)got), got);
    m->length += (size_t)got;
    m->text[m->length] = 0;
    return true;
}

void machine_send(struct machine *m, const char *text)
{
    size_t length = strlen(text);

    if (write(m->in, text, length) != (ssize_t)length)
        fail(m, "cannot type \"%s\"", text);
}

void machine_expect(struct machine *m, const char *text, int seconds)
{
    double deadline = now() + seconds;
    bool more = true;

    for (;;) {
        const char *found = strstr(m->text + m->seen, text);

        if (found) {
            m->seen = (size_t)(found - m->text) + strlen(text);
            return;
        }
        if (strstr(m->text, PANIC) && !strstr(text, PANIC)) {
            machine_listen(m, 1);
            fail(m, "the hypervisor panicked, instead of saying \"%s\"", text);
        }
        if (!more)
            fail(m, "ended, instead of saying \"%s\"", text);
        if (now() >= deadline)
            fail(m, "did not say \"%s\" within %d seconds", text, seconds);
        more = take(m, deadline);
    }
}

const char *machine_expect_line(struct machine *m, const char *text, int seconds)
{
    static char line[1024];
    size_t begin;

    machine_expect(m, text, seconds);
    begin = m->seen;
    machine_expect(m, "\n", SECONDS);
    snprintf(line, sizeof(line), "%.*s", (int)(m->seen - 1 - begin), m->text + begin);
    line[strcspn(line, "\r")] = 0;
    return line;
}

const char *machine_listen(struct machine *m, int seconds)
{
    double deadline = now() + seconds;
    size_t begin = m->length;

    while (now() < deadline && take(m, deadline))
        ;
    return m->text + begin;
}

bool machine_said(const struct machine *m, const char *text)
{
    return strstr(m->text, text) != NULL;
}

const char *machine_last_line(const struct machine *m)
{
    static char line[1024];
    size_t end = m->length, begin;

    while (end && strchr("\r\n", m->text[end - 1]))
        end--;
    for (begin = end; begin && m->text[begin - 1] != '\n';)
        begin--;
    snprintf(line, sizeof(line), "%.*s", (int)(end - begin), m->text + begin);
    return line;
}

int machine_wait(struct machine *m, int seconds)
{
    double deadline = now() + seconds;
    int status;

    while (take(m, deadline))
        if (now() >= deadline)
            fail(m, "did not end within %d seconds", seconds);
    waitpid(m->pid, &status, 0);
    m->pid = 0;
    if (!WIFEXITED(status))
        fail(m, "was killed by signal %d", WTERMSIG(status));
    machine_stop(m);
    return WEXITSTATUS(status);
}

void machine_expect_end(struct machine *m, int code, int seconds)
{
    int ended = machine_wait(m, seconds);

    if (strstr(m->text, PANIC))
        fail(m, "the hypervisor panicked");
    if (ended != code)
        fail(m, "ended with exit code %d instead of %d", ended, code);
}

void machine_stop(struct machine *m)
{
    if (m->pid > 0) {
        kill(m->pid, SIGKILL);
        waitpid(m->pid, NULL, 0);
    }
    m->pid = 0;
    if (m->out >= 0) {
        close(m->in);
        close(m->out);
        close(m->log);
    }
    m->in = m->out = m->log = -1;
}
