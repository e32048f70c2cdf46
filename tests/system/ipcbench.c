/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Two linked guests and a service, as they ship: each is typed one command, which uses /dev/corbel wrongly first, and
 * then measures. The table must be complete, and the JSON must say the same.
 */

#include "machine.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMMAND "sh /tests/ipcbench; poweroff\n"
#define CHECKS_MIN 700u
#define ROUNDS_MIN 100u
#define NEXT_DOMAIN "\x1dn" /* Ctrl-] n */

struct row {
    char path[64];
    unsigned long size, rounds, min, median, p99;
};

static const struct {
    const char *path;
    unsigned long size;
} wanted[] = {
    {"guest-native-call", 32},    {"guest-native-call", 64},   {"guest-native-call", 512},
    {"guest-native-call", 3104},  {"guest-guest-event", 0},    {"guest-guest-bulk", 8},
    {"guest-guest-bulk", 64},     {"guest-guest-bulk", 512},   {"guest-guest-bulk", 4096},
    {"guest-guest-bulk", 32768},  {"guest-guest-bulk", 262144}, {"guest-guest-bulk", 1048576},
};

#define WANTED (sizeof(wanted) / sizeof(wanted[0]))

/* Something that has come or will come, wherever. */
static void expect_anywhere(struct machine *m, const char *text, int seconds)
{
    m->seen = 0;
    machine_expect(m, text, seconds);
}

/* What a domain has printed from the last line `from` to the line `to`, without its name before each line. */
static void collect(const struct machine *m, const char *from, const char *to, FILE *into)
{
    char name[] = "[left] ";
    bool on = false;

    for (const char *line = m->text; line && *line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, strlen(name)))
            continue;
        line += strlen(name);
        if (on && !strncmp(line, to, strlen(to)))
            break;
        if (on)
            fprintf(into, "%.*s\n", (int)strcspn(line, "\r\n"), line);
        on = on || !strncmp(line, from, strlen(from));
    }
}

/* Lines of "path size rounds min median p99 ...": how many make sense. */
static size_t read_rows(FILE *from, struct row *rows, size_t room)
{
    char line[256];
    size_t count = 0;

    while (count < room && fgets(line, sizeof(line), from)) {
        struct row *row = &rows[count];

        if (sscanf(line, "%63s %lu %lu %lu %lu %lu", row->path, &row->size, &row->rounds, &row->min, &row->median,
                   &row->p99) == 6)
            count++;
    }
    return count;
}

static void read_table(const struct machine *m, struct row *rows)
{
    char *text = NULL;
    size_t length = 0;
    FILE *file = open_memstream(&text, &length);

    collect(m, "path ", "ipcbench: JSON", file);
    fclose(file);
    file = fmemopen(text, length, "r");
    cr_assert(file, "no table");
    cr_assert_eq(read_rows(file, rows, WANTED), WANTED, "the table has rows without numbers:\n%s", text);
    fclose(file);
    free(text);
}

static void read_json(const struct machine *m, struct row *rows)
{
    char path[128], command[512];
    FILE *file;

    snprintf(path, sizeof(path), BUILD "/logs/%s.json", m->name); /* the tests run side by side */
    file = fopen(path, "w");
    cr_assert(file);
    collect(m, "ipcbench: JSON", "]}", file);
    fprintf(file, "]}\n");
    fclose(file);
    snprintf(command, sizeof(command),
             "python3 -c 'import json, sys\n"
             "for row in json.load(open(sys.argv[1]))[\"bench\"]:\n"
             "    assert row[\"unit\"] in (\"cycles\", \"instructions\")\n"
             "    print(*(row[k] for k in (\"path\", \"size\", \"rounds\", \"min\", \"median\", \"p99\")))' %s", path);
    file = popen(command, "r");
    cr_assert(file);
    cr_assert_eq(read_rows(file, rows, WANTED), WANTED, "see %s", path);
    cr_assert_eq(pclose(file), 0, "not what JSON should be: %s", path);
}

static void check_row(const struct row *row, size_t i)
{
    cr_assert_str_eq(row->path, wanted[i].path);
    cr_assert_eq(row->size, wanted[i].size, "%s: size %lu instead of %lu", row->path, row->size, wanted[i].size);
    cr_expect_geq(row->rounds, ROUNDS_MIN, "%s, %lu: %lu rounds", row->path, row->size, row->rounds);
    cr_expect(row->min > 0 && row->min <= row->median && row->median <= row->p99, "%s, %lu: %lu, %lu, %lu", row->path,
              row->size, row->min, row->median, row->p99);
}

static void run(const char *name, const char *iso)
{
    struct row table[WANTED] = {0}, json[WANTED] = {0};
    struct machine m;
    unsigned checks = 0, failed = 1;
    const char *line;

    machine_start_qemu(&m, name, iso, NULL);
    expect_anywhere(&m, "left:/# ", MINUTES);
    expect_anywhere(&m, "right:/# ", MINUTES);
    machine_send(&m, COMMAND);
    machine_send(&m, NEXT_DOMAIN);
    machine_expect(&m, "console: the keyboard belongs to right", SECONDS);
    machine_send(&m, COMMAND);

    machine_expect(&m, "[left] hostile: seed ", MINUTES);
    line = machine_expect_line(&m, "[left] hostile: ", MINUTES);
    sscanf(line, "%u checks, %u failed", &checks, &failed);
    cr_assert(checks >= CHECKS_MIN && failed == 0, "%s", line);
    machine_expect_end(&m, 0, MINUTES);

    read_table(&m, table);
    read_json(&m, json);
    for (size_t i = 0; i < WANTED; i++) {
        check_row(&table[i], i);
        cr_expect_eq(memcmp(&table[i], &json[i], sizeof(json[i])), 0, "%s, %lu: table and JSON differ", table[i].path,
                     table[i].size);
    }
    cr_expect_gt(table[WANTED - 1].median, table[4].median, "1 MiB takes no longer than nothing");
}

Test(ipcbench, one_cpu)
{
    run("ipcbench", ISO("ipcbench"));
}

Test(ipcbench, two_cpus)
{
    run("ipcbench2", ISO("ipcbench2"));
}
