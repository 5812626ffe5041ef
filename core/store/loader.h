/* loader.h: finds, distrusts and loads a storage driver. */
#ifndef MONGREY_LOADER_H
#define MONGREY_LOADER_H

#include "core/base/text.h"
#include "include/storage.h"

/*
 * The driver for a URL's scheme, from `folder`, or, where that is empty, from drivers/ beside the
 * program, else from where `make install` puts them. Never unloaded. NULL: error->text says what is
 * wrong and what to install. A driver is refused that
 *  - is no regular file, or that others than its owner may write, or whose folder they may;
 *  - belongs to somebody else than root, the running user or the owner of the program;
 *  - has another ABI, name or scheme.
 */
const struct storage_driver *loader_load(const char *scheme, struct text folder,
                                         struct storage_error *error);

/* Every driver that is there, for --version: calls each with a line that names it or its fault. */
void loader_list(struct text folder, void (*each)(void *context, const char *line), void *context);

#endif
