/* upkeep.c: the change token, the removal of what has expired, and the sums for the metrics. */
#include <string.h>

#include "drivers/mongo/writer.h"

#define PURGE_STEP 1024 /* rows that one call removes at most */

/* --- The revision ----------------------------------------------------------------------------- */

struct token {
    int64_t revision;
    bson_t lock;
    bool has_lock;
};

static bool take_token(void *context, const bson_t *document)
{
    struct token *token = context;
    char id[32];
    if (!bson_get_text(document, "_id", id, sizeof(id)))
        return true;
    if (strcmp(id, ID_REVISION) == 0) {
        token->revision = bson_get_integer(document, "value", 0);
    } else if (strcmp(id, ID_WRITER) == 0 && !token->has_lock) {
        token->has_lock = true;
        bson_concat(&token->lock, document);
    }
    return true;
}

static enum storage_status read_token(struct storage_session *session, struct token *token,
                                      struct storage_error *error)
{
    bson_t filter = BSON_INITIALIZER;
    bson_t among;
    bson_t ids;
    bson_append_document_begin(&filter, "_id", -1, &among);
    bson_append_array_begin(&among, "$in", -1, &ids);
    bson_push_text(&ids, 0, ID_REVISION);
    bson_push_text(&ids, 1, ID_WRITER);
    bson_append_array_end(&among, &ids);
    bson_append_document_end(&filter, &among);
    struct finding finding = {
        .collection = COLLECTION_OWN, .filter = &filter, .each = take_token, .context = token};
    enum storage_status status = session_find(session, &finding, error);
    bson_destroy(&filter);
    if (status == STORAGE_OK && token->revision < 1)
        status = mongo_refuse(error, STORAGE_SCHEMA, "the store has no revision");
    return status;
}

/* This comes every second or so: the time to notice that a writer ended amid a change. */
enum storage_status mongo_revision(struct storage_session *session, uint64_t *revision,
                                   struct storage_error *error)
{
    struct token token = {.revision = 0};
    bool completed = false;
    enum storage_status status = session_enter(session, error);
    if (status != STORAGE_OK)
        return status;
    bson_init(&token.lock);
    status = read_token(session, &token, error);
    if (status == STORAGE_OK && token.has_lock && !session->db->host->read_only)
        status = writer_look_after(session, &token.lock, &completed, error);
    bson_destroy(&token.lock);
    *revision = (uint64_t)token.revision;
    if (status == STORAGE_OK && completed)
        *revision = (uint64_t)token.revision + 1;
    return status;
}

/* --- Purging ---------------------------------------------------------------------------------- */

struct dead {
    bson_t ids;
    uint32_t count;
};

static bool take_dead(void *context, const bson_t *document)
{
    struct dead *dead = context;
    char id[HEX_SIZE + 1];
    if (bson_get_text(document, "_id", id, sizeof(id)))
        bson_push_text(&dead->ids, dead->count++, id);
    return true;
}

static void add_expired(bson_t *filter, int64_t now)
{
    bson_t bound;
    bson_append_document_begin(filter, "expires", -1, &bound);
    bson_append_int64(&bound, "$lte", -1, now);
    bson_append_document_end(filter, &bound);
}

static enum storage_status find_dead(struct storage_session *session, const char *collection,
                                     int64_t now, size_t limit, struct dead *dead,
                                     struct storage_error *error)
{
    bson_t filter = BSON_INITIALIZER;
    bson_t options = BSON_INITIALIZER;
    bson_t projection;
    add_expired(&filter, now);
    bson_append_document_begin(&options, "projection", -1, &projection);
    bson_append_int32(&projection, "_id", -1, 1);
    bson_append_document_end(&options, &projection);
    bson_append_int64(&options, "limit", -1, (int64_t)limit);
    bson_append_int32(&options, "batchSize", -1, PURGE_STEP + 1);
    struct finding finding = {.collection = collection,
                              .filter = &filter,
                              .options = &options,
                              .each = take_dead,
                              .context = dead};
    enum storage_status status = session_find(session, &finding, error);
    bson_destroy(&filter);
    bson_destroy(&options);
    return status;
}

/* Those that are found, as long as they still are dead. */
static enum storage_status remove_dead(struct storage_session *session, const char *collection,
                                       int64_t now, const struct dead *dead, int64_t *removed,
                                       struct storage_error *error)
{
    bson_t selector = BSON_INITIALIZER;
    bson_t among;
    struct bulk bulk;
    bson_append_document_begin(&selector, "_id", -1, &among);
    bson_append_array(&among, "$in", -1, &dead->ids);
    bson_append_document_end(&selector, &among);
    add_expired(&selector, now);
    bulk_begin(&bulk, session, collection);
    bulk_remove(&bulk, &selector);
    enum storage_status status = bulk_end(&bulk, NULL, NULL, removed, error);
    bson_destroy(&selector);
    return status;
}

static enum storage_status purge_some(struct storage_session *session, const char *collection,
                                      int64_t now, size_t limit, size_t *removed,
                                      struct storage_error *error)
{
    struct dead dead = {.count = 0};
    int64_t gone = 0;
    if (*removed >= limit)
        return STORAGE_OK;
    bson_init(&dead.ids);
    enum storage_status status =
        find_dead(session, collection, now, limit - *removed, &dead, error);
    if (status == STORAGE_OK && dead.count > 0)
        status = remove_dead(session, collection, now, &dead, &gone, error);
    *removed += gone > 0 ? (size_t)gone : 0;
    bson_destroy(&dead.ids);
    return status;
}

enum storage_status mongo_purge(struct storage_session *session, int64_t now, size_t limit,
                                size_t *removed, struct storage_error *error)
{
    size_t most = limit < PURGE_STEP ? limit : PURGE_STEP;
    *removed = 0;
    if (session->db->host->read_only)
        return mongo_refuse(error, STORAGE_DENIED, "the store is open for reading only");
    enum storage_status status = session_enter(session, error);
    if (status == STORAGE_OK)
        status = purge_some(session, COLLECTION_ENTRIES, now, most, removed, error);
    if (status == STORAGE_OK)
        status = purge_some(session, COLLECTION_COUNTERS, now, most, removed, error);
    return status;
}

/* --- The sums --------------------------------------------------------------------------------- */

/* What FerretDB cannot do within a $group (conditions) stands in the $match before it: three queries. And in
 * version 1 it fills only one sum of a $group: `again`, which should be as `count`, shows that, and then each
 * is asked for by itself. */
struct summing {
    const char *name; /* of a further condition; NULL: none */
    const char *relation;
    int64_t value;
    int64_t before; /* first_seen is earlier; 0: whenever */
    bool passed;    /* has passed */
    int64_t sum[4]; /* in the order of `sums` */
    int64_t again;
};

enum { SUM_COUNT, SUM_PASSES, SUM_TRIES, SUM_WAITED, SUMS };

static const char *const sums[SUMS] = {"count", "passes", "tries", "waited"};
static const char *const paths[SUMS] = {NULL, "$passes", "$tries", "$waited"};

static void add_sum(bson_t *group, const char *name, const char *path)
{
    bson_t part;
    bson_append_document_begin(group, name, -1, &part);
    if (path != NULL)
        bson_append_utf8(&part, "$sum", -1, path, -1);
    else
        bson_append_int32(&part, "$sum", -1, 1);
    bson_append_document_end(group, &part);
}

/* `only`: this sum, or SUMS: all. */
static void describe_group(bson_t *group, unsigned only)
{
    bson_append_null(group, "_id", -1);
    for (unsigned i = 0; i < SUMS; i++) {
        if (only == SUMS || only == i)
            add_sum(group, sums[i], paths[i]);
    }
    if (only == SUMS)
        add_sum(group, "again", NULL);
}

static void describe_sums(const struct summing *s, int64_t since, unsigned only, bson_t *pipeline)
{
    bson_t stage;
    bson_t match;
    bson_t part;
    bson_append_document_begin(pipeline, "0", -1, &stage);
    bson_append_document_begin(&stage, "$match", -1, &match);
    bson_append_document_begin(&match, "first_seen", -1, &part);
    bson_append_int64(&part, "$gte", -1, since);
    if (s->before > 0)
        bson_append_int64(&part, "$lt", -1, s->before);
    bson_append_document_end(&match, &part);
    if (s->name != NULL) {
        bson_append_document_begin(&match, s->name, -1, &part);
        bson_append_int64(&part, s->relation, -1, s->value);
        bson_append_document_end(&match, &part);
    }
    if (s->passed) {
        bson_append_document_begin(&match, "passes", -1, &part);
        bson_append_int64(&part, "$gt", -1, 0);
        bson_append_document_end(&match, &part);
    }
    bson_append_document_end(&stage, &match);
    bson_append_document_end(pipeline, &stage);
    bson_append_document_begin(pipeline, "1", -1, &stage);
    bson_append_document_begin(&stage, "$group", -1, &match);
    describe_group(&match, only);
    bson_append_document_end(&stage, &match);
    bson_append_document_end(pipeline, &stage);
}

static enum storage_status ask_sums(struct storage_session *session, struct summing *s,
                                    int64_t since, unsigned only, struct storage_error *error)
{
    enum storage_status status = session_step(session, error);
    bson_t pipeline = BSON_INITIALIZER;
    const bson_t *document;
    bson_error_t wrong;
    if (status != STORAGE_OK)
        return status;
    describe_sums(s, since, only, &pipeline);
    mongoc_collection_t *collection = session_collection(session, COLLECTION_ENTRIES);
    mongoc_cursor_t *cursor =
        mongoc_collection_aggregate(collection, MONGOC_QUERY_NONE, &pipeline, NULL, NULL);
    if (mongoc_cursor_next(cursor, &document)) {
        for (unsigned i = 0; i < SUMS; i++) {
            if (only == SUMS || only == i)
                s->sum[i] = bson_get_integer(document, sums[i], 0);
        }
        if (only == SUMS)
            s->again = bson_get_integer(document, "again", 0);
    }
    if (mongoc_cursor_error(cursor, &wrong))
        status = session_failed(session, &wrong, false, error);
    mongoc_cursor_destroy(cursor);
    mongoc_collection_destroy(collection);
    bson_destroy(&pipeline);
    return status;
}

static enum storage_status sum_up(struct storage_session *session, struct summing *s, int64_t since,
                                  struct storage_error *error)
{
    enum storage_status status = ask_sums(session, s, since, SUMS, error);
    bool one_by_one = s->again != s->sum[SUM_COUNT];
    for (unsigned i = 0; status == STORAGE_OK && one_by_one && i < SUMS; i++)
        status = ask_sums(session, s, since, i, error);
    return status;
}

enum storage_status mongo_tally(struct storage_session *session, int64_t since,
                                int64_t abandoned_before, struct storage_tally *tally,
                                struct storage_error *error)
{
    struct summing all = {.name = NULL};
    struct summing abandoned = {.name = "passes", .relation = "$eq", .before = abandoned_before};
    struct summing waited = {.name = "waited", .relation = "$gt", .passed = true};
    memset(tally, 0, sizeof(*tally));
    enum storage_status status = session_enter(session, error);
    if (status == STORAGE_OK)
        status = sum_up(session, &all, since, error);
    if (status == STORAGE_OK && abandoned_before > 0)
        status = sum_up(session, &abandoned, since, error);
    if (status == STORAGE_OK)
        status = sum_up(session, &waited, since, error);
    if (status != STORAGE_OK)
        return status;
    tally->entries = all.sum[SUM_COUNT];
    tally->accepted = all.sum[SUM_PASSES];
    tally->rejected = all.sum[SUM_TRIES];
    tally->abandoned = abandoned.sum[SUM_COUNT];
    tally->passed = waited.sum[SUM_COUNT];
    tally->waited = waited.sum[SUM_WAITED];
    return STORAGE_OK;
}
