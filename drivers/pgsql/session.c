/* session.c: trips to the server. libpq is in pipeline mode and never blocks: each wait has the call's
 * deadline, and a server that does not answer by then costs the connection. */
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "drivers/pgsql/pgsql.h"

void session_clear(struct storage_session *session)
{
    for (int i = 0; i < session->steps; i++) {
        PQclear(session->results[i]);
        session->results[i] = NULL;
    }
    session->steps = 0;
    session->unsent = false;
}

void session_close(struct storage_session *session)
{
    session_clear(session);
    PQfinish(session->conn);
    session->conn = NULL;
}

enum storage_status session_begin(struct storage_session *session, struct storage_error *error)
{
    const struct storage_host *host = session->db->host;
    session_clear(session);
    session->deadline = steady_ms() + host->connect_timeout + host->call_timeout;
    session->committing = false;
    session->taken = false;
    if (session->dead)
        return pgsql_refuse(error, STORAGE_UNAVAILABLE, "PostgreSQL: this connection was given up");
    return STORAGE_OK;
}

void session_send(struct storage_session *session, const char *sql, struct params *p)
{
    const char *values[PARAMETERS_MAX];
    int lengths[PARAMETERS_MAX];
    int formats[PARAMETERS_MAX];
    int count = p != NULL ? p->count : 0;
    if (session->unsent || session->steps >= STEPS_MAX || (p != NULL && p->failed)) {
        session->unsent = true;
        return;
    }
    for (int i = 0; i < count; i++) {
        values[i] = p->nulls[i] ? NULL : p->data + p->begins[i];
        lengths[i] = (int)(p->ends[i] - p->begins[i]);
        formats[i] = 1;
    }
    if (PQsendQueryParams(session->conn, sql, count, p != NULL ? p->types : NULL, values, lengths,
                          formats, 1) == 1)
        session->results[session->steps++] = NULL;
    else
        session->unsent = true;
}

void session_send_write(struct storage_session *session)
{
    session_send(session, "BEGIN ISOLATION LEVEL READ COMMITTED", NULL);
    session_send(session, session->db->limit, NULL);
}

void session_send_read(struct storage_session *session)
{
    session_send(session, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", NULL);
    session_send(session, session->db->limit, NULL);
}

static enum storage_status lost(struct storage_session *session, const char *why,
                                struct storage_error *error)
{
    char text[200];
    session->dead = true;
    one_line(text, sizeof(text), why);
    return pgsql_refuse(error, session->committing ? STORAGE_UNCERTAIN : STORAGE_UNAVAILABLE,
                        "PostgreSQL: the connection was lost%s: %s",
                        session->committing ? " while a change was being committed" : "", text);
}

/* Sends what waits and waits for the next answer, both at once: neither side may wait for the other
 * to read. NULL: it is here. */
static const char *next_answer(struct storage_session *session)
{
    while (PQisBusy(session->conn) != 0) {
        int flush = PQflush(session->conn);
        /* What the server said before it went is still to be read. */
        short events = flush > 0 ? POLLIN | POLLOUT : POLLIN;
        if (!socket_wait(PQsocket(session->conn), events, session->deadline))
            return "no answer in time";
        if (PQconsumeInput(session->conn) == 0)
            return PQerrorMessage(session->conn);
    }
    return NULL;
}

/* Takes all answers of a trip, up to the one that says that the server is ready again. */
static const char *take_answers(struct storage_session *session)
{
    int step = 0;
    for (int empty = 0; empty < 3;) {
        const char *why = next_answer(session);
        PGresult *result = why == NULL ? PQgetResult(session->conn) : NULL;
        if (why != NULL)
            return why;
        if (result == NULL) {
            bool answered = step < session->steps && session->results[step] != NULL;
            step += answered;
            empty = answered ? 0 : empty + 1;
        } else if (PQresultStatus(result) == PGRES_PIPELINE_SYNC) {
            PQclear(result);
            return NULL;
        } else if (step < session->steps && session->results[step] == NULL) {
            session->results[step] = result;
        } else {
            PQclear(result);
        }
        if (PQstatus(session->conn) == CONNECTION_BAD)
            return PQerrorMessage(session->conn);
    }
    return PQerrorMessage(session->conn);
}

static bool went(const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result); /* of NULL: PGRES_FATAL_ERROR */
    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}

static enum storage_status judge(struct storage_session *session, int commit, const char *why,
                                 struct storage_error *error)
{
    for (int i = 0; i < session->steps; i++) {
        const PGresult *result = session->results[i];
        if (went(result))
            continue;
        if (result == NULL)
            return lost(session, why != NULL ? why : "an answer is missing", error);
        enum storage_status status = pgsql_status(session, result, error);
        /* A server that ended the session in the midst of its commit may have committed. */
        if (i == commit && pgsql_is_fatal(result))
            return pgsql_refuse(error, STORAGE_UNCERTAIN,
                                "PostgreSQL: the connection was lost while a change was being "
                                "committed");
        return status;
    }
    if (commit >= 0 && strcmp(PQcmdStatus(session->results[commit]), "COMMIT") != 0)
        return pgsql_refuse(error, STORAGE_UNAVAILABLE, "PostgreSQL: it did not commit");
    /* The answer to the commit came, whatever became of the connection then. */
    if (why != NULL && commit < 0)
        return lost(session, why, error);
    if (why != NULL)
        session->dead = true;
    return STORAGE_OK;
}

/* The answers of the trip before stay for who wants to know more of what went wrong. */
void session_rollback(struct storage_session *session)
{
    session->committing = false;
    if (session->dead)
        return;
    if (PQsendQueryParams(session->conn, "ROLLBACK", 0, NULL, NULL, NULL, NULL, 1) != 1 ||
        PQpipelineSync(session->conn) != 1 || take_answers(session) != NULL ||
        PQtransactionStatus(session->conn) != PQTRANS_IDLE)
        session->dead = true;
}

enum storage_status session_trip(struct storage_session *session, int commit,
                                 struct storage_error *error)
{
    if (session->unsent || PQpipelineSync(session->conn) != 1)
        return lost(session, "it could not be sent", error);
    const char *why = take_answers(session);
    enum storage_status status = judge(session, commit, why, error);
    session->committing = false;
    if (status != STORAGE_OK && PQtransactionStatus(session->conn) != PQTRANS_IDLE)
        session_rollback(session);
    if (status == STORAGE_BUSY && session->dead)
        return pgsql_refuse(error, STORAGE_UNAVAILABLE,
                            "PostgreSQL: the connection was lost after a refusal");
    return status;
}

enum storage_status session_commit(struct storage_session *session, struct storage_error *error)
{
    /* What was not sent whole has no commit behind it. */
    session->committing = !session->unsent;
    session_send(session, "COMMIT", NULL);
    return session_trip(session, session->steps - 1, error);
}

enum storage_status session_garbled(struct storage_session *session, struct storage_error *error)
{
    session_rollback(session);
    session->dead = true;
    return pgsql_refuse(error, STORAGE_UNAVAILABLE,
                        "PostgreSQL: an answer is not what was asked for");
}
