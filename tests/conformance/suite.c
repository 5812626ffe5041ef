/*
 * suite.c: the store of a case, and the words in which the cases are written.
 */
#include "suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BUSY_TRIES 2000

/* --- The store -------------------------------------------------------------------------------- */

static const struct storage_field article_fields[ARTICLE_FIELDS] = {
    [LABEL] = {"label", STORAGE_TEXT, STORAGE_INDEXED},
    [RANK] = {"rank", STORAGE_INTEGER, STORAGE_INDEXED},
    [WEIGHT] = {"weight", STORAGE_REAL, STORAGE_INDEXED},
    [MOMENT] = {"moment", STORAGE_TIME, STORAGE_INDEXED},
    [BODY] = {"body", STORAGE_TEXT, 0},
    [OWNER] = {"owner", STORAGE_TEXT, STORAGE_UNIQUE},
};

static const struct storage_field entry_fields[ENTRY_FIELDS] = {
    [FIRST_SEEN] = {"first_seen", STORAGE_TIME, STORAGE_INDEXED},
    [LAST_SEEN] = {"last_seen", STORAGE_TIME, STORAGE_INDEXED},
    [EXPIRES] = {"expires", STORAGE_TIME, STORAGE_INDEXED},
    [WAITED] = {"waited", STORAGE_INTEGER, 0},
    [TRIES] = {"tries", STORAGE_INTEGER, 0},
    [PASSES] = {"passes", STORAGE_INTEGER, STORAGE_INDEXED},
    [CLIENT_ADDRESS] = {"client_address", STORAGE_TEXT, STORAGE_INDEXED},
    [CLIENT_NAME] = {"client_name", STORAGE_TEXT, STORAGE_INDEXED},
    [HELO_NAME] = {"helo_name", STORAGE_TEXT, 0},
    [SENDER] = {"sender", STORAGE_TEXT, STORAGE_INDEXED},
    [RECIPIENT] = {"recipient", STORAGE_TEXT, STORAGE_INDEXED},
    [COUNTRY] = {"country", STORAGE_TEXT, 0},
    [POLICY] = {"policy", STORAGE_TEXT, 0},
};

const struct storage_kind suite_kinds[KINDS] = {
    [ARTICLES] = {"article", 0, article_fields, ARTICLE_FIELDS},
    [NOTES] = {"note", STORAGE_QUIET, article_fields, 2},
    [ENTRIES] = {"greylist_entry", STORAGE_ENTRIES, entry_fields, ENTRY_FIELDS},
};

static void ignore_log(void *context, enum storage_level level, const char *text)
{
    (void)context;
    (void)level;
    (void)text;
}

struct storage_host suite_host(void)
{
    return (struct storage_host){
        .abi = STORAGE_ABI,
        .size = sizeof(struct storage_host),
        .kinds = suite_kinds,
        .kinds_count = KINDS,
        .connect_timeout = 10000,
        .call_timeout = 30000,
        .log = ignore_log,
    };
}

static bool open_store(struct suite *suite)
{
    enum storage_status status;

    status = place_open(suite->place, &suite->host, suite->url, &suite->db, &suite->error);
    if (status == STORAGE_OK) {
        status = suite->driver->attach(suite->db, &suite->session, &suite->error);
    }
    if (status != STORAGE_OK) {
        print_error("opening %s: status %d: %s\n", suite->url, (int)status, suite->error.text);
    }
    return status == STORAGE_OK;
}

static void close_store(struct suite *suite)
{
    suite->driver->detach(suite->session);
    suite->session = NULL;
    suite->driver->close(suite->db);
    suite->db = NULL;
}

int suite_setup(void **state)
{
    const struct place *place = *state;
    struct suite *suite = calloc(1, sizeof *suite);

    if (suite == NULL) {
        return -1;
    }
    suite->place = place;
    suite->driver = place->driver;
    suite->host = suite_host();
    place_name_store(place, suite->url, sizeof suite->url);
    *state = suite;
    if (!open_store(suite)) {
        close_store(suite);
        free(suite);
        return -1;
    }
    return 0;
}

int suite_teardown(void **state)
{
    struct suite *suite = *state;

    close_store(suite);
    place_drop_store(suite->place, suite->url);
    free(suite);
    return 0;
}

struct storage_session *suite_attach_to(struct suite *suite, struct storage_db *db)
{
    struct storage_session *session = NULL;
    enum storage_status status = suite->driver->attach(db, &session, &suite->error);

    assert_int_equal(status, STORAGE_OK);
    assert_non_null(session);
    return session;
}

struct storage_session *suite_attach(struct suite *suite)
{
    return suite_attach_to(suite, suite->db);
}

struct storage_db *suite_open_again(struct suite *suite)
{
    struct storage_db *db = NULL;
    enum storage_status status;

    status = place_open(suite->place, &suite->host, suite->url, &db, &suite->error);
    if (status != STORAGE_OK) {
        fail_msg("opening %s again: %s", suite->url, suite->error.text);
    }
    assert_non_null(db);
    return db;
}

bool suite_can_reopen(const struct suite *suite)
{
    return strstr(suite->place->url, "%s") != NULL;
}

void suite_reopen(struct suite *suite, const struct storage_kind *kinds, size_t kinds_count)
{
    close_store(suite);
    suite->host.kinds = kinds;
    suite->host.kinds_count = kinds_count;
    assert_true(open_store(suite));
}

struct storage_error suite_raw_error(void)
{
    struct storage_error error;

    memset(&error, 'x', sizeof error);
    return error;
}

void suite_expect_error_filled(const struct storage_error *error)
{
    const char *end = memchr(error->text, '\0', sizeof error->text);

    assert_non_null(end);
    assert_true(end > error->text);
}

/* --- Sightings -------------------------------------------------------------------------------- */

struct storage_key suite_key(uint32_t number)
{
    /* Bytes that a text column would lose: 0, what is not UTF-8, and a percent sign. */
    struct storage_key key = {
        {0, 0, 0, 0, 0xff, 0x00, 0x25, 0xc0, 0x80, 0x27, 0x5c, 0x22, 0, 0, 0, 0xfe}};

    for (size_t i = 0; i < 4; i++) {
        key.bytes[i] = (uint8_t)(number >> (24 - 8 * i));
        key.bytes[15 - i] = (uint8_t)(key.bytes[15 - i] ^ key.bytes[i]);
    }
    return key;
}

void suite_key_id(uint32_t number, char id[STORAGE_KEY_SIZE * 2 + 1])
{
    static const char digits[] = "0123456789abcdef";
    struct storage_key key = suite_key(number);

    for (size_t i = 0; i < STORAGE_KEY_SIZE; i++) {
        id[i * 2] = digits[key.bytes[i] / 16];
        id[i * 2 + 1] = digits[key.bytes[i] % 16];
    }
    id[STORAGE_KEY_SIZE * 2] = '\0';
}

uint32_t suite_key_number(const char *id)
{
    char number[9] = "";

    memcpy(number, id, strnlen(id, 8));
    return (uint32_t)strtoul(number, NULL, 16);
}

static struct storage_sighting make_sighting(enum storage_op op, uint32_t key, int64_t now)
{
    return (struct storage_sighting){
        .op = op,
        .count = 1,
        .key = suite_key(key),
        .now = now,
        .delay = DELAY,
        .window = WINDOW,
        .keep = KEEP,
    };
}

struct storage_sighting suite_grey(uint32_t key, int64_t now)
{
    return make_sighting(STORAGE_GREY, key, now);
}

struct storage_sighting suite_touch(uint32_t key, int64_t now)
{
    return make_sighting(STORAGE_TOUCH, key, now);
}

struct storage_sighting suite_learn(uint32_t key, int64_t now)
{
    return make_sighting(STORAGE_LEARN, key, now);
}

struct storage_sighting suite_merge(uint32_t key, int64_t now, const struct storage_merge *merge)
{
    struct storage_sighting sighting = make_sighting(STORAGE_MERGE, key, now);

    sighting.merge = merge;
    return sighting;
}

struct storage_sighting suite_count(uint32_t key, int64_t now, uint32_t count)
{
    struct storage_sighting sighting = make_sighting(STORAGE_COUNT, key, now);

    sighting.count = count;
    return sighting;
}

struct storage_sighting suite_pair(uint32_t key, int64_t now, uint64_t mark)
{
    struct storage_sighting sighting = make_sighting(STORAGE_PAIR, key, now);

    sighting.mark = mark;
    return sighting;
}

struct storage_sighting suite_take(uint32_t key, int64_t now, uint32_t count)
{
    struct storage_sighting sighting = make_sighting(STORAGE_TAKE, key, now);

    sighting.count = count;
    return sighting;
}

struct storage_text suite_text(const char *text)
{
    return (struct storage_text){text, strlen(text)};
}

static void wait_a_little(void)
{
    const struct timespec moment = {.tv_sec = 0, .tv_nsec = 1000000};

    (void)nanosleep(&moment, NULL);
}

enum storage_status suite_observe(const struct storage_driver *driver,
                                  struct storage_session *session,
                                  const struct storage_sighting *sightings, size_t count,
                                  struct storage_row *rows, struct storage_error *error)
{
    enum storage_status status = STORAGE_BUSY;

    for (int i = 0; i < BUSY_TRIES && status == STORAGE_BUSY; i++) {
        if (i > 0) {
            wait_a_little();
        }
        memset(rows, 0xa5, count * sizeof *rows);
        status = driver->observe(session, sightings, count, rows, error);
    }
    return status;
}

void suite_see_all(struct suite *suite, const struct storage_sighting *sightings, size_t count,
                   struct storage_row *rows)
{
    enum storage_status status =
        suite_observe(suite->driver, suite->session, sightings, count, rows, &suite->error);

    if (status != STORAGE_OK) {
        fail_msg("observe() answered %d: %s", (int)status, suite->error.text);
    }
}

struct storage_row suite_see(struct suite *suite, struct storage_sighting sighting)
{
    struct storage_row row;

    suite_see_all(suite, &sighting, 1, &row);
    return row;
}

void suite_expect_invalid(struct suite *suite, const struct storage_sighting *sightings,
                          size_t count)
{
    static struct storage_row rows[STORAGE_BATCH_MAX + 1];
    struct storage_error error = suite_raw_error();
    enum storage_status status;

    status = suite->driver->observe(suite->session, sightings, count, rows, &error);
    assert_int_equal(status, STORAGE_INVALID);
    suite_expect_error_filled(&error);
}

struct storage_row suite_counter(struct suite *suite, uint32_t key, int64_t now)
{
    return suite_see(suite, suite_count(key, now, 0));
}

static bool differs(const char *what, int64_t is, int64_t expected)
{
    if (is != expected) {
        print_error("%s is %lld, should be %lld\n", what, (long long)is, (long long)expected);
    }
    return is != expected;
}

static bool times_differ(const struct storage_row *row, const struct storage_row *expected)
{
    bool different = differs("status", row->status, expected->status);

    different |= differs("exempt", row->exempt, expected->exempt);
    different |= differs("first_seen", row->first_seen - T0, expected->first_seen - T0);
    different |= differs("last_seen", row->last_seen - T0, expected->last_seen - T0);
    different |= differs("expires", row->expires - T0, expected->expires - T0);
    return different;
}

void suite_expect_entry(struct storage_row row, struct storage_row expected, const char *file,
                        int line)
{
    bool different = times_differ(&row, &expected);

    different |= differs("origin", row.origin, expected.origin);
    different |= differs("waited", row.waited, expected.waited);
    different |= differs("tries", row.tries, expected.tries);
    different |= differs("passes", row.passes, expected.passes);
    if (different) {
        _fail(file, line);
    }
}

void suite_expect_counter(struct storage_row row, struct storage_row expected, const char *file,
                          int line)
{
    bool different = times_differ(&row, &expected);

    if (differs("count", row.count, expected.count) || different) {
        _fail(file, line);
    }
}

/* --- Entries as they are stored --------------------------------------------------------------- */

bool suite_read_entry(const struct storage_record *record, struct suite_entry *entry)
{
    if (strlen(record->id) != (size_t)STORAGE_KEY_SIZE * 2 || record->version != 0) {
        return false;
    }
    *entry = (struct suite_entry){.key = suite_key_number(record->id)};
    for (size_t i = 0; i < ENTRY_FIELDS; i++) {
        const struct storage_value *value = &record->values[i];
        bool text = i >= CLIENT_ADDRESS;
        if (value->type != entry_fields[i].type && !(text && value->type == STORAGE_NULL)) {
            return false;
        }
        if (text) {
            entry->null[i - CLIENT_ADDRESS] = value->type == STORAGE_NULL;
        }
        if (!text) {
            entry->number[i] = value->integer;
        } else if (value->type != STORAGE_NULL && value->text.size > 0) {
            if (value->text.size > STORAGE_TEXT_MAX) {
                return false;
            }
            memcpy(entry->text[i - CLIENT_ADDRESS], value->text.data, value->text.size);
        }
    }
    return true;
}

struct wanted_entry {
    struct suite_entry *entry;
    char id[STORAGE_KEY_SIZE * 2 + 1];
    bool found;
    bool wrong;
};

static bool take_wanted(void *context, const struct storage_record *record)
{
    struct wanted_entry *wanted = context;

    if (strcmp(record->id, wanted->id) == 0) {
        wanted->found = true;
        wanted->wrong = !suite_read_entry(record, wanted->entry);
    }
    return !wanted->found;
}

bool suite_find_entry(struct suite *suite, uint32_t key, struct suite_entry *entry)
{
    const struct storage_query query = {.kind = ENTRIES, .order = STORAGE_BY_ID, .limit = 1000000};
    struct wanted_entry wanted = {.entry = entry};
    enum storage_status status;

    suite_key_id(key, wanted.id);
    status = suite->driver->search(suite->session, &query, take_wanted, &wanted, &suite->error);
    assert_int_equal(status, STORAGE_OK);
    assert_false(wanted.wrong);
    return wanted.found;
}

void suite_expect_stored(struct suite *suite, uint32_t key, struct storage_row expected,
                         const char *file, int line)
{
    struct suite_entry entry;
    struct storage_row row = {0};

    if (!suite_find_entry(suite, key, &entry)) {
        print_error("entry %u is not stored\n", key);
        _fail(file, line);
    }
    row.first_seen = entry.number[FIRST_SEEN];
    row.last_seen = entry.number[LAST_SEEN];
    row.expires = entry.number[EXPIRES];
    row.waited = entry.number[WAITED];
    row.tries = (uint32_t)entry.number[TRIES];
    row.passes = (uint32_t)entry.number[PASSES];
    suite_expect_entry(row, expected, file, line);
}

/* --- Records ---------------------------------------------------------------------------------- */

struct storage_value value_null(void)
{
    return (struct storage_value){.type = STORAGE_NULL};
}

struct storage_value value_integer(int64_t integer)
{
    return (struct storage_value){.type = STORAGE_INTEGER, .integer = integer};
}

struct storage_value value_real(double real)
{
    return (struct storage_value){.type = STORAGE_REAL, .real = real};
}

struct storage_value value_time(int64_t time)
{
    return (struct storage_value){.type = STORAGE_TIME, .integer = time};
}

struct storage_value value_text(const char *text)
{
    return (struct storage_value){.type = STORAGE_TEXT, .text = suite_text(text)};
}

enum storage_status suite_change(struct suite *suite, size_t kind, struct storage_change *changes,
                                 size_t count)
{
    enum storage_status status = STORAGE_BUSY;

    for (int i = 0; i < BUSY_TRIES && status == STORAGE_BUSY; i++) {
        if (i > 0) {
            wait_a_little();
        }
        status = suite->driver->change(suite->session, kind, changes, count, &suite->error);
    }
    return status;
}

enum storage_status suite_put(struct suite *suite, size_t kind, const char *id, int64_t expected,
                              const struct storage_value *values)
{
    struct storage_change change = {.id = id, .expected = expected, .values = values};

    return suite_change(suite, kind, &change, 1);
}

enum storage_status suite_erase(struct suite *suite, size_t kind, const char *id, int64_t expected)
{
    struct storage_change change = {.id = id, .expected = expected};

    return suite_change(suite, kind, &change, 1);
}

void suite_put_article(struct suite *suite, const char *id, const char *label,
                       struct storage_value rank)
{
    struct storage_value values[ARTICLE_FIELDS] = {
        [LABEL] = label == NULL ? value_null() : value_text(label), [RANK] = rank};
    enum storage_status status = suite_put(suite, ARTICLES, id, 0, values);

    if (status != STORAGE_OK) {
        fail_msg("change(%s) answered %d: %s", id, (int)status, suite->error.text);
    }
}

uint64_t suite_revision(struct suite *suite)
{
    uint64_t revision = 0;
    enum storage_status status;

    status = suite->driver->revision(suite->session, &revision, &suite->error);
    assert_int_equal(status, STORAGE_OK);
    assert_in_range(revision, 1, INT64_MAX);
    return revision;
}

static bool note_id(void *context, const struct storage_record *record)
{
    struct suite_found *found = context;
    size_t used = strlen(found->ids);

    (void)snprintf(found->ids + used, sizeof found->ids - used, "%s%s", used == 0 ? "" : " ",
                   record->id);
    (void)snprintf(found->last_id, sizeof found->last_id, "%s", record->id);
    found->count++;
    return true;
}

enum storage_status suite_search(struct suite *suite, const struct storage_query *query,
                                 struct suite_found *found)
{
    *found = (struct suite_found){0};
    return suite->driver->search(suite->session, query, note_id, found, &suite->error);
}

void suite_expect_found(struct suite *suite, const struct storage_query *query, const char *ids,
                        const char *file, int line)
{
    struct suite_found found;
    enum storage_status status = suite_search(suite, query, &found);

    if (status != STORAGE_OK) {
        print_error("search() answered %d: %s\n", (int)status, suite->error.text);
        _fail(file, line);
    }
    if (strcmp(found.ids, ids) != 0) {
        print_error("found \"%s\", should be \"%s\"\n", found.ids, ids);
        _fail(file, line);
    }
}
