/* test_greylist_key.c: which requests are one to the greylist, which are not, and the form of the
 * key, which is stored data. */
#include "tests/unit/unit.h"

#include "core/base/hash.h"
#include "core/policy/greylist.h"
#include "core/policy/prepare.h"

#define KINDS_OF_KEY 5

static const char *const kind_names[KINDS_OF_KEY] = {"vlow", "low", "med", "high", "special"};

static int start(void **state)
{
    (void)state;
    return hash_start() ? 0 : -1;
}

struct who {
    const char *client;
    const char *sender;
    const char *recipient;
};

static struct request request_of(const struct who *who)
{
    static char memory[2][PREPARE_MEMORY_MAX]; /* of the last two, which are compared */
    static int turn;
    struct request r;
    memset(&r, 0, sizeof(r));
    r.attribute[ATTRIBUTE_client_address] = text_of(who->client);
    r.attribute[ATTRIBUTE_sender] = text_of(who->sender);
    r.attribute[ATTRIBUTE_recipient] = text_of(who->recipient);
    turn = !turn;
    prepare(&r, 0, false, memory[turn]);
    assert_int_not_equal(r.client.family, ADDR_NONE);
    return r;
}

static struct storage_key key_under(const struct who *who, int kind, int64_t ipv4, int64_t ipv6)
{
    struct rules s = {
        .greylist_key = kind, .greylist_ipv4_prefix = ipv4, .greylist_ipv6_prefix = ipv6};
    struct storage_key key;
    struct request r = request_of(who);
    greylist_key(&r, &s, &key);
    return key;
}

static bool same(const struct who *a, const struct who *b, int kind, int64_t ipv4, int64_t ipv6)
{
    struct storage_key x = key_under(a, kind, ipv4, ipv6);
    struct storage_key y = key_under(b, kind, ipv4, ipv6);
    return memcmp(x.bytes, y.bytes, STORAGE_KEY_SIZE) == 0;
}

/* For each pair, under which keys it is one: a letter each in the order vlow low med high special.
 */
static void who_shares_a_key(void **state)
{
    static const struct {
        struct who a;
        struct who b;
        const char *one; /* "=" or "." for each kind */
    } rows[] = {
        {{"192.0.2.1", "a@b", "c@d"}, {"192.0.2.1", "a@b", "c@d"}, "====="},
        {{"192.0.2.1", "a@b", "c@d"}, {"192.0.2.254", "a@b", "c@d"}, "====="},
        {{"192.0.2.1", "a@b", "c@d"}, {"192.0.3.1", "a@b", "c@d"}, "....="},
        {{"192.0.2.1", "a@b", "c@d"}, {"192.0.2.1", "x@b", "c@d"}, "===.."},
        {{"192.0.2.1", "a@b", "c@d"}, {"192.0.2.1", "a@b", "x@d"}, "==..."},
        {{"192.0.2.1", "a@b", "c@d"}, {"192.0.2.1", "a@b", "c@x"}, "=...."},
        {{"192.0.2.1", "a@b", "c@d"}, {"::ffff:192.0.2.9", "a@b", "c@d"}, "====="},
        {{"192.0.2.1", "a@b", "c@d"}, {"2001:db8::1", "a@b", "c@d"}, "....="},
        {{"2001:db8::1", "a@b", "c@d"}, {"2001:db8::ffff:1", "a@b", "c@d"}, "====="},
        {{"2001:db8::1", "a@b", "c@d"}, {"2001:db8:0:1::1", "a@b", "c@d"}, "....="},
        {{"2001:db8:0:0:8000::", "a@b", "c@d"}, {"2001:db8::", "a@b", "c@d"}, "====="},
        /* Case never counts, in ASCII. */
        {{"192.0.2.1", "Aa@B.Org", "c@d"}, {"192.0.2.1", "aA@b.oRG", "C@D"}, "====="},
        {{"192.0.2.1", "\xc3\x84@b", "c@d"}, {"192.0.2.1", "\xc3\xa4@b", "c@d"}, "===.."},
        {{"192.0.2.1", "@@b", "[@d"}, {"192.0.2.1", "`@b", "{@d"}, "==..."},
        /* The null sender is a class of its own under every key. */
        {{"192.0.2.1", "", "c@d"}, {"192.0.2.1", "a@b", "c@d"}, "....."},
        {{"192.0.2.1", "", "c@d"}, {"192.0.2.1", "", "c@d"}, "====="},
        {{"192.0.2.1", "", "c@d"}, {"192.0.2.1", "<>", "c@d"}, "....."},
        /* Bytes may not move over the border of a field. */
        {{"192.0.2.1", "a", "bc"}, {"192.0.2.1", "ab", "c"}, "=...."},
        {{"192.0.2.1", "a", "b"}, {"192.0.2.1", "b", "a"}, "=...."},
        {{"192.0.2.1", "a@b\x01", "c@d"},
         {"192.0.2.1", "a@b",
          "\x01"
          "c@d"},
         "==..."},
        /* Without a domain the recipient stands for it. */
        {{"192.0.2.1", "a@b", "postmaster"}, {"192.0.2.1", "a@b", "Postmaster"}, "====="},
        {{"192.0.2.1", "a@b", "postmaster"}, {"192.0.2.1", "a@b", "abuse"}, "=...."},
        {{"192.0.2.1", "a@b", "\"x@y\"@d"}, {"192.0.2.1", "a@b", "z@d"}, "==..."},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        for (int kind = 0; kind < KINDS_OF_KEY; kind++)
            CHECK_ROW(same(&rows[i].a, &rows[i].b, kind, 24, 64) == (rows[i].one[kind] == '='),
                      "%zu under %s", i, kind_names[kind]);
    }
}

static void the_prefix_says_how_many_clients_are_one(void **state)
{
    static const struct {
        const char *a, *b;
        int64_t prefix; /* of both families */
        bool one;
    } rows[] = {
        {"192.0.2.1", "192.0.2.2", 32, false},      {"192.0.2.0", "192.0.2.1", 31, true},
        {"192.0.2.1", "192.0.2.2", 31, false},      {"10.0.0.0", "10.255.255.255", 8, true},
        {"10.0.0.0", "11.0.0.0", 8, false},         {"10.0.0.0", "11.0.0.0", 7, true},
        {"0.0.0.0", "127.0.0.0", 1, true},          {"127.0.0.0", "128.0.0.0", 1, false},
        {"2001:db8::", "2001:db8::1", 128, false},  {"2001:db8::", "2001:db8::1", 127, true},
        {"2001:db8::1", "2001:db8::2", 127, false}, {"2001:db8::", "2001:db9::", 31, true},
        {"2001:db8::", "2001:db9::", 32, false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct who a = {rows[i].a, "a@b", "c@d"};
        struct who b = {rows[i].b, "a@b", "c@d"};
        CHECK_ROW(same(&a, &b, KEY_MED, rows[i].prefix, rows[i].prefix) == rows[i].one, "%s, %s/%d",
                  rows[i].a, rows[i].b, (int)rows[i].prefix);
    }
}

/* A change of the setting must not make two kinds of keys meet. */
static void kinds_and_prefixes_never_share_a_key(void **state)
{
    static const struct who who = {"192.0.2.0", "a@b", "a@b"};
    struct storage_key keys[KINDS_OF_KEY + 1];
    (void)state;
    for (int i = 0; i < KINDS_OF_KEY; i++)
        keys[i] = key_under(&who, i, 24, 64);
    keys[KINDS_OF_KEY] = key_under(&who, KEY_VLOW, 25, 64);
    for (size_t i = 0; i < COUNT(keys); i++) {
        for (size_t k = 0; k < i; k++)
            assert_memory_not_equal(keys[i].bytes, keys[k].bytes, STORAGE_KEY_SIZE);
    }
}

/* Worked out from docs/decisions/0003 with another program's BLAKE2b. Where this fails, every
 * sender that is known today would be a stranger tomorrow. */
static void the_stored_form_does_not_change(void **state)
{
    static const struct {
        struct who who;
        int kind;
        const char *hex;
    } rows[] = {
        {{"192.0.2.77", "Alice@Example.ORG", "Bob@example.net"},
         KEY_VLOW,
         "565a5f487a36a998c28fe7c694dcce77"},
        {{"192.0.2.77", "Alice@Example.ORG", "Bob@example.net"},
         KEY_LOW,
         "d5d3e76abfc1c201ede65d1edb8941aa"},
        {{"192.0.2.77", "Alice@Example.ORG", "Bob@example.net"},
         KEY_MED,
         "216f78ec86b3c4014aa67121cdfc3564"},
        {{"192.0.2.77", "Alice@Example.ORG", "Bob@example.net"},
         KEY_HIGH,
         "c4e242fadf0b06e50c67425cc17fd15e"},
        {{"192.0.2.77", "Alice@Example.ORG", "Bob@example.net"},
         KEY_SPECIAL,
         "e71dbd09e2498dff9bd9fe09c4aa766d"},
        {{"192.0.2.77", "", "bob@example.net"}, KEY_MED, "c4efc50380199bbc0a35c01333d4b29d"},
        {{"2001:db8:1:2:3:4:5:6", "alice@example.org", "bob@example.net"},
         KEY_MED,
         "92af064f00f484de93771e472ee600ad"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct storage_key key = key_under(&rows[i].who, rows[i].kind, 24, 64);
        char hex[2 * STORAGE_KEY_SIZE + 1];
        for (size_t k = 0; k < STORAGE_KEY_SIZE; k++)
            snprintf(hex + 2 * k, 3, "%02x", key.bytes[k]);
        assert_string_equal(hex, rows[i].hex);
    }
}

/* Two addresses of a whole line each: the last byte of both must still count. */
static void the_longest_addresses_count_to_their_last_byte(void **state)
{
    static char sender[2][REQUEST_LINE_MAX];
    static char recipient[2][REQUEST_LINE_MAX];
    (void)state;
    for (int i = 0; i < 2; i++) {
        memset(sender[i], 's', REQUEST_LINE_MAX - 8);
        memset(recipient[i], 'r', REQUEST_LINE_MAX - 11);
    }
    struct who a = {"192.0.2.1", sender[0], recipient[0]};
    struct who b = {"192.0.2.1", sender[1], recipient[1]};
    assert_true(same(&a, &b, KEY_HIGH, 24, 64));
    recipient[1][REQUEST_LINE_MAX - 12] = 'x';
    assert_false(same(&a, &b, KEY_HIGH, 24, 64));
    recipient[1][REQUEST_LINE_MAX - 12] = 'r';
    sender[1][REQUEST_LINE_MAX - 9] = 'x';
    assert_false(same(&a, &b, KEY_HIGH, 24, 64));
}

/* --- What is kept beside the key -------------------------------------------------------------- */

static void expect_stored(struct storage_text t, const char *wanted)
{
    expect_text((struct text){t.data, t.size}, wanted);
}

static void what_is_stored_is_printable_and_bounded(void **state)
{
    static char wild[4000];
    static struct inquiry q;
    char memory[GREYLIST_READING_MAX];
    struct storage_reading reading;
    (void)state;
    memset(wild, '\xff', sizeof(wild));
    static const enum attribute kept[] = {ATTRIBUTE_client_address, ATTRIBUTE_client_name,
                                          ATTRIBUTE_helo_name, ATTRIBUTE_sender,
                                          ATTRIBUTE_recipient};
    for (size_t i = 0; i < COUNT(kept); i++)
        q.request.attribute[kept[i]] = (struct text){wild, sizeof(wild)};
    greylist_read(&q, memory, &reading);
    const struct storage_text *texts[] = {&reading.client_address, &reading.client_name,
                                          &reading.helo_name, &reading.sender, &reading.recipient};
    for (size_t i = 0; i < COUNT(texts); i++) {
        assert_true(texts[i]->size > STORAGE_TEXT_MAX - 4 && texts[i]->size <= STORAGE_TEXT_MAX);
        assert_memory_equal(texts[i]->data, "\\xff\\xff", 8);
    }
}

static void what_is_plain_is_stored_as_it_is(void **state)
{
    static struct inquiry q;
    char memory[GREYLIST_READING_MAX];
    char longest[STORAGE_TEXT_MAX + 1];
    struct storage_reading reading;
    (void)state;
    memset(longest, 'a', sizeof(longest));
    q.request.attribute[ATTRIBUTE_client_address] = TEXT("192.0.2.1");
    q.request.attribute[ATTRIBUTE_client_name] = TEXT("a\\b");
    q.request.attribute[ATTRIBUTE_helo_name] = (struct text){longest, STORAGE_TEXT_MAX};
    q.request.attribute[ATTRIBUTE_sender] = TEXT("\xc3\xa9@b \xc2\x85");
    q.request.attribute[ATTRIBUTE_recipient] = (struct text){longest, STORAGE_TEXT_MAX + 1};
    greylist_read(&q, memory, &reading);
    expect_stored(reading.client_address, "192.0.2.1");
    expect_stored(reading.client_name, "a\\\\b");
    assert_int_equal(reading.helo_name.size, STORAGE_TEXT_MAX);
    expect_stored(reading.sender, "\xc3\xa9@b \\xc2\\x85");
    assert_int_equal(reading.recipient.size, STORAGE_TEXT_MAX);
    assert_int_equal(reading.country.size, 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_shares_a_key),
        cmocka_unit_test(the_prefix_says_how_many_clients_are_one),
        cmocka_unit_test(kinds_and_prefixes_never_share_a_key),
        cmocka_unit_test(the_stored_form_does_not_change),
        cmocka_unit_test(the_longest_addresses_count_to_their_last_byte),
        cmocka_unit_test(what_is_stored_is_printable_and_bounded),
        cmocka_unit_test(what_is_plain_is_stored_as_it_is),
    };
    return cmocka_run_group_tests_name("greylist_key", tests, start, NULL);
}
