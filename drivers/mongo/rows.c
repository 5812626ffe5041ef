/* rows.c: reading rows, and writing them by compare-and-set on their stamp. */
#include <stdlib.h>
#include <string.h>

#include "drivers/mongo/rows.h"

bool rows_begin(struct rows *rows, const char *collection, size_t most)
{
    rows->collection = collection;
    rows->count = 0;
    rows->room = most;
    rows->row = most > 0 ? malloc(most * sizeof(*rows->row)) : NULL;
    return most == 0 || rows->row != NULL;
}

void rows_end(struct rows *rows)
{
    free(rows->row);
    rows->row = NULL;
}

void rows_want(struct rows *rows, const struct storage_key *key)
{
    if (rows->count == rows->room)
        return; /* never: `most` was counted */
    memset(&rows->row[rows->count], 0, sizeof(rows->row[0]));
    rows->row[rows->count++].key = *key;
}

static int compare_rows(const void *a, const void *b)
{
    const struct row *one = a;
    const struct row *other = b;
    return memcmp(one->key.bytes, other->key.bytes, STORAGE_KEY_SIZE);
}

static struct row *find_row(const struct rows *rows, const struct storage_key *key)
{
    size_t low = 0;
    size_t high = rows->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = memcmp(rows->row[middle].key.bytes, key->bytes, STORAGE_KEY_SIZE);
        if (order == 0)
            return &rows->row[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

const struct row *rows_get(const struct rows *rows, const struct storage_key *key)
{
    return find_row(rows, key);
}

/* --- From documents --------------------------------------------------------------------------- */

static const uint8_t *get_binary(const bson_iter_t *iter, uint32_t *size)
{
    const uint8_t *data = NULL;
    bson_subtype_t subtype;
    *size = 0;
    if (BSON_ITER_HOLDS_BINARY(iter))
        bson_iter_binary(iter, &subtype, size, &data);
    return data;
}

static uint64_t read_number(const uint8_t *bytes, unsigned size)
{
    uint64_t number = 0;
    for (unsigned i = 0; i < size; i++)
        number = number << 8 | bytes[i];
    return number;
}

static void write_number(uint8_t *bytes, unsigned size, uint64_t number)
{
    for (unsigned i = size; i > 0; i--, number >>= 8)
        bytes[i - 1] = (uint8_t)number;
}

static void take_binary(struct row *row, const char *name, const bson_iter_t *iter)
{
    uint32_t size;
    const uint8_t *data = get_binary(iter, &size);
    if (strcmp(name, "past") == 0) {
        for (uint32_t i = 0; i + 4 <= size && row->past_count < PAST; i += 4)
            row->past[row->past_count++] = (uint32_t)read_number(data + i, 4);
    } else if (strcmp(name, "marks") == 0) {
        for (uint32_t i = 0; i + 8 <= size && row->marks_count < STORAGE_MARKS; i += 8)
            row->marks[row->marks_count++] = read_number(data + i, 8);
    } else {
        for (uint32_t i = 0; i + 24 <= size && row->merged_count < ORIGINS; i += 24) {
            struct merged *merged = &row->merged[row->merged_count++];
            memcpy(merged->origin, data + i, STORAGE_KEY_SIZE);
            merged->position = read_number(data + i + STORAGE_KEY_SIZE, 8);
        }
    }
}

static uint32_t small(int64_t number)
{
    return number < 0 ? 0 : number > UINT32_MAX ? UINT32_MAX : (uint32_t)number;
}

static void take_member(struct row *row, const char *name, const bson_iter_t *iter)
{
    struct storage_row *data = &row->data;
    int64_t number = bson_integer(iter, 0);
    if (strcmp(name, "stamp") == 0)
        row->stamp = number;
    else if (strcmp(name, "first_seen") == 0)
        data->first_seen = number;
    else if (strcmp(name, "last_seen") == 0)
        data->last_seen = number;
    else if (strcmp(name, "expires") == 0)
        data->expires = number;
    else if (strcmp(name, "waited") == 0)
        data->waited = number;
    else if (strcmp(name, "tries") == 0)
        data->tries = small(number);
    else if (strcmp(name, "passes") == 0)
        data->passes = small(number);
    else if (strcmp(name, "count") == 0)
        data->count = small(number);
    else if (strcmp(name, "past") == 0 || strcmp(name, "marks") == 0 || strcmp(name, "merged") == 0)
        take_binary(row, name, iter);
}

static bool take_row(void *context, const bson_t *document)
{
    struct rows *rows = context;
    struct storage_key key;
    bson_iter_t iter;
    uint32_t size = 0;
    if (!bson_iter_init_find(&iter, document, "_id") || !BSON_ITER_HOLDS_UTF8(&iter))
        return true;
    const char *id = bson_iter_utf8(&iter, &size);
    struct row *row = hex_to_key(id, size, &key) ? find_row(rows, &key) : NULL;
    if (row == NULL || row->there)
        return true;
    row->there = true;
    for (bool on = bson_iter_init(&iter, document); on && bson_iter_next(&iter);)
        take_member(row, bson_iter_key(&iter), &iter);
    return true;
}

/* Sorted, and each once. */
static void sort_rows(struct rows *rows)
{
    size_t kept = 0;
    qsort(rows->row, rows->count, sizeof(*rows->row), compare_rows);
    for (size_t i = 0; i < rows->count; i++) {
        if (kept > 0 && compare_rows(&rows->row[kept - 1], &rows->row[i]) == 0)
            continue;
        if (kept != i)
            rows->row[kept] = rows->row[i];
        kept++;
    }
    rows->count = kept;
}

enum storage_status rows_read(struct rows *rows, struct storage_session *session,
                              struct storage_error *error)
{
    static const char *const texts[] = {"client_address", "client_name", "helo_name", "sender",
                                        "recipient",      "country",     "policy"};
    bson_t filter = BSON_INITIALIZER;
    bson_t options = BSON_INITIALIZER;
    bson_t among;
    bson_t ids;
    bson_t projection;
    if (rows->count == 0)
        return STORAGE_OK;
    sort_rows(rows);
    bson_append_document_begin(&filter, "_id", -1, &among);
    bson_append_array_begin(&among, "$in", -1, &ids);
    for (size_t i = 0; i < rows->count; i++) {
        char hex[HEX_SIZE + 1];
        key_to_hex(&rows->row[i].key, hex);
        bson_push_text(&ids, (uint32_t)i, hex);
    }
    bson_append_array_end(&among, &ids);
    bson_append_document_end(&filter, &among);
    bson_append_document_begin(&options, "projection", -1, &projection);
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        bson_append_int32(&projection, texts[i], -1, 0);
    bson_append_document_end(&options, &projection);
    bson_append_int32(&options, "batchSize", -1, (int32_t)rows->count + 1);
    struct finding finding = {.collection = rows->collection,
                              .filter = &filter,
                              .options = &options,
                              .each = take_row,
                              .context = rows};
    enum storage_status status = session_find(session, &finding, error);
    bson_destroy(&filter);
    bson_destroy(&options);
    return status;
}

/* --- To documents ----------------------------------------------------------------------------- */

static void add_bytes(bson_t *document, const struct row *row, bool merged)
{
    uint8_t bytes[ORIGINS * 24];
    uint32_t size = 0;
    for (unsigned i = 0; i < row->past_count; i++, size += 4)
        write_number(bytes + size, 4, row->past[i]);
    if (size > 0)
        bson_append_binary(document, "past", -1, BSON_SUBTYPE_BINARY, bytes, size);
    size = 0;
    for (unsigned i = 0; i < row->marks_count; i++, size += 8)
        write_number(bytes + size, 8, row->marks[i]);
    if (size > 0)
        bson_append_binary(document, "marks", -1, BSON_SUBTYPE_BINARY, bytes, size);
    size = 0;
    for (unsigned i = 0; merged && i < row->merged_count; i++, size += 24) {
        memcpy(bytes + size, row->merged[i].origin, STORAGE_KEY_SIZE);
        write_number(bytes + size + STORAGE_KEY_SIZE, 8, row->merged[i].position);
    }
    if (size > 0)
        bson_append_binary(document, "merged", -1, BSON_SUBTYPE_BINARY, bytes, size);
}

static void add_members(bson_t *document, const struct put *put, bool counter)
{
    const struct storage_row *data = &put->after.data;
    const struct storage_reading *reading = put->reading;
    bson_append_int64(document, "stamp", -1, put->after.stamp);
    bson_append_int64(document, "first_seen", -1, data->first_seen);
    bson_append_int64(document, "last_seen", -1, data->last_seen);
    bson_append_int64(document, "expires", -1, data->expires);
    if (counter) {
        bson_append_int64(document, "count", -1, data->count);
    } else {
        bson_append_int64(document, "waited", -1, data->waited);
        bson_append_int64(document, "tries", -1, data->tries);
        bson_append_int64(document, "passes", -1, data->passes);
    }
    add_bytes(document, &put->after, (put->flags & (PUT_MERGED | PUT_WHOLE)) != 0);
    if (reading == NULL)
        return;
    bson_add_text(document, "client_address", reading->client_address);
    bson_add_text(document, "client_name", reading->client_name);
    bson_add_text(document, "helo_name", reading->helo_name);
    bson_add_text(document, "sender", reading->sender);
    bson_add_text(document, "recipient", reading->recipient);
    bson_add_text(document, "country", reading->country);
    bson_add_text(document, "policy", reading->policy);
}

static void stamp(struct storage_session *session, struct put *put)
{
    const struct row *before = put->before;
    struct row *after = &put->after;
    after->past_count = 0;
    if (before->there) {
        after->past[after->past_count++] = (uint32_t)before->stamp;
        for (unsigned i = 0; i < before->past_count && after->past_count < PAST; i++)
            after->past[after->past_count++] = before->past[i];
    }
    after->stamp = (int64_t)(session_draw(session) >> 1);
}

static void add_selector(bson_t *selector, const struct storage_key *key, int64_t stamp)
{
    char hex[HEX_SIZE + 1];
    key_to_hex(key, hex);
    bson_append_utf8(selector, "_id", -1, hex, -1);
    bson_append_int64(selector, "stamp", -1, stamp);
}

static void add_update(struct bulk *bulk, const struct put *put, bool counter)
{
    bson_t selector = BSON_INITIALIZER;
    bson_t update = BSON_INITIALIZER;
    add_selector(&selector, &put->before->key, put->before->stamp);
    if ((put->flags & PUT_WHOLE) != 0) {
        add_members(&update, put, counter);
        bulk_replace(bulk, &selector, &update);
    } else {
        bson_t set;
        bson_append_document_begin(&update, "$set", -1, &set);
        add_members(&set, put, counter);
        bson_append_document_end(&update, &set);
        bulk_update(bulk, &selector, &update);
    }
    bson_destroy(&selector);
    bson_destroy(&update);
}

static void add_insert(struct bulk *bulk, const struct put *put, bool counter)
{
    bson_t document = BSON_INITIALIZER;
    char hex[HEX_SIZE + 1];
    key_to_hex(&put->before->key, hex);
    bson_append_utf8(&document, "_id", -1, hex, -1);
    add_members(&document, put, counter);
    bulk_insert(bulk, &document);
    bson_destroy(&document);
}

/* --- Which were done -------------------------------------------------------------------------- */

struct refusals {
    struct put **puts;
};

static void refuse_put(void *context, size_t index, enum bulk_refusal why)
{
    const struct refusals *refusals = context;
    (void)why;
    refusals->puts[index]->done = false;
}

static bool is_mine(const struct row *now, const struct put *put)
{
    if (!now->there)
        return false;
    if (now->stamp == put->after.stamp)
        return true;
    for (unsigned i = 0; i < now->past_count; i++) {
        if (now->past[i] == (uint32_t)put->after.stamp)
            return true;
    }
    return false;
}

/* Fewer matched than were sent: each document tells by its stamps who wrote it. One that was written very
 * often since, or removed, does not; but if those that are known make up the number, it was not done. */
static enum storage_status look_who_wrote(struct storage_session *session, const char *collection,
                                          struct put **puts, size_t count, int64_t matched,
                                          struct storage_error *error)
{
    struct rows now;
    int64_t mine = 0;
    if (!rows_begin(&now, collection, count)) {
        session->wrote = true;
        return mongo_refuse(error, STORAGE_UNCERTAIN, "out of memory amid a batch");
    }
    for (size_t i = 0; i < count; i++)
        rows_want(&now, &puts[i]->before->key);
    enum storage_status status = rows_read(&now, session, error);
    for (size_t i = 0; status == STORAGE_OK && i < count; i++) {
        const struct row *row = rows_get(&now, &puts[i]->before->key);
        puts[i]->done = row != NULL && is_mine(row, puts[i]);
        mine += puts[i]->done ? 1 : 0;
    }
    rows_end(&now);
    if (status == STORAGE_OK && mine != matched)
        status = mongo_refuse(error, STORAGE_UNCERTAIN,
                              "others wrote the same rows too often to tell what came of a batch");
    return status;
}

static enum storage_status run_inserts(struct storage_session *session, const char *collection,
                                       struct put **puts, size_t count, bool counter,
                                       struct storage_error *error)
{
    struct refusals refusals = {puts};
    struct bulk bulk;
    bulk_begin(&bulk, session, collection);
    for (size_t i = 0; i < count; i++)
        add_insert(&bulk, puts[i], counter);
    return bulk_end(&bulk, refuse_put, &refusals, NULL, error);
}

static enum storage_status run_updates(struct storage_session *session, const char *collection,
                                       struct put **puts, size_t count, bool counter,
                                       struct storage_error *error)
{
    struct refusals refusals = {puts};
    struct bulk bulk;
    int64_t matched = 0;
    bulk_begin(&bulk, session, collection);
    for (size_t i = 0; i < count; i++)
        add_update(&bulk, puts[i], counter);
    enum storage_status status = bulk_end(&bulk, refuse_put, &refusals, &matched, error);
    if (status != STORAGE_OK || matched == (int64_t)count)
        return status;
    if (matched == 0) {
        for (size_t i = 0; i < count; i++)
            puts[i]->done = false;
        return STORAGE_OK;
    }
    return look_who_wrote(session, collection, puts, count, matched, error);
}

enum storage_status rows_write(struct storage_session *session, const char *collection,
                               struct put *const *puts, size_t count, struct storage_error *error)
{
    bool counter = strcmp(collection, COLLECTION_COUNTERS) == 0;
    enum storage_status status = STORAGE_OK;
    size_t inserts = 0;
    size_t updates = 0;
    if (count == 0)
        return STORAGE_OK;
    struct put **sorted = malloc(count * sizeof(*sorted)); /* inserts in front, updates behind */
    if (sorted == NULL)
        return mongo_refuse(error, session->wrote ? STORAGE_UNCERTAIN : STORAGE_UNAVAILABLE,
                            "out of memory");
    for (size_t i = 0; i < count; i++) {
        puts[i]->done = true;
        stamp(session, puts[i]);
        if (!puts[i]->before->there)
            sorted[inserts++] = puts[i];
    }
    for (size_t i = 0; i < count; i++) {
        if (puts[i]->before->there)
            sorted[inserts + updates++] = puts[i];
    }
    if (inserts > 0)
        status = run_inserts(session, collection, sorted, inserts, counter, error);
    if (status == STORAGE_OK && updates > 0)
        status = run_updates(session, collection, sorted + inserts, updates, counter, error);
    free(sorted);
    return status;
}

enum storage_status rows_remove(struct storage_session *session, const char *collection,
                                struct put *const *puts, size_t count, struct storage_error *error)
{
    struct bulk bulk;
    bulk_begin(&bulk, session, collection);
    for (size_t i = 0; i < count; i++) {
        bson_t selector = BSON_INITIALIZER;
        add_selector(&selector, &puts[i]->before->key, puts[i]->after.stamp);
        bulk_remove(&bulk, &selector);
        bson_destroy(&selector);
    }
    return bulk_end(&bulk, NULL, NULL, NULL, error);
}
