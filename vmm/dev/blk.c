/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * virtio-blk (virtio 1.1, 5.2) on an image in memory: the module `disk`. Writes go to a private copy; if there
 * is no memory for one, the device is read-only.
 */
#include "dev.h"

#include "../memory.h"

#include <corbel.h>

#include <string.h>

#define DEVICE_BLOCK 2u
#define SECTOR 512u

#define FEATURE_SEG_MAX (1ull << 2)
#define FEATURE_RO (1ull << 5)
#define FEATURE_FLUSH (1ull << 9)

/* virtio 1.1, 5.2.6 */
enum { REQUEST_IN = 0, REQUEST_OUT = 1, REQUEST_FLUSH = 4, REQUEST_GET_ID = 8 };
enum { STATUS_OK = 0, STATUS_IOERR = 1, STATUS_UNSUPP = 2 };
#define ID_SIZE 20u

struct request_header {
    uint32_t type;
    uint32_t reserved;
    uint64_t sector;
};

/* virtio 1.1, 5.2.4: as far as the offered features reach */
struct blk_config {
    uint64_t capacity; /* sectors */
    uint32_t size_max;
    uint32_t seg_max;
};

static const uint8_t *image; /* one disk a machine */
static uint8_t *copy;        /* the same, if it can be written */
static uint64_t sectors;

static bool blk_create(struct device *device)
{
    struct blk_config config = {.seg_max = VIRTQUEUE_SIZE_MAX - 2}; /* beside header and status */
    size_t size;

    image = task_module("disk", &size);
    if (!image)
        return false;
    if (size % SECTOR != 0)
        task_exit(CB_EXIT_REASON_FAILED, "disk: %zu bytes are not whole sectors of %u", size, SECTOR);
    sectors = size / SECTOR;
    copy = memory_large(size);
    device->features = FEATURE_SEG_MAX | FEATURE_FLUSH;
    if (copy) {
        memcpy(copy, image, size);
        image = copy;
    } else {
        device->features |= FEATURE_RO;
        print("vmm: disk: no memory for a copy of %zu MiB, so it is read-only\n", size >> 20);
    }
    config.capacity = sectors;
    memcpy(device->config, &config, sizeof(config));
    device->config_size = sizeof(config);
    return true;
}

static bool range_ok(uint64_t sector, uint64_t size)
{
    return size % SECTOR == 0 && sector <= sectors && size / SECTOR <= sectors - sector;
}

static uint8_t do_request(const struct request_header *header, const struct virtqueue_chain *chain,
                          struct virtqueue_cursor *reader, struct virtqueue_cursor *writer)
{
    uint64_t in = chain->write_size - 1, out = chain->read_size - sizeof(*header);
    char id[ID_SIZE] = "corbel-memory";

    switch (header->type) {
    case REQUEST_IN:
        if (!range_ok(header->sector, in))
            return STATUS_IOERR;
        virtqueue_write(chain, writer, image + header->sector * SECTOR, in);
        return STATUS_OK;
    case REQUEST_OUT:
        if (!copy || !range_ok(header->sector, out))
            return STATUS_IOERR;
        virtqueue_read(chain, reader, copy + header->sector * SECTOR, out);
        return STATUS_OK;
    case REQUEST_FLUSH:
        return STATUS_OK;
    case REQUEST_GET_ID:
        virtqueue_write(chain, writer, id, in < ID_SIZE ? in : ID_SIZE);
        return STATUS_OK;
    default:
        return STATUS_UNSUPP;
    }
}

/* Header, data and status may be cut into buffers in any way (2.6.4): the status is the last byte. */
static uint32_t blk_serve(struct device *device, uint32_t queue, const struct virtqueue_chain *chain)
{
    struct virtqueue_cursor reader = virtqueue_reader(chain), writer = virtqueue_writer(chain);
    struct virtqueue_cursor end = writer;
    struct request_header header;
    uint8_t status;

    (void)device;
    (void)queue;
    if (chain->write_size == 0 || virtqueue_read(chain, &reader, &header, sizeof(header)) != sizeof(header))
        return 0; /* there is nowhere to say what is wrong */
    status = do_request(&header, chain, &reader, &writer);
    virtqueue_skip(chain, &end, chain->write_size - 1);
    virtqueue_write(chain, &end, &status, 1);
    /* Upon an error, nothing before the status is promised. */
    return status == STATUS_OK ? (uint32_t)chain->write_size : 0;
}

const struct dev_ops blk_ops = {
    .name = "disk",
    .id = DEVICE_BLOCK,
    .queue_count = 1,
    .create = blk_create,
    .serve = blk_serve,
};
