/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The specification says what the headers say: its calls are those of CB_CALLS, the statuses it names are
 * CB_STATUSES.
 */
#include <criterion/criterion.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <corbel/call.h>
#include <corbel/cap.h>
#include <corbel/status.h>

#ifndef SPEC
#error "SPEC is the specification's path"
#endif

static char *text;

struct call {
    const char *name, *type, *rights;
    unsigned number;
    bool seen;
};

static struct call calls[] = {
#define CALL(number, name, type, right) {#name, #type, #right, number, false},
    CB_CALLS(CALL)
#undef CALL
};
#define CALLS (sizeof(calls) / sizeof(calls[0]))

static void read_spec(void)
{
    FILE *file = fopen(SPEC, "r");
    size_t size;

    cr_assert_not_null(file, "cannot open %s", SPEC);
    text = calloc(1, 1 << 20);
    size = fread(text, 1, (1 << 20) - 1, file);
    fclose(file);
    cr_assert_gt(size, 1000);
}

static struct call *call_find(const char *name, size_t length)
{
    for (unsigned i = 0; i < CALLS; i++)
        if (strlen(calls[i].name) == length && strncmp(calls[i].name, name, length) == 0)
            return &calls[i];
    return NULL;
}

/* `name (number)`, or several of them with commas between; the rest says type and right. Gives the rest. */
static const char *heading_calls(const char *at, struct call **found, unsigned *count)
{
    for (*count = 0; islower(*at); at += *at == ',' ? 2 : 0) {
        size_t length = strcspn(at, " \n");
        char *end;

        if (at[length] != ' ' || at[length + 1] != '(')
            break;
        found[*count] = call_find(at, length);
        cr_assert_not_null(found[*count], "%.*s is no call of corbel/call.h", (int)length, at);
        cr_assert_eq(strtoul(at + length + 2, &end, 10), found[*count]->number, "%.*s has the wrong number", (int)length, at);
        cr_assert_eq(*end, ')');
        cr_assert_not(found[(*count)++]->seen, "%.*s appears twice", (int)length, at);
        found[*count - 1]->seen = true;
        at = end + 1;
    }
    return at;
}

/* ": portal, right CALL" against PORTAL and CB_RIGHT_CALL of the table. */
static void heading_check(const struct call *call, const char *rest)
{
    const char *right = strstr(rest, "right "), *wanted = call->rights + strlen("CB_RIGHT_");
    char type[16] = {0};

    if (strcmp(call->rights, "0") != 0 && call->number != CB_CALL_log_read && call->number != CB_CALL_log_bind &&
        rest[0] == ':') {
        cr_assert_not_null(right, "%s: no right is named", call->name);
        cr_assert_eq(strncmp(right + 6, wanted, strlen(wanted)), 0, "%s wants %s, but: %s", call->name, wanted, rest);
    }
    if (strcmp(call->type, "NULL") == 0 || rest[0] != ':')
        return;
    for (unsigned i = 0; i < sizeof(type) - 1 && isalpha(rest[2 + i]); i++)
        type[i] = (char)toupper(rest[2 + i]);
    cr_assert_str_eq(type, call->type, "%s", call->name);
}

Test(spec, calls)
{
    read_spec();
    for (const char *line = text; line; line = strchr(line, '\n')) {
        struct call *found[4];
        unsigned count;
        char rest[200];

        line += *line == '\n';
        if (strncmp(line, "### ", 4) != 0)
            continue;
        snprintf(rest, sizeof(rest), "%.*s", (int)strcspn(line, "\n"), heading_calls(line + 4, found, &count));
        rest[strcspn(rest, "\n")] = 0;
        for (unsigned i = 0; i < count; i++)
            heading_check(found[i], rest);
    }
    for (unsigned i = 0; i < CALLS; i++)
        cr_assert(calls[i].seen, "%s (%u) is not in the specification", calls[i].name, calls[i].number);
    free(text);
}

/* Every call but the plainest has its prototype, in backquotes, with its own name. */
Test(spec, prototypes)
{
    read_spec();
    for (unsigned i = 0; i < CALLS; i++) {
        char prototype[64];

        if (calls[i].number == CB_CALL_null || calls[i].number == CB_CALL_yield || calls[i].number == CB_CALL_upcall)
            continue;
        snprintf(prototype, sizeof(prototype), "`%s(", calls[i].name);
        cr_assert_not_null(strstr(text, prototype), "%s has no prototype", calls[i].name);
    }
    free(text);
}

static bool is_status(const char *name, size_t length)
{
#define STATUS(number, status, meaning) \
    if (strlen(#status) == length && strncmp(#status, name, length) == 0) \
        return true;
    CB_STATUSES(STATUS)
#undef STATUS
    return false;
}

/*
 * Behind "Errors:", a word in capitals at the start of a clause that ends there, or goes on with a bracket, is a
 * status; others belong to explanations.
 */
static void errors_check(const char *at, const char *end)
{
    for (bool starts = false; at < end; starts = *at == ' ' && strchr(",;:.", at[-1]), at++) {
        size_t length = starts ? strspn(at, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") : 0;

        if (length > 3 && (strchr(",;:.\n", at[length]) || strncmp(at + length, " (", 2) == 0))
            cr_assert(is_status(at, length), "%.*s is no status of corbel/status.h", (int)length, at);
    }
}

Test(spec, statuses)
{
    unsigned count = 0;

    read_spec();
    for (const char *at = text; (at = strstr(at, "Errors: ")); at++) {
        const char *end = strstr(at, "\n#");

        errors_check(at, end ? end : at + strlen(at));
        count++;
    }
    cr_assert_gt(count, 15);
#define STATUS(number, status, meaning) \
    cr_assert(number == 0 || strstr(text, #status), #status " appears nowhere in the specification");
    CB_STATUSES(STATUS)
#undef STATUS
    free(text);
}

/* What the tables promise to those who use them. */
Test(spec, numbers)
{
    bool used[CB_CALL_TABLE] = {false};

    cr_assert_eq(CB_CALL_TABLE & (CB_CALL_TABLE - 1), 0);
    for (unsigned i = 0; i < CALLS; i++) {
        cr_assert_lt(calls[i].number, CB_CALL_TABLE);
        cr_assert_not(used[calls[i].number], "two calls have number %u", calls[i].number);
        used[calls[i].number] = true;
    }
    cr_assert_str_eq(cb_status_name(CB_BAD_PARAM | 3 << 8), "BAD_PARAM");
    cr_assert_str_eq(cb_status_name(0xff), "?");
    cr_assert_eq(CB_STATUS_ARG(CB_BAD_PARAM | 3 << 8), 3);
}
