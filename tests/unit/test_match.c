/* test_match.c: compiled lists: what matches, and in which order. */
#include "tests/unit/match_values.h"

#include <pthread.h>

#define MOST 64

struct row {
    const char *field;
    const char *written;
};

/* The rows' numbers are their places. */
static struct matcher *compile(const struct row *rows, size_t count)
{
    struct matcher *m = matcher_make();
    assert_non_null(m);
    for (size_t i = 0; i < count; i++) {
        struct value v = value_of(rows[i].field, rows[i].written);
        assert_true(matcher_add(m, &v, (uint32_t)i));
    }
    assert_true(matcher_seal(m));
    return m;
}

/* field=value, one or more. */
static struct subject subject_of(const struct row *rows, size_t count, struct addr *client)
{
    struct subject s = {0};
    for (size_t i = 0; i < count && rows[i].field != NULL; i++) {
        struct text t = text_of(rows[i].written);
        enum field field = FIELDS;
        assert_true(field_find(text_of(rows[i].field), &field));
        if (field == FIELD_CLIENT_ADDRESS) {
            assert_true(addr_parse(t, client));
            s.client = client;
        } else if (field == FIELD_SENDER && strcmp(rows[i].written, "<>") == 0) {
            s.sender_null = true;
        } else if (field == FIELD_SENDER) {
            set_mail(rows[i].written, &s.sender, &s.sender_local, &s.sender_domain);
        } else if (field == FIELD_RECIPIENT) {
            set_mail(rows[i].written, &s.recipient, &s.recipient_local, &s.recipient_domain);
        } else {
            *(field == FIELD_CLIENT_NAME ? &s.client_name
              : field == FIELD_HELO_NAME ? &s.helo_name
              : field == FIELD_COUNTRY   ? &s.country
                                         : &s.policy_context) = t;
        }
    }
    return s;
}

/* The numbers found, as text: "3 1 2". */
static const char *found_by(const struct matcher *m, const struct row *rows, size_t count)
{
    static char memory[1024];
    struct match found[MOST];
    struct match_run run = {.room = room};
    struct addr client;
    struct subject s = subject_of(rows, count, &client);
    struct writer w = writer_on(memory, sizeof(memory));
    size_t n = matcher_find(m, &s, found, MOST, &run);
    for (size_t i = 0; i < n; i++)
        write_format(&w, "%s%u", i > 0 ? " " : "", (unsigned)found[i].number);
    return writer_end(&w);
}

static void an_empty_matcher_finds_nothing(void **state)
{
    static const struct row subject[] = {{"client_address", "192.0.2.1"},
                                         {"client_name", "mail.example.com"},
                                         {"sender", "user@example.com"}};
    struct matcher *m = compile(NULL, 0);
    (void)state;
    assert_string_equal(found_by(m, subject, COUNT(subject)), "");
    assert_string_equal(found_by(m, NULL, 0), "");
    assert_true(matcher_bytes(m) < 2048);
    matcher_free(m);
    matcher_free(NULL);
}

static const struct row values[] = {
    /* 0 */ {"sender", "/@example\\./"},
    /* 1 */ {"sender", ".com"},
    /* 2 */ {"sender", ".example.com"},
    /* 3 */ {"sender", "example.com"},
    /* 4 */ {"sender", "user@"},
    /* 5 */ {"sender", "user@example.com"},
    /* 6 */ {"sender", "<>"},
    /* 7 */ {"recipient", "user@example.com"},
    /* 8 */ {"recipient", "/^.{4}@/"},
    /* 9 */ {"client_address", "0.0.0.0/0"},
    /* 10 */ {"client_address", "192.0.2.0/24"},
    /* 11 */ {"client_address", "192.0.2.1"},
    /* 12 */ {"client_address", "::/0"},
    /* 13 */ {"client_address", "2001:db8::/33"},
    /* 14 */ {"client_name", ".example.com"},
    /* 15 */ {"client_name", "mail.example.com"},
    /* 16 */ {"client_name", "/MAIL/"},
    /* 17 */ {"client_name", "/known/"},
    /* 18 */ {"country", "FR"},
    /* 19 */ {"helo_name", "mail.example.com"},
    /* 20 */ {"helo_name", "[192.0.2.1]"},
    /* 21 */ {"policy_context", "Submission"},
    /* 22 */ {"policy_context", "/^SUB/"},
    /* 23 */ {"sender", "user@example.com"},
    /* 24 */ {"client_address", "2001:db8::1"},
    /* 25 */ {"sender", "@[192.0.2.1]"},
};

static void what_matches_and_in_which_order(void **state)
{
    static const struct {
        struct row subject[4];
        const char *found;
    } rows[] = {
        {{{"sender", "user@example.com"}}, "5 23 4 3 2 1 0"},
        {{{"sender", "other@example.com"}}, "3 2 1 0"},
        {{{"sender", "other@mail.example.com"}}, "2 1"},
        {{{"sender", "other@notexample.com"}}, "1"},
        {{{"sender", "other@example.org"}}, "0"},
        {{{"sender", "user"}}, "4"},
        {{{"sender", "user@[192.0.2.1]"}}, "4 25"},
        {{{"sender", "<>"}}, "6"},
        {{{"sender", ""}}, ""},
        {{{"recipient", "user@example.com"}}, "7 8"},
        {{{"recipient", "four@example.com"}}, "8"},
        {{{"recipient", "fives@example.com"}}, ""},
        {{{"client_address", "192.0.2.1"}}, "11 10 9"},
        {{{"client_address", "192.0.2.2"}}, "10 9"},
        {{{"client_address", "192.0.3.1"}}, "9"},
        {{{"client_address", "::ffff:192.0.2.1"}}, "11 10 9"},
        {{{"client_address", "2001:db8::1"}}, "24 13 12"},
        {{{"client_address", "2001:db8:8000::1"}}, "12"},
        {{{"client_name", "mail.example.com"}}, "15 14 16"},
        {{{"client_name", "example.com"}}, "14"},
        {{{"client_name", "a.mail.example.com"}}, "14 16"},
        {{{"client_name", "com"}}, ""},
        {{{"client_name", "unknown"}}, ""},
        {{{"client_name", "UNKNOWN"}}, ""},
        {{{"client_name", "unknown.org"}}, "17"},
        {{{"country", "FR"}}, "18"},
        {{{"country", "DE"}}, ""},
        {{{"helo_name", "mail.example.com"}}, "19"},
        {{{"helo_name", "a.mail.example.com"}}, ""},
        {{{"helo_name", "[192.0.2.1]"}}, "20"},
        {{{"policy_context", "Submission"}}, "21 22"},
        {{{"policy_context", "submission"}}, "22"},
        /* Fields in their order, whatever the rank. */
        {{{"sender", "user@example.com"},
          {"client_address", "192.0.3.1"},
          {"country", "FR"},
          {"recipient", "user@example.com"}},
         "9 18 7 8 5 23 4 3 2 1 0"},
        {{{"client_name", "..."}, {"sender", "@"}, {"recipient", "a@..."}}, ""},
    };
    (void)state;
    struct matcher *m = compile(values, COUNT(values));
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *found = found_by(m, rows[i].subject, COUNT(rows[i].subject));
        CHECK_ROW(strcmp(found, rows[i].found) == 0, "%s=%s: %s", rows[i].subject[0].field,
                  rows[i].subject[0].written, found);
    }
    matcher_free(m);
}

static void a_match_tells_field_kind_and_rank(void **state)
{
    (void)state;
    struct matcher *m = compile(values, COUNT(values));
    static const struct row subject[] = {{"client_address", "2001:db8::2"},
                                         {"client_name", "example.com"},
                                         {"sender", "a@b.example.com"}};
    static const unsigned numbers[] = {13, 12, 14, 2, 1};
    struct match found[MOST];
    struct match_run run = {.room = room};
    struct addr client;
    struct subject s = subject_of(subject, COUNT(subject), &client);
    assert_int_equal(matcher_find(m, &s, found, MOST, &run), COUNT(numbers));
    for (size_t i = 0; i < COUNT(numbers); i++) {
        const struct row *row = values + numbers[i];
        struct value v = value_of(row->field, row->written);
        CHECK_ROW(found[i].number == numbers[i] && found[i].field == v.field &&
                      found[i].kind == v.kind && found[i].rank == value_rank(&v),
                  "%zu: %u", i, (unsigned)found[i].number);
    }
    matcher_free(m);
}

static void the_null_sender_is_matched_by_itself_only(void **state)
{
    static const struct row rows[] = {{"sender", "/./"}, {"sender", "example.com"}};
    struct matcher *m = compile(rows, COUNT(rows));
    struct match found[MOST];
    struct match_run run = {.room = room};
    (void)state;
    struct subject s = {
        .sender_null = true, .sender = TEXT("a@example.com"), .sender_domain = TEXT("example.com")};
    assert_int_equal(matcher_find(m, &s, found, MOST, &run), 0);
    matcher_free(m);
}

static void the_least_specific_are_left_out(void **state)
{
    static const struct row subject[] = {{"client_address", "192.0.2.1"},
                                         {"sender", "user@example.com"}};
    static const struct {
        size_t most;
        unsigned numbers[4];
    } rows[] = {{0, {0}}, {1, {11}}, {2, {11, 10}}, {3, {11, 10, 9}}, {4, {11, 10, 9, 5}}};
    (void)state;
    struct matcher *m = compile(values, COUNT(values));
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct match found[MOST];
        struct match_run run = {.room = room};
        struct addr client;
        struct subject s = subject_of(subject, COUNT(subject), &client);
        size_t n = matcher_find(m, &s, found, rows[i].most, &run);
        assert_int_equal(n, rows[i].most);
        assert_int_equal(run.left_out, 10 - n);
        for (size_t k = 0; k < n; k++)
            assert_int_equal(found[k].number, rows[i].numbers[k]);
    }
    matcher_free(m);
}

/* Many entries of one value are one key. */
static void thousands_of_one_value(void **state)
{
    struct matcher *m = matcher_make();
    struct value v = value_of("country", "FR");
    struct match found[3];
    struct match_run run = {.room = room};
    struct subject s = {.country = TEXT("FR")};
    (void)state;
    for (uint32_t i = 0; i < 50000; i++)
        assert_true(matcher_add(m, &v, i * 7919 % 50000 + 1)); /* each once, in no order */
    assert_true(matcher_seal(m));
    assert_int_equal(matcher_find(m, &s, found, COUNT(found), &run), 3);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(found[i].number, i + 1);
    assert_int_equal(run.left_out, 49997);
    matcher_free(m);
}

static void patterns_that_give_up_are_counted_and_end_the_search(void **state)
{
    static const struct row rows[] = {
        {"sender", "/^(a+)+$/"},       {"sender", "/^(a|aa)+$/"}, {"sender", "/^(aa|a)+$/"},
        {"sender", "/^(a|a|aa)*$/"},   {"sender", "/^(a*)*b$/"},  {"sender", "example.com"},
        {"recipient", "/^(a|aaa)+$/"},
    };
    static const struct row subject[] = {
        {"sender",
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@example.com"}};
    struct matcher *m = compile(rows, COUNT(rows));
    struct match found[MOST];
    struct match_run run = {.room = room};
    struct addr client;
    (void)state;
    struct subject s = subject_of(subject, COUNT(subject), &client);
    size_t n = matcher_find(m, &s, found, MOST, &run);
    assert_int_equal(n, 1); /* what needs no pattern is found all the same */
    assert_int_equal(found[0].number, 5);
    assert_int_equal(run.gave_up, 4); /* three were broken off, one was not run any more */
    for (unsigned i = 0; i < MATCH_GAVE_UP_MAX; i++) {
        assert_true(run.gave_up_numbers[i] < 5);
        for (unsigned k = 0; k < i; k++)
            assert_int_not_equal(run.gave_up_numbers[i], run.gave_up_numbers[k]);
    }
    s.sender = TEXT("a@b");
    (void)matcher_find(m, &s, found, MOST, &run);
    assert_int_equal(run.gave_up, 0);
    matcher_free(m);
}

/* What a sender does to patterns without a literal must not keep those away that have one. */
static void costly_patterns_hide_no_plain_one(void **state)
{
    static const struct row rows[] = {
        {"sender", "/^[a-z]+[a-z0-9]+[a-z]+[0-9]{2}@/"},
        {"sender", "/^(a|aa)+$/"},
        {"sender", "/^(aa|a)+$/"},
        {"sender", "/^(a|a|aa)*$/"},
        {"sender", "/viagra/"},
    };
    static const struct row subject[] = {
        {"sender",
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaviagra@x.test"}};
    struct matcher *m = compile(rows, COUNT(rows));
    struct match found[MOST];
    struct match_run run = {.room = room};
    struct addr client;
    (void)state;
    struct subject s = subject_of(subject, COUNT(subject), &client);
    assert_int_equal(matcher_find(m, &s, found, MOST, &run), 1);
    assert_int_equal(found[0].number, 4);
    assert_true(run.gave_up > 0);
    matcher_free(m);
}

static void long_texts_and_a_missing_room_leave_patterns_out(void **state)
{
    static const struct row rows[] = {{"client_name", "/^a/"}, {"client_name", "/^.aaa/"}};
    static char text[8192];
    struct matcher *m = compile(rows, COUNT(rows));
    struct match found[MOST];
    struct match_run run = {.room = room};
    struct subject s = {.client_name = {text, PATTERN_TEXT_MAX}};
    (void)state;
    memset(text, 'a', sizeof(text));
    assert_int_equal(matcher_find(m, &s, found, MOST, &run), 2);
    assert_false(run.too_long);
    s.client_name.size = PATTERN_TEXT_MAX + 1;
    assert_int_equal(matcher_find(m, &s, found, MOST, &run), 0);
    assert_true(run.too_long);
    s.client_name.size = 4;
    run.room = NULL;
    assert_int_equal(matcher_find(m, &s, found, MOST, &run), 0);
    assert_false(run.too_long);
    matcher_free(m);
}

static void a_pattern_is_found_by_its_literal_once(void **state)
{
    static const struct row rows[] = {
        {"client_name", "/abab/"}, {"client_name", "/^x.*[0-9]+\\.dsl\\.example/"},
        {"client_name", "/mask/"}, {"client_name", "/0123456789abcdef0123456789abcdef-0123456789/"},
        {"helo_name", "/abab/"},
    };
    static const struct {
        const char *name;
        const char *found;
    } subjects[] = {
        {"abababababab", "0"},
        {"aba", ""},
        {"xabab9.dsl.example", "0 1"},
        {"x.dsl.example", ""},
        {"X9.DSL.EXAMPLE", "1"},
        {"ma\xc5\xbf\xe2\x84\xaa", "2"},
        {"z0123456789abcdef0123456789abcdef-0123456789z", "3"},
        {"0123456789abcdef0123456789abcdef-012345678", ""},
    };
    struct matcher *m = compile(rows, COUNT(rows));
    (void)state;
    for (size_t i = 0; i < COUNT(subjects); i++) {
        struct row subject = {"client_name", subjects[i].name};
        const char *found = found_by(m, &subject, 1);
        CHECK_ROW(strcmp(found, subjects[i].found) == 0, "%s: %s", subjects[i].name, found);
    }
    matcher_free(m);
}

static void what_value_parse_refuses_is_not_added(void **state)
{
    struct matcher *m = matcher_make();
    struct value v = {.field = FIELD_SENDER, .kind = VALUE_PATTERN, .text = TEXT("(")};
    (void)state;
    assert_false(matcher_add(m, &v, 1));
    matcher_free(m);
}

struct sharer {
    const struct matcher *m;
    bool right;
};

static void *look_often(void *context)
{
    struct sharer *sharer = context;
    struct match_run run = {.room = pattern_room_make()};
    sharer->right = run.room != NULL;
    for (unsigned i = 0; sharer->right && i < 2000; i++) {
        struct match found[MOST];
        struct subject s = {.client_name = TEXT("mail.example.com")};
        sharer->right = matcher_find(sharer->m, &s, found, MOST, &run) == 3 &&
                        found[0].number == 15 && found[1].number == 14 && found[2].number == 16;
    }
    pattern_room_free(run.room);
    return NULL;
}

static void threads_share_a_matcher(void **state)
{
    struct matcher *m = compile(values, COUNT(values));
    struct sharer sharers[4];
    pthread_t threads[4];
    (void)state;
    for (size_t i = 0; i < COUNT(threads); i++) {
        sharers[i] = (struct sharer){m, false};
        assert_int_equal(pthread_create(&threads[i], NULL, look_often, &sharers[i]), 0);
    }
    for (size_t i = 0; i < COUNT(threads); i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_true(sharers[i].right);
    }
    matcher_free(m);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_matcher_finds_nothing),
        cmocka_unit_test(what_matches_and_in_which_order),
        cmocka_unit_test(a_match_tells_field_kind_and_rank),
        cmocka_unit_test(the_null_sender_is_matched_by_itself_only),
        cmocka_unit_test(the_least_specific_are_left_out),
        cmocka_unit_test(thousands_of_one_value),
        cmocka_unit_test(patterns_that_give_up_are_counted_and_end_the_search),
        cmocka_unit_test(costly_patterns_hide_no_plain_one),
        cmocka_unit_test(long_texts_and_a_missing_room_leave_patterns_out),
        cmocka_unit_test(a_pattern_is_found_by_its_literal_once),
        cmocka_unit_test(what_value_parse_refuses_is_not_added),
        cmocka_unit_test(threads_share_a_matcher),
    };
    return cmocka_run_group_tests_name("match", tests, start, stop);
}
