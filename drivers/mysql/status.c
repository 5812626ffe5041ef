/* status.c: what the codes of the server and of the client library mean to the caller. */
#include <errmsg.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "drivers/mysql/mysql.h"

enum storage_status mysql_refuse(struct storage_error *error, enum storage_status status,
                                 const char *format, ...)
{
    va_list list;
    va_start(list, format);
    vsnprintf(error->text, sizeof(error->text), format, list);
    va_end(list);
    error->native = 0;
    return status;
}

struct meaning {
    int code;
    enum storage_status status;
    const char *advice; /* NULL: the server's own words will do */
};

/* MySQL's numbers from 3000 on and MariaDB's from 1900 on mean nothing in the other. */
static const struct meaning meanings[] = {
    {CODE_DEADLOCK, STORAGE_BUSY, NULL}, /* deadlock; in Galera also a lost certification */
    {1205, STORAGE_BUSY, NULL},          /* lock wait */
    {CODE_CHANGED, STORAGE_BUSY, NULL},  /* a row changed since it was read */
    {1317, STORAGE_BUSY, NULL},          /* an administrator stopped the statement */
    {1969, STORAGE_BUSY, "the statement took too long"},
    {3024, STORAGE_BUSY, "the statement took too long"},
    {3101, STORAGE_BUSY, NULL}, /* group replication rolled it back */
    {3572, STORAGE_BUSY, NULL},
    {CODE_DUPLICATE, STORAGE_EXISTS, NULL},
    {1586, STORAGE_EXISTS, NULL},
    {1044, STORAGE_DENIED, "grant the user all rights on this database"},
    {1045, STORAGE_DENIED, "wrong user or password"},
    {1130, STORAGE_DENIED, "the server lets nobody in from this host"},
    {1142, STORAGE_DENIED, "grant the user all rights on this database"},
    {1143, STORAGE_DENIED, NULL},
    {1227, STORAGE_DENIED, NULL},
    {1251, STORAGE_DENIED, NULL},
    {1370, STORAGE_DENIED, NULL},
    {1698, STORAGE_DENIED, "wrong user or password"},
    {1820, STORAGE_DENIED, NULL}, /* the password has expired */
    {1862, STORAGE_DENIED, NULL},
    {4151, STORAGE_DENIED, NULL}, /* the account is locked */
    {3118, STORAGE_DENIED, NULL},
    {CR_AUTH_PLUGIN_CANNOT_LOAD, STORAGE_DENIED,
     "the client library lacks the user's kind of login"},
    {CR_AUTH_PLUGIN_ERR, STORAGE_DENIED, NULL},
    {1290, STORAGE_DENIED, "the server is read only"},
    {1792, STORAGE_DENIED, "the server is read only"},
    {1836, STORAGE_DENIED, "the server is read only"},
    {1665, STORAGE_DENIED, "set the server's binlog_format to ROW or MIXED"},
    {1153, STORAGE_INVALID, "raise the server's max_allowed_packet"},
    {1264, STORAGE_INVALID, NULL},
    {1366, STORAGE_INVALID, NULL},
    {1406, STORAGE_INVALID, NULL},
    {1064, STORAGE_INVALID, NULL},
    {1115, STORAGE_INVALID, NULL}, /* no utf8mb4 */
    {1193, STORAGE_INVALID, "MariaDB 10.6 or MySQL 8 is needed"},
    {CODE_NO_COLUMN, STORAGE_SCHEMA, NULL},
    {1021, STORAGE_UNAVAILABLE, "the server's disk is full"},
    {1114, STORAGE_UNAVAILABLE, "the server's disk is full"},
    {1040, STORAGE_UNAVAILABLE, "raise the server's max_connections"},
    {1047, STORAGE_UNAVAILABLE, "the node does not belong to its cluster now"},
    {1053, STORAGE_UNAVAILABLE, "the server is shutting down"},
};

bool status_is_read_only(int code)
{
    return code == 1290 || code == 1792 || code == 1836;
}

static const struct meaning *find_meaning(int code)
{
    for (size_t i = 0; i < sizeof(meanings) / sizeof(*meanings); i++) {
        if (meanings[i].code == code)
            return &meanings[i];
    }
    return NULL;
}

/* What the server says goes into one line of a log. */
static void say(struct storage_session *session, const char *advice, struct storage_error *error)
{
    const char *message = mysql_error(session->mysql);
    error->native = (int)mysql_errno(session->mysql);
    if (advice != NULL)
        snprintf(error->text, sizeof(error->text), "MySQL: %.130s (%d); %s", message, error->native,
                 advice);
    else
        snprintf(error->text, sizeof(error->text), "MySQL: %.220s (%d)", message, error->native);
    for (char *c = error->text; *c != '\0'; c++) {
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = ' ';
    }
}

/* TLS has one code for what the administrator must mend and for a connection that broke. */
static bool is_distrust(const struct storage_session *session)
{
    const char *message = mysql_error(session->mysql);
    return mysql_errno(session->mysql) == CR_SSL_CONNECTION_ERROR &&
           (strstr(message, "certificate") != NULL || strstr(message, "required") != NULL ||
            strstr(message, "No such file") != NULL);
}

enum storage_status status_of(struct storage_session *session, struct storage_error *error)
{
    int code = (int)mysql_errno(session->mysql);
    const struct meaning *meaning = find_meaning(code);
    char advice[100];
    if (code == 1049) {
        snprintf(advice, sizeof(advice), "make it: CREATE DATABASE `%.64s`", session->db->name);
        say(session, advice, error);
        return session->db->host->read_only ? STORAGE_UNAVAILABLE : STORAGE_INVALID;
    }
    say(session, meaning != NULL ? meaning->advice : NULL, error);
    if (is_distrust(session))
        return STORAGE_DENIED;
    enum storage_status status = meaning != NULL ? meaning->status : STORAGE_UNAVAILABLE;
    /* A server that took writes before has been made a replica: another is the one to write to. */
    if (session->settled && status_is_read_only(code))
        status = STORAGE_UNAVAILABLE;
    if (status == STORAGE_UNAVAILABLE)
        session->dead = true;
    return status;
}

enum storage_status status_of_commit(struct storage_session *session, struct storage_error *error)
{
    int code = (int)mysql_errno(session->mysql);
    say(session, NULL, error);
    if (code == CODE_DEADLOCK || code == 1205 || code == CODE_CHANGED || code == 3101)
        return STORAGE_BUSY;
    session->dead = true;
    /* These refuse the statement before it is begun. */
    if (code == 1047 || status_is_read_only(code))
        return STORAGE_UNAVAILABLE;
    return STORAGE_UNCERTAIN;
}
