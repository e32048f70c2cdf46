/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reads blocks of a disk at random, several at a time and past the page cache: as many interrupts as a guest can have.
 *
 *   blkread DEVICE THREADS READS
 *
 * Each thread makes so many reads; two reads of one block must bring the same.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK 4096u
#define THREADS_MAX 64u

static int device;
static uint64_t blocks, reads;

static uint64_t draw(uint64_t *random)
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return *random;
}

static void read_block(void *to, uint64_t block)
{
    if (pread(device, to, BLOCK, (off_t)(block * BLOCK)) == BLOCK)
        return;
    perror("blkread: read");
    exit(1);
}

static void *reader(void *argument)
{
    uint64_t random = 0x9e3779b97f4a7c15ull * ((uint64_t)(uintptr_t)argument + 1);
    void *first = aligned_alloc(BLOCK, BLOCK), *second = aligned_alloc(BLOCK, BLOCK);

    if (!first || !second)
        exit(1);
    for (uint64_t i = 0; i < reads; i += 2) {
        uint64_t block = draw(&random) % blocks;

        read_block(first, block);
        read_block(second, block);
        if (memcmp(first, second, BLOCK)) {
            fprintf(stderr, "blkread: block %lu is not always the same\n", (unsigned long)block);
            exit(1);
        }
    }
    free(first);
    free(second);
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t threads[THREADS_MAX];
    unsigned long count = argc == 4 ? strtoul(argv[2], NULL, 10) : 0;

    if (count == 0 || count > THREADS_MAX) {
        fprintf(stderr, "usage: blkread DEVICE THREADS READS\n");
        return 2;
    }
    reads = strtoul(argv[3], NULL, 10);
    device = open(argv[1], O_RDONLY | O_DIRECT);
    blocks = device < 0 ? 0 : (uint64_t)lseek(device, 0, SEEK_END) / BLOCK;
    if (blocks == 0) {
        perror(argv[1]);
        return 1;
    }
    for (uintptr_t i = 0; i < count; i++)
        if (pthread_create(&threads[i], NULL, reader, (void *)i))
            return 1;
    for (unsigned long i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    printf("blkread: %lu threads, %lu reads each: ok\n", count, (unsigned long)reads);
    return 0;
}
