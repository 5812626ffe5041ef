/*
 * observe.c: a batch of sightings is one transaction of two trips, or three where counters move:
 *
 *   BEGIN, the entries' rows locked, alternates and exemptions read
 *   the counters that are to move locked (with the first trip, where there are no entries)
 *   what became of them written, COMMIT
 *
 * Between the trips the transitions are worked out in C, beside their words in storage.h. What is
 * absent cannot be locked: who inserts it meanwhile makes our insert fail, and all is done anew.
 */
#include <stdlib.h>
#include <string.h>

#include "drivers/pgsql/batch.h"

#define TRIES 4 /* at a batch whose absent keys another one inserts */

int64_t slide(int64_t expires, int64_t now, int64_t keep)
{
    return expires >= now + keep ? expires : now + keep + keep / 64;
}

uint32_t sum(uint32_t a, uint32_t b)
{
    return b > UINT32_MAX - a ? UINT32_MAX : a + b;
}

static bool in_range(int64_t duration)
{
    return duration >= 0 && duration <= STORAGE_DURATION_MAX;
}

static const char *fault(const struct storage_sighting *s)
{
    if (s->op < STORAGE_GREY || s->op > STORAGE_TAKE)
        return "a sighting of an unknown kind";
    if (s->alternates_count > STORAGE_ALTERNATES || s->exemptions_count > STORAGE_EXEMPTIONS)
        return "too many alternates or exemptions";
    if (!in_range(s->delay) || !in_range(s->window) || !in_range(s->keep) || !in_range(s->min_gap))
        return "a duration out of range";
    for (uint8_t i = 0; i < s->exemptions_count; i++) {
        if (!in_range(s->exemption[i].keep))
            return "an exemption's duration out of range";
    }
    if ((s->op == STORAGE_MERGE) != (s->merge != NULL))
        return "a merge without what to merge";
    if (s->merge != NULL && s->merge->position > INT64_MAX)
        return "a merge's position out of range";
    if (s->look && s->op != STORAGE_GREY && s->op != STORAGE_TOUCH && s->op != STORAGE_LEARN)
        return "a look at something else than an entry";
    if (s->count == 0 && s->op != STORAGE_COUNT)
        return "a sighting of nothing";
    if (s->on_pass_count > STORAGE_ON_PASS)
        return "too much on_pass";
    for (uint8_t i = 0; i < s->on_pass_count; i++) {
        if ((s->on_pass[i].op != STORAGE_COUNT && s->on_pass[i].op != STORAGE_PAIR) ||
            s->on_pass[i].on_pass_count > 0 || fault(&s->on_pass[i]) != NULL)
            return "on_pass holds something else than COUNT and PAIR";
    }
    return NULL;
}

/* Distinct and sorted, entries among entries and counters among counters. */
static const char *batch_fault(const struct storage_sighting *sightings, size_t count)
{
    const struct storage_key *last[2] = {NULL, NULL};
    if (count == 0 || count > STORAGE_BATCH_MAX)
        return "a batch of none or too many";
    for (size_t i = 0; i < count; i++) {
        const char *wrong = fault(&sightings[i]);
        const struct storage_key **before = &last[is_counter(&sightings[i])];
        if (wrong != NULL)
            return wrong;
        if (sightings[i].look != sightings[0].look)
            return "looks beside other sightings";
        if (*before != NULL && memcmp(*before, &sightings[i].key, STORAGE_KEY_SIZE) >= 0)
            return "keys that are not sorted or stand twice";
        *before = &sightings[i].key;
    }
    return NULL;
}

static bool only_looks(const struct storage_sighting *sightings, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        bool reads =
            sightings[i].look || (sightings[i].op == STORAGE_COUNT && sightings[i].count == 0);
        if (!reads)
            return false;
    }
    return true;
}

/* The numbers of the first trip's steps: after BEGIN and its time limit. */
struct asked {
    int entries;
    int others;
    int peeked;
    int locked;
};

static enum storage_status first_trip(struct batch *b, struct asked *asked,
                                      struct storage_error *error)
{
    struct storage_session *session = b->session;
    *asked = (struct asked){-1, -1, -1, -1};
    if (b->reads)
        session_send_read(session);
    else
        session_send_write(session);
    if (b->has_entries) {
        asked->entries = session->steps;
        rows_ask_entries(b);
    }
    if (b->others_count > 0) {
        asked->others = session->steps;
        rows_ask_others(b);
    }
    if (b->peeked.count > 0) {
        asked->peeked = session->steps;
        rows_ask_counters(b, &b->peeked, false);
    }
    if (b->has_counters && (b->reads || !b->has_entries)) {
        if (!gather_locked(b))
            session->unsent = true;
        asked->locked = session->steps;
        rows_ask_counters(b, &b->locked, !b->reads);
    }
    if (b->reads)
        session_send(session, "COMMIT", NULL);
    return session_trip(session, NO_COMMIT, error);
}

static bool read_answers(struct batch *b, const struct asked *asked)
{
    PGresult *const *results = b->session->results;
    return (asked->entries < 0 || rows_read_entries(b, results[asked->entries])) &&
           (asked->others < 0 || rows_read_others(b, results[asked->others])) &&
           (asked->peeked < 0 || rows_read_counters(b, &b->peeked, results[asked->peeked])) &&
           (asked->locked < 0 || rows_read_counters(b, &b->locked, results[asked->locked]));
}

static enum storage_status lock_counters(struct batch *b, struct storage_error *error)
{
    if (!gather_locked(b))
        b->session->unsent = true;
    if (b->locked.count == 0 && !b->session->unsent)
        return STORAGE_OK;
    rows_ask_counters(b, &b->locked, true);
    enum storage_status status = session_trip(b->session, NO_COMMIT, error);
    if (status != STORAGE_OK)
        return status;
    if (!rows_read_counters(b, &b->locked, b->session->results[0]))
        return session_garbled(b->session, error);
    session_clear(b->session);
    return STORAGE_OK;
}

static enum storage_status write_and_commit(struct batch *b, struct storage_error *error)
{
    if (rows_write(b)) {
        enum storage_status status = session_commit(b->session, error);
        if (status == STORAGE_OK)
            atomic_store(&b->session->db->wrote, true);
        return status;
    }
    session_send(b->session, "COMMIT", NULL);
    return session_trip(b->session, NO_COMMIT, error);
}

static enum storage_status run_batch(struct batch *b, struct storage_error *error)
{
    struct asked asked;
    memset(b->rows, 0, b->count * sizeof(*b->rows));
    if (!gather_read(b))
        return pgsql_refuse(error, STORAGE_BUSY, "out of memory");
    enum storage_status status = first_trip(b, &asked, error);
    if (status != STORAGE_OK)
        return status;
    if (!read_answers(b, &asked))
        return session_garbled(b->session, error);
    session_clear(b->session);
    entries_step(b);
    if (!b->reads && b->has_entries)
        status = lock_counters(b, error);
    if (status != STORAGE_OK)
        return status;
    counters_step(b);
    return b->reads ? STORAGE_OK : write_and_commit(b, error);
}

static void batch_free(struct batch *b)
{
    free(b->entries);
    free(b->others);
    free(b->peeked.list);
    free(b->locked.list);
    params_free(&b->params);
}

enum storage_status pgsql_observe(struct storage_session *session,
                                  const struct storage_sighting *sightings, size_t count,
                                  struct storage_row *rows, struct storage_error *error)
{
    const char *wrong = batch_fault(sightings, count);
    if (wrong != NULL)
        return pgsql_refuse(error, STORAGE_INVALID, "%s", wrong);
    bool reads = only_looks(sightings, count);
    if (!reads && session->db->host->read_only)
        return pgsql_refuse(error, STORAGE_DENIED, "the store is open for reading only");
    enum storage_status status = session_begin(session, error);
    for (int tries = 0; status == STORAGE_OK && tries < TRIES; tries++) {
        struct batch b = {.session = session,
                          .sightings = sightings,
                          .count = count,
                          .rows = rows,
                          .reads = reads};
        session_clear(session);
        status = run_batch(&b, error);
        batch_free(&b);
        if (status != STORAGE_EXISTS || session->dead)
            return status;
        status = STORAGE_OK;
    }
    if (status != STORAGE_OK)
        return status;
    return pgsql_refuse(error, STORAGE_BUSY, "PostgreSQL: others insert the same keys");
}
