/* redis_url.c: see redis_url.h. */
#include "core/base/redis_url.h"

#include <string.h>

#define SOCKET_PATH_MAX 107 /* sun_path less its end */
#define TIMEOUT_LEAST 10    /* ms */
#define TIMEOUT_MOST 5000

static bool has_scheme(struct text t, const char *scheme)
{
    size_t size = strlen(scheme);
    return t.size > size && text_equal_fold((struct text){t.data, size}, text_of(scheme)) &&
           t.data[size] == ':';
}

bool redis_url_is(struct text t)
{
    return has_scheme(t, "redis") || has_scheme(t, "rediss") || has_scheme(t, "unix");
}

static bool read_database(struct text t, struct redis_url *r, const char **why)
{
    int64_t number;
    *why = "has a database that is no number from 0 to 65535 (a Unix socket is written "
           "unix:///path?db=0)";
    if (!text_number(t, &number) || number < 0 || number > 65535)
        return false;
    r->database = (uint32_t)number;
    return true;
}

/* One host, with a port or none; url.c has seen that brackets and port are as they should be. */
static bool read_host(struct arena *arena, struct text hosts, struct redis_url *r, const char **why)
{
    struct text host = hosts;
    struct text port = {NULL, 0};
    int64_t number;
    *why = "names more than one host";
    if (text_has(hosts, ","))
        return false;
    *why = "has no host";
    if (hosts.size == 0)
        return false;
    if (hosts.data[0] == '[') {
        const char *close = memchr(hosts.data, ']', hosts.size);
        host = (struct text){hosts.data + 1, (size_t)(close - hosts.data) - 1};
        port = (struct text){close + 1, hosts.size - host.size - 2};
        if (port.size > 0)
            port = (struct text){port.data + 1, port.size - 1};
    } else {
        port = hosts;
        text_split(&port, ':', &host);
    }
    if (host.size == 0)
        return false;
    *why = "has a port that is no number from 1 to 65535";
    r->port = REDIS_URL_PORT;
    if (port.size > 0) {
        if (!text_number(port, &number) || number < 1 || number > 65535)
            return false;
        r->port = (uint16_t)number;
    }
    *why = "is too long";
    r->host = arena_copy(arena, host);
    return r->host != NULL;
}

static bool read_socket(struct arena *arena, const struct url *url, struct redis_url *r,
                        const char **why)
{
    size_t size = strlen(url->path);
    *why = "has a host: a Unix socket is written unix:///path";
    if (url->hosts[0] != '\0')
        return false;
    *why = "has no path of a socket, or one longer than 107 bytes";
    if (size == 0 || size + 1 > SOCKET_PATH_MAX)
        return false;
    char *path = arena_take(arena, size + 2);
    *why = "is too long";
    if (path == NULL)
        return false;
    path[0] = '/';
    memcpy(path + 1, url->path, size + 1);
    r->path = path;
    return true;
}

static bool read_parameters(const struct url *url, bool is_socket, struct redis_url *r,
                            const char **why)
{
    for (size_t i = 0; i < url->parameters_count; i++) {
        const struct url_parameter *p = &url->parameters[i];
        int64_t number;
        if (strcmp(p->name, "timeout") == 0) {
            *why = "has a timeout that is no duration from 10ms to 5s";
            if (!text_duration(text_of(p->value), &number) || number < TIMEOUT_LEAST ||
                number > TIMEOUT_MOST)
                return false;
            r->timeout = (uint32_t)number;
        } else if (is_socket && strcmp(p->name, "db") == 0) {
            if (!read_database(text_of(p->value), r, why))
                return false;
        } else {
            *why = is_socket ? "has a parameter that is neither db nor timeout"
                             : "has a parameter that is not timeout (the database is the path: /0)";
            return false;
        }
    }
    return true;
}

bool redis_url_parse(struct arena *arena, struct text t, struct redis_url *r, const char **why)
{
    struct url url;
    *r = (struct redis_url){.host = "", .path = "", .timeout = REDIS_URL_TIMEOUT};
    if (!url_parse(arena, t, &url, why))
        return false;
    bool is_socket = strcmp(url.scheme, "unix") == 0;
    *why = "is rediss://, but TLS to Redis is not built in: use a tunnel, or a socket";
    if (strcmp(url.scheme, "rediss") == 0)
        return false;
    *why = "is neither redis:// nor unix://";
    if (!is_socket && strcmp(url.scheme, "redis") != 0)
        return false;
    *why = "has a user without a password";
    if (url.user[0] != '\0' && url.password[0] == '\0')
        return false;
    r->user = url.user;
    r->password = url.password;
    if (!read_parameters(&url, is_socket, r, why))
        return false;
    if (is_socket)
        return read_socket(arena, &url, r, why);
    if (url.path[0] != '\0' && !read_database(text_of(url.path), r, why))
        return false;
    return read_host(arena, text_of(url.hosts), r, why);
}
