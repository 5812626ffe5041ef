/* command_config.c: `config` and `config-install`. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/server/commands.h"
#include "core/server/exits.h"

static void put_line(void *context, struct text line)
{
    FILE *f = context;
    fwrite(line.data, 1, line.size, f);
    fputc('\n', f);
}

int command_config(const struct options *options, const struct settings_sources *sources)
{
    (void)options;
    struct settings *settings = command_settings(sources);
    if (settings == NULL)
        return EXIT_CONFIG;
    printf("# settings file: %s\n", settings->file != NULL ? settings->file : "none");
    settings_write(settings, put_line, stdout);
    settings_release(settings);
    return fflush(stdout) == 0 ? EXIT_FINE : EXIT_FAILED;
}

/* Where to write: what is named, else the system's place. */
static const char *choose_path(const struct settings_sources *sources)
{
    if (sources->file != NULL)
        return sources->file;
    for (const char *const *e = sources->environ; *e != NULL; e++) {
        if (strncmp(*e, "MONGREY_SERVER_SETTINGS=", 24) == 0 && (*e)[24] != '\0')
            return *e + 24;
    }
    return "/etc/mongrey/server.yml";
}

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
static bool write_sample(const char *path)
{
    char fresh[4096];
    int length = snprintf(fresh, sizeof(fresh), "%s.new", path);
    if (length < 0 || (size_t)length >= sizeof(fresh)) {
        log_error("%.200s: the name is too long", path);
        return false;
    }
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
    if (f == NULL) {
        log_error("cannot write %s: %s", path,
                  errno == ENOENT ? "its folder is not there; make it first" : strerror(errno));
        return false;
    }
    settings_write_sample(put_line, f);
    bool fine = fflush(f) == 0 && fsync(fd) == 0;
    fine = fclose(f) == 0 && fine;
    if (fine && rename(fresh, path) == 0)
        return true;
    log_error("%s: %s", path, strerror(errno));
    unlink(fresh);
    return false;
}

int command_config_install(const struct options *options, const struct settings_sources *sources)
{
    const char *path = choose_path(sources);
    if (!is_replaceable(path))
        return EXIT_FAILED;
    if (!options->quiet && !may_replace(path)) {
        puts("canceled operation");
        return EXIT_FAILED;
    }
    if (!write_sample(path))
        return EXIT_FAILED;
    printf("Success operation !. file writed: %s\n", path);
    return EXIT_FINE;
}
