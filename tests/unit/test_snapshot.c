/* test_snapshot.c: lists and policies as requests meet them: which entry decides, which policies
 * apply and in which order, what is one's own. */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "core/base/hash.h"
#include "core/policy/prepare.h"
#include "core/policy/snapshot.h"

#define T0 INT64_C(1700000000000)

struct world {
    struct snapshot *snapshot;
    struct arena arena;
    char canonical[PREPARE_MEMORY_MAX];
    char text[2048];
    struct request request;
};

static int start(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    *state = w;
    if (w == NULL || !hash_start())
        return -1;
    w->arena = arena_make(1 << 20);
    w->snapshot = snapshot_make();
    return w->snapshot != NULL ? 0 : -1;
}

static int stop(void **state)
{
    struct world *w = *state;
    snapshot_release(w->snapshot);
    arena_free(&w->arena);
    free(w);
    return 0;
}

static struct value parse(struct world *w, const char *field_name, const char *written)
{
    enum field field;
    struct value value;
    char why[VALUE_WHY_MAX];
    assert_true(field_find(text_of(field_name), &field));
    if (!value_parse(field, text_of(written), &w->arena, &value, why, sizeof(why)))
        fail_msg("%s %s", written, why);
    return value;
}

static void add_entry(struct world *w, enum snapshot_list list, const char *id, const char *field,
                      const char *written, int64_t expires, bool enforce)
{
    struct value value = parse(w, field, written);
    struct list_entry entry = {text_of(id), text_of(written), expires, enforce};
    assert_true(snapshot_add_entry(w->snapshot, list, &entry, &value));
}

static void add_policy(struct world *w, const char *name, const char *field, const char *written,
                       int64_t priority)
{
    struct policy p = {.name = name,
                       .value = parse(w, field, written),
                       .priority = priority,
                       .expires = INT64_MAX,
                       .enforce = true,
                       .states = 1u << STATE_RCPT};
    assert_true(snapshot_add_policy(w->snapshot, &p));
}

static const struct request *ask(struct world *w, const char *lines)
{
    struct writer out = writer_on(w->text, sizeof(w->text));
    const char *why = "";
    write_literal(&out, "request=smtpd_access_policy\n");
    write_literal(&out, lines);
    write_literal(&out, "\n");
    assert_true(request_parse(writer_text(&out), &w->request, &why));
    prepare(&w->request, T0, false, w->canonical);
    return &w->request;
}

/* The names of the policies that apply: "a b c". */
static const char *policies(struct world *w, const struct request *r, bool by_field)
{
    static char names[512];
    const struct policy *found[SNAPSHOT_POLICIES_MAX];
    struct writer out = writer_on(names, sizeof(names));
    size_t count = snapshot_policies(w->snapshot, r, by_field, found);
    for (size_t i = 0; i < count; i++)
        write_format(&out, "%s%s", i > 0 ? " " : "", found[i]->name);
    return writer_end(&out);
}

#define BOB "client_address=192.0.2.1\nsender=ann@x.test\nrecipient=bob@t.test\ncountry=FR\n"

static void an_empty_one_finds_nothing(void **state)
{
    struct world *w = *state;
    assert_true(snapshot_seal(w->snapshot));
    const struct request *r = ask(w, BOB);
    assert_null(snapshot_find(w->snapshot, LIST_WHITE, r).entry);
    assert_null(snapshot_find(w->snapshot, LIST_BLACK, r).entry);
    assert_string_equal(policies(w, r, false), "");
    assert_int_equal(snapshot_ours(w->snapshot, r), 0);
    assert_false(w->snapshot->loaded);
}

static void lists_are_apart(void **state)
{
    struct world *w = *state;
    add_entry(w, LIST_WHITE, "w", "sender", "ann@x.test", INT64_MAX, true);
    assert_true(snapshot_seal(w->snapshot));
    const struct request *r = ask(w, BOB);
    assert_null(snapshot_find(w->snapshot, LIST_BLACK, r).entry);
    struct list_met met = snapshot_find(w->snapshot, LIST_WHITE, r);
    assert_non_null(met.entry);
    expect_text(met.entry->id, "w");
    assert_int_equal(met.field, FIELD_SENDER);
}

/* Client address, client name, country, HELO, context, recipient, sender; then the most specific. */
static void the_first_field_then_the_most_specific_decides(void **state)
{
    static const char *const rows[][3] = {
        {"7", "sender", "x.test"},
        {"6", "sender", "ann@x.test"},
        {"5", "recipient", ".t.test"},
        {"4", "recipient", "bob@"},
        {"3", "country", "FR"},
        {"2", "client_address", "192.0.2.0/24"},
        {"1", "client_address", "192.0.2.1"},
    };
    static const char *const asked[][2] = {
        {BOB, "1"},
        {"client_address=192.0.2.2\nsender=ann@x.test\nrecipient=bob@t.test\ncountry=FR\n", "2"},
        {"client_address=198.51.100.1\nsender=ann@x.test\nrecipient=bob@t.test\ncountry=fr\n", "3"},
        {"client_address=198.51.100.1\nsender=ann@x.test\nrecipient=bob@t.test\n", "4"},
        {"client_address=198.51.100.1\nsender=ann@x.test\nrecipient=c@t.test\n", "5"},
        {"client_address=198.51.100.1\nsender=ann@x.test\nrecipient=c@u.test\n", "6"},
        {"client_address=198.51.100.1\nsender=b@x.test\nrecipient=c@u.test\n", "7"},
    };
    struct world *w = *state;
    for (size_t i = 0; i < COUNT(rows); i++)
        add_entry(w, LIST_BLACK, rows[i][0], rows[i][1], rows[i][2], INT64_MAX, true);
    assert_true(snapshot_seal(w->snapshot));
    for (size_t i = 0; i < COUNT(asked); i++) {
        struct list_met met = snapshot_find(w->snapshot, LIST_BLACK, ask(w, asked[i][0]));
        CHECK_ROW(met.entry != NULL, "%s", asked[i][0]);
        expect_text(met.entry->id, asked[i][1]);
    }
}

static void what_has_expired_is_passed_over(void **state)
{
    struct world *w = *state;
    add_entry(w, LIST_BLACK, "past", "sender", "ann@x.test", T0, true);
    add_entry(w, LIST_BLACK, "soon", "sender", "ann@", T0 + 1, true);
    add_entry(w, LIST_BLACK, "never", "sender", "x.test", INT64_MAX, true);
    assert_true(snapshot_seal(w->snapshot));
    struct request *r = (struct request *)(uintptr_t)ask(w, BOB);
    expect_text(snapshot_find(w->snapshot, LIST_BLACK, r).entry->id, "soon");
    r->now = T0 + 1;
    expect_text(snapshot_find(w->snapshot, LIST_BLACK, r).entry->id, "never");
    r->now = T0 - 1;
    expect_text(snapshot_find(w->snapshot, LIST_BLACK, r).entry->id, "past");
}

static void what_is_not_enforced_is_told_beside_what_decides(void **state)
{
    struct world *w = *state;
    add_entry(w, LIST_BLACK, "watched", "sender", "ann@x.test", INT64_MAX, false);
    add_entry(w, LIST_BLACK, "watched too", "sender", "ann@", INT64_MAX, false);
    add_entry(w, LIST_BLACK, "watched and past", "recipient", "bob@t.test", T0, false);
    add_entry(w, LIST_BLACK, "real", "sender", "x.test", INT64_MAX, true);
    add_entry(w, LIST_BLACK, "watched behind", "sender", ".x.test", INT64_MAX, false);
    assert_true(snapshot_seal(w->snapshot));
    struct list_met met = snapshot_find(w->snapshot, LIST_BLACK, ask(w, BOB));
    expect_text(met.entry->id, "real");
    expect_text(met.would->id, "watched");
    met = snapshot_find(w->snapshot, LIST_BLACK, ask(w, "sender=b@x.test\nrecipient=c@d.test\n"));
    expect_text(met.entry->id, "real");
    assert_null(met.would);
    met = snapshot_find(w->snapshot, LIST_BLACK, ask(w, "sender=b@y.x.test\n"));
    assert_null(met.entry);
    expect_text(met.would->id, "watched behind");
}

static void hits_are_counted_with_the_latest_time(void **state)
{
    struct world *w = *state;
    add_entry(w, LIST_WHITE, "a", "sender", "ann@x.test", INT64_MAX, true);
    add_entry(w, LIST_WHITE, "b", "sender", "bob@x.test", INT64_MAX, true);
    assert_true(snapshot_seal(w->snapshot));
    struct list *l = &w->snapshot->lists[LIST_WHITE];
    assert_false(l->met);
    struct list_met met = snapshot_find(w->snapshot, LIST_WHITE, ask(w, "sender=bob@x.test\n"));
    assert_false(l->met); /* looking is no hit */
    snapshot_hit(w->snapshot, LIST_WHITE, met.number, T0 + 5);
    snapshot_hit(w->snapshot, LIST_WHITE, met.number, T0 + 3);
    assert_true(l->met);
    expect_text(l->entries[met.number].id, "b");
    assert_int_equal(l->hits[met.number].count, 2);
    assert_int_equal(l->hits[met.number].last, T0 + 5);
    assert_int_equal(l->hits[1 - met.number].count, 0);
    l->hits[met.number].count = UINT32_MAX;
    snapshot_hit(w->snapshot, LIST_WHITE, met.number, T0);
    assert_int_equal(l->hits[met.number].count, UINT32_MAX);
}

static void policies_go_by_priority_then_rank_then_name(void **state)
{
    struct world *w = *state;
    add_policy(w, "country", "country", "FR", 100);
    add_policy(w, "zeta", "recipient", "bob@t.test", 100);
    add_policy(w, "beta", "sender", "ann@x.test", 100);
    add_policy(w, "network", "client_address", "192.0.2.0/24", 100);
    add_policy(w, "domain", "recipient", "t.test", 100);
    add_policy(w, "last", "client_address", "192.0.2.1", 101);
    add_policy(w, "first", "country", "FR", -1);
    add_policy(w, "pattern", "recipient", "/bob/", 100);
    add_policy(w, "stranger", "recipient", "carol@t.test", 1);
    assert_true(snapshot_seal(w->snapshot));
    const struct request *r = ask(w, BOB);
    assert_string_equal(policies(w, r, false),
                        "first network beta zeta domain pattern country last");
    assert_string_equal(policies(w, r, true),
                        "first network country zeta domain pattern beta last");
}

static void a_policy_applies_at_its_states_until_it_expires(void **state)
{
    struct world *w = *state;
    struct policy p = {.name = "data",
                       .value = parse(w, "sender", "ann@x.test"),
                       .expires = T0 + 1,
                       .enforce = true,
                       .states = 1u << STATE_DATA | 1u << STATE_END_OF_MESSAGE};
    assert_true(snapshot_add_policy(w->snapshot, &p));
    add_policy(w, "rcpt", "sender", "ann@x.test", 100);
    assert_true(snapshot_seal(w->snapshot));
    assert_int_equal(w->snapshot->states,
                     1u << STATE_DATA | 1u << STATE_END_OF_MESSAGE | 1u << STATE_RCPT);
    struct request *r = (struct request *)(uintptr_t)ask(w, BOB);
    assert_string_equal(policies(w, r, false), "rcpt");
    r->state = STATE_DATA;
    assert_string_equal(policies(w, r, false), "data");
    r->state = STATE_MAIL;
    assert_string_equal(policies(w, r, false), "");
    r->state = STATE_END_OF_MESSAGE;
    assert_string_equal(policies(w, r, false), "data");
    r->now = T0 + 1;
    assert_string_equal(policies(w, r, false), "");
}

/* Of more than a request can have, the first are kept. */
static void too_many_policies_keep_the_first(void **state)
{
    struct world *w = *state;
    char names[SNAPSHOT_POLICIES_MAX + 10][16];
    for (int i = SNAPSHOT_POLICIES_MAX + 9; i >= 0; i--) {
        snprintf(names[i], sizeof(names[i]), "p%03d", i);
        add_policy(w, names[i], "sender", "ann@x.test", i);
    }
    assert_true(snapshot_seal(w->snapshot));
    const struct policy *found[SNAPSHOT_POLICIES_MAX];
    size_t count = snapshot_policies(w->snapshot, ask(w, BOB), false, found);
    assert_int_equal(count, SNAPSHOT_POLICIES_MAX);
    for (size_t i = 0; i < count; i++)
        assert_string_equal(found[i]->name, names[i]);
}

static void what_is_ones_own(void **state)
{
    static const struct {
        const char *lines;
        unsigned ours;
    } rows[] = {
        {"client_address=203.0.113.9\n", OURS_CLIENT},
        {"client_address=::ffff:203.0.113.9\n", OURS_CLIENT},
        {"client_address=203.0.114.9\n", 0},
        {"client_address=2001:db8::1\n", OURS_CLIENT},
        {"client_address=unknown\n", 0},
        {"sender=a@own.test\n", OURS_SENDER | OURS_SENDER_BELOW},
        {"sender=a@OWN.Test.\n", OURS_SENDER | OURS_SENDER_BELOW},
        {"sender=a@x.y.own.test\n", OURS_SENDER_BELOW},
        {"sender=a@notown.test\n", 0},
        {"sender=\n", 0},
        {"sender=own.test\n", 0},
        {"recipient=a@own.test\n", OURS_RECIPIENT},
        {"recipient=a@sub.own.test\n", 0},
        {"recipient=a@b\xc3\xbc"
         "cher.test\n",
         OURS_RECIPIENT},
        {"client_address=203.0.113.9\nsender=a@own.test\nrecipient=b@own.test\n",
         OURS_CLIENT | OURS_SENDER | OURS_SENDER_BELOW | OURS_RECIPIENT},
    };
    struct world *w = *state;
    struct network network;
    const char *why;
    assert_true(network_parse(TEXT("203.0.113.0/24"), &network, &why));
    assert_true(snapshot_add_network(w->snapshot, &network));
    assert_true(network_parse(TEXT("2001:db8::/32"), &network, &why));
    assert_true(snapshot_add_network(w->snapshot, &network));
    assert_true(snapshot_add_domain(w->snapshot, TEXT("own.test")));
    assert_true(snapshot_add_domain(w->snapshot, TEXT("xn--bcher-kva.test")));
    assert_true(snapshot_seal(w->snapshot));
    for (size_t i = 0; i < COUNT(rows); i++)
        CHECK_ROW(snapshot_ours(w->snapshot, ask(w, rows[i].lines)) == rows[i].ours, "%s",
                  rows[i].lines);
}

/* A name with more parents that are one's own than are looked at at once. */
static void a_domain_below_many_of_ones_own_is_found(void **state)
{
    struct world *w = *state;
    char deepest[256] = "";
    char lines[600];
    for (int i = 0; i < 60; i++)
        memcpy(deepest + 2 * i, "a.", 2);
    memcpy(deepest + 120, "own.test", sizeof("own.test"));
    for (int i = 0; i <= 120; i += 2)
        assert_true(snapshot_add_domain(w->snapshot, text_of(deepest + i)));
    assert_true(snapshot_seal(w->snapshot));
    snprintf(lines, sizeof(lines), "sender=x@%s\nrecipient=y@%s\n", deepest, deepest + 4);
    assert_int_equal(snapshot_ours(w->snapshot, ask(w, lines)),
                     OURS_SENDER | OURS_SENDER_BELOW | OURS_RECIPIENT);
}

static void the_last_holder_frees(void **state)
{
    struct world *w = *state;
    assert_true(snapshot_seal(w->snapshot));
    assert_ptr_equal(snapshot_hold(w->snapshot), w->snapshot);
    snapshot_release(w->snapshot);
    assert_null(snapshot_find(w->snapshot, LIST_WHITE, ask(w, BOB)).entry);
    assert_true(snapshot_bytes(w->snapshot) >= sizeof(struct snapshot));
    snapshot_release(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(an_empty_one_finds_nothing),
        TEST(lists_are_apart),
        TEST(the_first_field_then_the_most_specific_decides),
        TEST(what_has_expired_is_passed_over),
        TEST(what_is_not_enforced_is_told_beside_what_decides),
        TEST(hits_are_counted_with_the_latest_time),
        TEST(policies_go_by_priority_then_rank_then_name),
        TEST(a_policy_applies_at_its_states_until_it_expires),
        TEST(too_many_policies_keep_the_first),
        TEST(what_is_ones_own),
        TEST(a_domain_below_many_of_ones_own_is_found),
        TEST(the_last_holder_frees),
    };
    return cmocka_run_group_tests_name("snapshot", tests, NULL, NULL);
}
