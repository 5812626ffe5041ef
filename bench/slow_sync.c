/*
 * slow_sync.c: to be preloaded (LD_PRELOAD) into a server, so that every sync takes as long as on
 * an ordinary disk: it really syncs, then sleeps MONGREY_BENCH_SYNC_US microseconds. Where
 * MONGREY_BENCH_SYNC_FILE names a file of at least 8 bytes, the syncs are counted in it (a native
 * 64-bit number), which shows that the shim is in force and what a request costs in syncs.
 *
 * It sees what calls the C library: fsync, fdatasync, sync_file_range, msync(MS_SYNC). Files opened
 * with O_SYNC or O_DSYNC, RWF_SYNC, sync, syncfs and io_uring go past it; a static program, too.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

typedef int sync_call(int fd);
typedef int range_call(int fd, off64_t offset, off64_t length, unsigned flags);
typedef int msync_call(void *address, size_t length, int flags);

int fsync(int fd);
int fdatasync(int fd);
int sync_file_range(int fd, off64_t offset, off64_t length, unsigned flags);
int msync(void *address, size_t length, int flags);

static sync_call *real_fsync;
static sync_call *real_fdatasync;
static range_call *real_sync_file_range;
static msync_call *real_msync;
static struct timespec extra;
static _Atomic uint64_t uncounted;
static _Atomic uint64_t *counter = &uncounted;

/* POSIX lets dlsym's answer be copied into a function pointer, ISO C does not let it be cast. */
static void find(void *function, const char *name)
{
    *(void **)function = dlsym(RTLD_NEXT, name);
}

static void find_counter(void)
{
    const char *path = getenv("MONGREY_BENCH_SYNC_FILE");
    int fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        return;
    }
    void *page = mmap(NULL, sizeof(*counter), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (page != MAP_FAILED) {
        counter = page;
    }
    close(fd);
}

__attribute__((constructor)) static void set_up(void)
{
    find(&real_fsync, "fsync");
    find(&real_fdatasync, "fdatasync");
    find(&real_sync_file_range, "sync_file_range");
    find(&real_msync, "msync");
    find_counter();
    const char *text = getenv("MONGREY_BENCH_SYNC_US");
    unsigned long microseconds = text == NULL ? 0 : strtoul(text, NULL, 10);
    extra.tv_sec = (time_t)(microseconds / 1000000);
    extra.tv_nsec = (long)(microseconds % 1000000) * 1000;
    /* Without it a sleep is up to 50 us too long. Threads made later inherit it. */
    prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
}

static int slow_down(int result)
{
    int saved = errno;
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
    struct timespec left = extra;
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
    errno = saved;
    return result;
}

int fsync(int fd)
{
    return slow_down(real_fsync(fd));
}

int fdatasync(int fd)
{
    return slow_down(real_fdatasync(fd));
}

int sync_file_range(int fd, off64_t offset, off64_t length, unsigned flags)
{
    return slow_down(real_sync_file_range(fd, offset, length, flags));
}

int msync(void *address, size_t length, int flags)
{
    int result = real_msync(address, length, flags);
    return (flags & MS_SYNC) != 0 ? slow_down(result) : result;
}
