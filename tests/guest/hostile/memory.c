/* SPDX-License-Identifier: GPL-2.0-only */
/* Attacks by making and taking back: objects, memory, capabilities, page tables, ports, vCPUs. */
#include "hostile.h"

#define ACCOUNT_PAGES 2000u
#define EVENTS (500u * size)
#define RAM_PAGES (8u * 512) /* of a top account */
#define FAN (80u * size)
#define MAP_PAGES 1024u
#define TABLES 400u
#define VCPUS 32u
#define GUEST_BASE 0x10000000ull

static uint32_t account, domain, ram, frame, list; /* selectors */
static uint64_t window;

static void names(void)
{
    account = sels;
    domain = sels + 1;
    ram = sels + 2;
    frame = sels + 3;
    list = sels + 16;
}

static bool start(void)
{
    names();
    return true;
}

static void revoke_all(uint32_t sel)
{
    (void)!cb_revoke(sel, CB_REVOKE_SELF);
}

/* As many objects as there is room for, which die at once. */
static void objects_step(void)
{
    if (cb_account_create(CB_TASK_SEL_ACCOUNT, account, ACCOUNT_PAGES) != CB_OK)
        return;
    for (uint32_t i = 0; i < EVENTS && cb_event_create(account, list + i) == CB_OK; i++)
        continue;
    (void)!cb_destroy(account);
}

/* A large account, all of whose pages were used: by domains with full capability spaces. */
static bool ram_start(void)
{
    names();
    return cb_ram_split(CB_TASK_SEL_RAM, ram, CB_SELF, RAM_PAGES, 512) == CB_OK;
}

static void ram_step(void)
{
    if (cb_account_create(ram, account, 0) != CB_OK)
        return;
    for (uint32_t d = 0; d < 3 && cb_domain_create(account, 0, domain + 20 + d) == CB_OK; d++) {
        for (uint32_t sel = 1; sel < CB_SELECTORS; sel += 64)
            (void)!cb_derive(CB_TASK_SEL_DOMAIN, sel, domain + 20 + d, CB_RIGHT_INSERT, 0, 0);
    }
    (void)!cb_destroy(account);
}

/* One capability in each slot of a domain. */
static void caps_step(void)
{
    if (cb_domain_create(CB_TASK_SEL_ACCOUNT, 0, domain) != CB_OK)
        return;
    for (uint32_t sel = 1; sel < CB_SELECTORS; sel += (uint32_t)(300 / size))
        (void)!cb_derive(CB_TASK_SEL_DOMAIN, sel, domain, CB_RIGHT_INSERT, 0, 0);
    (void)!cb_destroy(domain);
}

/* Each derived from the last one, as deep as it goes. */
static void chain_step(void)
{
    uint32_t i = 0;

    if (cb_event_create(CB_TASK_SEL_ACCOUNT, list) != CB_OK)
        return;
    while (i < 2000 && cb_derive(list + i, list + i + 1, CB_SELF, CB_RIGHTS_ALL, 0, 0) == CB_OK)
        i++;
    revoke_all(list);
}

/* Chains beside one another. */
static void comb_step(void)
{
    if (cb_event_create(CB_TASK_SEL_ACCOUNT, list) != CB_OK)
        return;
    for (uint32_t i = 1; i < FAN; i++)
        (void)!cb_derive(i % 100 ? list + i - 1 : list, list + i, CB_SELF, CB_RIGHTS_ALL, 0, 0);
    revoke_all(list);
}

static void fan_step(void)
{
    if (cb_event_create(CB_TASK_SEL_ACCOUNT, list) != CB_OK)
        return;
    for (uint32_t i = 1; i < FAN; i++)
        (void)!cb_derive(list, list + i, CB_SELF, CB_RIGHTS_ALL, 0, 0);
    revoke_all(list);
}

/* 4 KiB pages alone, since they do not lie as large ones must. Ram does not come back: made once. */
static bool map_start(void)
{
    names();
    if (window)
        return true;
    window = pages_space((MAP_PAGES + 512) * CB_PAGE_SIZE, 512 * CB_PAGE_SIZE);
    return window && pages_frame(MAP_PAGES + 1, 512, frame) == CB_OK;
}

static void map_many(uint32_t pages)
{
    if (cb_map(frame, CB_MAP_READ | CB_MAP_WRITE, list, CB_SELF, window, 1, pages) == CB_OK)
        *(volatile uint8_t *)window = 1;
    revoke_all(list);
}

static void map_step(void)
{
    map_many(MAP_PAGES);
}

static void page_step(void)
{
    map_many(1);
}

/* Many mappings of many pages under one frame. */
static void maps_step(void)
{
    if (cb_derive(frame, list, CB_SELF, CB_RIGHTS_ALL, 0, 0) != CB_OK)
        return;
    if (cb_domain_create(CB_TASK_SEL_ACCOUNT, 0, domain) == CB_OK) {
        for (uint32_t i = 0; i < 60; i++)
            (void)!cb_map(list, CB_MAP_READ, 100 + i, domain, (1ull << 30) + i * 2ull * MAP_PAGES * CB_PAGE_SIZE, 1, MAP_PAGES);
    }
    revoke_all(list);
    (void)!cb_destroy(domain);
}

/* Page tables with one entry each, as far from one another as they can be. */
static void tables_step(void)
{
    if (cb_domain_create(CB_TASK_SEL_ACCOUNT, 0, domain) != CB_OK)
        return;
    for (uint32_t i = 0; i < TABLES; i++)
        (void)!cb_map(frame, CB_MAP_READ, 100 + i, domain, (511ull - i) << 30 | 511ull << 21 | 511ull << 12, 0, 1);
    (void)!cb_destroy(domain);
}

/* One grace period after the other. */
static void event_step(void)
{
    if (cb_event_create(CB_TASK_SEL_ACCOUNT, list) == CB_OK)
        (void)!cb_destroy(list);
}

static void domain_step(void)
{
    if (cb_domain_create(CB_TASK_SEL_ACCOUNT, 0, domain) == CB_OK)
        (void)!cb_destroy(domain);
}

static void ports_step(void)
{
    if (cb_domain_create(CB_TASK_SEL_ACCOUNT, 0, domain) != CB_OK)
        return;
    (void)!cb_ioport_grant(CB_TASK_SEL_IOPORT, domain, 1, 0xfffe);
    (void)!cb_destroy(domain);
}

static bool vcpu_start(void)
{
    names();
    return with_vcpus;
}

static void vcpu_step(void)
{
    if (cb_domain_create(CB_TASK_SEL_ACCOUNT, CB_DOMAIN_GUEST, domain) != CB_OK)
        return;
    for (uint32_t i = 0; i < VCPUS; i++)
        (void)!cb_vcpu_create(CB_TASK_SEL_ACCOUNT, list + i, domain, i % 2 ? here : there, i, GUEST_BASE + i * 2ull * CB_PAGE_SIZE);
    (void)!cb_destroy(domain);
}

static void log_step(void)
{
    uint64_t next, bytes;

    (void)!cb_log_read(CB_TASK_SEL_LOG, 0, &next, &bytes);
}

const struct attack attacks_memory[] = {
    { "objects that die at once", start, objects_step, NULL },
    { "a large account", ram_start, ram_step, NULL },
    { "a full capability space", start, caps_step, NULL },
    { "a chain of derivation", start, chain_step, NULL },
    { "a comb of derivation", start, comb_step, NULL },
    { "a fan of derivation", start, fan_step, NULL },
    { "a mapping of 1,024 entries", map_start, map_step, NULL },
    { "mappings of one page", map_start, page_step, NULL },
    { "60 mappings of 1,024 entries", map_start, maps_step, NULL },
    { "page tables far apart", map_start, tables_step, NULL },
    { "events made and destroyed", start, event_step, NULL },
    { "domains made and destroyed", start, domain_step, NULL },
    { "all I/O ports", start, ports_step, NULL },
    { "32 vCPUs made and destroyed", vcpu_start, vcpu_step, NULL },
    { "the log read", start, log_step, NULL },
    { NULL, NULL, NULL, NULL },
};
