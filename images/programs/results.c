/* SPDX-License-Identifier: GPL-2.0-only */
#include "ipcbench.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS 32u

static struct row rows[ROWS];
static size_t row_count;

struct row *results_row(const char *path, uint64_t size, bool bulk)
{
    if (row_count == ROWS)
        abort();
    rows[row_count] = (struct row){.path = path, .size = size, .bulk = bulk};
    return &rows[row_count++];
}

bool results_complete(void)
{
    for (size_t i = 0; i < row_count; i++)
        if (rows[i].missing)
            return false;
    return true;
}

void results_print_table(void)
{
    const char *unit = rounds_unit();

    printf("%-20s %8s %8s %12s %12s %12s  %-12s %10s\n", "path", "size", "rounds", "min", "median", "p99", "unit",
           "unit/byte");
    for (size_t i = 0; i < row_count; i++) {
        const struct row *row = &rows[i];

        if (row->missing) {
            printf("%-20s %8" PRIu64 " missing: %s\n", row->path, row->size, row->missing);
            continue;
        }
        printf("%-20s %8" PRIu64 " %8" PRIu64 " %12" PRIu64 " %12" PRIu64 " %12" PRIu64 "  %-12s", row->path, row->size,
               row->rounds, row->min, row->median, row->p99, unit);
        if (row->bulk)
            printf(" %10.3f", (double)row->median / (double)row->size);
        printf("\n");
    }
}

bool results_print_json(const char *path)
{
    FILE *to = strcmp(path, "-") ? fopen(path, "w") : stdout;
    const char *unit = rounds_unit();

    if (!to)
        return false;
    fprintf(to, "{\"name\": \"ipcbench\", \"bench\": [\n");
    for (size_t i = 0; i < row_count; i++) {
        const struct row *row = &rows[i];

        fprintf(to, " {\"path\": \"%s\", \"size\": %" PRIu64, row->path, row->size);
        if (row->missing)
            fprintf(to, ", \"missing\": \"%s\"", row->missing);
        else
            fprintf(to, ", \"unit\": \"%s\", \"min\": %" PRIu64 ", \"median\": %" PRIu64 ", \"p99\": %" PRIu64
                    ", \"rounds\": %" PRIu64, unit, row->min, row->median, row->p99, row->rounds);
        fprintf(to, "}%s\n", i + 1 < row_count ? "," : "");
    }
    fprintf(to, "]}\n");
    return to == stdout ? fflush(to) == 0 : fclose(to) == 0;
}
