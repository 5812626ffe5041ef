/* address.c: from MONGREY_DB to libpq's keywords. Nothing is passed on that libpq does not know, and
 * nothing that would change what the driver goes by. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/pgsql/pgsql.h"

static char *keep(struct address *a, const char *text, size_t size)
{
    if (a->texts_size - a->texts_used <= size)
        return NULL;
    char *copy = a->texts + a->texts_used;
    memcpy(copy, text, size);
    copy[size] = '\0';
    a->texts_used += size + 1;
    return copy;
}

static void add(struct address *a, const char *keyword, const char *value)
{
    if (a->count < KEYWORDS_MAX && keyword != NULL && value != NULL) {
        a->keywords[a->count] = keyword;
        a->values[a->count++] = value;
    }
}

static const char *find_parameter(const struct storage_url *url, const char *name)
{
    for (size_t i = 0; i < url->parameters_count; i++) {
        if (strcmp(url->parameters[i].name, name) == 0)
            return url->parameters[i].value;
    }
    return NULL;
}

static int hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    char lower = (char)(c >= 'A' && c <= 'F' ? c + ('a' - 'A') : c);
    const char *found = c == '\0' ? NULL : strchr(digits, lower);
    return found == NULL ? -1 : (int)(found - digits);
}

/* Hosts come as they were given: a folder of a socket is percent-encoded. */
static void decode(char *text)
{
    char *to = text;
    for (; *text != '\0'; text++) {
        int high = *text == '%' ? hex_digit(text[1]) : -1;
        int low = high < 0 ? -1 : hex_digit(text[2]);
        if (low >= 0 && high * 16 + low != 0) {
            *to++ = (char)(high * 16 + low);
            text += 2;
        } else {
            *to++ = *text;
        }
    }
    *to = '\0';
}

/* "host:port", "[::1]:port", "host". False: no room, or no port that could be one. */
static bool add_host(struct address *a, const char *text, size_t size)
{
    size_t host = size;
    size_t begin = 0;
    size_t port = size;
    if (size > 0 && text[0] == '[') {
        const char *close = memchr(text, ']', size);
        if (close == NULL)
            return false;
        begin = 1;
        host = (size_t)(close - text);
        if (host + 1 < size && text[host + 1] != ':')
            return false;
        port = host + 1 < size ? host + 2 : size;
    } else {
        const char *colon = memchr(text, ':', size);
        if (colon != NULL) {
            host = (size_t)(colon - text);
            port = host + 1;
        }
    }
    if (a->hosts_count >= HOSTS_MAX || size - port > 5 ||
        strspn(text + port, "0123456789") < size - port)
        return false;
    char *name = keep(a, text + begin, host - begin);
    char *number = keep(a, text + port, size - port);
    if (name == NULL || number == NULL)
        return false;
    decode(name);
    a->hosts[a->hosts_count] = name;
    a->ports[a->hosts_count++] = number;
    return true;
}

static bool add_hosts(struct address *a, const char *hosts)
{
    for (;;) {
        size_t size = strcspn(hosts, ",");
        if (!add_host(a, hosts, size))
            return false;
        if (hosts[size] == '\0')
            return true;
        hosts += size + 1;
    }
}

/* ?host=/run/postgresql and ?port=: for a URL that names no host before its path. */
static enum storage_status add_parameter_host(struct address *a, const struct storage_url *url,
                                              struct storage_error *error)
{
    const char *host = find_parameter(url, "host");
    const char *port = find_parameter(url, "port");
    if (host != NULL && url->hosts[0] != '\0')
        return pgsql_refuse(error, STORAGE_INVALID,
                            "the URL names its host twice: before the path and as a parameter");
    if (host != NULL) {
        if (strchr(host, ',') != NULL)
            return pgsql_refuse(error, STORAGE_INVALID,
                                "write several hosts before the path: postgresql://a,b/name");
        a->hosts[0] = keep(a, host, strlen(host));
        a->ports[0] = "";
        a->hosts_count = 1;
    } else if (!add_hosts(a, url->hosts)) {
        return pgsql_refuse(error, STORAGE_INVALID, "the URL's hosts: write host:port,host:port");
    }
    for (size_t i = 0; port != NULL && i < a->hosts_count; i++) {
        if (a->ports[i][0] == '\0')
            a->ports[i] = keep(a, port, strlen(port));
    }
    return STORAGE_OK;
}

/* What the driver sets by itself, or what would make it another program. */
static bool is_ours(const char *name)
{
    static const char *const ours[] = {"host",        "port", "dbname",  "client_encoding",
                                       "replication", "user", "password"};
    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
        if (strcmp(name, ours[i]) == 0)
            return true;
    }
    return false;
}

static bool is_known(const char *name)
{
    PQconninfoOption *options = PQconndefaults();
    bool known = false;
    for (PQconninfoOption *o = options; o != NULL && o->keyword != NULL; o++)
        known = known || strcmp(o->keyword, name) == 0;
    PQconninfoFree(options);
    return known;
}

static enum storage_status add_parameters(struct address *a, const struct storage_url *url,
                                          struct storage_error *error)
{
    for (size_t i = 0; i < url->parameters_count; i++) {
        const char *name = url->parameters[i].name;
        const char *value = url->parameters[i].value;
        if (strcmp(name, "host") == 0 || strcmp(name, "port") == 0)
            continue;
        if (is_ours(name))
            return pgsql_refuse(error, STORAGE_INVALID,
                                "the URL's parameter %.40s is set by mongrey itself", name);
        if (!is_known(name))
            return pgsql_refuse(error, STORAGE_INVALID,
                                "the URL's parameter %.40s is none of PostgreSQL's", name);
        if (strcmp(name, "connect_timeout") == 0) {
            char *end = NULL;
            long seconds = strtol(value, &end, 10);
            if (*value == '\0' || *end != '\0' || seconds < 0 || seconds > 3600)
                return pgsql_refuse(error, STORAGE_INVALID,
                                    "the URL's parameter connect_timeout is 0 to 3600 seconds");
            if (seconds > 0 && seconds * 1000 < a->connect_timeout)
                a->connect_timeout = seconds * 1000;
            continue;
        }
        add(a, keep(a, name, strlen(name)), keep(a, value, strlen(value)));
    }
    return STORAGE_OK;
}

static void add_default(struct address *a, const struct storage_url *url, const char *keyword,
                        const char *value)
{
    if (find_parameter(url, keyword) == NULL)
        add(a, keyword, value);
}

/* A peer that is gone is noticed by the kernel too, also where nobody waits for it. */
static void add_defaults(struct address *a, const struct storage_host *host,
                         const struct storage_url *url)
{
    char number[32];
    add(a, "client_encoding", "UTF8");
    add_default(a, url, "fallback_application_name", "mongrey");
    add_default(a, url, "keepalives_idle", "30");
    add_default(a, url, "keepalives_interval", "10");
    add_default(a, url, "keepalives_count", "3");
    snprintf(number, sizeof(number), "%lld", (long long)host->call_timeout + host->connect_timeout);
    add_default(a, url, "tcp_user_timeout", keep(a, number, strlen(number)));
    if (a->hosts_count > 1 && !host->read_only)
        add_default(a, url, "target_session_attrs", "read-write");
}

void address_free(struct address *address)
{
    if (address->texts != NULL)
        explicit_bzero(address->texts, address->texts_size);
    free(address->texts);
    memset(address, 0, sizeof(*address));
}

enum storage_status address_make(struct address *address, const struct storage_host *host,
                                 const struct storage_url *url, struct storage_error *error)
{
    memset(address, 0, sizeof(*address));
    address->texts_size = 2 * strlen(url->text) + 1024;
    address->texts = calloc(1, address->texts_size);
    if (address->texts == NULL)
        return pgsql_refuse(error, STORAGE_UNAVAILABLE, "out of memory");
    if (url->path[0] == '\0' || strchr(url->path, '/') != NULL)
        return pgsql_refuse(error, STORAGE_INVALID,
                            "the URL names no database: write postgresql://host/name");
    address->connect_timeout = host->connect_timeout;
    address->database = keep(address, url->path, strlen(url->path));
    add(address, "dbname", address->database);
    if (url->user[0] != '\0')
        add(address, "user", keep(address, url->user, strlen(url->user)));
    if (url->password[0] != '\0')
        add(address, "password", keep(address, url->password, strlen(url->password)));
    enum storage_status status = add_parameter_host(address, url, error);
    if (status == STORAGE_OK)
        status = add_parameters(address, url, error);
    if (status == STORAGE_OK)
        add_defaults(address, host, url);
    return status;
}
