/*
 * search.c: search(), the same for records and entries: all that match, sorted, then the page.
 */
#include "store.h"

#include <stdlib.h>
#include <string.h>

struct search;

/* A record that matches, with its values in the order of the host's fields. */
struct found {
    const struct search *search;
    char id[STORAGE_ID_MAX + 1];
    int64_t version;
    struct storage_value *values;
};

struct search {
    const struct memory_store *store;
    const struct memory_view *view;
    const struct storage_query *query;
    struct found *found;
    size_t found_count;
    size_t found_room;
};

/* --- Entries as records ----------------------------------------------------------------------- */

static const char *const columns[] = {
    "client_address", "client_name", "helo_name", "sender", "recipient", "country", "policy",
    "first_seen",     "last_seen",   "expires",   "waited", "tries",     "passes"};

size_t memory_entry_column(const char *name)
{
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
        if (strcmp(columns[i], name) == 0) {
            return i;
        }
    }
    return SIZE_MAX;
}

struct storage_value memory_entry_value(const struct memory_row *row, size_t column,
                                        enum storage_type type)
{
    const int64_t numbers[] = {row->history.first_seen, row->history.last_seen,
                               row->history.expires,    row->history.waited,
                               row->history.tries,      row->history.passes};
    struct storage_value value = {.type = type};

    if (column >= MEMORY_READINGS) {
        value.integer = numbers[column - MEMORY_READINGS];
    } else if (row->reading[column] == NULL) {
        value.type = STORAGE_NULL;
    } else {
        value.text = (struct storage_text){row->reading[column], strlen(row->reading[column])};
    }
    return value;
}

static void id_of_key(const struct storage_key *key, char id[STORAGE_ID_MAX + 1])
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < STORAGE_KEY_SIZE; i++) {
        id[i * 2] = digits[key->bytes[i] >> 4];
        id[i * 2 + 1] = digits[key->bytes[i] & 15];
    }
    id[STORAGE_KEY_SIZE * 2] = '\0';
}

/* --- Comparing -------------------------------------------------------------------------------- */

static int order_of(bool less, bool greater)
{
    return less ? -1 : greater ? 1 : 0;
}

static int compare_texts(const struct storage_text *left, const struct storage_text *right)
{
    size_t shorter = left->size < right->size ? left->size : right->size;
    int order = shorter == 0 ? 0 : memcmp(left->data, right->data, shorter);

    return order != 0 ? order : order_of(left->size<right->size, left->size> right->size);
}

int memory_value_compare(const struct storage_value *left, const struct storage_value *right)
{
    if (left->type == STORAGE_NULL || right->type == STORAGE_NULL) {
        return order_of(left->type == STORAGE_NULL && right->type != STORAGE_NULL,
                        left->type != STORAGE_NULL && right->type == STORAGE_NULL);
    }
    switch (left->type) {
    case STORAGE_REAL:
        return order_of(left->real<right->real, left->real> right->real);
    case STORAGE_TEXT:
        return compare_texts(&left->text, &right->text);
    default:
        return order_of(left->integer<right->integer, left->integer> right->integer);
    }
}

static char fold(char letter)
{
    return letter >= 'A' && letter <= 'Z' ? (char)(letter - 'A' + 'a') : letter;
}

static bool same_letters(const char *left, const char *right, size_t size, bool exact)
{
    for (size_t i = 0; i < size; i++) {
        if (exact ? left[i] != right[i] : fold(left[i]) != fold(right[i])) {
            return false;
        }
    }
    return true;
}

static bool text_contains(const struct storage_text *text, const struct storage_text *part,
                          bool exact)
{
    for (size_t at = 0; at + part->size <= text->size; at++) {
        if (same_letters(text->data + at, part->data, part->size, exact)) {
            return true;
        }
    }
    return false;
}

static bool condition_holds(const struct memory_store *store,
                            const struct storage_condition *condition,
                            const struct storage_value *value)
{
    const struct storage_value *wanted = &condition->value;

    if (condition->relation == STORAGE_EQ) {
        return memory_value_compare(value, wanted) == 0 &&
               (value->type != STORAGE_NULL || !memory_broken(store, MEMORY_BREAK_NULL_UNEQUAL));
    }
    if (condition->relation == STORAGE_LT && memory_broken(store, MEMORY_BREAK_NULL_LESS)) {
        return memory_value_compare(value, wanted) < 0;
    }
    if (value->type == STORAGE_NULL || wanted->type == STORAGE_NULL) {
        return false;
    }
    switch (condition->relation) {
    case STORAGE_LT:
        return memory_value_compare(value, wanted) < 0;
    case STORAGE_GT:
        return memory_value_compare(value, wanted) > 0;
    case STORAGE_STARTS:
        return value->text.size >= wanted->text.size &&
               same_letters(value->text.data, wanted->text.data, wanted->text.size, false);
    default:
        return text_contains(&value->text, &wanted->text,
                             memory_broken(store, MEMORY_BREAK_LETTER_CASE));
    }
}

/* Where a record stands against another record, or against where the last page ended. */
static int compare_places(const struct search *search, const struct found *left,
                          const char *right_id, const struct storage_value *right_value)
{
    const struct storage_query *query = search->query;
    int order = 0;

    if (query->order != STORAGE_BY_ID) {
        const struct storage_value *left_value = &left->values[query->order];
        order = memory_value_compare(left_value, right_value);
        if (memory_broken(search->store, MEMORY_BREAK_NULL_HIGHEST) &&
            (left_value->type == STORAGE_NULL) != (right_value->type == STORAGE_NULL)) {
            order = -order;
        }
    }
    if (order == 0) {
        order = strcmp(left->id, right_id);
        if (query->descending && memory_broken(search->store, MEMORY_BREAK_TIES_ASCEND)) {
            order = -order;
        }
    }
    return order;
}

static int compare_found(const void *left, const void *right)
{
    const struct found *one = left;
    const struct found *other = right;
    size_t order = one->search->query->order;

    return compare_places(one->search, one, other->id,
                          order == STORAGE_BY_ID ? NULL : &other->values[order]);
}

/* --- Finding ---------------------------------------------------------------------------------- */

static bool matches(const struct search *search, const struct storage_value *values)
{
    for (size_t i = 0; i < search->query->conditions_count; i++) {
        const struct storage_condition *condition = &search->query->conditions[i];
        if (!condition_holds(search->store, condition, &values[condition->field])) {
            return false;
        }
    }
    return true;
}

/* Adds a place for a record; its values are zeroed, that is NULL. NULL: out of memory. */
static struct found *add_found(struct search *search)
{
    struct found *found;

    if (search->found_count == search->found_room) {
        size_t room = search->found_room == 0 ? 64 : search->found_room * 2;
        found = realloc(search->found, room * sizeof *found);
        if (found == NULL) {
            return NULL;
        }
        search->found = found;
        search->found_room = room;
    }
    found = &search->found[search->found_count];
    *found = (struct found){.search = search};
    found->values = calloc(search->view->kind->fields_count + 1, sizeof *found->values);
    if (found->values == NULL) {
        return NULL;
    }
    search->found_count++;
    return found;
}

/* Takes the last one away again if it does not match. */
static void drop_unless_matching(struct search *search)
{
    struct found *last = &search->found[search->found_count - 1];

    if (!matches(search, last->values)) {
        free(last->values);
        search->found_count--;
    }
}

static bool find_entries(struct search *search)
{
    const struct memory_table *table = &search->store->entries;
    const struct storage_kind *kind = search->view->kind;

    for (size_t i = 0; i < table->buckets_count; i++) {
        for (const struct memory_row *row = table->buckets[i]; row != NULL; row = row->next) {
            struct found *found = add_found(search);
            if (found == NULL) {
                return false;
            }
            id_of_key(&row->key, found->id);
            for (size_t j = 0; j < kind->fields_count; j++) {
                found->values[j] =
                    memory_entry_value(row, search->view->field[j], kind->fields[j].type);
            }
            drop_unless_matching(search);
        }
    }
    return true;
}

static bool find_records(struct search *search)
{
    const struct memory_kind *stored = search->view->stored;

    for (size_t i = 0; i < stored->records_count; i++) {
        const struct memory_record *record = &stored->records[i];
        struct found *found = add_found(search);
        if (found == NULL) {
            return false;
        }
        memcpy(found->id, record->id, sizeof found->id);
        found->version = record->version;
        for (size_t j = 0; j < search->view->kind->fields_count; j++) {
            if (search->view->field[j] < record->values_count) {
                found->values[j] = record->values[search->view->field[j]];
            }
        }
        drop_unless_matching(search);
    }
    return true;
}

/* Whether the record stands behind the end of the last page. */
static bool is_behind(const struct search *search, const struct found *found)
{
    const struct storage_query *query = search->query;
    int order;

    if (query->after_id == NULL) {
        return true;
    }
    order = compare_places(search, found, query->after_id, &query->after_value);
    if (order == 0) {
        return memory_broken(search->store, MEMORY_BREAK_PAGE_REPEATS);
    }
    return query->descending ? order < 0 : order > 0;
}

static void lend_page(const struct search *search, storage_each *each, void *context)
{
    size_t lent = 0;

    for (size_t i = 0; i < search->found_count && lent < search->query->limit; i++) {
        const struct found *found =
            &search->found[search->query->descending ? search->found_count - 1 - i : i];
        struct storage_record record = {found->id, found->version, found->values};
        if (!is_behind(search, found)) {
            continue;
        }
        lent++;
        if (!each(context, &record)) {
            return;
        }
    }
}

enum storage_status memory_search(struct storage_session *session,
                                  const struct storage_query *query, storage_each *each,
                                  void *context, struct storage_error *error)
{
    struct storage_db *db = session->db;
    const char *wrong = memory_check_query(db->host, query);
    struct search search = {.store = db->store, .query = query};
    bool done;

    if (wrong != NULL) {
        return memory_refuse(error, STORAGE_INVALID, wrong);
    }
    search.view = &db->views[query->kind];
    (void)pthread_mutex_lock(&db->store->lock);
    done = search.view->stored == NULL ? find_entries(&search) : find_records(&search);
    if (done && search.found_count > 0) {
        qsort(search.found, search.found_count, sizeof *search.found, compare_found);
        lend_page(&search, each, context);
    }
    (void)pthread_mutex_unlock(&db->store->lock);
    for (size_t i = 0; i < search.found_count; i++) {
        free(search.found[i].values);
    }
    free(search.found);
    return done ? STORAGE_OK : memory_refuse(error, STORAGE_BUSY, "out of memory");
}
