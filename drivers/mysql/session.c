/* session.c: a connection, what every statement on it goes through, and the ends of transactions. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>

#include "drivers/mysql/mysql.h"

/* A statement of many rows is sent when it has grown to this. */
#define STATEMENT_MOST ((size_t)1 << 20)

int64_t clock_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void session_enter(struct storage_session *session)
{
    session->deadline = clock_now() + session->db->host->call_timeout;
}

bool session_is_full(const struct storage_session *session)
{
    size_t most = session->packet / 2 < STATEMENT_MOST ? session->packet / 2 : STATEMENT_MOST;
    return session->sql.size >= most;
}

void session_close(struct storage_session *session)
{
    mysql_close(session->mysql);
    session->mysql = NULL;
}

static void set_flag(MYSQL *mysql, enum mysql_option option, bool value)
{
    my_bool flag = (my_bool)value;
    mysql_optionsv(mysql, option, &flag);
}

/* Connector/C 3.4 verifies the whole certificate or nothing; before, a CA alone had the chain verified. */
static bool verifies_names(const struct storage_db *db)
{
    size_t version = 0;
    mariadb_get_infov(NULL, MARIADB_CLIENT_VERSION_ID, &version);
    return db->tls == TLS_VERIFY_FULL || (db->tls == TLS_VERIFY_CA && version >= 30400);
}

static void set_options(MYSQL *mysql, const struct storage_db *db)
{
    /* Whole seconds. Between the parts of one answer as long as for connecting: together with the wait
     * for its beginning this keeps to the two time limits. */
    unsigned seconds = (db->host->connect_timeout + 999) / 1000;
    unsigned pause = db->host->connect_timeout >= 1000 ? db->host->connect_timeout / 1000 : 1;
    unsigned protocol = db->socket != NULL ? MYSQL_PROTOCOL_SOCKET : MYSQL_PROTOCOL_TCP;
    seconds = seconds > 0 ? seconds : 1;
    mysql_optionsv(mysql, MYSQL_OPT_CONNECT_TIMEOUT, &seconds);
    mysql_optionsv(mysql, MYSQL_OPT_READ_TIMEOUT, &pause);
    mysql_optionsv(mysql, MYSQL_OPT_WRITE_TIMEOUT, &pause);
    mysql_optionsv(mysql, MYSQL_OPT_PROTOCOL, &protocol);
    mysql_optionsv(mysql, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    set_flag(mysql, MYSQL_OPT_RECONNECT, false);
    /* Else a server may ask for any file that we can read. */
    unsigned infile = 0;
    mysql_optionsv(mysql, MYSQL_OPT_LOCAL_INFILE, &infile);
    /* And one in the way of the true one must not be told the password as it is. */
    mysql_optionsv(mysql, MARIADB_OPT_RESTRICTED_AUTH,
                   "mysql_native_password,client_ed25519,caching_sha2_password,"
                   "sha256_password,auth_gssapi_client,parsec");
    /* This option makes the library ask for TLS, not insist on it: session_connect() does. On a socket
     * there is nobody to overhear. */
    bool asks = db->tls >= TLS_REQUIRED || (db->tls == TLS_PREFERRED && db->socket == NULL);
    if (asks)
        mysql_ssl_set(mysql, db->key, db->certificate, db->ca, NULL, NULL);
    set_flag(mysql, MYSQL_OPT_SSL_ENFORCE, asks);
    set_flag(mysql, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, verifies_names(db));
}

/* All that a session needs, in one round trip. Each server reads what is commented for it. */
static enum storage_status settle(struct storage_session *session, struct storage_error *error)
{
    uint32_t wait = session->db->host->call_timeout / 2000;
    wait = wait > 0 ? wait : 1;
    sql_begin(&session->sql, "SET NAMES utf8mb4, autocommit = 0, sql_mode = 'STRICT_ALL_TABLES',"
                             " wait_timeout = 28800,");
    sql_add(&session->sql, " innodb_lock_wait_timeout = %u, lock_wait_timeout = %u,",
            (unsigned)wait, (unsigned)wait);
    sql_put(&session->sql, " /*M!100000 in_predicate_conversion_threshold = 0, tx_isolation */"
                           " /*!80000 transaction_isolation */ = 'READ-COMMITTED'");
    return session_run(session, error);
}

enum storage_status session_connect(struct storage_session *session, const struct server *server,
                                    struct storage_error *error)
{
    const struct storage_db *db = session->db;
    session->dead = false;
    session->settled = false;
    session->packet = 1 << 20;
    session->mysql = mysql_init(NULL);
    if (session->mysql == NULL)
        return mysql_refuse(error, STORAGE_UNAVAILABLE, "out of memory");
    set_options(session->mysql, db);
    if (mysql_real_connect(session->mysql, db->socket == NULL ? server->host : NULL, db->user,
                           db->password, db->name, server->port, db->socket, 0) == NULL)
        return status_of(session, error);
    if (db->tls >= TLS_REQUIRED && mysql_get_ssl_cipher(session->mysql) == NULL)
        return mysql_refuse(error, STORAGE_DENIED, "the server speaks no TLS, which is required");
    return settle(session, error);
}

/* Nothing of an answer has been read before its beginning, so that the socket itself tells. */
static bool wait_for_answer(const struct storage_session *session)
{
    struct pollfd fd = {.fd = mysql_get_socket(session->mysql), .events = POLLIN};
    for (;;) {
        int64_t left = session->deadline - clock_now();
        int ready = poll(&fd, 1, left <= 0 ? 0 : left > 3600000 ? 3600000 : (int)left);
        if (ready > 0 || (ready < 0 && errno != EINTR))
            return true;
        if (session->deadline <= clock_now())
            return false;
    }
}

static enum storage_status send_text(struct storage_session *session, const char *text, size_t size,
                                     struct storage_error *error)
{
    if (session->dead)
        return mysql_refuse(error, STORAGE_UNAVAILABLE, "the connection is lost");
    if (size + 64 > session->packet)
        return mysql_refuse(error, STORAGE_INVALID,
                            "a statement of %zu bytes is more than the server takes; raise its "
                            "max_allowed_packet",
                            size);
    if (mysql_send_query(session->mysql, text, (unsigned long)size) != 0)
        return status_of(session, error);
    if (!wait_for_answer(session)) {
        session->dead = true;
        return mysql_refuse(error, STORAGE_UNAVAILABLE, "the server did not answer in time");
    }
    return mysql_read_query_result(session->mysql) != 0 ? status_of(session, error) : STORAGE_OK;
}

void session_select(struct storage_session *session)
{
    uint32_t limit = session->db->host->call_timeout;
    limit -= limit / 10; /* the answer must be here when the time is over */
    limit = limit > 0 ? limit : 1;
    sql_begin(&session->sql, "");
    sql_add(&session->sql,
            "/*M!100100 SET STATEMENT max_statement_time=%u.%03u FOR */"
            " SELECT /*+ MAX_EXECUTION_TIME(%u) */",
            limit / 1000, limit % 1000, limit);
}

static enum storage_status no_memory(struct storage_error *error)
{
    return mysql_refuse(error, STORAGE_BUSY, "out of memory");
}

enum storage_status session_command(struct storage_session *session, const char *text,
                                    struct storage_error *error)
{
    enum storage_status status = send_text(session, text, strlen(text), error);
    if (status == STORAGE_OK && mysql_field_count(session->mysql) > 0)
        mysql_free_result(mysql_store_result(session->mysql));
    return status;
}

enum storage_status session_run(struct storage_session *session, struct storage_error *error)
{
    if (session->sql.failed)
        return no_memory(error);
    return send_text(session, session->sql.data, session->sql.size, error);
}

enum storage_status session_ask(struct storage_session *session, unsigned columns,
                                MYSQL_RES **result, struct storage_error *error)
{
    *result = NULL;
    if (session->sql.failed)
        return no_memory(error);
    enum storage_status status = send_text(session, session->sql.data, session->sql.size, error);
    if (status != STORAGE_OK)
        return status;
    *result = mysql_store_result(session->mysql);
    if (*result == NULL && mysql_errno(session->mysql) != 0)
        return status_of(session, error);
    if (*result == NULL || mysql_num_fields(*result) != columns) {
        mysql_free_result(*result);
        *result = NULL;
        return mysql_refuse(error, STORAGE_SCHEMA,
                            "the server gave other columns than it was asked");
    }
    return STORAGE_OK;
}

static enum storage_status commit(struct storage_session *session, struct storage_error *error)
{
    if (session->dead || clock_now() >= session->deadline) {
        session->dead = true; /* what was not committed is rolled back with the connection */
        return mysql_refuse(error, STORAGE_UNAVAILABLE, "the server did not answer in time");
    }
    if (mysql_send_query(session->mysql, "COMMIT", 6) != 0)
        return status_of_commit(session, error);
    if (!wait_for_answer(session)) {
        session->dead = true;
        return mysql_refuse(error, STORAGE_UNCERTAIN,
                            "the server did not say in time whether it "
                            "committed");
    }
    return mysql_read_query_result(session->mysql) != 0 ? status_of_commit(session, error)
                                                        : STORAGE_OK;
}

enum storage_status session_end(struct storage_session *session, enum storage_status status,
                                bool wrote, struct storage_error *error)
{
    if (status == STORAGE_OK && wrote)
        status = commit(session, error);
    else if (status == STORAGE_OK)
        (void)session_command(session, "ROLLBACK", &session->scratch);
    /* After UNCERTAIN the session is dead. A rollback that fails kills it, with the same effect. */
    if (status != STORAGE_OK && !session->dead)
        (void)session_command(session, "ROLLBACK", &session->scratch);
    return status;
}
