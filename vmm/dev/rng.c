/* SPDX-License-Identifier: GPL-2.0-only */
/* virtio-rng (virtio 1.1, 5.4): random bytes from the library's generator, which root has seeded. */
#include "dev.h"

#include <corbel.h>

#define DEVICE_ENTROPY 4u
#define REQUEST_MAX 4096u /* bytes at once; the driver asks again for more */

static bool rng_create(struct device *device)
{
    (void)device;
    return true;
}

static uint32_t rng_serve(struct device *device, uint32_t queue, const struct virtqueue_chain *chain)
{
    struct virtqueue_cursor writer = virtqueue_writer(chain);
    uint8_t bytes[64];
    uint32_t done = 0;

    (void)device;
    (void)queue;
    while (done < REQUEST_MAX) {
        random_bytes(bytes, sizeof(bytes));
        size_t piece = virtqueue_write(chain, &writer, bytes, sizeof(bytes));

        done += (uint32_t)piece;
        if (piece < sizeof(bytes))
            break;
    }
    return done;
}

const struct dev_ops rng_ops = {
    .name = "rng",
    .id = DEVICE_ENTROPY,
    .queue_count = 1,
    .create = rng_create,
    .serve = rng_serve,
};
