/*
 * suite.h: what the files of the conformance suite share: a store to test, the words in which the
 * cases are written, and the list of cases.
 *
 * Knows the storage door and nothing else of mongrey. A case begins on an empty store of its own,
 * with one session attached. What a case expects follows from include/storage.h alone; where that
 * leaves a driver free, the suite takes every answer that it allows.
 */
#ifndef MONGREY_CONFORMANCE_SUITE_H
#define MONGREY_CONFORMANCE_SUITE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "storage.h"

/* --- The store under test --------------------------------------------------------------------- */

/* A driver and a template of a URL, and so any number of stores. */
struct place {
    const struct storage_driver *driver;
    const char *url; /* `%s` in it becomes a name that is new each time */
};

enum suite_kinds { ARTICLES, NOTES, ENTRIES, KINDS };

/* Fields of ARTICLES; NOTES (QUIET) has the first two. */
enum article_field { LABEL, RANK, WEIGHT, MOMENT, BODY, OWNER, ARTICLE_FIELDS };

/* Fields of ENTRIES. */
enum entry_field {
    FIRST_SEEN,
    LAST_SEEN,
    EXPIRES,
    WAITED,
    TRIES,
    PASSES,
    CLIENT_ADDRESS,
    CLIENT_NAME,
    HELO_NAME,
    SENDER,
    RECIPIENT,
    COUNTRY,
    POLICY,
    ENTRY_FIELDS
};

struct suite {
    const struct place *place;
    const struct storage_driver *driver;
    struct storage_host host;
    char url[1024]; /* of this case's store */
    struct storage_db *db;
    struct storage_session *session;
    struct storage_error error; /* of the last call that was made through the words below */
};

bool place_load(struct place *place, const char *file, const char *url);
/* Puts a new name where the template has its `%s`; MONGREY_STORE_COMMAND makes a database of it. */
void place_name_store(const struct place *place, char *url, size_t size);
void place_drop_store(const struct place *place, const char *url);
/* Opens a URL by the driver; the URL is parsed here, the core's parser is not of this suite. */
enum storage_status place_open(const struct place *place, const struct storage_host *host,
                               const char *url, struct storage_db **db,
                               struct storage_error *error);

extern const struct storage_kind suite_kinds[KINDS];
struct storage_host suite_host(void);

int suite_setup(void **state);
int suite_teardown(void **state);
/* A further session, or a further storage_db, of this case's store; the case gives them back. */
struct storage_session *suite_attach(struct suite *suite);
struct storage_db *suite_open_again(struct suite *suite);
struct storage_session *suite_attach_to(struct suite *suite, struct storage_db *db);
/* Closes all and opens it again with these kinds; not where each opening makes a new store. */
void suite_reopen(struct suite *suite, const struct storage_kind *kinds, size_t kinds_count);
bool suite_can_reopen(const struct suite *suite);
/* An error whose text is not terminated, to see whether the driver fills it. */
struct storage_error suite_raw_error(void);
void suite_expect_error_filled(const struct storage_error *error);

/* --- Sightings -------------------------------------------------------------------------------- */

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define T0 INT64_C(1700000000000) /* when a case's clock begins */
#define DELAY (5 * MINUTE)
#define WINDOW (2 * DAY)
#define KEEP (36 * DAY)
#define SLID(now, keep) ((now) + (keep) + (keep) / 64)

/* Keys with other numbers are other keys, and sorted as their numbers are. */
struct storage_key suite_key(uint32_t number);
uint32_t suite_key_number(const char *id);
void suite_key_id(uint32_t number, char id[STORAGE_KEY_SIZE * 2 + 1]);

struct storage_sighting suite_grey(uint32_t key, int64_t now);
struct storage_sighting suite_touch(uint32_t key, int64_t now);
struct storage_sighting suite_learn(uint32_t key, int64_t now);
struct storage_sighting suite_merge(uint32_t key, int64_t now, const struct storage_merge *merge);
struct storage_sighting suite_count(uint32_t key, int64_t now, uint32_t count);
struct storage_sighting suite_pair(uint32_t key, int64_t now, uint64_t mark);
struct storage_sighting suite_take(uint32_t key, int64_t now, uint32_t count);
struct storage_text suite_text(const char *text);

/* observe(), again while it is BUSY. The rows are filled with rubbish before. */
enum storage_status suite_observe(const struct storage_driver *driver,
                                  struct storage_session *session,
                                  const struct storage_sighting *sightings, size_t count,
                                  struct storage_row *rows, struct storage_error *error);
/* Does it, fails the case unless it is OK. */
void suite_see_all(struct suite *suite, const struct storage_sighting *sightings, size_t count,
                   struct storage_row *rows);
struct storage_row suite_see(struct suite *suite, struct storage_sighting sighting);
/* Sees that it is INVALID, and why is said. */
void suite_expect_invalid(struct suite *suite, const struct storage_sighting *sightings,
                          size_t count);
/* Looks at a counter (COUNT of 0). */
struct storage_row suite_counter(struct suite *suite, uint32_t key, int64_t now);

/* Fail the case unless the row is as given; members that are not named are expected to be 0. */
#define EXPECT_ENTRY(row, ...) \
    suite_expect_entry((row), (struct storage_row){__VA_ARGS__}, __FILE__, __LINE__)
#define EXPECT_COUNTER(row, ...) \
    suite_expect_counter((row), (struct storage_row){__VA_ARGS__}, __FILE__, __LINE__)
#define EXPECT_NOT_FOUND(row) assert_int_equal((row).status, STORAGE_NOT_FOUND)
void suite_expect_entry(struct storage_row row, struct storage_row expected, const char *file,
                        int line);
void suite_expect_counter(struct storage_row row, struct storage_row expected, const char *file,
                          int line);

/* --- Entries as they are stored --------------------------------------------------------------- */

#define ENTRY_TEXTS (ENTRY_FIELDS - CLIENT_ADDRESS)

struct suite_entry {
    uint32_t key;
    int64_t number[CLIENT_ADDRESS]; /* FIRST_SEEN to PASSES */
    bool null[ENTRY_TEXTS];
    char text[ENTRY_TEXTS][STORAGE_TEXT_MAX + 1]; /* "" where it is NULL */
};

/* Reads an entry in the search's callback. False: it is not one as the kind describes it. */
bool suite_read_entry(const struct storage_record *record, struct suite_entry *entry);
/* Finds the entry of a key. False: there is none. */
bool suite_find_entry(struct suite *suite, uint32_t key, struct suite_entry *entry);
/* Fails the case unless the key's entry is stored just so. */
#define EXPECT_STORED(suite, key, ...) \
    suite_expect_stored((suite), (key), (struct storage_row){__VA_ARGS__}, __FILE__, __LINE__)
void suite_expect_stored(struct suite *suite, uint32_t key, struct storage_row expected,
                         const char *file, int line);
#define EXPECT_NOT_STORED(suite, key) \
    assert_false(suite_find_entry((suite), (key), &(struct suite_entry){0}))

/* --- Records ---------------------------------------------------------------------------------- */

struct storage_value value_null(void);
struct storage_value value_integer(int64_t integer);
struct storage_value value_real(double real);
struct storage_value value_time(int64_t time);
struct storage_value value_text(const char *text);

/* change(), again while BUSY. */
enum storage_status suite_change(struct suite *suite, size_t kind, struct storage_change *changes,
                                 size_t count);
/* A change of a single record: written, or erased. */
enum storage_status suite_put(struct suite *suite, size_t kind, const char *id, int64_t expected,
                              const struct storage_value *values);
enum storage_status suite_erase(struct suite *suite, size_t kind, const char *id, int64_t expected);
/* Writes a new article with only these two fields; fails the case unless it is OK. */
void suite_put_article(struct suite *suite, const char *id, const char *label,
                       struct storage_value rank);
uint64_t suite_revision(struct suite *suite);

/* The ids that a search found, as one text "a b c". */
#define SUITE_FOUND_MAX 4096
struct suite_found {
    char ids[SUITE_FOUND_MAX];
    size_t count;
    char last_id[STORAGE_ID_MAX + 1];
};
enum storage_status suite_search(struct suite *suite, const struct storage_query *query,
                                 struct suite_found *found);
void suite_expect_found(struct suite *suite, const struct storage_query *query, const char *ids,
                        const char *file, int line);
#define EXPECT_FOUND(suite, query, ids) \
    suite_expect_found((suite), (query), (ids), __FILE__, __LINE__)

/* --- The cases -------------------------------------------------------------------------------- */

struct suite_case {
    const char *name;
    CMUnitTestFunction run;
};

/* Each ends with a NULL name. */
extern const struct suite_case driver_cases[];
extern const struct suite_case read_only_cases[];
extern const struct suite_case grey_cases[];
extern const struct suite_case look_cases[];
extern const struct suite_case alternate_cases[];
extern const struct suite_case exemption_cases[];
extern const struct suite_case learn_cases[];
extern const struct suite_case merge_cases[];
extern const struct suite_case counter_cases[];
extern const struct suite_case batch_cases[];
extern const struct suite_case record_cases[];
extern const struct suite_case change_cases[];
extern const struct suite_case search_cases[];
extern const struct suite_case entry_cases[];
extern const struct suite_case paging_cases[];
extern const struct suite_case upkeep_cases[];
extern const struct suite_case thread_cases[];
extern const struct suite_case random_cases[];

#endif
