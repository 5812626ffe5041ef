/* observe.c: a batch of sightings is one transaction. */
#include <string.h>

#include "drivers/sqlite/sqlite.h"

static bool in_range(int64_t duration)
{
    return duration >= 0 && duration <= STORAGE_DURATION_MAX;
}

static bool is_counter(enum storage_op op)
{
    return op == STORAGE_COUNT || op == STORAGE_PAIR || op == STORAGE_TAKE;
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
        const struct storage_key **before = &last[is_counter(sightings[i].op)];
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

enum storage_status sqlite_observe(struct storage_session *session,
                                   const struct storage_sighting *sightings, size_t count,
                                   struct storage_row *rows, struct storage_error *error)
{
    const char *wrong = batch_fault(sightings, count);
    if (wrong != NULL)
        return sqlite_refuse(error, STORAGE_INVALID, "%s", wrong);
    session_enter(session);
    int code =
        session_run(session, only_looks(sightings, count) ? SQL_BEGIN_READ : SQL_BEGIN_WRITE);
    for (size_t i = 0; code == SQLITE_OK && i < count; i++) {
        memset(&rows[i], 0, sizeof(rows[i]));
        code = is_counter(sightings[i].op) ? counters_observe(session, &sightings[i], &rows[i])
                                           : entries_observe(session, &sightings[i], &rows[i]);
    }
    enum storage_status status = STORAGE_OK;
    if (code != SQLITE_OK)
        status = sqlite_status(session->sqlite, code, error);
    return session_leave(session, session_end(session, status, error));
}
