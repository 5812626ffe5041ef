/* process.c: see process.h. */
#include "core/server/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "core/base/text.h"

static uint64_t page_size(void)
{
    long size = sysconf(_SC_PAGESIZE);
    return size > 0 ? (uint64_t)size : 4096;
}

/* The first two numbers: all pages, resident pages. */
static void read_memory(struct process *p)
{
    char bytes[128];
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? -1 : read(fd, bytes, sizeof(bytes));
    if (fd >= 0)
        close(fd);
    if (size <= 0)
        return;
    struct text rest = {bytes, (size_t)size};
    struct text word;
    int64_t pages;
    if (text_split(&rest, ' ', &word) && text_number(word, &pages) && pages > 0)
        p->virtual = (uint64_t)pages * page_size();
    if (text_split(&rest, ' ', &word) && text_number(word, &pages) && pages > 0)
        p->resident = (uint64_t)pages * page_size();
}

static uint64_t count_descriptors(void)
{
    uint64_t count = 0;
    DIR *folder = opendir("/proc/self/fd");
    if (folder == NULL)
        return 0;
    for (const struct dirent *d; (d = readdir(folder)) != NULL;)
        count += d->d_name[0] != '.';
    closedir(folder);
    return count > 0 ? count - 1 : 0; /* the folder's own */
}

void process_read(struct process *p)
{
    struct timespec t;
    struct rlimit limit;
    memset(p, 0, sizeof(*p));
    read_memory(p);
    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) == 0)
        p->cpu = (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
    p->fds = count_descriptors();
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        p->most_fds = limit.rlim_cur;
}

uint64_t process_machine_memory(void)
{
    long pages = sysconf(_SC_PHYS_PAGES);
    return pages > 0 ? (uint64_t)pages * page_size() : 0;
}
