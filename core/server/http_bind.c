/* http_bind.c: see http_bind.h. */
#include "core/server/http_bind.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/endpoint.h"
#include "core/base/log.h"
#include "core/server/exits.h"
#include "core/server/http.h"

#define BACKLOG 64

static void tell(int fd)
{
    char host[64];
    char port[8];
    struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
    socklen_t size = sizeof(address);
    if (getsockname(fd, (struct sockaddr *)&address, &size) != 0 ||
        getnameinfo((struct sockaddr *)&address, size, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return;
    log_info(address.ss_family == AF_INET6 ? "metrics on [%s]:%s" : "metrics on %s:%s", host, port);
}

static int bind_one(const struct addrinfo *info)
{
    int on = 1;
    int fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    /* IPv6 sockets take IPv6 only, so that 0.0.0.0 and :: can stand side by side. */
    if (info->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    if (bind(fd, info->ai_addr, info->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int why = errno;
    close(fd);
    errno = why;
    return -1;
}

static int bind_host(const struct endpoint *e, int *fds, size_t most, size_t *count)
{
    struct addrinfo *list = NULL;
    const char *why;
    if (!endpoint_look_up(e, HTTP_PORT, &list, &why)) {
        log_error("metrics_listen: %.*s: %s", (int)e->host.size, e->host.data, why);
        return EXIT_FAILED;
    }
    int status = EXIT_FINE;
    for (const struct addrinfo *i = list; status == EXIT_FINE && i != NULL; i = i->ai_next) {
        if (*count == most) {
            log_error("metrics_listen: more than %zu addresses", most);
            status = EXIT_CONFIG;
            break;
        }
        int fd = bind_one(i);
        if (fd < 0) {
            log_error("metrics_listen: cannot listen on %.*s port %d: %s", (int)e->host.size,
                      e->host.data, e->port >= 0 ? e->port : HTTP_PORT, strerror(errno));
            status = EXIT_FAILED;
            break;
        }
        fds[(*count)++] = fd;
        tell(fd);
    }
    freeaddrinfo(list);
    return status;
}

int http_bind_all(const struct settings_list *where, int *fds, size_t most, size_t *count)
{
    for (size_t i = 0; i < where->count; i++) {
        struct endpoint e;
        const char *why;
        if (!endpoint_parse(where->items[i], &e, &why))
            return EXIT_CONFIG; /* was parsed before; cannot be */
        if (e.path.size > 0) {
            log_error("metrics_listen: takes addresses with ports, not Unix sockets");
            return EXIT_CONFIG;
        }
        int status = bind_host(&e, fds, most, count);
        if (status != EXIT_FINE)
            return status;
    }
    return EXIT_FINE;
}
