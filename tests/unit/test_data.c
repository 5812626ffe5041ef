/* test_data.c: fixtures merged into a store at start, on a store in memory. */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/hash.h"
#include "core/base/log.h"
#include "core/data/batch.h"
#include "core/data/data.h"
#include "core/data/record.h"
#include "core/data/update.h"

#define NOW INT64_C(1769860800000)

struct place {
    struct store *store;
    struct store_line line;
    char folder[64];
    char file[128];
};

static int start(void **state)
{
    struct place *p = calloc(1, sizeof(*p));
    const char *drivers = getenv("MONGREY_TEST_DRIVERS");
    struct storage_error error = {0, ""};
    assert_non_null(p);
    if (drivers == NULL)
        fail_msg("MONGREY_TEST_DRIVERS is not set");
    struct store_options options = {
        .url = TEXT("sqlite:///:memory:"), .driver_path = text_of(drivers), .call_timeout = 5000};
    p->store = store_make(&options, &error);
    if (p->store == NULL || store_open(p->store, &error) != STORAGE_OK)
        fail_msg("%s", error.text);
    store_line_start(&p->line, p->store);
    snprintf(p->folder, sizeof(p->folder), "/tmp/mongrey-data-XXXXXX");
    assert_non_null(mkdtemp(p->folder));
    snprintf(p->file, sizeof(p->file), "%s/fixtures.yml", p->folder);
    *state = p;
    return 0;
}

static int stop(void **state)
{
    struct place *p = *state;
    store_line_end(&p->line);
    store_free(p->store);
    (void)unlink(p->file);
    (void)rmdir(p->folder);
    free(p);
    return 0;
}

static int import(struct place *p, const char *text)
{
    FILE *f = fopen(p->file, "we");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    return data_import_at_start(&p->line, p->file, NOW);
}

/* --- What is in the store ----------------------------------------------------------------------- */

struct shown {
    char memory[4096];
    struct writer w;
    const char *wanted; /* of find() */
    char id[STORAGE_ID_MAX + 1];
    int64_t version;
};

static bool show_key(void *context, const struct storage_record *record)
{
    struct shown *s = context;
    write_literal(&s->w, s->w.at > s->w.start ? " " : "");
    write_text(&s->w, record_key(record->values));
    if (s->wanted != NULL && text_equal(record_key(record->values), text_of(s->wanted))) {
        snprintf(s->id, sizeof(s->id), "%s", record->id);
        s->version = record->version;
    }
    return true;
}

static struct shown search(struct place *p, enum kind kind, const char *wanted)
{
    struct storage_query query = {.kind = kind, .order = 0, .limit = 100};
    struct storage_error error = {0, ""};
    struct shown s = {.wanted = wanted};
    s.w = writer_on(s.memory, sizeof(s.memory));
    assert_int_equal(store_search(&p->line, &query, show_key, &s, &error), STORAGE_OK);
    (void)writer_end(&s.w);
    return s;
}

static void expect(struct place *p, enum kind kind, const char *keys)
{
    struct shown s = search(p, kind, NULL);
    assert_string_equal(s.memory, keys);
}

/* As somebody does in the web interface: a comment, or (NULL) away with it. */
static void edit(struct place *p, enum kind kind, const char *key, const char *const *written)
{
    struct shown s = search(p, kind, key);
    struct arena arena = arena_make(1 << 20);
    struct storage_value values[STORAGE_FIELDS_MAX];
    struct text texts[STORAGE_FIELDS_MAX] = {{NULL, 0}};
    struct record_fault fault;
    struct storage_error error = {0, ""};
    struct storage_change change = {.id = s.id, .expected = s.version};
    assert_int_not_equal(s.version, 0);
    for (; written != NULL && *written != NULL; written += 2) {
        size_t field;
        assert_true(record_find_field(kind, text_of(written[0]), &field));
        texts[field] = text_of(written[1]);
    }
    if (written != NULL) {
        assert_true(record_make(kind, texts, NOW, &arena, values, &fault));
        change.values = values;
    }
    assert_int_equal(store_change(&p->line, kind, &change, 1, &error), STORAGE_OK);
    arena_free(&arena);
}

static uint64_t revision(struct place *p)
{
    struct storage_error error;
    uint64_t now = 0;
    assert_int_equal(store_revision(&p->line, &now, &error), STORAGE_OK);
    return now;
}

/* --- Tests -------------------------------------------------------------------------------------- */

#define FILE_A                                                                            \
    "version: 1\ndomain: [{name: a.example}, {name: b.example}]\n"                        \
    "whitelist: [{value: 192.0.2.1}, {value: 192.0.2.2, comments: two, source: other}]\n" \
    "policy: [{name: p, value: 192.0.2.3, greylist_remaining: 60}]\n"

static void a_restart_brings_nothing_back(void **state)
{
    struct place *p = *state;
    assert_int_equal(import(p, FILE_A), 0);
    expect(p, KIND_DOMAIN, "a.example b.example");
    expect(p, KIND_WHITELIST, "client_address:192.0.2.1 client_address:192.0.2.2");
    expect(p, KIND_POLICY, "p");
    edit(p, KIND_DOMAIN, "a.example", NULL);
    edit(p, KIND_WHITELIST, "client_address:192.0.2.2", NULL);
    uint64_t before = revision(p);
    assert_int_equal(import(p, FILE_A), 0);
    expect(p, KIND_DOMAIN, "b.example");
    expect(p, KIND_WHITELIST, "client_address:192.0.2.1");
    assert_int_equal(revision(p), before);
}

static void what_changes_in_the_file_changes_here(void **state)
{
    static const char *const by_hand[] = {"value", "192.0.2.1", "comments", "mine", NULL};
    struct place *p = *state;
    assert_int_equal(import(p, FILE_A), 0);
    edit(p, KIND_WHITELIST, "client_address:192.0.2.1", by_hand);
    int64_t version = search(p, KIND_WHITELIST, "client_address:192.0.2.1").version;
    assert_int_equal(import(p, "version: 1\n"
                               "domain: [{name: b.example, comments: changed}, {name: c.example}]\n"
                               "whitelist: [{value: 192.0.2.1, comments: theirs}]\n"
                               "policy: [{name: p, value: 192.0.2.3, greylist_remaining: 90}]\n"),
                     0);
    expect(p, KIND_DOMAIN, "b.example c.example");
    expect(p, KIND_WHITELIST, "client_address:192.0.2.1");
    assert_int_equal(search(p, KIND_DOMAIN, "b.example").version, 2);
    assert_int_equal(search(p, KIND_POLICY, "p").version, 2);
    assert_int_equal(search(p, KIND_WHITELIST, "client_address:192.0.2.1").version, version);
}

static void a_broken_file_takes_nothing_away(void **state)
{
    struct place *p = *state;
    assert_int_equal(import(p, FILE_A), 0);
    assert_int_equal(import(p, "version: 1\ndomain: [{name: a.example\n"), 1);
    expect(p, KIND_DOMAIN, "a.example b.example");
    assert_int_equal(import(p, "version: 1\ndomain: [{name: c.example}, {nam: b.example}]\n"), 1);
    expect(p, KIND_DOMAIN, "a.example b.example c.example");
    assert_int_equal(import(p, ""), 0);
    expect(p, KIND_DOMAIN, "a.example b.example c.example");
    assert_int_equal(import(p, "version: 1\ndomain: [{name: c.example}]\n"), 0);
    expect(p, KIND_DOMAIN, "c.example");
    expect(p, KIND_WHITELIST, "");
    expect(p, KIND_POLICY, "");
}

static void another_list_is_another_source(void **state)
{
    struct place *p = *state;
    char other[140];
    snprintf(other, sizeof(other), "%s/list", p->folder);
    FILE *f = fopen(other, "we");
    assert_non_null(f);
    assert_true(fputs("192.0.2.1\n192.0.2.9\n", f) >= 0);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(import(p, FILE_A), 0);
    assert_int_equal(data_import_list(&p->line, other, false, NOW), 0);
    expect(p, KIND_WHITELIST,
           "client_address:192.0.2.1 client_address:192.0.2.2 client_address:192.0.2.9");
    assert_int_equal(import(p, "version: 1\ndomain: [{name: a.example}]\n"), 0);
    expect(p, KIND_WHITELIST, "client_address:192.0.2.9");
    (void)unlink(other);
}

static void a_file_that_is_not_there_fails(void **state)
{
    struct place *p = *state;
    assert_int_equal(data_import_at_start(&p->line, p->file, NOW), 1);
}

static void the_file_is_looked_for(void **state)
{
    struct place *p = *state;
    char memory[256];
    char folder[160];
    char file[200];
    snprintf(folder, sizeof(folder), "%s/mongrey", p->folder);
    snprintf(file, sizeof(file), "%s/server-fixtures.yml", folder);
    assert_string_equal(data_find_fixtures("/named", p->folder, memory, sizeof(memory)), "/named");
    if (access(DATA_FIXTURES, F_OK) == 0)
        skip();
    assert_null(data_find_fixtures("", p->folder, memory, sizeof(memory)));
    assert_null(data_find_fixtures(NULL, NULL, memory, sizeof(memory)));
    assert_int_equal(mkdir(folder, 0700), 0);
    FILE *f = fopen(file, "we");
    assert_non_null(f);
    (void)fclose(f);
    assert_string_equal(data_find_fixtures("", p->folder, memory, sizeof(memory)), file);
    assert_null(data_find_fixtures("", p->folder, memory, 8));
    (void)unlink(file);
    (void)rmdir(folder);
}

/* Of a batch one record that does not go stops no other. */
static void told(void *context, size_t tag, enum storage_status status, const char *why)
{
    enum storage_status *of = context;
    of[tag] = status;
    assert_true(status == STORAGE_OK || why[0] != '\0');
}

static void one_bad_record_is_found_among_many(void **state)
{
    struct place *p = *state;
    enum { COUNT_OF = 600 };
    static enum storage_status of[COUNT_OF];
    static struct storage_value values[COUNT_OF][DOMAIN_FIELDS];
    static char names[COUNT_OF][16];
    struct batch *b = calloc(1, sizeof(*b));
    assert_non_null(b);
    memset(values, 0, sizeof(values));
    batch_start(b, &p->line, told, of);
    for (size_t i = 0; i < COUNT_OF; i++) {
        of[i] = STORAGE_SCHEMA;
        snprintf(names[i], sizeof(names[i]), "n%zu",
                 i % 7 == 3 ? 3 : i); /* one name again and again */
        values[i][DOMAIN_name] =
            (struct storage_value){.type = STORAGE_TEXT, .text = {names[i], strlen(names[i])}};
        batch_add(b, KIND_DOMAIN, NULL, 0, values[i], i);
    }
    assert_true(batch_write(b));
    for (size_t i = 0; i < COUNT_OF; i++)
        CHECK_ROW(of[i] == (i % 7 == 3 && i != 3 ? STORAGE_EXISTS : STORAGE_OK), "%zu: %d", i,
                  (int)of[i]);
    free(b);
}

static int once(void **state)
{
    (void)state;
    log_start(LOG_TO_CONSOLE, LOG_LEVEL_ERROR);
    return hash_start() ? 0 : -1;
}

#define DATA_TEST(test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        DATA_TEST(a_restart_brings_nothing_back),
        DATA_TEST(what_changes_in_the_file_changes_here),
        DATA_TEST(a_broken_file_takes_nothing_away),
        DATA_TEST(another_list_is_another_source),
        DATA_TEST(a_file_that_is_not_there_fails),
        DATA_TEST(the_file_is_looked_for),
        DATA_TEST(one_bad_record_is_found_among_many),
    };
    return cmocka_run_group_tests_name("data", tests, once, NULL);
}
