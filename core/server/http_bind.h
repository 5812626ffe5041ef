/* http_bind.h: listening sockets of what `metrics_listen` names. */
#ifndef MONGREY_HTTP_BIND_H
#define MONGREY_HTTP_BIND_H

#include "core/policy/settings.h"

/* Binds each into fds, which has room for `most`, and counts them in *count, also where it fails: the caller
 * closes them. Returns the exit status; what is wrong was logged. */
int http_bind_all(const struct settings_list *where, int *fds, size_t most, size_t *count);

#endif
