/* SPDX-License-Identifier: GPL-2.0-only */
/* Guest to native: calls to the service `echo`, which answers with what it was sent. */
#include "ipcbench.h"

#include <errno.h>
#include <string.h>

#define PATH "guest-native-call"

static const uint32_t buffer_words[] = {0, 4, 60, CORBEL_WORDS};

struct call {
    int set, service;
    uint32_t words;
    uint64_t number;
    uint64_t sent[4], word[4];
    uint64_t buffer[CORBEL_WORDS], reply[CORBEL_WORDS];
};

/* Other words each time, so that an old answer is not taken for a new one. */
static void prepare(void *context)
{
    struct call *call = context;

    call->number++;
    for (uint32_t i = 0; i < 4; i++)
        call->word[i] = call->sent[i] = call->number * 0x9e3779b97f4a7c15u + i;
    for (uint32_t i = 0; i < call->words; i++)
        call->reply[i] = call->buffer[i] = call->number ^ (uint64_t)i << 32;
}

static bool echo_round(void *context)
{
    struct call *call = context;
    uint32_t words = call->words;

    return corbel_call(call->set, call->service, call->word, call->reply, &words, call->words) == 0 &&
           words == call->words && !memcmp(call->word, call->sent, sizeof(call->sent)) &&
           !memcmp(call->reply, call->buffer, call->words * sizeof(uint64_t));
}

void service_measure(int set, const struct rounds *rounds)
{
    static struct call call;

    call.set = set;
    call.service = corbel_get_service(set, "echo");
    for (size_t i = 0; i < sizeof(buffer_words) / sizeof(buffer_words[0]); i++) {
        struct row *row = results_row(PATH, (4 + buffer_words[i]) * sizeof(uint64_t), false);

        call.words = buffer_words[i];
        if (call.service < 0)
            row->missing = errno == ENOENT ? "this guest has no service named echo" : "the service cannot be used";
        else
            rounds_measure(rounds, row, prepare, echo_round, &call);
    }
}
