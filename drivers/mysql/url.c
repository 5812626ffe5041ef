/* url.c: mysql://user:password@host[:port][,host[:port]]/database?parameter=value */
#include <stdlib.h>
#include <string.h>

#include "drivers/mysql/mysql.h"

#define DEFAULT_PORT 3306

static const char *const tls_names[] = {
    [TLS_DISABLED] = "disabled",   [TLS_PREFERRED] = "preferred",     [TLS_REQUIRED] = "required",
    [TLS_VERIFY_CA] = "verify-ca", [TLS_VERIFY_FULL] = "verify-full",
};

/* Copies a text to where the next one goes. */
static char *keep(char **at, const char *text)
{
    size_t size = strlen(text) + 1;
    char *kept = memcpy(*at, text, size);
    *at += size;
    return kept;
}

static bool read_port(const char *text, unsigned *port)
{
    char *end;
    if (*text == '\0')
        return true;
    unsigned long number = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || number == 0 || number > 65535)
        return false;
    *port = (unsigned)number;
    return true;
}

/* "host", "host:port", "[address]:port"; the text is cut to pieces. */
static bool read_server(char *text, struct server *server)
{
    char *rest = text;
    server->port = DEFAULT_PORT;
    if (text[0] == '[') {
        server->host = text + 1;
        rest = strchr(text, ']');
        if (rest == NULL)
            return false;
        *rest++ = '\0';
    } else {
        server->host = text;
        rest += strcspn(text, ":");
    }
    bool has_port = *rest == ':';
    if (!has_port && *rest != '\0')
        return false;
    *rest = '\0';
    return server->host[0] != '\0' && (!has_port || read_port(rest + 1, &server->port));
}

static enum storage_status read_servers(struct storage_db *db, char *hosts,
                                        struct storage_error *error)
{
    size_t count = 1;
    for (const char *c = hosts; *c != '\0'; c++)
        count += *c == ',';
    db->servers = calloc(count, sizeof(*db->servers));
    if (db->servers == NULL)
        return mysql_refuse(error, STORAGE_UNAVAILABLE, "out of memory");
    for (char *host = hosts; host != NULL;) {
        char *next = strchr(host, ',');
        if (next != NULL)
            *next++ = '\0';
        if (!read_server(host, &db->servers[db->servers_count++]))
            return mysql_refuse(error, STORAGE_INVALID,
                                "the URL names no host, or a port that is none: write "
                                "mysql://user:password@host:3306/database");
        host = next;
    }
    return STORAGE_OK;
}

static enum storage_status read_tls(struct storage_db *db, const char *value,
                                    struct storage_error *error)
{
    for (int i = 0; i <= TLS_VERIFY_FULL; i++) {
        if (strcmp(value, tls_names[i]) == 0) {
            db->tls = (enum tls)i;
            return STORAGE_OK;
        }
    }
    return mysql_refuse(error, STORAGE_INVALID,
                        "ssl-mode is one of disabled, preferred, required, verify-ca, verify-full");
}

static enum storage_status read_parameters(struct storage_db *db, const struct storage_url *url,
                                           char **at, struct storage_error *error)
{
    bool has_mode = false;
    enum storage_status status = STORAGE_OK;
    db->tls = TLS_PREFERRED;
    for (size_t i = 0; status == STORAGE_OK && i < url->parameters_count; i++) {
        const struct storage_parameter *p = &url->parameters[i];
        if (strcmp(p->name, "socket") == 0)
            db->socket = keep(at, p->value);
        else if (strcmp(p->name, "ssl-ca") == 0)
            db->ca = keep(at, p->value);
        else if (strcmp(p->name, "ssl-cert") == 0)
            db->certificate = keep(at, p->value);
        else if (strcmp(p->name, "ssl-key") == 0)
            db->key = keep(at, p->value);
        else if (strcmp(p->name, "ssl-mode") == 0)
            status = read_tls(db, p->value, error);
        else
            return mysql_refuse(error, STORAGE_INVALID,
                                "MySQL stores take socket, ssl-mode, ssl-ca, ssl-cert and ssl-key, "
                                "not %.40s",
                                p->name);
        has_mode = has_mode || strcmp(p->name, "ssl-mode") == 0;
    }
    if (status == STORAGE_OK && db->ca != NULL && !has_mode)
        db->tls = TLS_VERIFY_CA;
    return status;
}

static enum storage_status check(const struct storage_db *db, struct storage_error *error)
{
    if (db->name[0] == '\0' || strlen(db->name) > 64 || strchr(db->name, '`') != NULL)
        return mysql_refuse(error, STORAGE_INVALID,
                            "the URL names no database: write mysql://user:password@host/database");
    if (db->socket != NULL &&
        (db->servers_count != 1 || strcmp(db->servers[0].host, "localhost") != 0))
        return mysql_refuse(error, STORAGE_INVALID,
                            "a socket is on this machine: write localhost before it");
    if (db->socket != NULL && db->socket[0] != '/')
        return mysql_refuse(error, STORAGE_INVALID, "socket is a path that begins with /");
    if (db->tls >= TLS_VERIFY_CA && db->ca == NULL)
        return mysql_refuse(error, STORAGE_INVALID,
                            "ssl-mode=%s needs ssl-ca, a file of "
                            "certificates to trust",
                            tls_names[db->tls]);
    if (db->tls < TLS_VERIFY_CA && db->ca != NULL)
        return mysql_refuse(error, STORAGE_INVALID,
                            "with ssl-mode=%s nothing is verified and ssl-ca says nothing: write "
                            "verify-ca or verify-full",
                            tls_names[db->tls]);
    if ((db->certificate == NULL) != (db->key == NULL))
        return mysql_refuse(error, STORAGE_INVALID, "ssl-cert and ssl-key go together");
    return STORAGE_OK;
}

enum storage_status url_read(struct storage_db *db, const struct storage_url *url,
                             struct storage_error *error)
{
    size_t size = strlen(url->user) + strlen(url->password) + strlen(url->path) +
                  strlen(url->hosts) + sizeof("localhost") + 8;
    for (size_t i = 0; i < url->parameters_count; i++)
        size += strlen(url->parameters[i].value) + 1;
    db->texts = malloc(size);
    if (db->texts == NULL)
        return mysql_refuse(error, STORAGE_UNAVAILABLE, "out of memory");
    char *at = db->texts;
    db->user = keep(&at, url->user);
    db->password = keep(&at, url->password);
    db->name = keep(&at, url->path);
    enum storage_status status = read_parameters(db, url, &at, error);
    bool bare_socket = url->hosts[0] == '\0' && db->socket != NULL;
    if (status == STORAGE_OK)
        status = read_servers(db, keep(&at, bare_socket ? "localhost" : url->hosts), error);
    return status == STORAGE_OK ? check(db, error) : status;
}
