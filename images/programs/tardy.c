/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Calls the service "tardy", which never answers some calls: the guest's only vCPU takes its timer's interrupts
 * meanwhile and runs other processes, a signal breaks the call off, and one that kills ends the process.
 */
#include "corbel.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static int set, service;

static void expect(int good, const char *what)
{
    if (good)
        return;
    printf("tardy: failed: %s\n", what);
    exit(1);
}

static int64_t call(uint64_t first)
{
    uint64_t word[4] = {first, 10, 20, 30};
    uint32_t words = 0;
    int64_t status = corbel_call(set, service, word, NULL, &words, 0);

    if (status == 0)
        expect(word[0] == 1 && word[1] == 11 && word[2] == 21 && word[3] == 31, "the answer");
    return status;
}

static void on_alarm(int number)
{
    (void)number;
}

int main(void)
{
    const struct sigaction action = {.sa_handler = on_alarm};
    const struct itimerval soon = {{0, 200000}, {0, 200000}};
    int status = 0;
    pid_t child;

    set = corbel_open();
    service = corbel_get_service(set, "tardy");
    expect(set >= 0 && service >= 0, "no service named tardy");
    for (int i = 0; i < 100; i++)
        expect(call(0) == 0, "a call that is answered");

    /* The child's timer is what ends its call. It comes again, in case the first comes too early. */
    child = fork();
    if (child == 0) {
        sigaction(SIGALRM, &action, NULL);
        setitimer(ITIMER_REAL, &soon, NULL);
        expect(call(1) == -1 && errno == EINTR, "a call that a signal breaks off");
        _exit(0);
    }
    expect(waitpid(child, &status, 0) == child && status == 0, "the child with a timer");

    /* The handler is lost, so this one waits for it; its parent sleeps, wakes up, and kills it. */
    child = fork();
    if (child == 0)
        _exit(call(0) == 0);
    for (int i = 0; i < 5; i++)
        usleep(100000);
    expect(waitpid(child, &status, WNOHANG) == 0, "the second child waits");
    kill(child, SIGKILL);
    expect(waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "its end");
    printf("tardy: passed\n");
    return 0;
}
