/* replay.c: main() of a fuzzer without libFuzzer: runs each file that is named, and each in a
 * folder that is named, through it. */
#include <dirent.h>
#include <sys/stat.h>

#include "tests/fuzz/fuzz.h"

#define FILE_MAX (2 * 1024 * 1024)

static unsigned count;

static bool replay_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    uint8_t *data = malloc(FILE_MAX);
    if (f == NULL || data == NULL) {
        perror(path);
        return false;
    }
    size_t size = fread(data, 1, FILE_MAX, f);
    (void)fclose(f);
    /* Memory of the exact size, so that a read behind it is found. */
    uint8_t *exact = malloc(size + (size == 0));
    if (exact == NULL)
        return false;
    memcpy(exact, data, size);
    free(data);
    (void)fprintf(stderr, "%s\n", path);
    (void)LLVMFuzzerTestOneInput(exact, size);
    free(exact);
    count++;
    return true;
}

static bool replay(const char *path)
{
    char name[4096];
    struct stat s;
    if (stat(path, &s) != 0) {
        perror(path);
        return false;
    }
    if (!S_ISDIR(s.st_mode))
        return replay_file(path);
    DIR *folder = opendir(path);
    bool fine = folder != NULL;
    struct dirent *entry;
    while (fine && (entry = readdir(folder)) != NULL) {
        int length = snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
        if (entry->d_name[0] != '.')
            fine = length > 0 && (size_t)length < sizeof(name) && replay_file(name);
    }
    if (folder != NULL)
        (void)closedir(folder);
    return fine;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (!replay(argv[i]))
            return 1;
    }
    (void)fprintf(stderr, "%s: %u inputs\n", argv[0], count);
    return count > 0 ? 0 : 1;
}
