/* schema.c: what the store says of itself, and the indexes. Collections come into being with what is
 * first written to them. */
#include <stdio.h>
#include <string.h>

#include "drivers/mongo/mongo.h"

/* What the document `schema` says. */
struct schema {
    bool there;
    bool ours;
    int64_t version;
    bson_t indexes; /* their names, by collection and field: made before */
};

static bool take_schema(void *context, const bson_t *document)
{
    struct schema *schema = context;
    char application[32];
    bson_iter_t iter;
    uint32_t size = 0;
    const uint8_t *data = NULL;
    schema->there = true;
    schema->ours = bson_get_text(document, "application", application, sizeof(application)) &&
                   strcmp(application, APPLICATION) == 0;
    schema->version = bson_get_integer(document, "version", 0);
    if (bson_iter_init_find(&iter, document, "indexes") && BSON_ITER_HOLDS_DOCUMENT(&iter)) {
        bson_t stored;
        bson_iter_document(&iter, &size, &data);
        if (bson_init_static(&stored, data, size))
            bson_concat(&schema->indexes, &stored);
    }
    return false;
}

static enum storage_status read_schema(struct storage_session *session, struct schema *schema,
                                       struct storage_error *error)
{
    bson_t filter = BSON_INITIALIZER;
    bson_append_utf8(&filter, "_id", -1, ID_SCHEMA, -1);
    struct finding finding = {
        .collection = COLLECTION_OWN, .filter = &filter, .each = take_schema, .context = schema};
    enum storage_status status = session_find(session, &finding, error);
    bson_destroy(&filter);
    return status;
}

/* The three documents that are always there. Of several that make them one is first. */
static void already_there(void *context, size_t index, enum bulk_refusal why)
{
    bool *again = context;
    (void)index;
    *again = *again || why == BULK_CONFLICT;
}

static enum storage_status make_documents(struct storage_session *session,
                                          struct storage_error *error)
{
    enum storage_status status = STORAGE_OK;
    bool again = true;
    for (unsigned round = 0; status == STORAGE_OK && again; round++) {
        bson_t revision = BSON_INITIALIZER;
        bson_t writer = BSON_INITIALIZER;
        bson_t schema = BSON_INITIALIZER;
        bson_t none = BSON_INITIALIZER;
        struct bulk bulk;
        again = false;
        if (round > 0)
            sleep_a_little(session, round);
        bson_append_utf8(&revision, "_id", -1, ID_REVISION, -1);
        bson_append_int64(&revision, "value", -1, 1);
        bson_append_utf8(&writer, "_id", -1, ID_WRITER, -1);
        bson_append_utf8(&writer, "owner", -1, "", -1);
        bson_append_utf8(&writer, "intent", -1, "", -1);
        bson_append_int64(&writer, "lease", -1, 0);
        bson_append_utf8(&schema, "_id", -1, ID_SCHEMA, -1);
        bson_append_utf8(&schema, "application", -1, APPLICATION, -1);
        bson_append_int64(&schema, "version", -1, SCHEMA_VERSION);
        bson_append_document(&schema, "indexes", -1, &none);
        bulk_begin(&bulk, session, COLLECTION_OWN);
        bulk_insert(&bulk, &revision);
        bulk_insert(&bulk, &writer);
        bulk_insert(&bulk, &schema);
        status = bulk_end(&bulk, already_there, &again, NULL, error);
        bson_destroy(&revision);
        bson_destroy(&writer);
        bson_destroy(&schema);
        bson_destroy(&none);
    }
    return status;
}

/* --- Indexes ---------------------------------------------------------------------------------- */

/* Those of one collection that are not known to be there. */
struct indexes {
    const char *collection;
    const struct schema *schema;
    bson_t list;  /* the array of the command */
    bson_t known; /* collection.field: true, to be noted */
    uint32_t count;
};

static void want_index(struct indexes *indexes, const char *field, bool unique)
{
    char mark[192];
    char name[128];
    char room[16];
    const char *at;
    bson_t index;
    bson_t key;
    /* A dot would be a path within the document. */
    snprintf(mark, sizeof(mark), "%s:%s%s", indexes->collection, field, unique ? ":unique" : "");
    if (bson_has_field(&indexes->schema->indexes, mark) || bson_has_field(&indexes->known, mark))
        return;
    snprintf(name, sizeof(name), "%s_%s", field, unique ? "unique" : "id");
    bson_append_document_begin(&indexes->list, array_name(indexes->count, &at, room), -1, &index);
    bson_append_document_begin(&index, "key", -1, &key);
    bson_append_int32(&key, field, -1, 1);
    if (!unique)
        bson_append_int32(&key, "_id", -1, 1);
    bson_append_document_end(&index, &key);
    bson_append_utf8(&index, "name", -1, name, -1);
    if (unique) { /* a record that lacks the field is not in it */
        bson_append_bool(&index, "unique", -1, true);
        bson_append_bool(&index, "sparse", -1, true);
    }
    bson_append_document_end(&indexes->list, &index);
    bson_append_bool(&indexes->known, mark, -1, true);
    indexes->count++;
}

static enum storage_status note_indexes(struct storage_session *session, const bson_t *known,
                                        struct storage_error *error)
{
    bson_t selector = BSON_INITIALIZER;
    bson_t update = BSON_INITIALIZER;
    bson_t set;
    bson_iter_t iter;
    struct bulk bulk;
    bson_append_utf8(&selector, "_id", -1, ID_SCHEMA, -1);
    bson_append_document_begin(&update, "$set", -1, &set);
    for (bool on = bson_iter_init(&iter, known); on && bson_iter_next(&iter);) {
        char path[256];
        snprintf(path, sizeof(path), "indexes.%s", bson_iter_key(&iter));
        bson_append_bool(&set, path, -1, true);
    }
    bson_append_document_end(&update, &set);
    bulk_begin(&bulk, session, COLLECTION_OWN);
    bulk_update(&bulk, &selector, &update);
    enum storage_status status = bulk_end(&bulk, NULL, NULL, NULL, error);
    bson_destroy(&selector);
    bson_destroy(&update);
    return status;
}

static enum storage_status command_indexes(struct storage_session *session, struct indexes *indexes,
                                           struct storage_error *error)
{
    enum storage_status status = STORAGE_BUSY;
    bson_t command = BSON_INITIALIZER;
    bson_append_utf8(&command, "createIndexes", -1, indexes->collection, -1);
    bson_append_array(&command, "indexes", -1, &indexes->list);
    /* Another instance that makes the same ones may be in the way. */
    for (unsigned round = 0; status == STORAGE_BUSY; round++) {
        bson_error_t wrong;
        bson_t reply;
        if (round > 0)
            sleep_a_little(session, round);
        status = session_step(session, error);
        if (status != STORAGE_OK)
            break;
        if (!mongoc_client_write_command_with_opts(session->client, session->db->database, &command,
                                                   NULL, &reply, &wrong))
            status = session_failed(session, &wrong, false, error);
        bson_destroy(&reply);
    }
    bson_destroy(&command);
    return status;
}

static enum storage_status make_indexes(struct storage_session *session, struct indexes *indexes,
                                        struct storage_error *error)
{
    if (indexes->count == 0)
        return STORAGE_OK;
    enum storage_status status = command_indexes(session, indexes, error);
    return status == STORAGE_OK ? note_indexes(session, &indexes->known, error) : status;
}

static enum storage_status index_collection(struct storage_session *session,
                                            const struct schema *schema, const char *collection,
                                            const struct storage_kind *kind,
                                            struct storage_error *error)
{
    struct indexes indexes = {.collection = collection, .schema = schema};
    bson_init(&indexes.list);
    bson_init(&indexes.known);
    if (kind == NULL || (kind->flags & STORAGE_ENTRIES) != 0)
        want_index(&indexes, "expires", false); /* what purging goes by */
    for (size_t i = 0; kind != NULL && i < kind->fields_count; i++) {
        const struct storage_field *field = &kind->fields[i];
        if ((field->flags & (STORAGE_UNIQUE | STORAGE_INDEXED)) != 0)
            want_index(&indexes, field->name, (field->flags & STORAGE_UNIQUE) != 0);
    }
    enum storage_status status = make_indexes(session, &indexes, error);
    bson_destroy(&indexes.list);
    bson_destroy(&indexes.known);
    return status;
}

static enum storage_status widen(struct storage_session *session, const struct schema *schema,
                                 struct storage_error *error)
{
    const struct storage_host *host = session->db->host;
    enum storage_status status =
        index_collection(session, schema, COLLECTION_COUNTERS, NULL, error);
    bool entries = false;
    for (size_t i = 0; status == STORAGE_OK && i < host->kinds_count; i++) {
        const struct storage_kind *kind = &host->kinds[i];
        entries = entries || (kind->flags & STORAGE_ENTRIES) != 0;
        status = index_collection(session, schema, kind_collection(kind), kind, error);
    }
    if (status == STORAGE_OK && !entries)
        status = index_collection(session, schema, COLLECTION_ENTRIES, NULL, error);
    return status;
}

/* --- All of it -------------------------------------------------------------------------------- */

static enum storage_status judge(const struct schema *schema, struct storage_error *error)
{
    if (!schema->there)
        return mongo_refuse(error, STORAGE_UNAVAILABLE, "the database holds no store of mongrey");
    if (!schema->ours)
        return mongo_refuse(error, STORAGE_SCHEMA,
                            "the collection %s is another program's; choose another database",
                            COLLECTION_OWN);
    if (schema->version > SCHEMA_VERSION || schema->version < 1)
        return mongo_refuse(error, STORAGE_SCHEMA,
                            "the store has schema %lld, this driver knows %d: a newer mongrey made "
                            "it; install that version",
                            (long long)schema->version, SCHEMA_VERSION);
    return STORAGE_OK;
}

enum storage_status schema_check(struct storage_session *session, bool upgrade,
                                 struct storage_error *error)
{
    struct schema schema = {.there = false};
    bson_init(&schema.indexes);
    enum storage_status status = read_schema(session, &schema, error);
    if (status == STORAGE_OK && upgrade && !schema.there) {
        status = make_documents(session, error);
        if (status == STORAGE_OK)
            status = read_schema(session, &schema, error);
    }
    if (status == STORAGE_OK)
        status = judge(&schema, error);
    if (status == STORAGE_OK && upgrade)
        status = widen(session, &schema, error);
    /* An opening that was broken off is begun anew: all of it may be done twice. */
    if (status == STORAGE_UNCERTAIN || status == STORAGE_BUSY)
        status = STORAGE_UNAVAILABLE;
    bson_destroy(&schema.indexes);
    return status;
}
