/* SPDX-License-Identifier: GPL-2.0-only */
/* What root prints when there is a console service: lines, in whole or with a mark where they end, and what was lost counted. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "output.h"
#include "stream.h"
#include "thread.h"

uint64_t clock_now;

static char got[2000];
static bool deaf; /* the service takes nothing */
static uint64_t waited;

bool boot_claim_ports(uint16_t first, uint16_t count);
bool boot_claim_ports(uint16_t first, uint16_t count)
{
    (void)first, (void)count;
    return false; /* there is no serial line */
}

void thread_sleep_us(uint64_t us)
{
    (void)us;
}

void stream_drain(uint64_t deadline)
{
    waited = deadline;
}

bool stream_write_until(const void *data, size_t size, uint64_t deadline)
{
    cr_assert_lt(deadline, clock_now + 10000000, "root waits for nobody");
    if (deaf) {
        waited += deadline > clock_now ? deadline - clock_now : 0;
        clock_now = deadline > clock_now ? deadline : clock_now;
        return false;
    }
    cr_assert_lt(strlen(got) + size, sizeof(got));
    strncat(got, data, size);
    return true;
}

static void expect(const char *text)
{
    cr_assert_str_eq(got, text);
    got[0] = 0;
}

Test(output, lines)
{
    char text[600] = "", wanted[700];

    output_use_stream(true);
    output_line("%s has %u", "one", 1u);
    expect("root: one has 1\n");
    for (size_t size = 380; size < 500; size++) {
        memset(text, 'x', size);
        output_line("%s", text);
        if (size + 6 <= 398)
            snprintf(wanted, sizeof(wanted), "root: %s\n", text);
        else
            snprintf(wanted, sizeof(wanted), "root: %.389s...\n", text);
        expect(wanted);
    }
}

Test(output, lost_lines)
{
    clock_now = 1;
    output_use_stream(true);
    deaf = true;
    for (unsigned i = 0; i < 100; i++)
        output_line("nobody takes this");
    cr_assert_leq(waited, 2000000, "all of them have waited as long as one");
    deaf = false;
    output_line("listen");
    expect("root: 100 lines are missing here: nobody took them\nroot: listen\n");
    output_line("again");
    expect("root: again\n");
    output_drain();
    cr_assert(waited >= clock_now && waited <= clock_now + 10000000);
}
