/* listen.c: binds what `host` names, and accepts. One that cannot be bound stops the start. */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/base/endpoint.h"
#include "core/base/log.h"
#include "core/server/server.h"

struct listener {
    struct listener *next;
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } u;
    bool is_pipe;
    /* Of a Unix socket: its file, to be removed at the end if it is still ours. */
    char path[ENDPOINT_PATH_MAX + 1];
    dev_t device;
    ino_t inode;
};

static void on_connection(uv_stream_t *stream, int status)
{
    struct listener *l = stream->data;
    struct server *server = stream->loop->data;
    if (status != 0) {
        server_complain(server, COMPLAINT_ACCEPT, uv_strerror(status));
        return;
    }
    struct client *c = client_make(server, l->is_pipe);
    if (c == NULL) {
        log_error("out of memory for a connection");
        return;
    }
    if (uv_accept(stream, client_stream(c)) == 0)
        client_accepted(c);
    else
        client_cut(c); /* gone before it was taken */
}

static struct listener *add(struct server *server, bool is_pipe)
{
    struct listener *l = calloc(1, sizeof(*l));
    if (l == NULL)
        return NULL;
    l->is_pipe = is_pipe;
    int code = is_pipe ? uv_pipe_init(&server->loop, &l->u.pipe, 0)
                       : uv_tcp_init(&server->loop, &l->u.tcp);
    if (code != 0) {
        free(l);
        return NULL;
    }
    l->u.handle.data = l;
    l->next = server->listeners;
    server->listeners = l;
    return l;
}

static bool fail(const char *where, int code)
{
    log_error("cannot listen on %s: %s", where, uv_strerror(code));
    return false;
}

static void address_name(const struct sockaddr *address, char *name, size_t size)
{
    char host[64] = "";
    bool six = address->sa_family == AF_INET6;
    in_port_t port = six ? ((const struct sockaddr_in6 *)(const void *)address)->sin6_port
                         : ((const struct sockaddr_in *)(const void *)address)->sin_port;
    uv_ip_name(address, host, sizeof(host));
    snprintf(name, size, six ? "[%s]:%u" : "%s:%u", host, ntohs(port));
}

static bool listen_tcp(struct server *server, const struct addrinfo *info)
{
    char name[96];
    struct sockaddr_storage bound;
    int size = sizeof(bound);
    struct listener *l = add(server, false);
    address_name(info->ai_addr, name, sizeof(name));
    if (l == NULL)
        return fail(name, UV_ENOMEM);
    /* IPv6 sockets take IPv6 only, so that 0.0.0.0 and :: can stand side by side. */
    unsigned flags = info->ai_family == AF_INET6 ? UV_TCP_IPV6ONLY : 0;
    int code = uv_tcp_bind(&l->u.tcp, info->ai_addr, flags);
    if (code == 0)
        code = uv_listen(&l->u.stream, (int)server->boot->backlog, on_connection);
    if (code != 0)
        return fail(name, code);
    if (uv_tcp_getsockname(&l->u.tcp, (struct sockaddr *)&bound, &size) == 0)
        address_name((struct sockaddr *)&bound, name, sizeof(name));
    log_info("listening on %s", name);
    return true;
}

static bool listen_host(struct server *server, const struct endpoint *e)
{
    struct addrinfo *list = NULL;
    const char *why;
    if (!endpoint_look_up(e, (int)server->boot->port, &list, &why)) {
        log_error("cannot listen on %.*s: %s", (int)e->host.size, e->host.data, why);
        return false;
    }
    bool fine = true;
    for (const struct addrinfo *i = list; fine && i != NULL; i = i->ai_next)
        fine = listen_tcp(server, i);
    freeaddrinfo(list);
    return fine;
}

static struct sockaddr_un socket_address(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    return address;
}

/* A socket that nobody answers on was left behind; one that somebody does, or might if he were not so
 * busy, is in use. */
static bool is_left_behind(const char *path)
{
    struct stat s;
    struct sockaddr_un address = socket_address(path);
    if (lstat(path, &s) != 0 || !S_ISSOCK(s.st_mode))
        return false;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return false;
    int code = connect(fd, (struct sockaddr *)&address, sizeof(address));
    bool refused = code != 0 && errno == ECONNREFUSED;
    close(fd);
    return refused;
}

/* `user` or `user:group`; a user alone leaves the group as it is. */
static bool find_owner(struct text owner, uid_t *uid, gid_t *gid)
{
    char name[128];
    struct text rest = owner;
    struct text user;
    *uid = (uid_t)-1;
    *gid = (gid_t)-1;
    if (!text_split(&rest, ':', &user) || owner.size >= sizeof(name))
        return false;
    snprintf(name, sizeof(name), "%.*s", (int)user.size, user.data);
    const struct passwd *p = getpwnam(name);
    if (p == NULL)
        return false;
    *uid = p->pw_uid;
    if (rest.data == NULL)
        return true;
    snprintf(name, sizeof(name), "%.*s", (int)rest.size, rest.data);
    const struct group *g = getgrnam(name);
    if (g == NULL)
        return false;
    *gid = g->gr_gid;
    return true;
}

static mode_t socket_mode(const struct settings *s)
{
    int64_t m = s->socket_mode; /* octal digits */
    return (mode_t)(m / 100 % 10 * 64 + m / 10 % 10 * 8 + m % 10);
}

/* A link put in the socket's place would lead root astray: the owner is changed without following one,
 * and the mode is right from the start, by the umask. */
static bool give_away(const struct settings *s, const char *path)
{
    uid_t uid;
    gid_t gid;
    if (s->socket_owner.size == 0)
        return true;
    if (!find_owner(s->socket_owner, &uid, &gid)) {
        log_error("socket_owner: there is no such user or group");
        return false;
    }
    if (lchown(path, uid, gid) == 0)
        return true;
    log_error("unix:%s: cannot give it to socket_owner: %s", path, strerror(errno));
    return false;
}

static const char *bind_fault(const char *path, int code)
{
    struct stat s;
    if (code == ENOENT || code == ENOTDIR)
        return "its folder is not there; make it first";
    if (code == EADDRINUSE && lstat(path, &s) == 0 && !S_ISSOCK(s.st_mode))
        return "there is something else than a socket of that name";
    return strerror(code);
}

/* Bound by hand: libuv would remove the file as it closes, whosever it is by then. */
static int bind_unix(const struct settings *s, const char *path)
{
    struct sockaddr_un address = socket_address(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        log_error("cannot listen on unix:%s: %s", path, strerror(errno));
        return -1;
    }
    mode_t before = umask(0777 & ~socket_mode(s));
    int code = bind(fd, (struct sockaddr *)&address, sizeof(address));
    int why = errno;
    umask(before);
    if (code == 0)
        return fd;
    log_error("cannot listen on unix:%s: %s", path, bind_fault(path, why));
    close(fd);
    return -1;
}

static bool listen_unix(struct server *server, struct text wanted)
{
    struct stat s;
    struct listener *l = add(server, true);
    if (l == NULL)
        return fail("a Unix socket", UV_ENOMEM);
    snprintf(l->path, sizeof(l->path), "%.*s", (int)wanted.size, wanted.data);
    if (is_left_behind(l->path))
        unlink(l->path);
    int fd = bind_unix(server->boot, l->path);
    if (fd < 0) {
        l->path[0] = '\0';
        return false;
    }
    if (lstat(l->path, &s) == 0) {
        l->device = s.st_dev;
        l->inode = s.st_ino;
    }
    int code = uv_pipe_open(&l->u.pipe, fd);
    if (code != 0)
        close(fd);
    else
        code = uv_listen(&l->u.stream, (int)server->boot->backlog, on_connection);
    if (code != 0)
        return fail(l->path, code);
    if (!give_away(server->boot, l->path))
        return false;
    log_info("listening on unix:%s", l->path);
    return true;
}

bool listen_start(struct server *server)
{
    const struct settings_list *hosts = &server->boot->host;
    for (size_t i = 0; i < hosts->count; i++) {
        struct endpoint e;
        const char *why;
        if (!endpoint_parse(hosts->items[i], &e, &why))
            return false; /* was parsed before; cannot be */
        bool fine = e.path.size > 0 ? listen_unix(server, e.path) : listen_host(server, &e);
        if (!fine)
            return false;
    }
    return true;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void remove_socket(const struct listener *l)
{
    struct stat s;
    if (l->path[0] == '\0' || lstat(l->path, &s) != 0)
        return;
    if (s.st_dev == l->device && s.st_ino == l->inode)
        unlink(l->path);
}

void listen_stop(struct server *server)
{
    while (server->listeners != NULL) {
        struct listener *l = server->listeners;
        server->listeners = l->next;
        remove_socket(l);
        uv_close(&l->u.handle, on_closed);
    }
}
