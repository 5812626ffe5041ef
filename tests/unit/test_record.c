/* test_record.c: what people write of a record, and what is made of it or said about it. */
#include "tests/unit/unit.h"

#include "core/base/hash.h"
#include "core/data/record.h"
#include "core/policy/settings.h"

#define NOW INT64_C(1769860800123) /* 2026-01-31T12:00:00.123Z */

struct made {
    struct arena arena;
    struct storage_value values[STORAGE_FIELDS_MAX];
    struct record_fault fault;
    bool fine;
};

/* `written` is "field=text" entries that end with NULL. */
static struct made make(enum kind kind, const char *const *written)
{
    struct text texts[STORAGE_FIELDS_MAX] = {{NULL, 0}};
    struct made m = {.arena = arena_make(1 << 20)};
    for (; *written != NULL; written++) {
        size_t size = strcspn(*written, "=");
        size_t field;
        if (!record_find_field(kind, (struct text){*written, size}, &field))
            fail_msg("no field for %s", *written);
        texts[field] = text_of(*written + size + 1);
    }
    m.fine = record_make(kind, texts, NOW, &m.arena, m.values, &m.fault);
    return m;
}

#define MADE(kind, ...) make(kind, (const char *const[]){__VA_ARGS__, NULL})

static void expect(const struct made *m, enum kind kind, const char *name, const char *wanted)
{
    char memory[1024];
    struct writer w = writer_on(memory, sizeof(memory));
    size_t field;
    if (!m->fine)
        fail_msg("%s: refused: %s", name, m->fault.text);
    assert_true(record_find_field(kind, text_of(name), &field));
    if (wanted == NULL) {
        assert_int_equal(m->values[field].type, STORAGE_NULL);
        return;
    }
    assert_int_not_equal(m->values[field].type, STORAGE_NULL);
    record_write(&w, kind, field, &m->values[field]);
    expect_text(writer_text(&w), wanted);
}

static void one_field_is_made(void **state)
{
    static const struct {
        enum kind kind;
        const char *written;
        const char *wanted; /* NULL: NULL */
    } rows[] = {
        {KIND_DOMAIN, "name= Example.ORG ", "example.org"},
        {KIND_DOMAIN,
         "name=b\xc3\xbc"
         "cher.example",
         "xn--bcher-kva.example"},
        {KIND_MAILBOX, "name=User@Example.org", "user@example.org"},
        {KIND_MAILBOX, "name=@Example.org", "@example.org"},
        {KIND_MAILBOX, "name=@localhost", "@localhost"},
        {KIND_MYNETWORK, "value=192.0.2.1/32", "192.0.2.1"},
        {KIND_MYNETWORK, "value=2001:DB8::/32", "2001:db8::/32"},
        {KIND_POOL, "name=Big hoster", "Big hoster"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct made m = MADE(rows[i].kind, rows[i].written);
        size_t size = strcspn(rows[i].written, "=");
        char name[32];
        snprintf(name, sizeof(name), "%.*s", (int)size, rows[i].written);
        expect(&m, rows[i].kind, name, rows[i].wanted);
        arena_free(&m.arena);
    }
}

static void entries_have_their_defaults(void **state)
{
    (void)state;
    struct made m = MADE(KIND_WHITELIST, "value=192.0.2.0/24");
    expect(&m, KIND_WHITELIST, "field_name", "client_address");
    expect(&m, KIND_WHITELIST, "slug", "client_address:192.0.2.0/24");
    expect(&m, KIND_WHITELIST, "enforce", "true");
    expect(&m, KIND_WHITELIST, "created", "2026-01-31T12:00:00Z");
    expect(&m, KIND_WHITELIST, "expires", NULL);
    expect(&m, KIND_WHITELIST, "guard", NULL);
    expect(&m, KIND_WHITELIST, "source", NULL);
    expect(&m, KIND_WHITELIST, "comments", NULL);
    arena_free(&m.arena);
    m = MADE(KIND_BLACKLIST, "field_name=sender", "value=.Spam.Example", "enforce=0",
             "expires=2027-01-01T00:00:00Z", "created=2020-01-01T00:00:00.500Z",
             "comments=two\nlines", "source=/etc/list", "guard=");
    expect(&m, KIND_BLACKLIST, "slug", "sender:.spam.example");
    expect(&m, KIND_BLACKLIST, "enforce", "false");
    expect(&m, KIND_BLACKLIST, "expires", "2027-01-01T00:00:00Z");
    expect(&m, KIND_BLACKLIST, "created", "2020-01-01T00:00:00.500Z");
    expect(&m, KIND_BLACKLIST, "comments", "two\nlines");
    expect(&m, KIND_BLACKLIST, "source", "/etc/list");
    expect(&m, KIND_BLACKLIST, "guard", NULL);
    arena_free(&m.arena);
}

static void policies_keep_rules_as_text(void **state)
{
    (void)state;
    struct made m = MADE(KIND_POLICY, "name=one", "value=192.0.2.1",
                         "states=rcpt, end-of-message,RCPT", "greylist_remaining=90",
                         "greylist_enable=no", "recipients_exempt=", "greylist_key=HIGH");
    expect(&m, KIND_POLICY, "priority", "100");
    expect(&m, KIND_POLICY, "states", "RCPT,END-OF-MESSAGE");
    expect(&m, KIND_POLICY, "greylist_remaining", "90s");
    expect(&m, KIND_POLICY, "greylist_enable", "false");
    expect(&m, KIND_POLICY, "greylist_key", "high");
    expect(&m, KIND_POLICY, "recipients_exempt", ""); /* nobody: not the same as unset */
    expect(&m, KIND_POLICY, "greylist_expire", NULL);
    arena_free(&m.arena);
    m = MADE(KIND_POLICY, "name=two", "field_name=policy_context", "value=submission",
             "priority=-1000000", "states= , ");
    expect(&m, KIND_POLICY, "value", "submission");
    expect(&m, KIND_POLICY, "priority", "-1000000");
    expect(&m, KIND_POLICY, "states", NULL);
    arena_free(&m.arena);
}

static void pools_and_users(void **state)
{
    (void)state;
    struct made m = MADE(KIND_POOL, "name=p", "networks= 192.0.2.0/24,,2001:DB8::/32 ",
                         "domains=Example.ORG, example.net");
    expect(&m, KIND_POOL, "networks", "192.0.2.0/24,2001:db8::/32");
    expect(&m, KIND_POOL, "domains", "example.org,example.net");
    arena_free(&m.arena);
    m = MADE(KIND_USER, "username=admin", "role=Admin");
    expect(&m, KIND_USER, "role", "admin");
    expect(&m, KIND_USER, "active", "true");
    expect(&m, KIND_USER, "api_key", NULL);
    arena_free(&m.arena);
}

struct fault_row {
    enum kind kind;
    const char *written[4];
    const char *wanted;
};

static void expect_faults(const struct fault_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *written[5] = {rows[i].written[0], rows[i].written[1], rows[i].written[2],
                                  rows[i].written[3], NULL};
        struct made m = make(rows[i].kind, written);
        CHECK_ROW(!m.fine, "%zu: is taken", i);
        CHECK_ROW(strcmp(m.fault.text, rows[i].wanted) == 0, "%zu: %s", i, m.fault.text);
        arena_free(&m.arena);
    }
}

static void faults_name_the_field(void **state)
{
    static const struct fault_row rows[] = {
        {KIND_DOMAIN, {NULL}, "name: is missing; it is a domain such as example.com"},
        {KIND_DOMAIN,
         {"name=.example.org"},
         "name: `.example.org` is not a domain such as example.com"},
        {KIND_DOMAIN,
         {"name=@example.org"},
         "name: `@example.org` is not a domain such as example.com"},
        {KIND_DOMAIN, {"name=192.0.2.1"}, "name: `192.0.2.1` is an IP address; use client_address"},
        {KIND_MAILBOX,
         {"name=user@"},
         "name: `user@` is neither an address such as user@example.com, nor @example.com for all "
         "of a "
         "domain"},
        {KIND_MAILBOX,
         {"name=example.org"},
         "name: `example.org` is neither an address such as user@example.com, nor @example.com for "
         "all of a domain"},
        {KIND_MYNETWORK,
         {"value=192.0.2.1/24"},
         "value: `192.0.2.1/24` has bits set behind its prefix length; write 192.0.2.0/24"},
        {KIND_WHITELIST, {NULL}, "value: is missing"},
        {KIND_WHITELIST,
         {"value=example.org"},
         "value: `example.org` is not an IP address or network; for a host name use client_name"},
        {KIND_WHITELIST,
         {"value=1.1.1.1", "field_name=clientname"},
         "field_name: `clientname` is none of client_address, client_name, country, helo_name, "
         "recipient, sender"},
        {KIND_WHITELIST,
         {"value=x", "field_name=policy_context"},
         "field_name: `policy_context` is none of client_address, client_name, country, helo_name, "
         "recipient, sender"},
        {KIND_WHITELIST,
         {"value=1.1.1.1", "guard=spf"},
         "guard: `spf` is not built yet: it comes with a later version"},
        {KIND_WHITELIST, {"value=1.1.1.1", "enforce=2"}, "enforce: `2` is neither true nor false"},
        {KIND_WHITELIST,
         {"value=1.1.1.1", "expires=tomorrow"},
         "expires: `tomorrow` is not a time such as 2026-01-31T12:00:00Z"},
        {KIND_WHITELIST,
         {"value=1.1.1.1", "slug=x"},
         "slug: is made of field_name and value; leave it out"},
        {KIND_WHITELIST, {"value=1.1.1.1", "comments=\xff"}, "comments: `\\xff` is not UTF-8 text"},
    };
    (void)state;
    expect_faults(rows, COUNT(rows));
}

static void faults_of_policies_pools_and_users(void **state)
{
    static const struct fault_row rows[] = {
        {KIND_POLICY, {"value=1.1.1.1"}, "name: is missing"},
        {KIND_POLICY,
         {"name=a\nb", "value=1.1.1.1"},
         "name: `a\\x0ab` has characters that cannot be printed"},
        {KIND_POLICY,
         {"name=a", "value=1.1.1.1", "priority=1000001"},
         "priority: `1000001` is not between -1000000 and 1000000"},
        {KIND_POLICY,
         {"name=a", "value=1.1.1.1", "priority=low"},
         "priority: `low` is not a whole number"},
        {KIND_POLICY,
         {"name=a", "value=1.1.1.1", "states=RCPT,BDAT"},
         "states: `RCPT,BDAT` has a state that is none of CONNECT, EHLO, HELO, MAIL, RCPT, DATA, "
         "END-OF-MESSAGE, VRFY, ETRN"},
        {KIND_POLICY,
         {"name=a", "value=1.1.1.1", "greylist_remaining=soon"},
         "greylist_remaining: `soon` is not a duration such as 20, 90s, 5m or 35d"},
        {KIND_POLICY,
         {"name=a", "value=1.1.1.1", "greylist_window=60", "greylist_remaining=60"},
         "greylist_window: ends before greylist_remaining does, so that nobody could ever pass; "
         "make it longer"},
        {KIND_POOL,
         {"name=p", "networks=192.0.2.0/24,nonsense"},
         "networks: `nonsense` is not an IP address or network; for a host name use client_name"},
        {KIND_USER, {"username=a"}, "role: is missing; it is admin, operator, owner or reader"},
        {KIND_USER,
         {"username=a", "role=root"},
         "role: `root` is none of admin, operator, owner, reader"},
    };
    (void)state;
    expect_faults(rows, COUNT(rows));
}

static void comments_are_counted_in_characters(void **state)
{
    char text[16 + 4 * (RECORD_COMMENTS_MAX + 1)] = "comments=";
    char *at = text + strlen(text);
    (void)state;
    for (int i = 0; i < RECORD_COMMENTS_MAX; i++, at += 4)
        memcpy(at, "\xf0\x9f\x90\x92", 5);
    struct made m = MADE(KIND_DOMAIN, "name=a.example", text);
    assert_true(m.fine);
    arena_free(&m.arena);
    memcpy(at, "x", 2);
    m = MADE(KIND_DOMAIN, "name=a.example", text);
    assert_false(m.fine);
    assert_string_equal(m.fault.text, "comments: has 256 characters; at most 255 are kept");
    arena_free(&m.arena);
}

/* What is stored is read as the same again: else an export could not be imported. */
static void what_is_made_is_made_again(void **state)
{
    (void)state;
    struct made m = MADE(KIND_POLICY, "name=one", "field_name=recipient", "value=/^a{2}/",
                         "priority=7", "enforce=no", "expires=2030-01-01T00:00:00Z", "states=data",
                         "comments=c", "greylist_window=36h", "greylist_expire=1.5h",
                         "recipients_exempt=a@,b@example.org", "greylist_ipv4_prefix=32");
    struct text written[STORAGE_FIELDS_MAX] = {{NULL, 0}};
    struct storage_value again[STORAGE_FIELDS_MAX];
    char memory[8192];
    struct writer w = writer_on(memory, sizeof(memory));
    struct record_fault fault;
    assert_true(m.fine);
    for (size_t i = 0; i < POLICY_FIELDS; i++) {
        if (m.values[i].type == STORAGE_NULL)
            continue;
        char *from = w.at;
        record_write(&w, KIND_POLICY, i, &m.values[i]);
        written[i] = (struct text){from, (size_t)(w.at - from)};
    }
    assert_true(record_make(KIND_POLICY, written, 0, &m.arena, again, &fault));
    for (size_t i = 0; i < POLICY_FIELDS; i++) {
        struct text a = {m.values[i].text.data, m.values[i].text.size};
        struct text b = {again[i].text.data, again[i].text.size};
        CHECK_ROW(again[i].type == m.values[i].type && again[i].integer == m.values[i].integer &&
                      text_equal(a, b),
                  "%s", record_field_name(KIND_POLICY, i));
    }
    arena_free(&m.arena);
}

/* By it an edit is seen: everything that can be edited is in it, and no two records have the same. */
static void content_shows_every_edit(void **state)
{
    char memory[2][1024];
    struct writer a = writer_on(memory[0], sizeof(memory[0]));
    struct writer b = writer_on(memory[1], sizeof(memory[1]));
    (void)state;
    struct made m = MADE(KIND_WHITELIST, "value=192.0.2.1", "comments=a b\n=c");
    record_write_content(&a, KIND_WHITELIST, m.values);
    expect_text(writer_text(&a), "field_name=client_address value=192.0.2.1 enforce=true "
                                 "comments=a\\x20b\\x0a=c");
    m.values[ENTRY_created].integer = 0;
    record_write_content(&b, KIND_WHITELIST, m.values);
    assert_true(text_equal(writer_text(&a), writer_text(&b)));
    arena_free(&m.arena);
}

static int start(void **state)
{
    (void)state;
    return hash_start() ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_field_is_made),
        cmocka_unit_test(entries_have_their_defaults),
        cmocka_unit_test(policies_keep_rules_as_text),
        cmocka_unit_test(pools_and_users),
        cmocka_unit_test(faults_name_the_field),
        cmocka_unit_test(faults_of_policies_pools_and_users),
        cmocka_unit_test(comments_are_counted_in_characters),
        cmocka_unit_test(what_is_made_is_made_again),
        cmocka_unit_test(content_shows_every_edit),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
