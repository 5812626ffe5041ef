/* test_saved.c: lists written to a file and read back: the same to the byte, or not at all. */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/hash.h"
#include "core/base/log.h"
#include "core/data/file.h"
#include "core/data/lists.h"
#include "core/data/saved.h"

#define NOW INT64_C(1769860800123)
#define STORE "pgsql://mongrey:***@db.test/mongrey"

struct place {
    char folder[64];
    char path[128];
};

static int start(void **state)
{
    struct place *p = calloc(1, sizeof(*p));
    assert_non_null(p);
    assert_true(hash_start());
    log_start(LOG_TO_CONSOLE, LOG_LEVEL_ERROR);
    (void)snprintf(p->folder, sizeof(p->folder), "/tmp/mongrey-saved-XXXXXX");
    assert_non_null(mkdtemp(p->folder));
    (void)snprintf(p->path, sizeof(p->path), "%s/" SAVED_FILE, p->folder);
    *state = p;
    return 0;
}

static int stop(void **state)
{
    struct place *p = *state;
    (void)unlink(p->path);
    assert_int_equal(rmdir(p->folder), 0); /* nothing else was left behind */
    free(p);
    return 0;
}

/* --- Records ------------------------------------------------------------------------------------ */

static struct storage_value text(const char *t)
{
    return (struct storage_value){.type = STORAGE_TEXT, .text = {t, strlen(t)}};
}

static struct storage_value time_at(int64_t ms)
{
    return (struct storage_value){.type = STORAGE_TIME, .integer = ms};
}

/* Names that try to be more than a name. */
static const char *const names[] = {"example.test",
                                    "",
                                    "a\tb",
                                    "line\nrecord\tx\t=y",
                                    "back\\slash\\",
                                    "\\t\\n",
                                    "=#",
                                    "no \xff utf-8",
                                    "\xc3\xa9\xe2\x82\xac\xf0\x9f\x93\xa7",
                                    " blank ",
                                    "end\t1\t00"};

static void put_all(struct saved *saved, size_t count)
{
    static const struct storage_value none = {.type = STORAGE_NULL};
    char id[STORAGE_ID_MAX + 1];
    saved_kind(saved, KIND_DOMAIN);
    for (size_t i = 0; i < count; i++) {
        struct storage_value values[DOMAIN_FIELDS] = {
            text(names[i]), i % 2 == 0 ? text(names[count - 1 - i]) : none, none,
            time_at(i % 3 == 0 ? INT64_MIN : (int64_t)i)};
        (void)snprintf(id, sizeof(id), "id%zu", i);
        const struct storage_record r = {.id = id, .version = 7, .values = values};
        saved_record(saved, &r);
    }
    saved_kind(saved, KIND_MYNETWORK);
}

static void save(const struct place *p, const char *store, size_t count)
{
    char why[160] = "";
    struct saved *saved = saved_start(p->path, store, NOW);
    assert_non_null(saved);
    put_all(saved, count);
    CHECK_ROW(saved_keep(saved, why, sizeof(why)), "%s", why);
}

struct seen {
    size_t count;
    size_t wanted;
};

static void same_value(const struct storage_value *v, const struct storage_value *wanted)
{
    assert_int_equal(v->type, wanted->type);
    assert_true(v->integer == wanted->integer && v->text.size == wanted->text.size);
    assert_true(v->text.size == 0 || memcmp(v->text.data, wanted->text.data, v->text.size) == 0);
}

static bool look(void *context, enum kind kind, const struct storage_record *r)
{
    struct seen *seen = context;
    size_t i = seen->count++;
    static const struct storage_value none = {.type = STORAGE_NULL};
    struct storage_value name = text(names[i]);
    struct storage_value comments = i % 2 == 0 ? text(names[seen->wanted - 1 - i]) : none;
    struct storage_value created = time_at(i % 3 == 0 ? INT64_MIN : (int64_t)i);
    char id[STORAGE_ID_MAX + 1];
    (void)snprintf(id, sizeof(id), "id%zu", i);
    assert_int_equal(kind, KIND_DOMAIN);
    assert_string_equal(r->id, id);
    same_value(&r->values[DOMAIN_name], &name);
    same_value(&r->values[DOMAIN_comments], &comments);
    same_value(&r->values[DOMAIN_source], &none);
    same_value(&r->values[DOMAIN_created], &created);
    return true;
}

static char *read_back(const struct place *p, size_t *size)
{
    char why[160];
    char *memory = file_read(p->path, SAVED_MAX, size, why, sizeof(why));
    assert_non_null(memory);
    return memory;
}

static bool nothing(void *context, enum kind kind, const struct storage_record *r)
{
    (void)kind;
    (void)r;
    ++*(size_t *)context;
    return true;
}

/* --- Tests -------------------------------------------------------------------------------------- */

static void what_was_written_is_read_back_to_the_byte(void **state)
{
    const struct place *p = *state;
    struct seen seen = {0, COUNT(names)};
    struct stat s;
    char why[160] = "";
    size_t size;
    int64_t time = 0;
    save(p, STORE, COUNT(names));
    assert_int_equal(stat(p->path, &s), 0);
    assert_int_equal(s.st_mode & 07777 & ~0640u, 0);
    char *memory = read_back(p, &size);
    bool fine = saved_read(memory, size, STORE, look, &seen, &time, why, sizeof(why));
    CHECK_ROW(fine, "%s", why);
    assert_int_equal(seen.count, COUNT(names));
    assert_int_equal(time, NOW);
    free(memory);
}

static void another_stores_file_is_not_taken(void **state)
{
    const struct place *p = *state;
    char why[160] = "";
    size_t size;
    size_t count = 0;
    int64_t time;
    save(p, STORE, 2);
    char *memory = read_back(p, &size);
    assert_false(saved_read(memory, size, STORE "2", nothing, &count, &time, why, sizeof(why)));
    assert_string_equal(why, "it is of another store");
    assert_int_equal(count, 0);
    free(memory);
}

/* Whatever is done to one byte, or cut off, nothing of it is read. */
static void a_damaged_file_is_refused_whole(void **state)
{
    const struct place *p = *state;
    size_t size;
    size_t count = 0;
    save(p, STORE, COUNT(names));
    char *memory = read_back(p, &size);
    char *copy = malloc(size);
    assert_non_null(copy);
    for (size_t i = 0; i < 2 * size; i++) {
        char why[160] = "";
        int64_t time;
        size_t length = i < size ? size : i - size;
        memcpy(copy, memory, size);
        if (i < size)
            copy[i] ^= 1;
        bool fine = saved_read(copy, length, STORE, nothing, &count, &time, why, sizeof(why));
        bool in_time = i < size && memchr(memory + i, '\n', size - i) != NULL &&
                       i >= sizeof("mongrey lists 1\nstore\t") + 32 && i < 96 && time != NOW;
        CHECK_ROW(!fine || in_time, "byte %zu of %zu", i, size);
        if (fine)
            count = 0; /* the time is not of the lists */
        CHECK_ROW(count == 0, "byte %zu: records were told", i);
    }
    free(copy);
    free(memory);
}

static ino_t number_of(const struct place *p)
{
    struct stat s;
    assert_int_equal(stat(p->path, &s), 0);
    return s.st_ino;
}

static void what_did_not_change_is_not_written_again(void **state)
{
    const struct place *p = *state;
    save(p, STORE, 3);
    ino_t first = number_of(p);
    save(p, STORE, 3);
    assert_int_equal(number_of(p), first);
    save(p, STORE, 4);
    ino_t second = number_of(p);
    assert_int_not_equal(second, first);
    save(p, STORE "2", 4);
    assert_int_not_equal(number_of(p), second);
}

static void what_cannot_be_written_leaves_the_one_before(void **state)
{
    const struct place *p = *state;
    char why[160] = "";
    char nowhere[256];
    save(p, STORE, 3);
    ino_t first = number_of(p);
    saved_drop(saved_start(p->path, STORE, NOW));
    saved_drop(NULL);
    assert_int_equal(number_of(p), first);
    (void)snprintf(nowhere, sizeof(nowhere), "%s/not-there/lists", p->folder);
    struct saved *saved = saved_start(nowhere, STORE, NOW);
    assert_non_null(saved);
    put_all(saved, COUNT(names));
    assert_false(saved_keep(saved, why, sizeof(why)));
    assert_string_equal(why, "No such file or directory");
}

/* A full disk, found where the file is written. */
static void a_full_disk_is_said(void **state)
{
    const struct place *p = *state;
    char why[160] = "";
    char fresh[192];
    struct stat s;
    if (stat("/dev/full", &s) != 0)
        skip();
    struct saved *saved = saved_start(p->path, STORE, NOW);
    assert_non_null(saved);
    (void)snprintf(fresh, sizeof(fresh), "%s.%ld.new", p->path, (long)getpid());
    assert_int_equal(stat(fresh, &s), 0);
    assert_true(S_ISREG(s.st_mode));
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_true(full >= 0);
    /* The descriptor that it writes to is the last that was made before. */
    assert_true(dup2(full, full - 1) >= 0);
    (void)close(full);
    for (int i = 0; i < 100; i++)
        put_all(saved, COUNT(names));
    assert_false(saved_keep(saved, why, sizeof(why)));
    assert_string_equal(why, "No space left on device");
    assert_int_not_equal(stat(p->path, &s), 0);
}

/* --- From a store to a snapshot, and from the file ------------------------------------------------ */

static void add(struct store_line *line, enum kind kind, const char *id,
                const struct storage_value *values)
{
    struct storage_error error = {0, ""};
    struct storage_change change = {.id = id, .expected = 0, .values = values};
    if (store_change(line, kind, &change, 1, &error) != STORAGE_OK)
        fail_msg("%s", error.text);
}

static void fill(struct store_line *line)
{
    struct storage_value domain[DOMAIN_FIELDS] = {text("example.test")};
    struct storage_value network[MYNETWORK_FIELDS] = {text("192.0.2.0/24")};
    struct storage_value white[ENTRY_FIELDS] = {
        [ENTRY_slug] = text("client_address:198.51.100.7"),
        [ENTRY_field_name] = text("client_address"),
        [ENTRY_value] = text("198.51.100.7"),
        [ENTRY_enforce] = {.type = STORAGE_INTEGER, .integer = 1},
        [ENTRY_expires] = time_at(NOW),
    };
    struct storage_value policy[POLICY_FIELDS] = {
        [POLICY_name] = text("strict"),
        [POLICY_field_name] = text("recipient"),
        [POLICY_value] = text("example.test"),
        [POLICY_priority] = {.type = STORAGE_INTEGER, .integer = 5},
        [POLICY_greylist_enable] = text("false"),
    };
    add(line, KIND_DOMAIN, "d1", domain);
    add(line, KIND_MYNETWORK, "n1", network);
    add(line, KIND_WHITELIST, "w1", white);
    add(line, KIND_POLICY, "p1", policy);
}

static void compare(const struct snapshot *a, const struct snapshot *b)
{
    assert_int_equal(a->domains_count, b->domains_count);
    assert_int_equal(a->networks_count, b->networks_count);
    assert_int_equal(a->policies_count, b->policies_count);
    assert_int_equal(a->states, b->states);
    for (int l = 0; l < LISTS; l++) {
        assert_int_equal(a->lists[l].count, b->lists[l].count);
        for (size_t i = 0; i < a->lists[l].count; i++) {
            const struct list_entry *e = &a->lists[l].entries[i];
            const struct list_entry *f = &b->lists[l].entries[i];
            assert_true(text_equal(e->id, f->id) && text_equal(e->value, f->value));
            assert_true(e->expires == f->expires && e->enforce == f->enforce);
        }
    }
    for (size_t i = 0; i < a->policies_count; i++) {
        assert_string_equal(a->policies[i].name, b->policies[i].name);
        assert_int_equal(a->policies[i].priority, b->policies[i].priority);
        assert_int_equal(a->policies[i].rules_count, b->policies[i].rules_count);
        assert_int_equal(a->policies[i].rules[0].which, b->policies[i].rules[0].which);
    }
}

static void lists_are_in_force_as_they_were(void **state)
{
    const struct place *p = *state;
    const char *drivers = getenv("MONGREY_TEST_DRIVERS");
    struct storage_error error = {0, ""};
    struct store_line line;
    enum storage_status status;
    if (drivers == NULL)
        fail_msg("MONGREY_TEST_DRIVERS is not set");
    struct store_options options = {
        .url = TEXT("sqlite:///:memory:"), .driver_path = text_of(drivers), .call_timeout = 5000};
    struct store *store = store_make(&options, &error);
    if (store == NULL)
        fail_msg("%s", error.text);
    store_line_start(&line, store);
    fill(&line);
    struct lists_place place = {.path = p->path, .store = STORE};
    assert_null(lists_load_saved(&place));
    struct snapshot *loaded = lists_load(&line, &place, &status, &error);
    assert_non_null(loaded);
    assert_true(loaded->saved_at == 0 && loaded->policies_count == 1 && loaded->domains_count == 1);
    struct snapshot *saved = lists_load_saved(&place);
    assert_non_null(saved);
    assert_true(saved->loaded && saved->saved_at > 0);
    compare(loaded, saved);
    snapshot_release(loaded);
    snapshot_release(saved);
    place.store = "another";
    log_set_level(LOG_LEVEL_ERROR + 1);
    assert_null(lists_load_saved(&place));
    store_line_end(&line);
    store_free(store);
}

#define SAVED_TEST(test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        SAVED_TEST(what_was_written_is_read_back_to_the_byte),
        SAVED_TEST(another_stores_file_is_not_taken),
        SAVED_TEST(a_damaged_file_is_refused_whole),
        SAVED_TEST(what_did_not_change_is_not_written_again),
        SAVED_TEST(what_cannot_be_written_leaves_the_one_before),
        SAVED_TEST(a_full_disk_is_said),
        SAVED_TEST(lists_are_in_force_as_they_were),
    };
    return cmocka_run_group_tests_name("saved", tests, NULL, NULL);
}
