/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The little of ACPI that switching off takes: RSDP, XSDT or RSDT, FADT, and the package \_S5_ in the DSDT,
 * found by its bytes instead of an interpreter. Tables are firmware's, so lengths and addresses are checked.
 * Sections are those of the ACPI specification 6.4.
 */
#include "boot.h"
#include "clock.h"
#include "firmware.h"
#include "port.h"
#include "thread.h"

#include <stdbool.h>
#include <string.h>

#define TABLE_MAX (16u << 20)
#define SLP_EN (1u << 13)        /* 4.8.3.2.1 */
#define SLP_TYP_SHIFT 10
#define SCI_EN 1u
#define WAIT_US 1000u
#define WAITS 300u

/* The reset control register of Intel's chip sets, in all that came after; and the keyboard controller's pulse. */
#define RESET_CONTROL 0xcf9u
#define RESET_CONTROL_SYSTEM 0x02u
#define RESET_CONTROL_CPU 0x04u
#define KEYBOARD 0x64u
#define KEYBOARD_RESET 0xfeu

struct rsdp { /* 5.2.5.3 */
    char signature[8];
    uint8_t checksum;
    char oem[6];
    uint8_t revision;
    uint32_t rsdt;
    uint32_t length;
    uint64_t xsdt;
} __attribute__((packed));

struct table { /* 5.2.6 */
    char signature[4];
    uint32_t length;
    uint8_t rest[28];
} __attribute__((packed));
_Static_assert(sizeof(struct table) == 36, "System Description Table Header");

/* Offsets in the FADT, 5.2.9. */
#define FADT_DSDT 40u
#define FADT_SMI_CMD 48u
#define FADT_ACPI_ENABLE 52u
#define FADT_PM1A_CNT 64u
#define FADT_PM1B_CNT 68u
#define FADT_X_DSDT 140u

static uint64_t load(const struct table *table, uint32_t offset, uint32_t bytes)
{
    uint64_t value = 0;

    if (offset + bytes <= table->length)
        memcpy(&value, (const uint8_t *)table + offset, bytes);
    return value;
}

/* Maps a table in its full length; NULL if root cannot reach it or it makes no sense. */
static const struct table *map_table(uint64_t address)
{
    const struct table *table = boot_memory_map(address, sizeof(*table));

    if (table == NULL || table->length < sizeof(*table) || table->length > TABLE_MAX)
        return NULL;
    return boot_memory_map(address, table->length);
}

/* Finds a table in the XSDT or RSDT, whose entries are `width` bytes long. */
static const struct table *find_table(uint64_t directory, uint32_t width, const char *signature)
{
    const struct table *list = map_table(directory);

    for (uint32_t at = sizeof(*list); list && at + width <= list->length; at += width) {
        const struct table *table = map_table(load(list, at, width));

        if (table && memcmp(table->signature, signature, 4) == 0)
            return table;
    }
    return NULL;
}

static const struct table *find_fadt(void)
{
    uint64_t address = boot_info()->rsdp;
    const struct rsdp *rsdp = address ? boot_memory_map(address, sizeof(*rsdp)) : NULL;
    const struct table *fadt = NULL;

    if (rsdp == NULL || memcmp(rsdp->signature, "RSD PTR ", 8) != 0)
        return NULL;
    if (rsdp->revision >= 2 && rsdp->xsdt)
        fadt = find_table(rsdp->xsdt, 8, "FACP");
    return fadt ? fadt : find_table(rsdp->rsdt, 4, "FACP");
}

/* One small integer in AML (20.2.3); false if it is anything else. */
static bool read_integer(const uint8_t **at, const uint8_t *end, uint8_t *value)
{
    if (*at < end && (**at == 0x00 || **at == 0x01)) {
        *value = *(*at)++;
        return true;
    }
    if (end - *at >= 2 && **at == 0x0a) {
        *value = (*at)[1];
        *at += 2;
        return true;
    }
    return false;
}

/* Name (\_S5_, Package () {SLP_TYPa, SLP_TYPb, ...}): 7.4.2, 20.2.5.4. */
static bool find_s5(const struct table *dsdt, uint8_t types[2])
{
    const uint8_t *bytes = (const uint8_t *)dsdt, *end = bytes + dsdt->length;

    for (const uint8_t *at = bytes + sizeof(*dsdt); end - at >= 8; at++) {
        if (memcmp(at, "_S5_", 4) != 0 || at[4] != 0x12)
            continue;
        const uint8_t *element = at + 5 + 1 + (at[5] >> 6) + 1; /* package length, number of elements */

        if (element < end && read_integer(&element, end, &types[0]) && read_integer(&element, end, &types[1]))
            return true;
    }
    return false;
}

/* Takes the machine out of legacy mode, in which the register may not be there. */
static void enable(const struct table *fadt, uint16_t control)
{
    uint16_t command = (uint16_t)load(fadt, FADT_SMI_CMD, 4);

    if (command == 0 || (port_in16(control) & SCI_EN) || !boot_claim_ports(command, 1))
        return;
    port_out8(command, (uint8_t)load(fadt, FADT_ACPI_ENABLE, 1));
    for (uint32_t i = 0; i < WAITS && !(port_in16(control) & SCI_EN); i++)
        thread_sleep_us(WAIT_US);
}

static void sleep(uint16_t control, uint8_t type)
{
    uint16_t value = port_in16(control) & (uint16_t) ~(SLP_EN | 7u << SLP_TYP_SHIFT);

    port_out16(control, (uint16_t)(value | (type & 7u) << SLP_TYP_SHIFT | SLP_EN));
}

const char *acpi_power_off(void)
{
    const struct table *fadt = find_fadt();
    uint8_t types[2];

    if (fadt == NULL)
        return "no ACPI FADT within reach";
    uint64_t x_dsdt = load(fadt, FADT_X_DSDT, 8);
    const struct table *dsdt = map_table(x_dsdt ? x_dsdt : load(fadt, FADT_DSDT, 4));

    if (dsdt == NULL || !find_s5(dsdt, types))
        return "no \\_S5_ in the ACPI DSDT";
    uint16_t first = (uint16_t)load(fadt, FADT_PM1A_CNT, 4), second = (uint16_t)load(fadt, FADT_PM1B_CNT, 4);

    if (first == 0 || !boot_claim_ports(first, 2) || (second && !boot_claim_ports(second, 2)))
        return "the ACPI power management register is not accessible";
    enable(fadt, first);
    sleep(first, types[0]);
    if (second)
        sleep(second, types[1]);
    thread_sleep_us(WAITS * WAIT_US);
    return "the machine did not react to ACPI S5";
}

void firmware_reset(void)
{
    if (boot_claim_ports(RESET_CONTROL, 1)) {
        port_out8(RESET_CONTROL, RESET_CONTROL_SYSTEM);
        port_out8(RESET_CONTROL, RESET_CONTROL_SYSTEM | RESET_CONTROL_CPU);
        thread_sleep_us(WAITS * WAIT_US);
    }
    if (boot_claim_ports(KEYBOARD, 1))
        port_out8(KEYBOARD, KEYBOARD_RESET);
    thread_sleep_us(WAITS * WAIT_US);
}
