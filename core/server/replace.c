/* replace.c: see replace.h. */
#include "core/server/replace.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/server/exits.h"

/* A device or a folder is never taken away, whoever asks. */
static bool is_replaceable(const char *path)
{
    struct stat s;
    if (lstat(path, &s) != 0 || S_ISREG(s.st_mode))
        return true;
    log_error("%s is not a regular file; it stays", path);
    return false;
}

static bool may_replace(const char *path)
{
    char answer[16] = "";
    if (access(path, F_OK) != 0)
        return true;
    printf("%s is there already. Replace it? [y/N] ", path);
    fflush(stdout);
    return fgets(answer, sizeof(answer), stdin) != NULL && (answer[0] == 'y' || answer[0] == 'Y');
}

/* Beside its place first, then moved there: a half-written file never counts. */
static bool write_beside(const char *path, bool (*put)(void *context, FILE *f), void *context)
{
    char fresh[4096];
    int length = snprintf(fresh, sizeof(fresh), "%s.%ld.new", path, (long)getpid());
    if (length < 0 || (size_t)length >= sizeof(fresh)) {
        log_error("%.200s: the name is too long", path);
        return false;
    }
    int fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
    if (f == NULL) {
        log_error("cannot write %s: %s", path,
                  errno == ENOENT ? "its folder is not there; make it first" : strerror(errno));
        return false;
    }
    bool said = !put(context, f);
    bool fine = !said && fflush(f) == 0 && fsync(fd) == 0;
    fine = fclose(f) == 0 && fine;
    if (fine && rename(fresh, path) == 0)
        return true;
    if (!said)
        log_error("%s: %s", path, strerror(errno));
    unlink(fresh);
    return false;
}

int replace_file(const char *path, bool quiet, bool (*put)(void *context, FILE *f), void *context)
{
    if (!is_replaceable(path))
        return EXIT_FAILED;
    if (!quiet && !may_replace(path)) {
        puts("canceled operation");
        return EXIT_FAILED;
    }
    if (!write_beside(path, put, context))
        return EXIT_FAILED;
    printf("Success operation !. file writed: %s\n", path);
    return EXIT_FINE;
}
