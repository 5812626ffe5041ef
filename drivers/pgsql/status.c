/* status.c: what PostgreSQL's and libpq's complaints mean to the caller. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "drivers/pgsql/pgsql.h"

enum storage_status pgsql_refuse(struct storage_error *error, enum storage_status status,
                                 const char *format, ...)
{
    va_list list;
    va_start(list, format);
    vsnprintf(error->text, sizeof(error->text), format, list);
    va_end(list);
    error->native = 0;
    return status;
}

void one_line(char *out, size_t size, const char *message)
{
    size_t used = 0;
    for (; *message != '\0' && used + 1 < size; message++) {
        bool space = (unsigned char)*message <= ' ';
        if (!space || (used > 0 && out[used - 1] != ' '))
            out[used++] = space ? ' ' : *message;
    }
    if (used > 0 && out[used - 1] == ' ')
        used--;
    out[used] = '\0';
}

/* Whole classes and single codes; the first that fits. */
static const struct {
    const char *code;
    enum storage_status status;
} meanings[] = {
    {"40001", STORAGE_BUSY},                               /* serialization failure */
    {"40P01", STORAGE_BUSY},                               /* deadlock */
    {"55P03", STORAGE_BUSY},                               /* lock not available */
    {"57014", STORAGE_BUSY},                               /* canceled: statement_timeout */
    {"23505", STORAGE_EXISTS},  {"42501", STORAGE_DENIED}, /* insufficient privilege */
    {"28", STORAGE_DENIED}, /* wrong password, no entry in pg_hba.conf */
    {"3D000", STORAGE_INVALID}, {"3F000", STORAGE_INVALID}, /* no schema to make tables in */
    {"22", STORAGE_INVALID},                                /* data that the server does not take */
    {"54", STORAGE_INVALID},                                /* too large for an index */
    {"42", STORAGE_SCHEMA},                                 /* no such table or column */
    {"23", STORAGE_SCHEMA},                                 /* a constraint that is not ours */
};

static enum storage_status meaning(const char *code)
{
    for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++) {
        if (strncmp(code, meanings[i].code, strlen(meanings[i].code)) == 0)
            return meanings[i].status;
    }
    return STORAGE_UNAVAILABLE; /* shutting down, too many connections, full disk, I/O: perhaps later */
}

bool pgsql_is_fatal(const PGresult *result)
{
    const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
    if (severity == NULL)
        severity = PQresultErrorField(result, PG_DIAG_SEVERITY);
    return severity != NULL && (strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0);
}

enum storage_status pgsql_status(struct storage_session *session, const PGresult *result,
                                 struct storage_error *error)
{
    char text[200];
    const char *code = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    session->taken = code != NULL && strcmp(code, "23505") == 0;
    /* 08: a pooler speaks, which has lost the server. */
    if (code == NULL || code[0] == '\0' || message == NULL || strncmp(code, "08", 2) == 0) {
        one_line(text, sizeof(text), message != NULL ? message : PQerrorMessage(session->conn));
        session->dead = true;
        return pgsql_refuse(error, session->committing ? STORAGE_UNCERTAIN : STORAGE_UNAVAILABLE,
                            "PostgreSQL: the connection was lost%s: %s",
                            session->committing ? " while a change was being committed" : "", text);
    }
    one_line(text, sizeof(text), message);
    pgsql_refuse(error, STORAGE_OK, "PostgreSQL: %s (%.5s)", text, code);
    if (pgsql_is_fatal(result))
        session->dead = true;
    enum storage_status status = meaning(code);
    if (strcmp(code, "25006") == 0) {
        bool standby = atomic_load(&session->db->wrote);
        status = standby ? STORAGE_UNAVAILABLE : STORAGE_DENIED;
        pgsql_refuse(error, status, "PostgreSQL: %s (25006): %s", text,
                     standby ? "this server took writes before and does so no more"
                             : "the database is read-only, or the server a standby");
    }
    if (status == STORAGE_UNAVAILABLE)
        session->dead = true;
    return session->dead && status == STORAGE_BUSY ? STORAGE_UNAVAILABLE : status;
}

/* The code in "FATAL:  28P01: password ..." (the connection is asked for verbose messages). */
static void find_code(const char *message, char code[6])
{
    const char *at = strstr(message, ":  ");
    code[0] = '\0';
    if (at == NULL || strlen(at) < 9 || at[8] != ':' ||
        strspn(at + 3, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") != 5)
        return;
    memcpy(code, at + 3, 5);
    code[5] = '\0';
}

/* Without a code: libpq itself complains, or a pooler, which has one code for everything. */
static const struct {
    const char *words;
    enum storage_status status;
} complaints[] = {
    {" value: \"", STORAGE_INVALID}, /* invalid ... value: "...", of a parameter */
    {"invalid integer value", STORAGE_INVALID},
    {"root certificate file", STORAGE_INVALID},
    {"could not read root certificate", STORAGE_INVALID},
    {"weak sslmode", STORAGE_INVALID},
    {"certificate verify failed", STORAGE_DENIED},
    {"does not match host name", STORAGE_DENIED},
    {"no password supplied", STORAGE_DENIED},
    {"authentication failed", STORAGE_DENIED},
    {"no such user", STORAGE_DENIED},
    {"no such database", STORAGE_INVALID},
    {"server does not support SSL", STORAGE_DENIED},
};

enum storage_status connect_status(const struct storage_db *db, const PGconn *conn,
                                   struct storage_error *error)
{
    char text[200];
    char code[6];
    const char *message = PQerrorMessage(conn);
    const char *where = strstr(message, "LOCATION:");
    find_code(message, code);
    one_line(text, sizeof(text), message);
    if (where != NULL && (size_t)(where - message) < sizeof(text)) {
        char *cut = strstr(text, "LOCATION:");
        if (cut != NULL)
            *cut = '\0';
    }
    bool own = code[0] == '\0' || strncmp(code, "08", 2) == 0;
    enum storage_status status = own ? STORAGE_UNAVAILABLE : meaning(code);
    for (size_t i = 0; own && i < sizeof(complaints) / sizeof(complaints[0]); i++) {
        if (strstr(message, complaints[i].words) != NULL) {
            status = complaints[i].status;
            break;
        }
    }
    if (status == STORAGE_BUSY || status == STORAGE_EXISTS || status == STORAGE_SCHEMA)
        status = STORAGE_UNAVAILABLE;
    pgsql_refuse(error, status, "PostgreSQL: %s", text);
    if (strcmp(code, "3D000") == 0 || strstr(message, "no such database") != NULL) {
        status = db->host->read_only ? STORAGE_UNAVAILABLE : STORAGE_INVALID;
        pgsql_refuse(error, status,
                     "PostgreSQL: there is no database \"%.60s\"; make it: createdb -E UTF8 -T "
                     "template0 -O USER %.60s",
                     db->address.database, db->address.database);
    }
    return status;
}
