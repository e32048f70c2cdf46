/* SPDX-License-Identifier: GPL-2.0-only */
/* The device control plane: what a server makes of the requests of drivers, good ones and hostile ones. */
#include <criterion/criterion.h>
#include <string.h>

#include "device.h"
#include "random.h"
#include "ring.h"

#define SIZE 8u
#define QUEUES 2u

#define ACKNOWLEDGE 1u
#define DRIVER 2u
#define DRIVER_OK 4u
#define FEATURES_OK 8u
#define NEEDS_RESET 64u
#define FAILED 128u
#define ALL_OK (ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK)

#define EVENT_IDX (1ull << 29)
#define VERSION_1 (1ull << 32)
#define OWN_FEATURE (1ull << 5)

static struct ring ring; /* of queue 0; the others of a test stand at the same place */
static struct cb_virtio page;
static struct device device;
static unsigned config_signals, queue_signals, served;

void device_signal_config(const struct device *to)
{
    cr_assert_eq(to, &device);
    config_signals++;
}

void device_signal_queue(const struct device *to, uint32_t queue)
{
    cr_assert_eq(to, &device);
    cr_assert_lt(queue, QUEUES);
    queue_signals++;
}

static bool create(struct device *to)
{
    (void)to;
    return true;
}

static bool eager; /* the driver offers a request as soon as one is served */

static uint32_t serve(struct device *to, uint32_t queue, const struct virtqueue_chain *chain)
{
    if (eager)
        ring_offer(&ring, 0);
    cr_assert_lt(served, 1000000, "serves for ever");
    cr_assert_eq(to, &device);
    cr_assert_lt(queue, QUEUES);
    served++;
    return (uint32_t)chain->write_size;
}

static const struct dev_ops ops = {.name = "test", .id = 42, .queue_count = QUEUES, .create = create, .serve = serve};

static void setup(void)
{
    ring_init(&ring, SIZE);
    memset(&device, 0, sizeof(device));
    memset(&page, 0, sizeof(page));
    config_signals = queue_signals = served = 0;
    eager = false;
    device.ops = &ops;
    device.features = OWN_FEATURE;
    device.config_size = 4;
    memcpy(device.config, "\1\2\3\4", 4);
    virtio_init(&device, &ring.mem, &page);
}

/* What a driver does: fields, request, control event. */
static uint32_t ask(uint32_t status)
{
    unsigned before = config_signals;

    page.status = status;
    page.request++;
    virtio_control(&device);
    cr_assert_eq(page.answer, page.request);
    cr_assert_gt(config_signals, before);
    cr_assert_eq(page.device_status, device.status);
    return page.device_status;
}

static void set_queue(struct cb_virtio_queue *queue, uint32_t size)
{
    queue->size = size;
    queue->desc = RING_DESC;
    queue->avail = RING_AVAIL;
    queue->used = RING_USED;
    queue->enabled = 1;
}

static void start(void)
{
    setup();
    page.driver_features = VERSION_1;
    set_queue(&page.queues[0], SIZE);
    cr_assert_eq(ask(ALL_OK & ~DRIVER_OK), ALL_OK & ~DRIVER_OK);
    cr_assert_eq(ask(ALL_OK), ALL_OK);
}

Test(virtio, what_a_driver_finds)
{
    setup();
    cr_assert_eq(page.magic, CB_VIRTIO_MAGIC);
    cr_assert_eq(page.version, CB_VIRTIO_VERSION);
    cr_assert_eq(page.device_id, 42);
    cr_assert_eq(page.device_features, VERSION_1 | EVENT_IDX | OWN_FEATURE);
    cr_assert_eq(page.config_size, 4);
    cr_assert_arr_eq(page.config, "\1\2\3\4", 4);
    cr_assert_eq(page.queues[0].size_max, VIRTQUEUE_SIZE_MAX);
    cr_assert_eq(page.queues[1].size_max, VIRTQUEUE_SIZE_MAX);
    cr_assert_eq(page.queues[2].size_max, 0, "there is no such queue");
}

Test(virtio, a_whole_life)
{
    start();
    ring_set(&ring, 0, RING_DATA, 16, RING_WRITE, 0);
    ring_offer(&ring, 0);
    virtio_kick(&device, 0);
    cr_assert_eq(served, 1);
    cr_assert_eq(queue_signals, 1);
    cr_assert_eq(ring.used[1], 1);
    cr_assert_eq(ring.used_entries[1], 16);
    cr_assert_eq(ask(0), 0, "reset");
    cr_assert_eq(device.queues[0].size, 0);
    ring_offer(&ring, 0);
    virtio_kick(&device, 0);
    virtio_kick(&device, 1);
    cr_assert_eq(served, 1, "a device that was reset leaves memory alone");
}

Test(virtio, what_was_offered_before_the_start_is_served)
{
    setup();
    page.driver_features = VERSION_1 | EVENT_IDX;
    set_queue(&page.queues[0], SIZE);
    ring_offer(&ring, 0);
    virtio_kick(&device, 0);
    cr_assert_eq(served, 0);
    cr_assert_eq(ask(ALL_OK), ALL_OK, "all at once is fine");
    cr_assert_eq(served, 1);
}

Test(virtio, a_control_event_without_a_request_changes_nothing)
{
    setup();
    page.status = ACKNOWLEDGE;
    virtio_control(&device);
    cr_assert_eq(config_signals, 0);
    cr_assert_eq(page.device_status, 0);
}

Test(virtio, features_are_negotiated)
{
    static const struct {
        uint64_t features;
        bool good;
    } cases[] = {
        {VERSION_1, true},
        {VERSION_1 | EVENT_IDX | OWN_FEATURE, true},
        {0, false},
        {EVENT_IDX, false},
        {VERSION_1 | 1ull << 28, false}, /* indirect descriptors */
        {VERSION_1 | 1ull << 33, false}, /* IOMMU platform */
        {VERSION_1 | 1ull << 34, false}, /* packed queues */
        {VERSION_1 | 1ull << 63, false},
        {UINT64_MAX, false},
    };

    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint32_t status;

        setup();
        page.driver_features = cases[i].features;
        set_queue(&page.queues[0], SIZE);
        status = ask(ACKNOWLEDGE | DRIVER | FEATURES_OK);
        cr_assert_eq((status & FEATURES_OK) != 0, cases[i].good, "case %u", i);
        cr_assert_eq(ask(ALL_OK) & (DRIVER_OK | NEEDS_RESET), cases[i].good ? DRIVER_OK : NEEDS_RESET, "case %u", i);
        ring_free(&ring);
    }
}

/* What was agreed upon stays, whatever the driver writes into the page afterwards. */
Test(virtio, features_cannot_change_later)
{
    setup();
    page.driver_features = VERSION_1;
    set_queue(&page.queues[0], SIZE);
    ask(ACKNOWLEDGE | DRIVER | FEATURES_OK);
    page.driver_features = UINT64_MAX;
    page.device_features = UINT64_MAX;
    cr_assert_eq(ask(ALL_OK), ALL_OK);
    cr_assert_eq(device.accepted, VERSION_1);
    cr_assert_not(device.queues[0].event_idx);
}

Test(virtio, queues_that_cannot_be)
{
    static const struct cb_virtio_queue bad[] = {
        {.size = 0, .desc = RING_DESC, .avail = RING_AVAIL, .used = RING_USED},
        {.size = 12, .desc = RING_DESC, .avail = RING_AVAIL, .used = RING_USED},
        {.size = 512, .desc = RING_DESC, .avail = RING_AVAIL, .used = RING_USED},
        {.size = SIZE, .desc = RING_RAM, .avail = RING_AVAIL, .used = RING_USED},
        {.size = SIZE, .desc = RING_DESC, .avail = UINT64_MAX & ~1ull, .used = RING_USED},
        {.size = SIZE, .desc = RING_DESC, .avail = RING_AVAIL, .used = RING_USED + 1},
    };

    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        setup();
        page.driver_features = VERSION_1;
        set_queue(&page.queues[0], SIZE);
        page.queues[1] = bad[i];
        page.queues[1].enabled = 1;
        cr_assert_eq(ask(ALL_OK), (ALL_OK & ~DRIVER_OK) | NEEDS_RESET, "case %u", i);
        cr_assert_eq(device.queues[0].size, 0, "case %u: the good queue does not count either", i);
        set_queue(&page.queues[1], SIZE);
        cr_assert(ask(ALL_OK) & NEEDS_RESET, "only a reset helps");
        cr_assert_eq(ask(0), 0);
        page.queues[1].enabled = 0;
        cr_assert_eq(ask(ALL_OK), ALL_OK);
        ring_free(&ring);
    }
}

Test(virtio, queues_cannot_move_while_they_count)
{
    start();
    page.queues[0].desc = UINT64_MAX;
    page.queues[0].size = 0;
    page.queues[0].enabled = 0;
    cr_assert_eq(ask(ALL_OK), ALL_OK);
    ring_offer(&ring, 0);
    virtio_kick(&device, 0);
    cr_assert_eq(served, 1);
    cr_assert_eq(ring.used[1], 1);
}

Test(virtio, broken_rings_need_a_reset)
{
    start();
    ring_offer(&ring, SIZE); /* a head that does not exist */
    unsigned before = config_signals;

    virtio_kick(&device, 0);
    cr_assert_eq(page.device_status, ALL_OK | NEEDS_RESET);
    cr_assert_eq(config_signals, before + 1, "the driver is told, once");
    for (unsigned i = 0; i < 3; i++)
        virtio_kick(&device, 0);
    cr_assert_eq(config_signals, before + 1);
    cr_assert_eq(served, 0);
    cr_assert_eq(ask(0), 0);
}

Test(virtio, a_failed_driver_stays_failed)
{
    setup();
    page.driver_features = VERSION_1;
    set_queue(&page.queues[0], SIZE);
    cr_assert_eq(ask(ACKNOWLEDGE | FAILED), ACKNOWLEDGE | FAILED);
    cr_assert_eq(ask(ALL_OK), ACKNOWLEDGE | FAILED);
    cr_assert_eq(ask(0), 0);
    cr_assert_eq(ask(ALL_OK), ALL_OK);
}

Test(virtio, status_bits_that_are_not_the_drivers)
{
    setup();
    cr_assert_eq(ask(0xffffff00u | NEEDS_RESET | 16u | 32u), 0);
}

/* A busy driver hears of what is done before all of it is done. */
Test(virtio, long_batches_are_signalled_in_between)
{
    struct cb_virtio_queue *queue = &page.queues[0];

    setup();
    ring_free(&ring);
    ring_init(&ring, VIRTQUEUE_SIZE_MAX);
    page.driver_features = VERSION_1;
    set_queue(queue, VIRTQUEUE_SIZE_MAX);
    ask(ALL_OK);
    for (unsigned i = 0; i < VIRTQUEUE_SIZE_MAX; i++)
        ring_offer(&ring, (uint16_t)i);
    virtio_kick(&device, 0);
    cr_assert_eq(served, VIRTQUEUE_SIZE_MAX);
    cr_assert_eq(queue_signals, VIRTQUEUE_SIZE_MAX / 32);
}

/* A queue that is never empty keeps nobody from being served: neither other queues nor a reset. */
Test(virtio, a_queue_has_its_turn)
{
    start();
    ring_offer(&ring, 0);
    eager = true;
    cr_assert(virtio_kick(&device, 0));
    cr_assert_eq(served, VIRTQUEUE_SIZE_MAX);
    cr_assert(virtio_kick(&device, 0));
    cr_assert_eq(served, 2 * VIRTQUEUE_SIZE_MAX);
    eager = false;
    cr_assert_not(virtio_kick(&device, 0), "one was left");
    cr_assert_eq(served, 2 * VIRTQUEUE_SIZE_MAX + 1);
    eager = true;
    ring_offer(&ring, 0);
    cr_assert(virtio_kick(&device, 0));
    cr_assert_eq(ask(0), 0);
    cr_assert_not(virtio_kick(&device, 0));
    cr_assert_eq(served, 3 * VIRTQUEUE_SIZE_MAX + 1);
}

/* The page, the ring and the order of events are noise. */
Test(virtio, noise)
{
    static const uint32_t statuses[] = {0, ACKNOWLEDGE | DRIVER, ALL_OK & ~DRIVER_OK, ALL_OK, ALL_OK, ALL_OK | FAILED};

    setup();
    for (unsigned n = 0; n < 30000; n++) {
        struct cb_virtio_queue *queue = &page.queues[random_below(QUEUES)];
        uint64_t *word = (uint64_t *)(void *)&page + random_below(sizeof(page) / 8);

        switch (random_below(8)) {
        case 0: *word = random_next(); break;
        case 1: set_queue(queue, 1u << random_below(10)); break;
        case 2: queue->desc = random_below(RING_RAM + 4096) & ~15ull; break;
        case 3: ring.avail[random_below(2 + SIZE)] = (uint16_t)random_below(SIZE + 2); break;
        case 4: ring.desc[random_below(SIZE)] = (struct ring_desc){random_below(RING_RAM), (uint32_t)random_below(64),
                                                                    (uint16_t)random_below(4), (uint16_t)random_below(SIZE)};
            break;
        case 5: virtio_kick(&device, (uint32_t)random_below(QUEUES)); break;
        default:
            page.driver_features = VERSION_1 | (random_below(4) ? 0 : random_next());
            ask(statuses[random_below(6)]);
            break;
        }
    }
    cr_assert_gt(served, 100, "too much noise to test anything");
    cr_assert_eq(device.config_size, 4);
    cr_assert_eq(device.ops, &ops);
}
