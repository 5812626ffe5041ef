/* file.c: see file.h. */
#include "core/data/file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST 65536

static char *read_all(FILE *f, size_t most, size_t *size, char *why, size_t why_size)
{
    size_t room = FIRST;
    char *memory = malloc(room);
    *size = 0;
    while (memory != NULL) {
        *size += fread(memory + *size, 1, room - *size, f);
        if (*size < room || *size > most)
            break;
        room *= 2;
        char *more = realloc(memory, room);
        if (more == NULL)
            free(memory);
        memory = more;
    }
    if (memory == NULL)
        snprintf(why, why_size, "out of memory");
    else if (ferror(f) != 0)
        snprintf(why, why_size, "%s", strerror(errno));
    else if (*size > most)
        snprintf(why, why_size, "is larger than %zu MiB", most / (1024 * 1024));
    else
        return memory;
    free(memory);
    return NULL;
}

char *file_read(const char *path, size_t most, size_t *size, char *why, size_t why_size)
{
    FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    *size = 0;
    if (f == NULL) {
        snprintf(why, why_size, "%s", strerror(errno));
        return NULL;
    }
    char *memory = read_all(f, most, size, why, why_size);
    if (f != stdin)
        fclose(f);
    return memory;
}
