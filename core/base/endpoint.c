/* endpoint.c: see endpoint.h. */
#include "core/base/endpoint.h"

#include <netdb.h>
#include <stdio.h>
#include <string.h>

static bool parse_unix(struct text path, struct endpoint *e, const char **why)
{
    *why = "needs an absolute path of at most 107 bytes";
    if (path.size < 2 || path.size > ENDPOINT_PATH_MAX || path.data[0] != '/')
        return false;
    *why = "has characters that cannot be printed";
    if (!text_is_printable(path))
        return false;
    e->path = path;
    return true;
}

/* Host and what follows it: "", or ":port". */
static bool cut_host(struct text t, struct text *host, struct text *rest, const char **why)
{
    const char *bracket = t.size > 0 && t.data[0] == '[' ? memchr(t.data, ']', t.size) : NULL;
    const char *colon = t.size > 0 ? memchr(t.data, ':', t.size) : NULL;
    *why = "has a bracket too many or too few";
    if (t.size > 0 && t.data[0] == '[' && bracket == NULL)
        return false;
    size_t size = t.size;
    if (bracket != NULL) {
        *host = (struct text){t.data + 1, (size_t)(bracket - t.data) - 1};
        size = (size_t)(bracket - t.data) + 1;
    } else {
        /* More than one colon without brackets is a bare IPv6 address. */
        size_t after = colon == NULL ? 0 : t.size - (size_t)(colon - t.data) - 1;
        if (colon != NULL && memchr(colon + 1, ':', after) == NULL)
            size = (size_t)(colon - t.data);
        *host = (struct text){t.data, size};
    }
    *rest = (struct text){t.data + size, t.size - size};
    return true;
}

bool endpoint_parse(struct text t, struct endpoint *e, const char **why)
{
    struct text rest;
    int64_t port = -1;
    *e = (struct endpoint){.port = -1};
    if (t.size > 5 && memcmp(t.data, "unix:", 5) == 0)
        return parse_unix((struct text){t.data + 5, t.size - 5}, e, why);
    if (!cut_host(t, &e->host, &rest, why))
        return false;
    *why = "is not an address or host name";
    if (e->host.size == 0 || e->host.size > ENDPOINT_HOST_MAX)
        return false;
    for (size_t i = 0; i < e->host.size; i++) {
        unsigned char c = (unsigned char)e->host.data[i];
        if (c <= ' ' || c >= 0x7f || strchr("/[]@#?", (char)c) != NULL)
            return false;
    }
    if (rest.size == 0)
        return true;
    *why = "has no port between 0 and 65535 behind its colon";
    struct text digits = {rest.data + 1, rest.size - 1};
    if (rest.data[0] != ':' || (digits.size > 0 && digits.data[0] == '-') ||
        !text_number(digits, &port) || port < 0 || port > 65535)
        return false;
    e->port = (int)port;
    return true;
}

bool endpoint_look_up(const struct endpoint *e, int port, struct addrinfo **list, const char **why)
{
    char host[ENDPOINT_HOST_MAX + 1];
    char service[16];
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    snprintf(host, sizeof(host), "%.*s", (int)e->host.size, e->host.data);
    snprintf(service, sizeof(service), "%d", e->port >= 0 ? e->port : port);
    int code = getaddrinfo(host, service, &hints, list);
    *why = code == 0 ? NULL : gai_strerror(code);
    return code == 0;
}
