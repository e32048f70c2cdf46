/* SPDX-License-Identifier: GPL-2.0-only */
/* Manifests with mistakes: each is one line that names domain, property and reason, and all else starts. */

#include "machine.h"

#include <criterion/criterion.h>
#include <string.h>

static const char *const complaints[] = {
    "root: manifest: memory-mib: there is no such property",
    "root: manifest: domain: there is no such node",
    "root: console: input: there is no domain \"somebody\"",
    "root: lost: kernel: there is no module \"vmlinuz\"",
    "root: huge: memory-mib: 65546 MiB are needed",
    "root: foreign: failed: kernel: not a bzImage",
    "root: truncated: failed: kernel: not a whole bzImage",
    "root: misspelt: memory-mb: there is no such property",
    "root: odd: memory-mib: 65 is odd",
    "root: stranger: compatible: neither",
    "root: text: module: no static ELF64",
    "root: nowhere: cpu: 99 is not between",
    "root: lonely: uses: no domain provides \"nobody\"",
    "root: deaf: uses: service \"silence\": domain \"mute\" has ended",
    "root: hasty: uses: service \"patience\": domain \"slow\" has not offered it for 30 seconds",
    "root: slow: stopped",
    "root: ruin: module: there is no module \"rubble\"",
    "root: tenant: uses: service \"shelter\": the domain that provides it could not be started",
    "root: hen: uses: service \"hens\": domain \"egg\" in turn waits for this one",
    "root: egg: uses: service \"eggs\": the domain that provides it could not be started",
    "root: link alone: members: 1 names, but a link has two ends",
    "root: link mirror: members: links \"good\" with itself",
    "root: link nobody: members: there is no domain \"bad\"",
    "root: link uneven: memory-kib: 5 is no multiple of 4",
    "root: link vast: memory-kib: 1048576 KiB are needed",
    "root: link misspelt: memory-kb: there is no such property",
};

Test(bad, domains)
{
    struct machine m;
    const char *last;

    machine_start_qemu(&m, "bad", ISO("bad"), NULL);
    machine_expect_end(&m, 3, MINUTES);
    for (size_t i = 0; i < sizeof(complaints) / sizeof(*complaints); i++)
        cr_expect(machine_said(&m, complaints[i]), "nobody said: %s", complaints[i]);
    cr_expect(machine_said(&m, "root: good: powered off"), "the good task did not run to its end");
    cr_expect(machine_said(&m, "[fine] count: 1"), "the good guest did not run");
    cr_expect(machine_said(&m, "root: link half: memory returned"), "a link with one end is still there");
    cr_expect(machine_said(&m, "root: fine: powered off"), "the good guest did not power off");
    last = machine_last_line(&m);
    cr_expect(strstr(last, "root: failed: manifest: memory-mib: "), "the last line does not name the first failure: %s", last);
}

Test(bad, manifest)
{
    struct machine m;

    machine_start_qemu(&m, "nofdt", ISO("nofdt"), NULL);
    machine_expect(&m, "root: failed: manifest: module: not a flattened device tree", SECONDS);
    machine_expect_end(&m, 3, SECONDS);
}
