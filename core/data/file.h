/* file.h: a whole file in memory. */
#ifndef MONGREY_FILE_H
#define MONGREY_FILE_H

#include <stddef.h>

/* At most `most` bytes, to be freed by the caller; `-` is standard input. NULL: `why` (of why_size
 * bytes) says so as a sentence that follows the name. */
char *file_read(const char *path, size_t most, size_t *size, char *why, size_t why_size);

#endif
