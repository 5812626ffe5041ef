/* connect.c: making a connection in bounded time. libpq's own connect_timeout holds only for calls
 * that block, so each host is tried by itself here and gets its share of the time. */
#include <poll.h>
#include <string.h>
#include <time.h>

#include "drivers/pgsql/pgsql.h"

int64_t steady_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool socket_wait(int socket, short events, int64_t deadline)
{
    for (;;) {
        int64_t left = deadline - steady_ms();
        struct pollfd fd = {.fd = socket, .events = events};
        if (left <= 0 || socket < 0)
            return false;
        int ready = poll(&fd, 1, left > 60000 ? 60000 : (int)left);
        if (ready > 0)
            return true;
    }
}

static void ignore_notice(void *context, const PGresult *result)
{
    (void)context;
    (void)result;
}

static PGconn *start(const struct address *a, size_t host)
{
    const char *keywords[KEYWORDS_MAX + 3];
    const char *values[KEYWORDS_MAX + 3];
    size_t count = 0;
    for (; count < a->count; count++) {
        keywords[count] = a->keywords[count];
        values[count] = a->values[count];
    }
    keywords[count] = "host";
    values[count++] = a->hosts[host];
    keywords[count] = "port";
    values[count++] = a->ports[host];
    keywords[count] = NULL;
    values[count] = NULL;
    return PQconnectStartParams(keywords, values, 0);
}

static enum storage_status reach(struct storage_session *session, size_t host, int64_t deadline,
                                 struct storage_error *error)
{
    const struct address *a = &session->db->address;
    PGconn *conn = start(a, host);
    if (conn == NULL)
        return pgsql_refuse(error, STORAGE_UNAVAILABLE, "out of memory");
    /* With the codes, in which a refusal says what it is. */
    PQsetErrorVerbosity(conn, PQERRORS_VERBOSE);
    PQsetNoticeReceiver(conn, ignore_notice, NULL);
    enum storage_status status = STORAGE_OK;
    PostgresPollingStatusType next = PGRES_POLLING_WRITING;
    while (PQstatus(conn) != CONNECTION_BAD && next != PGRES_POLLING_OK &&
           next != PGRES_POLLING_FAILED) {
        short events = next == PGRES_POLLING_READING ? POLLIN : POLLOUT;
        if (!socket_wait(PQsocket(conn), events, deadline)) {
            status = pgsql_refuse(error, STORAGE_UNAVAILABLE,
                                  "PostgreSQL: %.100s port %.10s did not answer in time",
                                  a->hosts[host][0] != '\0' ? a->hosts[host] : "the server",
                                  a->ports[host][0] != '\0' ? a->ports[host] : "5432");
            break;
        }
        next = PQconnectPoll(conn);
    }
    if (status == STORAGE_OK && next != PGRES_POLLING_OK)
        status = connect_status(session->db, conn, error);
    if (status == STORAGE_OK && (PQsetnonblocking(conn, 1) != 0 || PQenterPipelineMode(conn) != 1))
        status = pgsql_refuse(error, STORAGE_UNAVAILABLE, "PostgreSQL: no pipeline");
    if (status != STORAGE_OK) {
        PQfinish(conn);
        return status;
    }
    PQsetErrorVerbosity(conn, PQERRORS_DEFAULT);
    session->conn = conn;
    return STORAGE_OK;
}

/* Where all hosts complain, and none is just away, the administrator must act; else one of them may be
 * the right one, and be back soon. */
enum storage_status session_connect(struct storage_session *session, struct storage_error *error)
{
    const struct address *a = &session->db->address;
    int64_t deadline = steady_ms() + a->connect_timeout;
    enum storage_status all = STORAGE_OK;
    for (size_t i = 0; i < a->hosts_count; i++) {
        int64_t share = (deadline - steady_ms()) / (int64_t)(a->hosts_count - i);
        struct storage_error other;
        enum storage_status status = reach(session, i, steady_ms() + share, &other);
        if (status == STORAGE_OK)
            return STORAGE_OK;
        if (all == STORAGE_OK || status == STORAGE_UNAVAILABLE)
            all = status;
        if (i == 0 || status != STORAGE_UNAVAILABLE)
            *error = other;
    }
    return all;
}
