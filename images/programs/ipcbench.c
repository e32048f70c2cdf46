/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Measures how guests and native tasks talk: calls to the service `echo`, and events and messages over the link
 * `bench`. Run it in both guests; the one on side 0 of the link measures and prints, the other one serves.
 */
#include "ipcbench.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINK "bench"

static const char *json; /* where to, NULL: nowhere */
static struct rounds rounds = {.wanted = ROUNDS_DEFAULT, .boxed = true};

static int usage(void)
{
    fprintf(stderr, "usage: ipcbench [--rounds N] [--json [FILE]]\n"
                    "  --rounds N     of each path; %u to %u (default: %u, or what 5 seconds allow)\n"
                    "  --json [FILE]  results as JSON, instead of the table if there is no FILE\n",
            ROUNDS_MIN, ROUNDS_MAX, ROUNDS_DEFAULT);
    return 2;
}

static bool parse_rounds(const char *text)
{
    char *end;

    errno = 0;
    rounds.wanted = text ? strtoull(text, &end, 10) : 0;
    rounds.boxed = false;
    return text && !errno && !*end && rounds.wanted >= ROUNDS_MIN && rounds.wanted <= ROUNDS_MAX;
}

static bool parse(char **word)
{
    while (*++word) {
        if (!strcmp(*word, "--rounds")) {
            if (!parse_rounds(*++word))
                return false;
        } else if (!strcmp(*word, "--json")) {
            json = word[1] && word[1][0] != '-' ? *++word : "-";
        } else {
            return false;
        }
    }
    return true;
}

/* Links signal vCPU 0: to run there saves an interrupt between vCPUs. */
static void stay_on_cpu0(void)
{
    cpu_set_t cpus;

    CPU_ZERO(&cpus);
    CPU_SET(0, &cpus);
    if (sched_setaffinity(0, sizeof(cpus), &cpus) < 0)
        perror("ipcbench: cannot stay on CPU 0");
}

static int serve(struct corbel_link *link)
{
    uint64_t served;

    printf("ipcbench: side 1, serving: start ipcbench in the other guest\n");
    fflush(stdout);
    served = peer_serve(link);
    if (!served) {
        fprintf(stderr, "ipcbench: the link is broken: %s\n", strerror(errno));
        return 1;
    }
    printf("ipcbench: served %llu requests\n", (unsigned long long)served);
    return 0;
}

static int measure(int set, struct corbel_link *link)
{
    service_measure(set, &rounds);
    if (!peer_measure(link, &rounds))
        return 1;
    if (!json || strcmp(json, "-"))
        results_print_table();
    if (json && !results_print_json(json)) {
        perror(json);
        return 1;
    }
    return results_complete() ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct corbel_link link;
    int set;

    (void)argc;
    if (!parse(argv))
        return usage();
    set = corbel_open();
    if (set < 0) {
        fprintf(stderr, "ipcbench: /dev/corbel: %s\n", strerror(errno));
        return 1;
    }
    if (corbel_get_link(set, LINK, &link) < 0) {
        fprintf(stderr, "ipcbench: link %s: %s\n", LINK,
                errno == ENOENT ? "this guest has none; the manifest must link it to another one" : strerror(errno));
        return 1;
    }
    stay_on_cpu0();
    return link.side == 0 ? measure(set, &link) : serve(&link);
}
