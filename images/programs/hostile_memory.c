/* SPDX-License-Identifier: GPL-2.0-only */
/* Shared memory, and sets in the hands of others. */
#include "hostile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static long map(size_t size, int protection, int flags, int fd, off_t offset)
{
    void *at = mmap(NULL, size, protection, flags, fd, offset);

    if (at == MAP_FAILED)
        return -errno;
    munmap(at, size);
    return 0;
}

static void test_wrong_maps(int fd, off_t size)
{
    check("all of it", map((size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), 0);
    check("its last page", map(4096, PROT_READ, MAP_SHARED, fd, size - 4096), 0);
    check("one page more", map((size_t)size + 4096, PROT_READ, MAP_SHARED, fd, 0), -EINVAL);
    check("behind its end", map(4096, PROT_READ, MAP_SHARED, fd, size), -EINVAL);
    check("across its end", map(8192, PROT_READ, MAP_SHARED, fd, size - 4096), -EINVAL);
    check("far away", map(4096, PROT_READ, MAP_SHARED, fd, 0x7ffffffffffff000), -EINVAL);
    check("private", map(4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0), -EINVAL);
    check("executable", map(4096, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0), -EINVAL);
    check("resize", ftruncate(fd, 4096) < 0 ? -errno : 0, -EINVAL);
    check("read", read(fd, &size, sizeof(size)) < 0 ? -errno : 0, -EINVAL);
    check("write", write(fd, &size, sizeof(size)) < 0 ? -errno : 0, -EINVAL);
}

/* What others of the kernel do to mappings. */
static void test_mapping(char *page)
{
    struct iovec whole = {.iov_base = page, .iov_len = 4096};
    int pipes[2], status = 0;
    pid_t child;

    check("make it executable", mprotect(page, 4096, PROT_READ | PROT_EXEC) < 0 ? -errno : 0, -EACCES);
    check("grow", mremap(page, 4096, 8192, MREMAP_MAYMOVE) == MAP_FAILED ? -errno : 0, -EFAULT);
    check("give it back", madvise(page, 4096, MADV_DONTNEED) < 0 ? -errno : 0, -EINVAL);

    /* The kernel has no pages for it, to keep or to lend; but what copies does so through the mapping. */
    (void)!pipe(pipes);
    check("lend it", vmsplice(pipes[1], &whole, 1, 0) < 0 ? -errno : 0, -EFAULT);
    strcpy(page, "corbel");
    check("write from it", write(pipes[1], page, 7), 7);
    memset(page, 0, 7);
    check("read into it", read(pipes[0], page, 7), 7);
    check("the same", strcmp(page, "corbel"), 0);
    close(pipes[0]);
    close(pipes[1]);

    child = fork();
    if (child == 0) {
        page[0] = 'C';
        _exit(strcmp(page, "Corbel") != 0);
    }
    waitpid(child, &status, 0);
    check("a child shares it", status, 0);
    check("what the child wrote", page[0], 'C');
}

void test_memory(void)
{
    int set = corbel_open(), fd, second;
    struct corbel_handle link = {.handle = get(set, "bench")};
    struct stat a, b;
    char *page;

    fd = (int)request(set, CORBEL_IOC_MEMORY, &link);
    second = (int)request(set, CORBEL_IOC_MEMORY, &link);
    check("size and inode", fstat(fd, &a) || fstat(second, &b), 0);
    check("an inode each", a.st_ino == b.st_ino, 0);
    check("reserved field", request(set, CORBEL_IOC_MEMORY, &(struct corbel_handle){link.handle, 1}), -EINVAL);
    test_wrong_maps(fd, a.st_size);

    /* The mapping stays when handle, set and descriptor go. */
    page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, a.st_size - 4096);
    check("drop", request(set, CORBEL_IOC_DROP, &link), 0);
    check("memory of nothing", request(set, CORBEL_IOC_MEMORY, &link), -EBADF);
    close(set);
    close(fd);
    close(second);
    test_mapping(page);
    memset(page, 0, 8);
    munmap(page, 4096);
}

static void send_fd(int through, int fd)
{
    union {
        char space[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {{0}};
    struct iovec byte = {.iov_base = (char[1]){0}, .iov_len = 1};
    struct msghdr message = {.msg_iov = &byte, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);

    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &fd, sizeof(int));
    check("pass a set on", sendmsg(through, &message, 0), 1);
}

static int receive_fd(int through)
{
    union {
        char space[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {{0}};
    struct iovec byte = {.iov_base = (char[1]){0}, .iov_len = 1};
    struct msghdr message = {.msg_iov = &byte, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    int fd = -1;

    if (recvmsg(through, &message, 0) == 1)
        memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(int));
    return fd;
}

/* A process without privileges, which has been given a set: it uses what is there, and gets nothing else. */
static int be_confined(int through, uint32_t service)
{
    struct corbel_call call = {.handle = service, .word = {1, 2, 3, 4}};
    struct corbel_get get = {.name = "bench"};
    int set;

    if (setgid(1000) || setuid(1000))
        return 1;
    if (corbel_open() >= 0 || errno != EACCES)
        return 2;
    set = receive_fd(through);
    if (request(set, CORBEL_IOC_CALL, &call) || call.status || call.word[3] != 4)
        return 3;
    if (request(set, CORBEL_IOC_GET, &get) != -EPERM)
        return 4;
    if (request(set, CORBEL_IOC_DROP, &(struct corbel_handle){service, 0}))
        return 5;
    return request(set, CORBEL_IOC_CALL, &call) != -EBADF ? 6 : 0;
}

void test_passing(void)
{
    int ends[2], status = -1, set = corbel_open();
    uint32_t service = get(set, "echo");
    struct corbel_call call = {.handle = service};
    pid_t child;

    check("sockets", socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    child = fork();
    if (child == 0)
        _exit(be_confined(ends[1], service));
    send_fd(ends[0], set);
    waitpid(child, &status, 0);
    check("a process without privileges", status, 0);
    check("what it dropped is gone", request(set, CORBEL_IOC_CALL, &call), -EBADF);
    close(ends[0]);
    close(ends[1]);
    close(set);
}
