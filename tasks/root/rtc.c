/* SPDX-License-Identifier: GPL-2.0-only */
/* The CMOS clock (MC146818), taken to run in UTC. It counts seconds, which is as exact as this gets. */
#include "boot.h"
#include "clock.h"
#include "firmware.h"
#include "port.h"

#include <corbel/boot.h>

#include <stdbool.h>
#include <string.h>

#define CMOS_INDEX 0x70u
#define CMOS_DATA 0x71u
#define STATUS_A 0x0au
#define STATUS_A_UPDATE 0x80u
#define STATUS_B 0x0bu
#define STATUS_B_BINARY 0x04u
#define STATUS_B_24H 0x02u
#define TRIES 100000u

/* Seconds, minutes, hours, day, month, year, century: the last where ACPI machines have it. */
#define FIELDS 7u
static const uint8_t field_index[FIELDS] = {0x00, 0x02, 0x04, 0x07, 0x08, 0x09, 0x32};

static uint8_t cmos(uint8_t index)
{
    port_out8(CMOS_INDEX, index);
    return port_in8(CMOS_DATA);
}

static void read_fields(uint8_t fields[FIELDS])
{
    for (uint32_t i = 0; i < TRIES && (cmos(STATUS_A) & STATUS_A_UPDATE); i++)
        ;
    for (uint32_t i = 0; i < FIELDS; i++)
        fields[i] = cmos(field_index[i]);
}

/* Days since 1970-01-01 in the Gregorian calendar, the year taken to begin in March. */
static uint64_t days_since_epoch(uint64_t year, uint64_t month, uint64_t day)
{
    uint64_t years = month > 2 ? year : year - 1, months = (month + 9) % 12;

    return years * 365 + years / 4 - years / 100 + years / 400 + (months * 153 + 2) / 5 + day - 1 - 719468;
}

uint64_t rtc_wall_ns(void)
{
    uint8_t fields[FIELDS], again[FIELDS];

    if (!boot_claim_ports(CMOS_INDEX, 2))
        return 0;
    for (uint32_t tries = 0; tries < 10; tries++) {
        read_fields(fields);
        read_fields(again);
        if (memcmp(fields, again, FIELDS) == 0)
            break;
    }
    uint64_t tsc = clock_tsc();
    uint8_t mode = cmos(STATUS_B);
    bool afternoon = !(mode & STATUS_B_24H) && (fields[2] & 0x80);

    fields[2] &= 0x7f;
    for (uint32_t i = 0; i < FIELDS && !(mode & STATUS_B_BINARY); i++)
        fields[i] = (uint8_t)((fields[i] >> 4) * 10 + (fields[i] & 15));
    if (!(mode & STATUS_B_24H))
        fields[2] = (uint8_t)(fields[2] % 12 + (afternoon ? 12 : 0));
    uint64_t century = fields[6] >= 19 && fields[6] <= 29 ? fields[6] : 20;

    if (fields[4] < 1 || fields[4] > 12 || fields[3] < 1 || fields[3] > 31 || fields[5] > 99)
        return 0;
    uint64_t days = days_since_epoch(century * 100 + fields[5], fields[4], fields[3]);
    uint64_t seconds = ((days * 24 + fields[2]) * 60 + fields[1]) * 60 + fields[0];

    return seconds * 1000000000 - clock_ns(tsc);
}
