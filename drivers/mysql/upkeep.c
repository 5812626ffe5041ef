/* upkeep.c: the change token, the removal of what has expired, and the sums for the metrics. */
#include <stdlib.h>
#include <string.h>

#include "drivers/mysql/mysql.h"

/* Rows that are removed in one step. */
#define STEP 1000

enum storage_status mysql_revision(struct storage_session *session, uint64_t *revision,
                                   struct storage_error *error)
{
    MYSQL_RES *result = NULL;
    session_enter(session);
    *revision = 0;
    sql_begin(&session->sql, "SELECT value FROM mongrey WHERE name = 'revision'");
    enum storage_status status = session_ask(session, 1, &result, error);
    if (status == STORAGE_OK) {
        MYSQL_ROW columns = mysql_fetch_row(result);
        if (columns == NULL || !read_unsigned(columns[0], revision) || *revision > INT64_MAX)
            status = mysql_refuse(error, STORAGE_SCHEMA, "the store has no revision");
    }
    mysql_free_result(result);
    return session_end(session, status, false, error);
}

/* Who is dead, and not just in another session's hands. Of an entry the first column is its id. */
static enum storage_status find_dead(struct storage_session *session, const char *select,
                                     int64_t now, size_t limit, MYSQL_RES **dead,
                                     struct storage_error *error)
{
    sql_begin(&session->sql, select);
    sql_number(&session->sql, now);
    sql_add(&session->sql, " ORDER BY expires LIMIT %zu FOR UPDATE SKIP LOCKED", limit);
    return session_ask(session, 2, dead, error);
}

/* Runs `begin` with the list of what stands in a column of the dead. */
static enum storage_status erase(struct storage_session *session, const char *begin,
                                 MYSQL_RES *dead, unsigned column, struct storage_error *error)
{
    MYSQL_ROW columns;
    struct storage_key key;
    struct sql *sql = &session->sql;
    size_t count = 0;
    sql_begin(sql, begin);
    mysql_data_seek(dead, 0);
    while ((columns = mysql_fetch_row(dead)) != NULL) {
        uint64_t id = 0;
        bool fine = column == 0 ? read_unsigned(columns[0], &id)
                                : read_key(columns[1], mysql_fetch_lengths(dead)[1], &key);
        if (!fine)
            return mysql_refuse(error, STORAGE_SCHEMA,
                                "a row of the store holds what this driver never wrote");
        sql_put(sql, count++ == 0 ? "(" : ",");
        if (column == 0)
            sql_add(sql, "%llu", (unsigned long long)id);
        else
            sql_key(sql, key.bytes);
    }
    sql_put(sql, ")");
    return session_run(session, error);
}

static enum storage_status purge_entries(struct storage_session *session, int64_t now, size_t limit,
                                         size_t *removed, struct storage_error *error)
{
    MYSQL_RES *dead = NULL;
    enum storage_status status = find_dead(
        session,
        "SELECT id, key_ FROM greylist_entry FORCE INDEX (by_expires) WHERE expires <= ", now,
        limit, &dead, error);
    *removed = status == STORAGE_OK ? (size_t)mysql_num_rows(dead) : 0;
    if (*removed > 0)
        status = erase(session, "DELETE FROM greylist_merge WHERE key_ IN ", dead, 1, error);
    if (status == STORAGE_OK && *removed > 0)
        status = erase(session, "DELETE FROM greylist_entry WHERE id IN ", dead, 0, error);
    mysql_free_result(dead);
    return status;
}

static enum storage_status purge_counters(struct storage_session *session, int64_t now,
                                          size_t limit, size_t *removed,
                                          struct storage_error *error)
{
    MYSQL_RES *dead = NULL;
    enum storage_status status = find_dead(
        session,
        "SELECT 0, key_ FROM greylist_counter FORCE INDEX (by_expires) WHERE expires <= ", now,
        limit, &dead, error);
    *removed = status == STORAGE_OK ? (size_t)mysql_num_rows(dead) : 0;
    if (*removed > 0)
        status = erase(session, "DELETE FROM greylist_counter WHERE key_ IN ", dead, 1, error);
    mysql_free_result(dead);
    return status;
}

/* A step is a transaction of its own, so that nobody waits long for what is being removed. False: that was
 * all, or it failed. */
static bool purge_step(struct storage_session *session, int64_t now, size_t limit, bool entries,
                       size_t *removed, enum storage_status *status, struct storage_error *error)
{
    size_t some = 0;
    size_t step = limit - *removed < STEP ? limit - *removed : STEP;
    /* Half of the time is for the step that is under way when it is over. */
    if (step == 0 ||
        (*removed > 0 && clock_now() + session->db->host->call_timeout / 2 > session->deadline))
        return false;
    *status = entries ? purge_entries(session, now, step, &some, error)
                      : purge_counters(session, now, step, &some, error);
    *status = session_end(session, *status, some > 0, error);
    if (*status == STORAGE_OK)
        *removed += some;
    return *status == STORAGE_OK && some == step;
}

enum storage_status mysql_purge(struct storage_session *session, int64_t now, size_t limit,
                                size_t *removed, struct storage_error *error)
{
    enum storage_status status = STORAGE_OK;
    *removed = 0;
    if (session->db->host->read_only)
        return mysql_refuse(error, STORAGE_DENIED, "the store is open for reading only");
    session_enter(session);
    while (purge_step(session, now, limit, true, removed, &status, error))
        ;
    while (status == STORAGE_OK && purge_step(session, now, limit, false, removed, &status, error))
        ;
    /* What other steps have removed is gone, whatever became of the last one. */
    if (status == STORAGE_BUSY && *removed > 0)
        status = STORAGE_OK;
    return status;
}

enum storage_status mysql_tally(struct storage_session *session, int64_t since,
                                int64_t abandoned_before, struct storage_tally *tally,
                                struct storage_error *error)
{
    MYSQL_RES *result = NULL;
    struct sql *sql = &session->sql;
    int64_t *const sums[] = {&tally->entries,   &tally->accepted, &tally->rejected,
                             &tally->abandoned, &tally->passed,   &tally->waited};
    memset(tally, 0, sizeof(*tally));
    session_enter(session);
    session_select(session);
    sql_put(sql, " COUNT(*), COALESCE(SUM(passes), 0), COALESCE(SUM(tries), 0),"
                 " COALESCE(SUM(passes = 0 AND first_seen < ");
    sql_number(sql, abandoned_before);
    sql_put(sql, "), 0), COALESCE(SUM(waited > 0 AND passes > 0), 0),"
                 " COALESCE(SUM(IF(passes > 0, waited, 0)), 0)"
                 " FROM greylist_entry WHERE first_seen >= ");
    sql_number(sql, since);
    enum storage_status status = session_ask(session, 6, &result, error);
    if (status == STORAGE_OK) {
        MYSQL_ROW columns = mysql_fetch_row(result);
        for (size_t i = 0; i < 6; i++) {
            if (columns == NULL || !read_integer(columns[i], sums[i]))
                status = mysql_refuse(error, STORAGE_SCHEMA, "the sums are no numbers");
        }
    }
    mysql_free_result(result);
    return session_end(session, status, false, error);
}
