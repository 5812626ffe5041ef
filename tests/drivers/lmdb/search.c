/*
 * search.c: one page of records or entries.
 *
 * Walks the narrowest range there is: the index of a field that has to be equal, else the index of
 * the order, else all rows. What fits is gathered; where the walk goes in the page's order the page
 * is full when it is full, else the best are kept and the rest dropped, so that never more than
 * twice a page is held. A gathered row is pointers into the map, which stands while the transaction
 * does.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "driver.h"

#define LOOK_AT_CLOCK 256

struct found {
    char id[STORAGE_ID_MAX + 1];
    MDB_val data;
    struct storage_value order;
};

struct searching {
    const struct storage_query *query;
    storage_each *each;
    void *context;
    const struct storage_kind *host_kind;
    const struct mapping *mapping;
    bool entries;

    /* the walk */
    bool by_index;
    unsigned field;         /* of the index */
    enum storage_type type; /* its */
    bool ordered;           /* as the page is, where the keys are exact */
    struct index_key low;   /* beginnings of keys, both within the range */
    struct index_key high;

    struct storage_value *stored; /* a row's values, by the store's fields */
    struct storage_value *values; /* by the host's */
    struct entry entry;

    struct found *found;
    size_t count;
    size_t room;
};

/* --- Rows -------------------------------------------------------------------------------------- */

static bool decode(struct searching *searching, const MDB_val *data, int64_t *version)
{
    const struct storage_kind *host_kind = searching->host_kind;

    *version = 0;
    if (searching->entries) {
        if (!entry_unpack(&searching->entry, data)) {
            return false;
        }
    } else if (!record_unpack(data, version, searching->stored, searching->mapping->kind->count)) {
        return false;
    }
    for (size_t i = 0; i < host_kind->fields_count; i++) {
        uint16_t number = searching->mapping->field[i];

        if (number == NO_FIELD) {
            memset(&searching->values[i], 0, sizeof searching->values[i]);
        } else if (searching->entries) {
            entry_value(&searching->entry, number, &searching->values[i]);
        } else {
            searching->values[i] = searching->stored[number];
        }
    }
    return true;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool alike(const char *a, const char *b, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (lower(a[i]) != lower(b[i])) {
            return false;
        }
    }
    return true;
}

static bool contains(const struct storage_text *text, const struct storage_text *sought)
{
    for (size_t at = 0; at + sought->size <= text->size; at++) {
        if (alike(text->data + at, sought->data, sought->size)) {
            return true;
        }
    }
    return false;
}

static bool holds(const struct storage_condition *condition, const struct storage_value *value)
{
    const struct storage_value *sought = &condition->value;

    if (condition->relation == STORAGE_EQ) {
        return value_compare(value, sought) == 0;
    }
    if (value->type == STORAGE_NULL || sought->type == STORAGE_NULL) {
        return false;
    }
    switch (condition->relation) {
    case STORAGE_LT:
        return value_compare(value, sought) < 0;
    case STORAGE_GT:
        return value_compare(value, sought) > 0;
    case STORAGE_STARTS:
        return value->text.size >= sought->text.size &&
               alike(value->text.data, sought->text.data, sought->text.size);
    case STORAGE_CONTAINS:
        return contains(&value->text, &sought->text);
    case STORAGE_EQ:
        break;
    }
    return false;
}

static int place(const struct storage_value *a, const char *a_id, const struct storage_value *b,
                 const char *b_id)
{
    int order = value_compare(a, b);

    return order != 0 ? order : strcmp(a_id, b_id);
}

/* Whether it is on this page or a later one. */
static bool fits(const struct searching *searching, const struct found *found)
{
    const struct storage_query *query = searching->query;

    for (size_t i = 0; i < query->conditions_count; i++) {
        const struct storage_condition *condition = &query->conditions[i];

        if (!holds(condition, &searching->values[condition->field])) {
            return false;
        }
    }
    if (query->after_id == NULL) {
        return true;
    }

    struct storage_value none = {.type = STORAGE_NULL};
    int order = place(&found->order, found->id,
                      query->order == STORAGE_BY_ID ? &none : &query->after_value, query->after_id);

    return query->descending ? order < 0 : order > 0;
}

/* What a found row is sorted by has to outlive the walk. An entry's texts were copied to a place
 * that the next one uses; they lie at the end of the row, which stays. */
static void remember_order(const struct searching *searching, struct found *found)
{
    const size_t order = searching->query->order;
    size_t behind = 0;

    if (order == STORAGE_BY_ID) {
        return;
    }
    found->order = searching->values[order];
    if (searching->entries && found->order.type == STORAGE_TEXT) {
        for (size_t i = searching->mapping->field[order] - (size_t)COLUMN_TEXTS; i < TEXTS; i++) {
            behind += searching->entry.text_size[i];
        }
        found->order.text.data = (const char *)found->data.mv_data + found->data.mv_size - behind;
    }
}

/* --- Gathering --------------------------------------------------------------------------------- */

static int ascending(const void *a, const void *b)
{
    const struct found *x = a;
    const struct found *y = b;

    return place(&x->order, x->id, &y->order, y->id);
}

static int descending(const void *a, const void *b)
{
    return ascending(b, a);
}

static void keep_best(struct searching *searching)
{
    if (searching->count > 1) {
        qsort(searching->found, searching->count, sizeof *searching->found,
              searching->query->descending ? descending : ascending);
    }
    if (searching->count > searching->query->limit) {
        searching->count = searching->query->limit;
    }
}

static bool gather(struct searching *searching, const struct found *found)
{
    const size_t limit = searching->query->limit;

    if (searching->count / 2 >= limit) {
        keep_best(searching);
    }
    if (searching->count == searching->room) {
        size_t room = searching->room == 0 ? 64 : searching->room * 2;
        struct found *larger = realloc(searching->found, room * sizeof *larger);

        if (larger == NULL) {
            return false;
        }
        searching->found = larger;
        searching->room = room;
    }
    searching->found[searching->count++] = *found;
    return true;
}

/* --- Choosing the walk ------------------------------------------------------------------------- */

static bool is_indexed(const struct searching *searching, size_t field, unsigned *number)
{
    *number = searching->mapping->field[field];
    return *number != NO_FIELD && searching->mapping->kind->fields[*number].flags != 0;
}

static void walk_index(struct searching *searching, unsigned number)
{
    searching->by_index = true;
    searching->field = number;
    searching->type = searching->mapping->kind->fields[number].type;
    index_prefix(&searching->low, searching->mapping->kind->number, number);
    searching->high = searching->low;
}

static void tighten(struct index_key *bound, const struct index_key *other, bool low)
{
    size_t size = bound->size < other->size ? bound->size : other->size;
    int order = memcmp(other->bytes, bound->bytes, size);

    if (order == 0 ? other->size > bound->size : (order > 0) == low) {
        *bound = *other;
    }
}

/* LT and GT of the field that is walked narrow the range; what is at its ends is looked at. */
static void narrow(struct searching *searching, size_t field)
{
    const struct storage_query *query = searching->query;
    unsigned kind = searching->mapping->kind->number;

    for (size_t i = 0; i < query->conditions_count; i++) {
        const struct storage_condition *condition = &query->conditions[i];
        struct index_key key;

        if (condition->field != field || condition->value.type == STORAGE_NULL) {
            continue;
        }
        index_value(&key, kind, searching->field, &condition->value);
        if (condition->relation == STORAGE_GT) {
            tighten(&searching->low, &key, true);
        } else if (condition->relation == STORAGE_LT) {
            tighten(&searching->high, &key, false);
        }
    }
}

static void id_key(const struct searching *searching, struct index_key *key, const char *id)
{
    struct storage_key bytes;
    size_t digits = 0;

    if (!searching->entries) {
        index_append(key, id, strlen(id));
        return;
    }
    key_of_id(id, &bytes, &digits);
    index_append(key, bytes.bytes, digits / 2);
}

/* Where the page before ended, as far as a key can say it; fits() knows exactly. */
static void begin_after(struct searching *searching)
{
    const struct storage_query *query = searching->query;
    struct index_key key;

    if (query->after_id == NULL || !searching->ordered) {
        return;
    }
    if (!searching->by_index) {
        key = searching->low;
        id_key(searching, &key, query->after_id);
    } else if (query->order == STORAGE_BY_ID) { /* one value, whole: see plan() */
        key = searching->low;
        id_key(searching, &key, query->after_id);
    } else {
        index_value(&key, searching->mapping->kind->number, searching->field, &query->after_value);
        if (key.exact) {
            id_key(searching, &key, query->after_id);
        }
    }
    tighten(query->descending ? &searching->high : &searching->low, &key, !query->descending);
}

static void plan(struct searching *searching)
{
    const struct storage_query *query = searching->query;
    const struct storage_condition *equal = NULL;
    unsigned number = 0;

    for (size_t i = 0; i < query->conditions_count; i++) {
        const struct storage_condition *condition = &query->conditions[i];

        if (condition->relation == STORAGE_EQ && is_indexed(searching, condition->field, &number) &&
            (equal == NULL ||
             (searching->host_kind->fields[condition->field].flags & STORAGE_UNIQUE) != 0)) {
            equal = condition;
        }
    }
    if (equal != NULL) {
        is_indexed(searching, equal->field, &number);
        walk_index(searching, number);
        index_value(&searching->low, searching->mapping->kind->number, number, &equal->value);
        searching->high = searching->low;
        searching->ordered =
            searching->low.exact && (query->order == STORAGE_BY_ID || query->order == equal->field);
    } else if (query->order != STORAGE_BY_ID && is_indexed(searching, query->order, &number)) {
        walk_index(searching, number);
        narrow(searching, query->order);
        searching->ordered = true;
    } else {
        searching->low.size = 0;
        if (!searching->entries) {
            record_key(&searching->low, searching->mapping->kind->number, "", 0);
        }
        searching->high = searching->low;
        searching->ordered = query->order == STORAGE_BY_ID;
    }
    begin_after(searching);
}

/* --- Walking ----------------------------------------------------------------------------------- */

static int against(const MDB_val *key, const struct index_key *bound)
{
    size_t size = key->mv_size < bound->size ? key->mv_size : bound->size;
    int order = size == 0 ? 0 : memcmp(key->mv_data, bound->bytes, size);

    return order != 0 ? order : key->mv_size < bound->size ? -1 : 0;
}

static bool in_range(const struct searching *searching, const MDB_val *key)
{
    return searching->query->descending ? against(key, &searching->low) >= 0
                                        : against(key, &searching->high) <= 0;
}

static int walk_first(const struct searching *searching, MDB_cursor *cursor, MDB_val *key,
                      MDB_val *data)
{
    uint8_t behind[KEY_MAX];

    if (!searching->query->descending) {
        *key = (MDB_val){searching->low.size, NULL};
        memcpy(behind, searching->low.bytes, searching->low.size);
        key->mv_data = behind;
        return mdb_cursor_get(cursor, key, data, key->mv_size == 0 ? MDB_FIRST : MDB_SET_RANGE);
    }
    memset(behind, 0xff, sizeof behind);
    memcpy(behind, searching->high.bytes, searching->high.size);
    *key = (MDB_val){sizeof behind, behind};

    int code = mdb_cursor_get(cursor, key, data, MDB_SET_RANGE);

    if (code == 0) { /* a key that is all 0xff may be the very one */
        return against(key, &searching->high) == 0 ? 0
                                                   : mdb_cursor_get(cursor, key, data, MDB_PREV);
    }
    return code == MDB_NOTFOUND ? mdb_cursor_get(cursor, key, data, MDB_LAST) : code;
}

/* From what the cursor is on to the row and its id. */
static int fetch(struct call *call, const struct searching *searching, const MDB_val *key,
                 const MDB_val *data, struct found *found)
{
    MDB_val id = searching->by_index ? *data : *key;
    struct index_key at;

    if (!searching->entries && !searching->by_index && id.mv_size >= 2) {
        id = (MDB_val){key->mv_size - 2, (char *)key->mv_data + 2};
    }
    if (searching->entries ? id.mv_size != STORAGE_KEY_SIZE : id.mv_size > STORAGE_ID_MAX) {
        return MDB_CORRUPTED;
    }
    if (searching->entries) {
        id_of_key(id.mv_data, found->id);
    } else {
        memcpy(found->id, id.mv_data, id.mv_size);
        found->id[id.mv_size] = '\0';
    }
    found->data = *data;
    if (!searching->by_index) {
        return 0;
    }
    if (!searching->entries) {
        record_key(&at, searching->mapping->kind->number, found->id, id.mv_size);
        id = (MDB_val){at.size, at.bytes};
    }
    return mdb_get(call->txn, call->store->dbi[searching->entries ? ENTRIES : RECORDS], &id,
                   &found->data);
}

/* Where the walk goes in the page's order no later row can get before these. Long texts alone are
 * in the index by their beginnings: then the likes of the last one are still to come. */
static bool page_is_full(const struct searching *searching, const MDB_val *key, const MDB_val *data)
{
    return searching->ordered && searching->count >= searching->query->limit &&
           (!searching->by_index || index_exact(key->mv_size, data->mv_size, searching->type));
}

static enum storage_status walk(struct call *call, struct searching *searching)
{
    enum database table = searching->by_index ? INDEX : searching->entries ? ENTRIES : RECORDS;
    MDB_cursor *cursor = NULL;
    MDB_val key;
    MDB_val data;
    size_t seen = 0;
    int code = mdb_cursor_open(call->txn, call->store->dbi[table], &cursor);

    if (code == 0) {
        code = walk_first(searching, cursor, &key, &data);
    }
    while (code == 0 && in_range(searching, &key) && !page_is_full(searching, &key, &data)) {
        struct found found = {.order = {.type = STORAGE_NULL}};
        int64_t version = 0;

        code = fetch(call, searching, &key, &data, &found);
        if (code == 0 && !decode(searching, &found.data, &version)) {
            code = MDB_CORRUPTED;
        }
        if (code != 0) {
            code = code == MDB_NOTFOUND ? MDB_CORRUPTED : code;
            break;
        }
        remember_order(searching, &found);
        if (fits(searching, &found) && !gather(searching, &found)) {
            code = ENOMEM;
            break;
        }
        if (++seen % LOOK_AT_CLOCK == 0 && call_late(call)) {
            mdb_cursor_close(cursor);
            return say(call->error, STORAGE_BUSY, 0, "no time left to search %.60s",
                       searching->host_kind->name);
        }
        code =
            mdb_cursor_get(cursor, &key, &data, searching->query->descending ? MDB_PREV : MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    return result(call, code == MDB_NOTFOUND ? 0 : code, "the rows cannot be read");
}

static enum storage_status lend(struct call *call, struct searching *searching)
{
    keep_best(searching);
    for (size_t i = 0; i < searching->count; i++) {
        struct storage_record record = {.id = searching->found[i].id};

        if (!decode(searching, &searching->found[i].data, &record.version)) {
            return result(call, MDB_CORRUPTED, "a row cannot be read");
        }
        record.values = searching->values;
        if (!searching->each(searching->context, &record)) {
            break;
        }
    }
    return STORAGE_OK;
}

static enum storage_status search_rows(struct call *call, void *argument)
{
    struct searching *searching = argument;
    enum storage_status status;

    searching->mapping = &call->catalog->mappings[searching->query->kind];
    if (searching->mapping->kind == NULL) { /* read only, and nobody has written one yet */
        return STORAGE_OK;
    }
    searching->stored = calloc(searching->mapping->kind->count + 1, sizeof *searching->stored);
    searching->values = calloc(searching->host_kind->fields_count + 1, sizeof *searching->values);
    if (searching->stored == NULL || searching->values == NULL) {
        return meaning(call->error, ENOMEM, "search");
    }
    plan(searching);
    status = walk(call, searching);
    return status == STORAGE_OK ? lend(call, searching) : status;
}

static bool is_sound(const struct storage_host *host, const struct storage_query *query)
{
    if (query->kind >= host->kinds_count || query->limit == 0 ||
        query->conditions_count > STORAGE_CONDITIONS) {
        return false;
    }

    const struct storage_kind *kind = &host->kinds[query->kind];

    if (query->order != STORAGE_BY_ID) {
        enum storage_type type = query->after_value.type;

        if (query->order >= kind->fields_count ||
            (query->after_id != NULL && type != STORAGE_NULL &&
             type != kind->fields[query->order].type)) {
            return false;
        }
    }
    for (size_t i = 0; i < query->conditions_count; i++) {
        const struct storage_condition *condition = &query->conditions[i];
        enum storage_type type = condition->value.type;

        if (condition->field >= kind->fields_count || condition->relation > STORAGE_CONTAINS ||
            (type != STORAGE_NULL && type != kind->fields[condition->field].type) ||
            (condition->relation >= STORAGE_STARTS &&
             kind->fields[condition->field].type != STORAGE_TEXT)) {
            return false;
        }
    }
    return true;
}

enum storage_status driver_search(struct storage_session *session,
                                  const struct storage_query *query, storage_each *each,
                                  void *context, struct storage_error *error)
{
    const struct storage_host *host = session->db->host;
    struct call call;

    if (!is_sound(host, query)) {
        return say(error, STORAGE_INVALID, 0, "the query is not a sound one");
    }

    struct searching *searching = calloc(1, sizeof *searching);

    if (searching == NULL) {
        return meaning(error, ENOMEM, "search");
    }
    searching->query = query;
    searching->each = each;
    searching->context = context;
    searching->host_kind = &host->kinds[query->kind];
    searching->entries = (searching->host_kind->flags & STORAGE_ENTRIES) != 0;
    call_begin(&call, session, error);

    enum storage_status status = call_read(&call, search_rows, searching);

    free(searching->found);
    free(searching->stored);
    free(searching->values);
    free(searching);
    return status;
}
