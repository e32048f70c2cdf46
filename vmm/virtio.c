/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The server's side of the device control plane (corbel/virtio.h; docs/virtio-control.md says why it is so).
 *
 * The control page is the guest's to scribble on, our own fields included: what counts is in struct device, the
 * page only shows it.
 */
#include "device.h"

#include <string.h>

/* virtio 1.1, 2.1 */
#define STATUS_ACKNOWLEDGE 1u
#define STATUS_DRIVER 2u
#define STATUS_DRIVER_OK 4u
#define STATUS_FEATURES_OK 8u
#define STATUS_NEEDS_RESET 64u
#define STATUS_FAILED 128u
#define STATUS_FROM_DRIVER \
    (STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_DRIVER_OK | STATUS_FEATURES_OK | STATUS_FAILED)

/* virtio 1.1, 6 */
#define FEATURE_EVENT_IDX (1ull << 29)
#define FEATURE_VERSION_1 (1ull << 32)
#define FEATURES_TRANSPORT (FEATURE_EVENT_IDX | FEATURE_VERSION_1)

#define VENDOR 0x626c6243u /* "Cblb" */
#define BATCH 32u          /* a busy driver hears of completions after so many requests, */
#define TURN VIRTQUEUE_SIZE_MAX /* and other queues have their turn after so many */

/* The driver's fields, read once. */
struct request {
    uint64_t features;
    uint32_t status;
    bool enabled[DEVICE_QUEUES];
    struct virtqueue_place places[DEVICE_QUEUES];
};

static void request_read(const struct device *device, struct request *request)
{
    const struct cb_virtio *page = device->page;

    request->features = __atomic_load_n(&page->driver_features, __ATOMIC_RELAXED);
    request->status = __atomic_load_n(&page->status, __ATOMIC_RELAXED);
    for (uint32_t i = 0; i < device->ops->queue_count; i++) {
        const struct cb_virtio_queue *queue = &page->queues[i];

        request->enabled[i] = __atomic_load_n(&queue->enabled, __ATOMIC_RELAXED) == 1;
        request->places[i] = (struct virtqueue_place){
            .size = __atomic_load_n(&queue->size, __ATOMIC_RELAXED),
            .desc = __atomic_load_n(&queue->desc, __ATOMIC_RELAXED),
            .avail = __atomic_load_n(&queue->avail, __ATOMIC_RELAXED),
            .used = __atomic_load_n(&queue->used, __ATOMIC_RELAXED),
        };
    }
}

static void show_status(const struct device *device)
{
    __atomic_store_n(&device->page->device_status, device->status, __ATOMIC_RELAXED);
}

void virtio_init(struct device *device, const struct gmem *mem, struct cb_virtio *page)
{
    device->mem = mem;
    device->page = page;
    device->features |= FEATURES_TRANSPORT;
    page->magic = CB_VIRTIO_MAGIC;
    page->version = CB_VIRTIO_VERSION;
    page->device_id = device->ops->id;
    page->vendor_id = VENDOR;
    page->device_features = device->features;
    page->config_size = device->config_size;
    memcpy(page->config, device->config, device->config_size);
    for (uint32_t i = 0; i < device->ops->queue_count; i++)
        page->queues[i].size_max = VIRTQUEUE_SIZE_MAX;
}

static void stop_queues(struct device *device)
{
    for (uint32_t i = 0; i < device->ops->queue_count; i++)
        virtqueue_stop(&device->queues[i]);
}

/* The driver is ready: the queues begin to count. */
static bool start_queues(struct device *device, const struct request *request)
{
    bool event_idx = (device->accepted & FEATURE_EVENT_IDX) != 0;

    for (uint32_t i = 0; i < device->ops->queue_count; i++) {
        struct virtqueue *vq = &device->queues[i];

        if (request->enabled[i] && !virtqueue_init(vq, device->mem, &request->places[i], event_idx)) {
            stop_queues(device);
            return false;
        }
    }
    return true;
}

/* The driver asks for more status bits. It gets those that are justified (virtio 1.1, 3.1.1). */
static void advance(struct device *device, const struct request *request)
{
    uint32_t wanted = request->status & STATUS_FROM_DRIVER & ~device->status;

    if ((device->status & (STATUS_NEEDS_RESET | STATUS_FAILED)) != 0)
        return; /* only a reset helps */
    if ((wanted & STATUS_FEATURES_OK) != 0) {
        device->accepted = request->features;
        if ((request->features & ~device->features) != 0 || (request->features & FEATURE_VERSION_1) == 0)
            wanted &= ~STATUS_FEATURES_OK;
    }
    device->status |= wanted & ~STATUS_DRIVER_OK;
    if ((wanted & STATUS_DRIVER_OK) != 0) {
        bool agreed = (device->status & STATUS_FEATURES_OK) != 0;

        device->status |= agreed && start_queues(device, request) ? STATUS_DRIVER_OK : STATUS_NEEDS_RESET;
    }
}

static void reset(struct device *device)
{
    /* Nothing is in flight: a request is carried out, and given back, while its queue is looked at. */
    stop_queues(device);
    device->status = 0;
    device->accepted = 0;
}

bool virtio_control(struct device *device)
{
    struct cb_virtio *page = device->page;
    /* Pairs with the driver's release: its fields are complete. */
    uint32_t number = __atomic_load_n(&page->request, __ATOMIC_ACQUIRE);
    struct request request;

    if (number == device->answered)
        return false;
    request_read(device, &request);
    if (request.status == 0)
        reset(device);
    else
        advance(device, &request);
    device->answered = number;
    show_status(device);
    /* Pairs with the driver's acquire: our fields are complete, and after a reset its memory is its own again. */
    __atomic_store_n(&page->answer, number, __ATOMIC_RELEASE);
    device_signal_config(device);
    /* What was put into the queues before they counted has had its kick already. */
    bool more = false;

    for (uint32_t i = 0; i < device->ops->queue_count; i++)
        more |= virtio_kick(device, i);
    return more;
}

static void fail(struct device *device)
{
    device->status |= STATUS_NEEDS_RESET;
    show_status(device);
    device_signal_config(device);
}

bool virtio_kick(struct device *device, uint32_t queue)
{
    struct virtqueue *vq = &device->queues[queue];
    enum virtqueue_result result;
    unsigned served = 0;

    if ((device->status & (STATUS_DRIVER_OK | STATUS_NEEDS_RESET)) != STATUS_DRIVER_OK)
        return false;
    do {
        while ((result = served < TURN ? virtqueue_take(vq, &device->chain) : VIRTQUEUE_EMPTY) == VIRTQUEUE_TAKEN) {
            virtqueue_put(vq, &device->chain, device->ops->serve(device, queue, &device->chain));
            if (++served % BATCH == 0 && virtqueue_due(vq))
                device_signal_queue(device, queue);
        }
    } while (served < TURN && !virtqueue_rest(vq));
    if (virtqueue_due(vq))
        device_signal_queue(device, queue);
    if (result == VIRTQUEUE_BROKEN)
        fail(device);
    return served >= TURN;
}
