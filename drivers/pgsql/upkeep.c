/* upkeep.c: the change token, the removal of what has expired, and the sums for the metrics. */
#include <string.h>

#include "drivers/pgsql/pgsql.h"

enum storage_status pgsql_revision(struct storage_session *session, uint64_t *revision,
                                   struct storage_error *error)
{
    int64_t value = 0;
    *revision = 0;
    enum storage_status status = session_begin(session, error);
    if (status != STORAGE_OK)
        return status;
    session_send(session, "SELECT value FROM mongrey WHERE name = 'revision'", NULL);
    status = session_trip(session, NO_COMMIT, error);
    if (status != STORAGE_OK)
        return status;
    if (!read_integer(session->results[0], 0, 0, &value) || value < 1)
        return pgsql_refuse(error, STORAGE_SCHEMA, "the store has no revision");
    *revision = (uint64_t)value;
    return STORAGE_OK;
}

/* What another host works on is left for the next time, so that nobody waits. A row that came to life
 * meanwhile is looked at again when its lock is had, and spared. */
static const char purge[] =
    "WITH e AS (DELETE FROM greylist_entry WHERE ctid = ANY(ARRAY(SELECT ctid FROM greylist_entry"
    " WHERE expires <= $1 ORDER BY expires NULLS FIRST LIMIT $2 FOR UPDATE SKIP LOCKED))"
    " RETURNING 1), c AS (DELETE FROM greylist_counter WHERE ctid = ANY(ARRAY(SELECT ctid FROM"
    " greylist_counter WHERE expires <= $1 ORDER BY expires NULLS FIRST LIMIT greatest($2 -"
    " (SELECT count(*) FROM e), 0) FOR UPDATE SKIP LOCKED)) RETURNING 1)"
    " SELECT (SELECT count(*) FROM e) + (SELECT count(*) FROM c)";

static enum storage_status run_purge(struct storage_session *session, struct params *p,
                                     size_t *removed, struct storage_error *error)
{
    int64_t count = 0;
    session_send_write(session);
    session_send(session, purge, p);
    enum storage_status status = session_commit(session, error);
    if (status != STORAGE_OK)
        return status;
    if (!read_integer(session->results[2], 0, 0, &count) || count < 0)
        return session_garbled(session, error);
    if (count > 0)
        atomic_store(&session->db->wrote, true);
    *removed = (size_t)count;
    return STORAGE_OK;
}

enum storage_status pgsql_purge(struct storage_session *session, int64_t now, size_t limit,
                                size_t *removed, struct storage_error *error)
{
    struct params p = {.count = 0};
    *removed = 0;
    if (session->db->host->read_only)
        return pgsql_refuse(error, STORAGE_DENIED, "the store is open for reading only");
    enum storage_status status = session_begin(session, error);
    if (status != STORAGE_OK || limit == 0)
        return status;
    params_integer(&p, now);
    params_integer(&p, limit > INT32_MAX ? INT32_MAX : (int64_t)limit);
    status = run_purge(session, &p, removed, error);
    params_free(&p);
    return status;
}

/* A sum of bigint is a numeric; one that goes beyond 64 bits stays at their end. */
#define SUM(what) ", least(coalesce(sum(" what "), 0), 9223372036854775807)::bigint"

static const char sums[] = "SELECT count(*)" SUM("passes")
    SUM("tries") ", count(*) FILTER (WHERE passes = 0 AND first_seen < $2)"
                 ", count(*) FILTER (WHERE waited > 0 AND passes > 0)" SUM(
                     "CASE WHEN passes > 0 THEN waited END") " FROM greylist_entry WHERE "
                                                             "first_seen >= $1";

enum storage_status pgsql_tally(struct storage_session *session, int64_t since,
                                int64_t abandoned_before, struct storage_tally *tally,
                                struct storage_error *error)
{
    struct params p = {.count = 0};
    int64_t *const parts[] = {&tally->entries,   &tally->accepted, &tally->rejected,
                              &tally->abandoned, &tally->passed,   &tally->waited};
    memset(tally, 0, sizeof(*tally));
    enum storage_status status = session_begin(session, error);
    if (status != STORAGE_OK)
        return status;
    params_integer(&p, since);
    params_integer(&p, abandoned_before);
    session_send_read(session);
    session_send(session, sums, &p);
    session_send(session, "COMMIT", NULL);
    status = session_trip(session, NO_COMMIT, error);
    for (int i = 0; status == STORAGE_OK && i < 6; i++) {
        if (!read_integer(session->results[2], 0, i, parts[i]))
            status = session_garbled(session, error);
    }
    params_free(&p);
    return status;
}
