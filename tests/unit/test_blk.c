/* SPDX-License-Identifier: GPL-2.0-only */
/* virtio-blk against hostile requests, and against a model of the disk. */
#include <criterion/criterion.h>
#include <string.h>

#include <corbel.h>

#include "dev/dev.h"
#include "memory.h"
#include "random.h"

#define SECTORS 16u
#define DISK (SECTORS * 512u)

enum { IN = 0, OUT = 1, FLUSH = 4, GET_ID = 8 };
enum { OK = 0, IOERR = 1, UNSUPP = 2, UNTOUCHED = 0xee };

struct header {
    uint32_t type, reserved;
    uint64_t sector;
};

static uint8_t *disk, *copy;      /* allocated, so that the sanitizer sees what lies outside */
static bool no_memory;
static struct device device;
static struct virtqueue_chain chain;

const void *task_module(const char *name, size_t *size)
{
    cr_assert_str_eq(name, "disk");
    *size = DISK;
    return disk;
}

void *memory_large(uint64_t size)
{
    cr_assert_eq(size, DISK);
    return no_memory ? NULL : copy;
}

void print(const char *format, ...)
{
    (void)format;
}

void task_exit(uint64_t reason, const char *format, ...)
{
    (void)reason, (void)format;
    abort();
}

static void setup(void)
{
    memset(&device, 0, sizeof(device));
    free(disk);
    free(copy);
    disk = malloc(DISK);
    copy = malloc(DISK);
    for (unsigned i = 0; i < DISK; i++)
        disk[i] = (uint8_t)random_next();
    cr_assert(blk_ops.create(&device));
}

/* Cuts `size` bytes at `at` into random spans behind those that are there. */
static void add_spans(uint8_t *at, uint32_t size)
{
    while (size && chain.count < VIRTQUEUE_SIZE_MAX - 1) {
        uint32_t piece = random_below(2) ? size : (uint32_t)random_below(size + 1);

        chain.spans[chain.count++] = (struct virtqueue_span){at, piece};
        at += piece;
        size -= piece;
    }
    if (size)
        chain.spans[chain.count++] = (struct virtqueue_span){at, size};
}

/* A request of so many bytes to be read and written in all; the number of bytes it claims to have written. */
static uint32_t request(uint8_t *read, uint32_t read_size, uint8_t *written, uint32_t write_size)
{
    memset(&chain, 0, sizeof(chain));
    add_spans(read, read_size);
    chain.read_count = chain.count;
    add_spans(written, write_size);
    chain.read_size = read_size;
    chain.write_size = write_size;
    return blk_ops.serve(&device, 0, &chain);
}

static uint8_t transfer(uint32_t type, uint64_t sector, uint8_t *data, uint32_t size)
{
    struct header header = {.type = type, .sector = sector};
    uint32_t out = type == OUT ? size : 0, in = type == OUT ? 0 : size, claimed;
    uint8_t *read = malloc(sizeof(header) + out), *written = malloc(in + 1), status;

    memcpy(read, &header, sizeof(header));
    memcpy(read + sizeof(header), data, out);
    memset(written, UNTOUCHED, in + 1);
    claimed = request(read, (uint32_t)sizeof(header) + out, written, in + 1);
    status = written[in];
    cr_assert_eq(claimed, status == OK ? in + 1 : 0);
    memcpy(data, written, in);
    free(read);
    free(written);
    return status;
}

Test(blk, what_it_offers)
{
    uint64_t capacity;

    setup();
    memcpy(&capacity, device.config, sizeof(capacity));
    cr_assert_eq(capacity, SECTORS);
    cr_assert_not(device.features & 1u << 5, "can be written");
    no_memory = true;
    setup();
    cr_assert(device.features & 1u << 5, "read-only without memory for a copy");
}

Test(blk, against_a_model)
{
    static uint8_t model[DISK], data[DISK + 1024];
    unsigned good = 0;

    setup();
    memcpy(model, disk, DISK);
    for (unsigned n = 0; n < 20000; n++) {
        uint32_t type = random_below(2) ? IN : OUT, size = (uint32_t)random_below(SECTORS + 2) * 512;
        uint64_t sector = random_below(SECTORS + 2);
        bool fits;

        if (random_below(8) == 0)
            size = (uint32_t)random_below(sizeof(data));
        fits = size % 512 == 0 && sector * 512 + size <= DISK;
        for (unsigned i = 0; i < size; i += 64)
            data[i] = (uint8_t)random_next();
        cr_assert_eq(transfer(type, sector, data, size), fits ? OK : IOERR, "sector %lu, %u bytes", sector, size);
        good += fits;
        if (fits && type == OUT)
            memcpy(model + sector * 512, data, size);
        else if (fits)
            cr_assert(memcmp(model + sector * 512, data, size) == 0);
    }
    cr_assert_gt(good, 1000);
    cr_assert(memcmp(model, copy, DISK) == 0);
}

Test(blk, sectors_that_overflow)
{
    static uint8_t data[1024];

    setup();
    for (unsigned shift = 4; shift < 64; shift++) {
        cr_assert_eq(transfer(IN, 1ull << shift, data, 512), IOERR);
        cr_assert_eq(transfer(OUT, 1ull << shift, data, 512), IOERR);
        cr_assert_eq(transfer(IN, (1ull << shift) - 1, data, 1024), IOERR);
    }
    cr_assert_eq(transfer(IN, UINT64_MAX, data, 512), IOERR);
    cr_assert_eq(transfer(IN, UINT64_MAX / 512 + 1, data, 512), IOERR, "times 512 is 0");
}

Test(blk, a_disk_without_a_copy_is_not_written)
{
    static uint8_t data[512], before[DISK];

    no_memory = true;
    setup();
    memcpy(before, disk, DISK);
    cr_assert_eq(transfer(OUT, 0, data, 512), IOERR);
    cr_assert(memcmp(before, disk, DISK) == 0);
    cr_assert_eq(transfer(IN, 0, data, 512), OK);
}

Test(blk, other_requests)
{
    uint8_t data[64];

    setup();
    cr_assert_eq(transfer(FLUSH, 0, data, 0), OK);
    cr_assert_eq(transfer(GET_ID, 0, data, 20), OK);
    cr_assert_str_eq((char *)data, "corbel-memory");
    cr_assert_eq(transfer(GET_ID, 0, data, 3), OK, "as much as fits");
    cr_assert_eq(transfer(GET_ID, 0, data, 64), OK);
    cr_assert_eq(transfer(2, 0, data, 0), UNSUPP);
    cr_assert_eq(transfer(UINT32_MAX, 0, data, 0), UNSUPP);
}

Test(blk, requests_that_are_too_short)
{
    static _Alignas(8) uint8_t write[16 + 512];
    uint8_t read[16] = {0}, written[1] = {UNTOUCHED};

    setup();
    memset(write, 0xab, sizeof(write));
    copy[0] = 0;
    for (uint32_t size = 0; size < sizeof(read); size++) {
        uint8_t *header = malloc(size + 1);

        cr_assert_eq(request(header, size, written, 1), 0);
        cr_assert_eq(written[0], UNTOUCHED, "not even a status");
        free(header);
    }
    cr_assert_eq(request(read, sizeof(read), written, 0), 0, "nowhere to say what is wrong");
    *(struct header *)(void *)write = (struct header){.type = OUT};
    cr_assert_eq(request(write, sizeof(write), written, 0), 0);
    cr_assert_neq(copy[0], 0xab, "nothing is done without an answer");
    cr_assert_eq(request(write, sizeof(write), written, 1), 1);
    cr_assert_eq(copy[0], 0xab);
    written[0] = UNTOUCHED;
    cr_assert_eq(request(read, sizeof(read), written, 1), 1, "no data at all is a read of nothing");
}
