/* observe.c: a batch of sightings: the entries first, then the counters that they move. A crash between the
 * two loses a count, never a pass. */
#include <stdlib.h>
#include <string.h>

#include "drivers/mongo/rows.h"

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
        if (*before != NULL &&
            memcmp((*before)->bytes, sightings[i].key.bytes, STORAGE_KEY_SIZE) >= 0)
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

/* --- A batch under way ------------------------------------------------------------------------ */

struct batch {
    struct storage_session *session;
    const struct storage_sighting *sightings;
    size_t count;
    struct storage_row *rows;
    /* Entries. */
    size_t *waiting; /* the sightings of entries that are not done yet */
    size_t waiting_count;
    struct entry_outcome *outcomes; /* of those */
    struct put **puts;              /* room for all that is written at once */
    /* Counters. */
    struct counter_op *ops; /* sorted by key */
    size_t ops_count;
    size_t ops_room;
};

static enum storage_status no_memory(const struct batch *b, struct storage_error *error)
{
    return mongo_refuse(error, b->session->wrote ? STORAGE_UNCERTAIN : STORAGE_UNAVAILABLE,
                        "out of memory");
}

static void batch_end(struct batch *b)
{
    free(b->waiting);
    free(b->outcomes);
    free(b->puts);
    free(b->ops);
}

static bool batch_begin(struct batch *b)
{
    size_t entries = 0;
    b->ops_room = 1;
    for (size_t i = 0; i < b->count; i++) {
        const struct storage_sighting *s = &b->sightings[i];
        entries += is_counter(s->op) ? 0 : 1;
        b->ops_room += (size_t)1 + s->on_pass_count;
    }
    b->waiting = calloc(entries + 1, sizeof(*b->waiting));
    b->outcomes = calloc(entries + 1, sizeof(*b->outcomes));
    b->ops = calloc(b->ops_room, sizeof(*b->ops));
    b->puts = calloc(b->ops_room, sizeof(*b->puts));
    return b->waiting != NULL && b->outcomes != NULL && b->ops != NULL && b->puts != NULL;
}

static void add_op(struct batch *b, struct counter_op op)
{
    if (b->ops_count < b->ops_room)
        b->ops[b->ops_count++] = op;
}

/* --- Entries ---------------------------------------------------------------------------------- */

static bool want_entries(const struct batch *b, struct rows *entries, struct rows *counters)
{
    size_t most = b->waiting_count * (1 + STORAGE_ALTERNATES);
    if (!rows_begin(entries, COLLECTION_ENTRIES, most) ||
        !rows_begin(counters, COLLECTION_COUNTERS, b->waiting_count * STORAGE_EXEMPTIONS))
        return false;
    for (size_t i = 0; i < b->waiting_count; i++) {
        const struct storage_sighting *s = &b->sightings[b->waiting[i]];
        rows_want(entries, &s->key);
        for (uint8_t k = 0; k < s->alternates_count; k++)
            rows_want(entries, &s->alternate[k]);
        for (uint8_t k = 0; k < s->exemptions_count; k++)
            rows_want(counters, &s->exemption[k].key);
    }
    return true;
}

/* What follows from a sighting of an entry that is done: counters that move. */
static void follow(struct batch *b, size_t index, const struct entry_outcome *outcome)
{
    const struct storage_sighting *s = &b->sightings[index];
    const struct storage_row *answer = &b->rows[index];
    if (s->look)
        return;
    if (answer->exempt > 0) {
        const struct storage_exemption *exemption = &s->exemption[answer->exempt - 1];
        add_op(b,
               (struct counter_op){.key = &exemption->key, .exemption = exemption, .now = s->now});
    }
    for (uint8_t i = 0; outcome->first_pass && i < s->on_pass_count; i++)
        add_op(b, (struct counter_op){.key = &s->on_pass[i].key, .sighting = &s->on_pass[i]});
}

/* One round over those that wait; who was overtaken waits for the next. */
static enum storage_status see_entries(struct batch *b, const struct rows *entries,
                                       const struct rows *counters, struct storage_error *error)
{
    size_t writing = 0;
    size_t left = 0;
    for (size_t i = 0; i < b->waiting_count; i++) {
        size_t index = b->waiting[i];
        struct entry_outcome *outcome = &b->outcomes[i];
        entry_see(&b->sightings[index], entries, counters, outcome, &b->rows[index]);
        if (outcome->writes)
            b->puts[writing++] = &outcome->put;
    }
    enum storage_status status =
        rows_write(b->session, COLLECTION_ENTRIES, b->puts, writing, error);
    for (size_t i = 0; status == STORAGE_OK && i < b->waiting_count; i++) {
        const struct entry_outcome *outcome = &b->outcomes[i];
        if (outcome->writes && !outcome->put.done)
            b->waiting[left++] = b->waiting[i];
        else
            follow(b, b->waiting[i], outcome);
    }
    b->waiting_count = left;
    return status;
}

static enum storage_status do_entries(struct batch *b, struct storage_error *error)
{
    enum storage_status status = STORAGE_OK;
    for (unsigned round = 0; status == STORAGE_OK && b->waiting_count > 0; round++) {
        struct rows entries = {.row = NULL};
        struct rows counters = {.row = NULL};
        if (round > 0)
            sleep_a_little(b->session, round);
        if (!want_entries(b, &entries, &counters))
            status = no_memory(b, error);
        if (status == STORAGE_OK)
            status = rows_read(&entries, b->session, error);
        if (status == STORAGE_OK)
            status = rows_read(&counters, b->session, error);
        if (status == STORAGE_OK)
            status = see_entries(b, &entries, &counters, error);
        rows_end(&entries);
        rows_end(&counters);
    }
    return status;
}

/* --- Counters --------------------------------------------------------------------------------- */

static int compare_ops(const void *a, const void *b)
{
    const struct counter_op *one = a;
    const struct counter_op *other = b;
    return memcmp(one->key->bytes, other->key->bytes, STORAGE_KEY_SIZE);
}

static bool same_key(const struct counter_op *a, const struct counter_op *b)
{
    return compare_ops(a, b) == 0;
}

/* Those of one counter are done one after the other, and written at once. Returns what remains to be done:
 * the operations of the counters that somebody else was quicker with. */
struct counting {
    struct put *puts;
    size_t count;
    struct put **writing;
    size_t writing_count;
    struct put **taken;
    size_t taken_count;
};

static void do_ops(const struct batch *b, const struct rows *counters, struct counting *c)
{
    for (size_t i = 0, end; i < b->ops_count; i = end) {
        struct put *put = &c->puts[c->count++];
        bool writes = false;
        memset(put, 0, sizeof(*put));
        put->before = rows_get(counters, b->ops[i].key);
        put->after = *put->before;
        put->flags = PUT_WHOLE;
        put->done = true;
        for (end = i; end < b->ops_count && same_key(&b->ops[i], &b->ops[end]); end++)
            writes = counter_do(&put->after, &b->ops[end]) || writes;
        if (writes)
            c->writing[c->writing_count++] = put;
    }
}

static bool is_taken(const struct put *put)
{
    return put->done && put->after.data.expires == 0 && put->after.data.count == 0;
}

static void keep_undone(struct batch *b, const struct counting *c)
{
    size_t left = 0;
    size_t group = 0;
    for (size_t i = 0, end; i < b->ops_count; i = end, group++) {
        for (end = i; end < b->ops_count && same_key(&b->ops[i], &b->ops[end]); end++)
            ;
        if (c->puts[group].done)
            continue;
        memmove(&b->ops[left], &b->ops[i], (end - i) * sizeof(*b->ops));
        left += end - i;
    }
    b->ops_count = left;
}

static enum storage_status see_counters(struct batch *b, const struct rows *counters,
                                        struct counting *c, struct storage_error *error)
{
    do_ops(b, counters, c);
    enum storage_status status =
        rows_write(b->session, COLLECTION_COUNTERS, c->writing, c->writing_count, error);
    if (status != STORAGE_OK)
        return status;
    for (size_t i = 0; i < c->writing_count; i++) {
        if (is_taken(c->writing[i]))
            c->taken[c->taken_count++] = c->writing[i];
    }
    if (c->taken_count > 0)
        status = rows_remove(b->session, COLLECTION_COUNTERS, c->taken, c->taken_count, error);
    keep_undone(b, c);
    return status;
}

static enum storage_status count_round(struct batch *b, struct storage_error *error)
{
    struct rows counters = {.row = NULL};
    struct counting c = {.puts = calloc(b->ops_count, sizeof(*c.puts)),
                         .writing = calloc(b->ops_count, sizeof(struct put *)),
                         .taken = calloc(b->ops_count, sizeof(struct put *))};
    enum storage_status status = STORAGE_OK;
    if (c.puts == NULL || c.writing == NULL || c.taken == NULL ||
        !rows_begin(&counters, COLLECTION_COUNTERS, b->ops_count))
        status = no_memory(b, error);
    for (size_t i = 0; status == STORAGE_OK && i < b->ops_count; i++)
        rows_want(&counters, b->ops[i].key);
    if (status == STORAGE_OK)
        status = rows_read(&counters, b->session, error);
    if (status == STORAGE_OK)
        status = see_counters(b, &counters, &c, error);
    rows_end(&counters);
    free(c.puts);
    free(c.writing);
    free(c.taken);
    return status;
}

static enum storage_status do_counters(struct batch *b, struct storage_error *error)
{
    enum storage_status status = STORAGE_OK;
    if (b->ops_count > 0)
        qsort(b->ops, b->ops_count, sizeof(*b->ops), compare_ops);
    for (unsigned round = 0; status == STORAGE_OK && b->ops_count > 0; round++) {
        if (round > 0)
            sleep_a_little(b->session, round);
        status = count_round(b, error);
    }
    return status;
}

/* --- The door --------------------------------------------------------------------------------- */

static enum storage_status do_batch(struct batch *b, struct storage_error *error)
{
    for (size_t i = 0; i < b->count; i++) {
        const struct storage_sighting *s = &b->sightings[i];
        memset(&b->rows[i], 0, sizeof(b->rows[i]));
        if (!is_counter(s->op))
            b->waiting[b->waiting_count++] = i;
        else
            add_op(b, (struct counter_op){.key = &s->key, .sighting = s, .answer = &b->rows[i]});
    }
    enum storage_status status = do_entries(b, error);
    return status == STORAGE_OK ? do_counters(b, error) : status;
}

enum storage_status mongo_observe(struct storage_session *session,
                                  const struct storage_sighting *sightings, size_t count,
                                  struct storage_row *rows, struct storage_error *error)
{
    struct batch batch = {.session = session, .sightings = sightings, .count = count, .rows = rows};
    const char *wrong = batch_fault(sightings, count);
    if (wrong != NULL)
        return mongo_refuse(error, STORAGE_INVALID, "%s", wrong);
    if (session->db->host->read_only && !only_looks(sightings, count))
        return mongo_refuse(error, STORAGE_DENIED, "the store is open for reading only");
    enum storage_status status = session_enter(session, error);
    if (status != STORAGE_OK)
        return status;
    if (batch_begin(&batch))
        status = do_batch(&batch, error);
    else
        status = no_memory(&batch, error);
    batch_end(&batch);
    return status;
}
