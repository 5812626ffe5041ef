/* replace.h: writing a file that a command was asked for, whole or not at all. */
#ifndef MONGREY_REPLACE_H
#define MONGREY_REPLACE_H

#include <stdbool.h>
#include <stdio.h>

/*
 * Writes beside `path`, then moves it there; asks on the terminal before one is replaced, unless
 * `quiet`. `put` writes the content; false: it failed, which it has logged. Returns an exit status;
 * all that is to be said was said.
 */
int replace_file(const char *path, bool quiet, bool (*put)(void *context, FILE *f), void *context);

#endif
