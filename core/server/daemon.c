/* daemon.c: see daemon.h. */
#include "core/server/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/server/exits.h"

static int ready_pipe = -1;
static int pid_file = -1;
static pid_t pid_owner;
static char pid_path[4096];

/* A byte means ready; the end of the pipe without one, that the child has gone. */
static void wait_for_child(int pipe, pid_t child)
{
    char byte;
    int status;
    ssize_t size;
    do
        size = read(pipe, &byte, 1);
    while (size < 0 && errno == EINTR);
    if (size == 1)
        _exit(EXIT_FINE);
    if (waitpid(child, &status, 0) == child && WIFEXITED(status))
        _exit(WEXITSTATUS(status));
    _exit(EXIT_FAILED);
}

bool daemon_detach(void)
{
    int pipes[2];
    if (pipe2(pipes, O_CLOEXEC) != 0) {
        log_error("cannot detach: %s", strerror(errno));
        return false;
    }
    pid_t child = fork();
    if (child < 0) {
        log_error("cannot detach: %s", strerror(errno));
        return false;
    }
    if (child > 0) {
        close(pipes[1]);
        wait_for_child(pipes[0], child);
    }
    close(pipes[0]);
    ready_pipe = pipes[1];
    log_forked();
    setsid();
    return true;
}

void daemon_ready(bool close_console)
{
    if (ready_pipe < 0)
        return;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null >= 0) {
        dup2(null, STDIN_FILENO);
        dup2(null, STDOUT_FILENO);
        if (close_console)
            dup2(null, STDERR_FILENO);
        close(null);
    }
    if (write(ready_pipe, "r", 1) != 1)
        log_warning("the process that started this one has gone");
    close(ready_pipe);
    ready_pipe = -1;
}

static size_t leading_digits(const char *text, size_t size)
{
    size_t i = 0;
    while (i < size && ((text[i] >= '0' && text[i] <= '9') || text[i] == '\n'))
        i++;
    return i;
}

bool daemon_write_pid(const char *path)
{
    char text[32];
    pid_file = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (pid_file < 0) {
        log_error("pid file %s: %s", path, strerror(errno));
        return false;
    }
    if (flock(pid_file, LOCK_EX | LOCK_NB) != 0) {
        log_error("pid file %s: another mongrey-server holds it", path);
        close(pid_file);
        pid_file = -1;
        return false;
    }
    ssize_t held = read(pid_file, text, sizeof(text));
    if (held < 0 || (size_t)held != leading_digits(text, (size_t)(held < 0 ? 0 : held))) {
        log_error("pid file %s: holds something else than a process id; it stays as it is", path);
        close(pid_file);
        pid_file = -1;
        return false;
    }
    int length = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
    if (lseek(pid_file, 0, SEEK_SET) != 0 || ftruncate(pid_file, 0) != 0 ||
        write(pid_file, text, (size_t)length) != length) {
        log_error("pid file %s: %s", path, strerror(errno));
        return false;
    }
    snprintf(pid_path, sizeof(pid_path), "%s", path);
    pid_owner = getpid();
    return true;
}

void daemon_remove_pid(void)
{
    if (pid_file < 0 || pid_owner != getpid())
        return;
    struct stat ours;
    struct stat there;
    bool same = fstat(pid_file, &ours) == 0 && lstat(pid_path, &there) == 0 &&
                ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
    /* After --user the folder may be out of reach: then an empty file stays. */
    if (same && unlink(pid_path) != 0 && ftruncate(pid_file, 0) != 0)
        log_warning("pid file %s stays: %s", pid_path, strerror(errno));
    close(pid_file);
    pid_file = -1;
}

bool daemon_become(const char *user)
{
    const struct passwd *p = getpwnam(user);
    if (p == NULL) {
        log_error("--user %s: there is no such user", user);
        return false;
    }
    if (p->pw_uid == geteuid())
        return true;
    if (initgroups(user, p->pw_gid) != 0 || setgid(p->pw_gid) != 0 || setuid(p->pw_uid) != 0) {
        log_error("--user %s: %s", user, strerror(errno));
        return false;
    }
    if (p->pw_uid != 0 && setuid(0) == 0) {
        log_error("--user %s: the way back to root is still open", user);
        return false;
    }
    return true;
}
