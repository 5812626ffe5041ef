/* observe.c: a batch of sightings is one transaction. First what it only reads, then the entries, then the
 * counters: those are shared by many, and are locked for the shortest time. */
#include <stdlib.h>
#include <string.h>

#include "drivers/mysql/mysql.h"

#define TRIES 4

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

int key_order(const void *a, const void *b)
{
    return memcmp(a, b, STORAGE_KEY_SIZE);
}

size_t keys_settle(struct storage_key *keys, size_t count)
{
    size_t kept = 0;
    qsort(keys, count, sizeof(*keys), key_order);
    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || key_order(&keys[i], &keys[kept - 1]) != 0)
            keys[kept++] = keys[i];
    }
    return kept;
}

bool worth_again(const struct storage_session *session, enum storage_status status,
                 const struct storage_error *error, int tries)
{
    bool at_once = error->native == CODE_DUPLICATE || error->native == CODE_DEADLOCK ||
                   error->native == CODE_CHANGED;
    return status == STORAGE_BUSY && at_once && tries < TRIES && !session->dead &&
           clock_now() < session->deadline;
}

/* Of two that insert one key at once the second is told that it is there; it begins anew, and finds it. */
static enum storage_status lost_race(enum storage_status status, const struct storage_error *error)
{
    return status == STORAGE_EXISTS && error->native == CODE_DUPLICATE ? STORAGE_BUSY : status;
}

static enum storage_status observe_once(struct storage_session *session,
                                        const struct storage_sighting *sightings, size_t count,
                                        struct storage_row *rows, struct entry *entries,
                                        struct storage_error *error)
{
    size_t made = 0;
    memset(rows, 0, count * sizeof(*rows));
    enum storage_status status = counters_view(session, sightings, count, rows, error);
    if (status == STORAGE_OK)
        status = entries_observe(session, sightings, count, rows, entries, &made, error);
    if (status == STORAGE_OK)
        status = counters_observe(session, sightings, count, rows, entries, made, error);
    return session_end(session, lost_race(status, error), !only_looks(sightings, count), error);
}

enum storage_status mysql_observe(struct storage_session *session,
                                  const struct storage_sighting *sightings, size_t count,
                                  struct storage_row *rows, struct storage_error *error)
{
    const char *wrong = batch_fault(sightings, count);
    enum storage_status status;
    int tries = 0;
    if (wrong != NULL)
        return mysql_refuse(error, STORAGE_INVALID, "%s", wrong);
    if (session->db->host->read_only && !only_looks(sightings, count))
        return mysql_refuse(error, STORAGE_DENIED, "the store is open for reading only");
    struct entry *entries = malloc(count * sizeof(*entries));
    if (entries == NULL)
        return mysql_refuse(error, STORAGE_BUSY, "out of memory");
    session_enter(session);
    do
        status = observe_once(session, sightings, count, rows, entries, error);
    while (worth_again(session, status, error, ++tries));
    free(entries);
    return status;
}
