/* log.c: see log.h. */
#include "core/base/log.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#define WAITING_MAX (32 * 1024)
#define LINE_MAX_SIZE 3900 /* with what stands before it, less than PIPE_BUF */

static struct {
    pthread_mutex_t lock;
    size_t used;
    time_t second; /* of `stamp` */
    char stamp[32];
    char name[32]; /* " mongrey[PID]: "; asking the kernel each time would cost as much as a line */
    bool to_syslog;
    bool to_journal;
    bool is_file;  /* standard error */
    unsigned lost; /* lines */
    atomic_int lowest;
    char waiting[WAITING_MAX + LINE_MAX_SIZE + 256];
} state = {.lock = PTHREAD_MUTEX_INITIALIZER, .lowest = LOG_LEVEL_INFO};

static const int syslog_level[] = {LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERR};
static const char *const level_word[] = {"debug: ", "", "warning: ", "error: "};

/* systemd sets JOURNAL_STREAM to the device and inode of the stream that it reads. */
static bool stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat s;
    char own[64];
    if (stream == NULL || fstat(STDERR_FILENO, &s) != 0)
        return false;
    snprintf(own, sizeof(own), "%ju:%ju", (uintmax_t)s.st_dev, (uintmax_t)s.st_ino);
    return strcmp(own, stream) == 0;
}

void log_start(enum log_target target, enum log_level lowest)
{
    struct stat s;
    state.is_file = fstat(STDERR_FILENO, &s) == 0 && S_ISREG(s.st_mode);
    state.to_syslog = target != LOG_TO_CONSOLE;
    state.to_journal = target == LOG_TO_CONSOLE && stderr_is_journal();
    atomic_store(&state.lowest, (int)lowest);
    log_forked();
    if (state.to_syslog)
        openlog("mongrey", LOG_PID | LOG_NDELAY | (target == LOG_TO_BOTH ? LOG_PERROR : 0),
                LOG_MAIL);
}

void log_forked(void)
{
    snprintf(state.name, sizeof(state.name), " mongrey[%ld]: ", (long)getpid());
}

void log_set_level(enum log_level lowest)
{
    atomic_store(&state.lowest, (int)lowest);
}

bool log_wants(enum log_level level)
{
    return (int)level >= atomic_load_explicit(&state.lowest, memory_order_relaxed);
}

/* How much of what waits may be written at once: all of it to a file; to a pipe, whole lines that the
 * kernel takes in one piece or not at all. */
static size_t chunk(void)
{
    size_t most = state.is_file || state.used < PIPE_BUF ? state.used : PIPE_BUF;
    const char *end = memrchr(state.waiting, '\n', most);
    return end == NULL ? most : (size_t)(end - state.waiting) + 1;
}

/* Lock held. Never waits: while standard error takes nothing, lines wait, and are lost when there are too
 * many of them; mail goes first. */
static void flush_locked(void)
{
    while (state.used > 0) {
        struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};
        if (!state.is_file && (poll(&p, 1, 0) != 1 || (p.revents & POLLOUT) == 0))
            break;
        ssize_t n = write(STDERR_FILENO, state.waiting, chunk());
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        state.used -= (size_t)n;
        memmove(state.waiting, state.waiting + n, state.used);
    }
}

static void write_prefix(struct writer *w, enum log_level level)
{
    if (state.to_journal) {
        write_format(w, "<%d>", syslog_level[level]);
        return;
    }
    time_t now = time(NULL);
    if (now != state.second) {
        struct tm t;
        localtime_r(&now, &t);
        strftime(state.stamp, sizeof(state.stamp), "%Y-%m-%d %H:%M:%S", &t);
        state.second = now;
    }
    write_literal(w, state.stamp);
    write_literal(w, state.name);
    write_literal(w, level_word[level]);
}

static void put(enum log_level level, struct text line, bool bare)
{
    if (!log_wants(level))
        return;
    if (line.size > LINE_MAX_SIZE)
        line.size = LINE_MAX_SIZE;
    if (state.to_syslog) {
        syslog(syslog_level[level], "%s%.*s", level_word[level], (int)line.size, line.data);
        return;
    }
    pthread_mutex_lock(&state.lock);
    if (state.used >= WAITING_MAX)
        flush_locked();
    if (state.used >= WAITING_MAX) {
        state.lost++;
        pthread_mutex_unlock(&state.lock);
        return;
    }
    struct writer w = writer_on(state.waiting + state.used, sizeof(state.waiting) - state.used);
    if (state.lost > 0) {
        write_prefix(&w, LOG_LEVEL_WARNING);
        write_format(&w, "%u lines were lost: nobody reads standard error\n", state.lost);
        state.lost = 0;
    }
    if (!bare || state.to_journal) /* which takes its prefix off */
        write_prefix(&w, level);
    write_text(&w, line);
    write_literal(&w, "\n");
    state.used = (size_t)(w.at - state.waiting);
    if (state.used >= WAITING_MAX || level >= LOG_LEVEL_WARNING)
        flush_locked();
    pthread_mutex_unlock(&state.lock);
}

void log_line(enum log_level level, struct text line)
{
    put(level, line, false);
}

void log_bare(enum log_level level, struct text line)
{
    put(level, line, true);
}

void log_format(enum log_level level, const char *format, ...)
{
    char line[2048];
    va_list list;
    if (!log_wants(level))
        return;
    va_start(list, format);
    int length = vsnprintf(line, sizeof(line), format, list);
    va_end(list);
    if (length < 0)
        return;
    size_t size = (size_t)length < sizeof(line) ? (size_t)length : sizeof(line) - 1;
    /* A library's message may have several lines; here it gets one. */
    for (size_t i = 0; i < size; i++)
        line[i] = (unsigned char)line[i] < ' ' || line[i] == 0x7f ? ' ' : line[i];
    log_line(level, (struct text){line, size});
}

void log_flush(void)
{
    pthread_mutex_lock(&state.lock);
    if (state.used > 0)
        flush_locked();
    pthread_mutex_unlock(&state.lock);
}
