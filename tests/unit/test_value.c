/* test_value.c: what may be written into a list, how it is spelled, and what is said of the rest. */
#include "tests/unit/unit.h"

#include "core/policy/value.h"

#define ADDRESS FIELD_CLIENT_ADDRESS
#define NAME FIELD_CLIENT_NAME
#define COUNTRY FIELD_COUNTRY
#define HELO FIELD_HELO_NAME
#define CONTEXT FIELD_POLICY_CONTEXT
#define RECIPIENT FIELD_RECIPIENT
#define SENDER FIELD_SENDER

static struct arena arena;

static int make_arena(void **state)
{
    (void)state;
    arena = arena_make(1024 * 1024);
    return 0;
}

static int free_arena(void **state)
{
    (void)state;
    arena_free(&arena);
    return 0;
}

static struct value parse(enum field field, const char *written)
{
    struct value v;
    char why[VALUE_WHY_MAX] = "";
    CHECK_ROW(value_parse(field, text_of(written), &arena, &v, why, sizeof(why)), "%s %s: %s",
              field_names[field], written, why);
    return v;
}

static void fields_have_names(void **state)
{
    enum field field = FIELDS;
    (void)state;
    for (unsigned i = 0; i < FIELDS; i++) {
        assert_true(field_find(text_of(field_names[i]), &field));
        assert_int_equal(field, i);
        if (i > 0)
            assert_true(strcmp(field_names[i - 1], field_names[i]) < 0);
    }
    assert_false(field_find(TEXT("Sender"), &field));
    assert_false(field_find(TEXT(""), &field));
    assert_false(field_find(TEXT("senders"), &field));
}

static const struct {
    enum field field;
    const char *written;
    enum value_kind kind;
    const char *canonical;
} good[] = {
    {ADDRESS, "192.0.2.1", VALUE_NETWORK, "192.0.2.1"},
    {ADDRESS, " 192.0.2.0/24\t", VALUE_NETWORK, "192.0.2.0/24"},
    {ADDRESS, "192.0.2.1/32", VALUE_NETWORK, "192.0.2.1"},
    {ADDRESS, "2001:DB8::/32", VALUE_NETWORK, "2001:db8::/32"},
    {ADDRESS, "::ffff:192.0.2.1", VALUE_NETWORK, "192.0.2.1"},
    {ADDRESS, "0.0.0.0/0", VALUE_NETWORK, "0.0.0.0/0"},
    {NAME, "Mail.Example.com", VALUE_DOMAIN, "mail.example.com"},
    {NAME, "mail.example.com.", VALUE_DOMAIN, "mail.example.com"},
    {NAME, "localhost", VALUE_DOMAIN, "localhost"},
    {NAME, "mail_1.example.com", VALUE_DOMAIN, "mail_1.example.com"},
    {NAME, ".Example.com", VALUE_BELOW, ".example.com"},
    {NAME, ".com", VALUE_BELOW, ".com"},
    {NAME, "b\303\274cher.example", VALUE_DOMAIN, "xn--bcher-kva.example"},
    {NAME, ".B\303\234CHER.example", VALUE_BELOW, ".xn--bcher-kva.example"},
    {NAME, "/^Mail[0-9]+\\./", VALUE_PATTERN, "/^Mail[0-9]+\\./"},
    {NAME, "/a/b/", VALUE_PATTERN, "/a/b/"},
    {HELO, "mail.example.com", VALUE_DOMAIN, "mail.example.com"},
    {HELO, "unknown", VALUE_DOMAIN, "unknown"},
    {HELO, "friend", VALUE_DOMAIN, "friend"},
    {HELO, ".example.com", VALUE_BELOW, ".example.com"},
    {HELO, "[192.0.2.1]", VALUE_TEXT, "[192.0.2.1]"},
    {HELO, "[IPv6:2001:DB8::1]", VALUE_TEXT, "[ipv6:2001:db8::1]"},
    {HELO, "/^\\[/", VALUE_PATTERN, "/^\\[/"},
    {COUNTRY, "fr", VALUE_COUNTRY, "FR"},
    {COUNTRY, "GB", VALUE_COUNTRY, "GB"},
    {CONTEXT, "Submission", VALUE_TEXT, "Submission"},
    {CONTEXT, "(a) b*", VALUE_TEXT, "(a) b*"},
    {CONTEXT, "/", VALUE_TEXT, "/"},
    {CONTEXT, "/sub/", VALUE_PATTERN, "/sub/"},
    {SENDER, "<>", VALUE_MAILBOX, "<>"},
    {SENDER, "User@Example.com", VALUE_MAILBOX, "user@example.com"},
    {SENDER, "user+ext@example.com", VALUE_MAILBOX, "user+ext@example.com"},
    {SENDER, "user@example.com.", VALUE_MAILBOX, "user@example.com"},
    {SENDER, "user@[192.0.2.1]", VALUE_MAILBOX, "user@[192.0.2.1]"},
    {SENDER, "user@localhost", VALUE_MAILBOX, "user@localhost"},
    {SENDER, "\"a@b\"@example.com", VALUE_MAILBOX, "\"a@b\"@example.com"},
    {SENDER, "Rene\xcc\x81@b\303\274cher.example", VALUE_MAILBOX,
     "ren\xc3\xa9@xn--bcher-kva.example"},
    {SENDER, "Postmaster@", VALUE_USER, "postmaster@"},
    {SENDER, "example.com", VALUE_DOMAIN, "example.com"},
    {SENDER, "@Example.com", VALUE_DOMAIN, "example.com"},
    {SENDER, "@localhost", VALUE_DOMAIN, "@localhost"},
    {SENDER, "@[192.0.2.1]", VALUE_DOMAIN, "@[192.0.2.1]"},
    {SENDER, ".example.com", VALUE_BELOW, ".example.com"},
    {SENDER, "/@spam\\./", VALUE_PATTERN, "/@spam\\./"},
    {SENDER, "/G=a@example.com", VALUE_MAILBOX, "/g=a@example.com"},
    {RECIPIENT, "abuse@", VALUE_USER, "abuse@"},
    {RECIPIENT, "user@example.com", VALUE_MAILBOX, "user@example.com"},
};

static void good_values_and_their_canonical_spelling(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        char memory[VALUE_MAX];
        struct writer w = writer_on(memory, sizeof(memory));
        struct value v = parse(good[i].field, good[i].written);
        CHECK_ROW(v.kind == good[i].kind, "%s: kind %d", good[i].written, (int)v.kind);
        CHECK_ROW(v.field == good[i].field, "%s", good[i].written);
        value_write(&w, &v);
        expect_text(writer_text(&w), good[i].canonical);
    }
}

static void a_canonical_spelling_is_the_same_value(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        struct value first = parse(good[i].field, good[i].written);
        struct value second = parse(good[i].field, good[i].canonical);
        CHECK_ROW(first.kind == second.kind && text_equal(first.text, second.text) &&
                      memcmp(&first.network, &second.network, sizeof(first.network)) == 0,
                  "%s", good[i].written);
    }
}

static const struct {
    enum field field;
    const char *written;
    const char *why;
} bad[] = {
    {ADDRESS, "", "is empty"},
    {ADDRESS, " \t", "is empty"},
    {ADDRESS, "192.0.2.5/24", "has bits set behind its prefix length; write 192.0.2.0/24"},
    {ADDRESS, "2001:db8::1/32", "has bits set behind its prefix length; write 2001:db8::/32"},
    {ADDRESS, "192.0.2.0/33", "has a prefix length out of range"},
    {ADDRESS, "192.0.2", "is a part of an address; write 192.0.2.0/24"},
    {ADDRESS, "10", "is a part of an address; write 10.0.0.0/8"},
    {ADDRESS, "[192.0.2.1]", "is not an IP address or network; write 192.0.2.1"},
    {ADDRESS, "mail.example.com",
     "is not an IP address or network; for a host name use client_name"},
    {ADDRESS, "/192/",
     "is a pattern, which an address has none of; write a network, as in 192.0.2.0/24, or use "
     "client_name"},
    {ADDRESS, "192.0.2.1:25", "is not an IP address or network"},
    {NAME, "192.0.2.1", "is an IP address; use client_address"},
    {NAME, "2001:db8::1", "is an IP address; use client_address"},
    {NAME, "192.0.2", "is a part of an IP address; use client_address"},
    {NAME, "192.0.2.0/24", "is a network; use client_address"},
    {NAME, "192.0.2.1/24", "is a network; use client_address"},
    {NAME, "*.example.com", "has a wildcard; write .example.com (it and all below)"},
    {NAME, "^mail\\.example",
     "looks like a regular expression; write it between slashes: /^mail\\.example/"},
    {NAME, "mail.+example.com",
     "looks like a regular expression; write it between slashes: /mail.+example.com/"},
    {NAME, "*example.com",
     "has wildcards, or is no complete regular expression; one is written between slashes, as in "
     "/^mail[0-9]+/"},
    {NAME, "/mail/i",
     "is a pattern without its end; write it between two slashes, and nothing behind them (letter "
     "case never counts)"},
    {NAME, "/mail",
     "is a pattern without its end; write it between two slashes, and nothing behind them (letter "
     "case never counts)"},
    {NAME, "//", "is an empty pattern, which would match everything"},
    {NAME, "/(/", "is no regular expression: missing closing parenthesis at byte 1"},
    {NAME, "/\\C/", "is no regular expression: using \\C is disabled by the application at byte 2"},
    {NAME, "user@example.com", "is a mail address; use sender or recipient"},
    {NAME, "Unknown",
     "is what Postfix says of a client without a confirmed name, and is matched by nothing"},
    {NAME, "a..example.com", "has an empty label (two dots, or one at an end)"},
    {NAME, ".", "has an empty label (two dots, or one at an end)"},
    {NAME, "..example.com", "has an empty label (two dots, or one at an end)"},
    {NAME, "a b.example.com", "has a character that no host or domain name has"},
    {NAME, "exam\xef\xbd\x81ple.com", "is no domain name that IDNA 2008 allows"},
    {NAME, "a\xff.example.com", "has a control or an invisible character, or is not UTF-8"},
    {NAME, "a\x01.example.com", "has a control or an invisible character, or is not UTF-8"},
    {NAME, "exam\xc2\xadple.com", "has a control or an invisible character, or is not UTF-8"},
    {NAME, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example",
     "has a label of over 63 bytes"},
    {HELO, "192.0.2.1",
     "is an IP address without brackets; write [192.0.2.1], or use client_address"},
    {HELO, "[192.0.2.256]",
     "looks like a regular expression; write it between slashes: /[192.0.2.256]/"},
    {COUNTRY, "FRA", "is no country; write its two letters in ISO 3166, as in FR"},
    {COUNTRY, "F1", "is no country; write its two letters in ISO 3166, as in FR"},
    {COUNTRY, "/FR/", "is no country; write its two letters in ISO 3166, as in FR"},
    {COUNTRY, "uk", "is no country of ISO 3166; write GB"},
    {COUNTRY, "EL", "is no country of ISO 3166; write GR"},
    {CONTEXT, "//", "is an empty pattern, which would match everything"},
    {CONTEXT, "a\nb", "has a control or an invisible character, or is not UTF-8"},
    {SENDER, "*@example.com", "has a wildcard; write @example.com"},
    {SENDER, "*.example.com", "has a wildcard; write .example.com (it and all below)"},
    {SENDER, ".*@example.com",
     "looks like a regular expression; write it between slashes: /.*@example.com/"},
    {SENDER, ".+@example.com",
     "looks like a regular expression; write it between slashes: /.+@example.com/"},
    {SENDER, "user@.*\\.com",
     "looks like a regular expression; write it between slashes: /user@.*\\.com/"},
    {SENDER, "spam|junk", "looks like a regular expression; write it between slashes: /spam|junk/"},
    {SENDER, "user@.example.com",
     "has a dot behind its @; write .example.com for the domain and all below"},
    {SENDER, "user@@example.com",
     "has a character that no mail address has; write just user@example.com"},
    {SENDER, "User <user@example.com>",
     "has a character that no mail address has; write just user@example.com"},
    {SENDER, "<user@example.com>", "stands in angle brackets; write user@example.com"},
    {SENDER, "@", "has nothing beside its @"},
    {SENDER, "postmaster",
     "has neither @ nor dot; write postmaster@ for a user of any domain, @DOMAIN for a domain"},
    {SENDER, "[192.0.2.1]", "lacks its @; write @[192.0.2.1]"},
    {SENDER, "192.0.2.1", "is an IP address; use client_address"},
    {SENDER, "2001:db8::1", "is an IP address; use client_address"},
    {SENDER, "user@192.0.2.1", "is an IP address; use client_address"},
    {RECIPIENT, "<>", "is the null sender, which is no recipient"},
    {RECIPIENT, "user@exa mple.com", "has a character that no host or domain name has"},
};

static void bad_values_and_what_is_said_of_them(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct value v;
        char why[VALUE_WHY_MAX] = "";
        CHECK_ROW(!value_parse(bad[i].field, text_of(bad[i].written), &arena, &v, why, sizeof(why)),
                  "%s %s", field_names[bad[i].field], bad[i].written);
        CHECK_ROW(strcmp(why, bad[i].why) == 0, "%s %s: %s", field_names[bad[i].field],
                  bad[i].written, why);
    }
}

/* What the reason says to write is itself taken. */
static void the_advice_is_good(void **state)
{
    unsigned taken = 0;
    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        static const char *const leads[] = {"; write it between slashes: ", "; write "};
        const char *advice = NULL;
        for (size_t k = 0; k < COUNT(leads) && advice == NULL; k++) {
            advice = strstr(bad[i].why, leads[k]);
            advice = advice == NULL ? NULL : advice + strlen(leads[k]);
        }
        if (advice == NULL || strchr("*[", bad[i].written[0]) != NULL ||
            strncmp(advice, "it ", 3) == 0 || strncmp(advice, "its ", 4) == 0 ||
            strncmp(advice, "just ", 5) == 0 || strncmp(advice, "a ", 2) == 0)
            continue;
        struct value v;
        char why[VALUE_WHY_MAX];
        struct text t = text_of(advice);
        const char *end = strstr(advice, " for ");
        const char * or = strstr(advice, ", or ");
        end = end != NULL ? end : or ;
        if (end != NULL)
            t.size = (size_t)(end - advice);
        CHECK_ROW(value_parse(bad[i].field, t, &arena, &v, why, sizeof(why)), "%s: %s", advice,
                  why);
        taken++;
    }
    assert_true(taken > 10);
}

static void a_value_is_bounded(void **state)
{
    char text[VALUE_MAX + 2];
    char why[VALUE_WHY_MAX];
    struct value v;
    (void)state;
    memset(text, 'a', sizeof(text));
    assert_true(value_parse(CONTEXT, (struct text){text, VALUE_MAX}, &arena, &v, why, sizeof(why)));
    assert_false(
        value_parse(CONTEXT, (struct text){text, VALUE_MAX + 1}, &arena, &v, why, sizeof(why)));
    assert_string_equal(why, "is over 512 bytes");
    text[0] = text[VALUE_MAX - 1] = '/';
    assert_true(value_parse(CONTEXT, (struct text){text, VALUE_MAX}, &arena, &v, why, sizeof(why)));
    /* U+0958 grows in NFC: 500 bytes become 1000. */
    for (size_t i = 0; i + 3 <= 480; i += 3)
        memcpy(text + i, "\xe0\xa5\x98", 3);
    memcpy(text + 480, "@example.com", 12);
    assert_false(value_parse(SENDER, (struct text){text, 492}, &arena, &v, why, sizeof(why)));
    assert_string_equal(why, "is over 512 bytes in its canonical form");
    memset(text, 'a', sizeof(text));
    for (size_t i = 50; i < 254; i += 50)
        text[i] = '.';
    assert_true(value_parse(NAME, (struct text){text, 253}, &arena, &v, why, sizeof(why)));
    assert_false(value_parse(NAME, (struct text){text, 254}, &arena, &v, why, sizeof(why)));
    assert_string_equal(why, "is a name of over 253 bytes");
}

static void without_memory_nothing_is_taken(void **state)
{
    struct arena small = arena_make(8);
    struct value v;
    char why[VALUE_WHY_MAX];
    (void)state;
    assert_false(value_parse(NAME, TEXT("mail.example.com"), &small, &v, why, sizeof(why)));
    assert_string_equal(why, "finds no memory");
    arena_free(&small);
}

static void the_more_specific_comes_first(void **state)
{
    static const struct {
        enum field field;
        const char *written;
        bool same; /* as the one before */
    } rows[] = {
        {ADDRESS, "192.0.2.1", false},
        {ADDRESS, "2001:db8::1", true},
        {ADDRESS, "192.0.2.0/31", false},
        {ADDRESS, "192.0.2.0/24", false},
        {ADDRESS, "0.0.0.0/0", false},
        {ADDRESS, "2001:db8::/32", false},
        {ADDRESS, "::/0", false},
        {SENDER, "user@example.com", false},
        {SENDER, "<>", true},
        {CONTEXT, "submission", true},
        {RECIPIENT, "postmaster@", false},
        {NAME, "mail.example.com", false},
        {SENDER, "example.com", true},
        {NAME, ".mail.example.com", false},
        {SENDER, ".example.com", false},
        {HELO, ".com", false},
        {NAME, "/./", false},
        {COUNTRY, "FR", false},
    };
    unsigned last = 0;
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct value v = parse(rows[i].field, rows[i].written);
        unsigned rank = value_rank(&v);
        CHECK_ROW(i == 0 || (rows[i].same ? rank == last : rank > last), "%s: %u after %u",
                  rows[i].written, rank, last);
        last = rank;
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_have_names),
        cmocka_unit_test(good_values_and_their_canonical_spelling),
        cmocka_unit_test(a_canonical_spelling_is_the_same_value),
        cmocka_unit_test(bad_values_and_what_is_said_of_them),
        cmocka_unit_test(the_advice_is_good),
        cmocka_unit_test(a_value_is_bounded),
        cmocka_unit_test(without_memory_nothing_is_taken),
        cmocka_unit_test(the_more_specific_comes_first),
    };
    return cmocka_run_group_tests_name("value", tests, make_arena, free_arena);
}
