/* test_match_model.c: compiled lists find what a plain loop over all values would find. */
#include "tests/unit/match_values.h"

#include <stdlib.h>

static uint32_t seed;

static uint32_t pick(uint32_t below)
{
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) % below;
}

static const char *random_name(char memory[64])
{
    static const char *const labels[] = {"a", "b", "com", "mail", "ab", "x1", "example"};
    struct writer w = writer_on(memory, 64);
    for (uint32_t n = 1 + pick(4); n > 0; n--) {
        write_literal(&w, labels[pick(COUNT(labels))]);
        if (n > 1)
            write_literal(&w, ".");
    }
    return writer_end(&w);
}

static const char *random_address(char memory[64])
{
    struct writer w = writer_on(memory, 64);
    if (pick(3) != 0)
        write_format(&w, "10.%u.%u.%u", pick(2), pick(2) * 128, pick(4));
    else
        write_format(&w, "2001:db8:%x::%x", pick(2) * 0x8000, pick(4));
    return writer_end(&w);
}

static struct value random_value(void)
{
    static const char *const patterns[] = {
        "/mail/", "/^a/",      "/\\.com$/",      "/example\\./", "/a.*b/", "/ab|x1/",
        "/user/", "/^user@a/", "/mail\\.(a|b)/", "/x1\\.?a/",    "/@/",    "/Example.com/"};
    static const char *const names[] = {"client_name", "helo_name", "sender", "recipient"};
    char memory[64];
    char whole[96];
    struct writer w = writer_on(whole, sizeof(whole));
    switch (pick(6)) {
    case 0: {
        struct value v = {.field = FIELD_CLIENT_ADDRESS, .kind = VALUE_NETWORK};
        struct addr a;
        assert_true(addr_parse(text_of(random_address(memory)), &a));
        v.network = network_around(&a, pick(4) == 0 ? 128 : pick(a.family == ADDR_IPV4 ? 33 : 129));
        return v;
    }
    case 1:
        return value_of(names[pick(4)], patterns[pick(COUNT(patterns))]);
    case 2:
        write_format(&w, ".%s", random_name(memory));
        return value_of(names[pick(4)], writer_end(&w));
    case 3:
        write_format(&w, "%s@%s", pick(2) ? "user" : "a", pick(3) ? random_name(memory) : "");
        return value_of(names[2 + pick(2)], writer_end(&w));
    case 4:
        return pick(9) == 0 ? value_of("country", pick(2) ? "FR" : "DE") : value_of("sender", "<>");
    default:
        write_format(&w, "%s", random_name(memory));
        return value_of(names[pick(2)], writer_end(&w));
    }
}

/* The rules once more, as plainly as they can be written. */
static bool below(struct text name, struct text parent)
{
    return text_equal(name, parent) ||
           (name.size > parent.size && name.data[name.size - parent.size - 1] == '.' &&
            memcmp(name.data + name.size - parent.size, parent.data, parent.size) == 0);
}

static bool pattern_says_yes(struct text written, struct text text)
{
    char why[PATTERN_WHY_MAX];
    struct pattern *p = pattern_compile(written, why, sizeof(why));
    bool yes = text.size > 0 && pattern_match(p, text, room) == PATTERN_YES;
    pattern_free(p);
    return yes;
}

static bool matches(const struct value *v, const struct subject *s)
{
    bool mail = v->field == FIELD_SENDER || v->field == FIELD_RECIPIENT;
    bool sender = v->field == FIELD_SENDER;
    struct text whole = v->field == FIELD_CLIENT_NAME ? s->client_name
                        : v->field == FIELD_HELO_NAME ? s->helo_name
                        : v->field == FIELD_COUNTRY   ? s->country
                        : sender                      ? s->sender
                                                      : s->recipient;
    struct text domain = !mail ? whole : sender ? s->sender_domain : s->recipient_domain;
    struct text local = sender ? s->sender_local : s->recipient_local;
    if (sender && s->sender_null)
        return v->kind == VALUE_MAILBOX && v->text.size == 0;
    if (v->kind == VALUE_NETWORK)
        return s->client != NULL && network_contains(&v->network, s->client);
    if (v->kind == VALUE_PATTERN)
        return pattern_says_yes(v->text, whole);
    if (v->kind == VALUE_USER)
        return local.size > 0 && text_equal(v->text, local);
    if (v->kind == VALUE_DOMAIN)
        return domain.size > 0 && text_equal(v->text, domain);
    if (v->kind == VALUE_BELOW)
        return domain.size > 0 && below(domain, v->text);
    return whole.size > 0 && text_equal(v->text, whole);
}

static int compare(const void *left, const void *right)
{
    const struct match *a = left;
    const struct match *b = right;
    if (a->field != b->field)
        return a->field < b->field ? -1 : 1;
    if (a->rank != b->rank)
        return a->rank < b->rank ? -1 : 1;
    return a->number < b->number ? -1 : a->number > b->number;
}

static struct subject random_subject(char memory[8][96], struct addr *client)
{
    struct subject s = {0};
    char name[64];
    if (pick(4) != 0 && addr_parse(text_of(random_address(name)), client))
        s.client = client;
    for (unsigned i = 0; i < 4; i++) {
        struct writer w = writer_on(memory[i], sizeof(memory[i]));
        if (i >= 2)
            write_format(&w, "%s@", pick(2) ? "user" : "a");
        if (pick(5) != 0)
            write_literal(&w, random_name(name));
        (void)writer_end(&w);
    }
    s.client_name = text_of(memory[0]);
    s.helo_name = text_of(memory[1]);
    set_mail(memory[2], &s.sender, &s.sender_local, &s.sender_domain);
    set_mail(memory[3], &s.recipient, &s.recipient_local, &s.recipient_domain);
    s.sender_null = pick(8) == 0;
    s.country = pick(2) ? TEXT("FR") : TEXT("");
    return s;
}

static void the_same_as_a_plain_loop_finds(void **state)
{
    enum { VALUES = 400, ROUNDS = UNIT_SANITIZED ? 10 : 40, SUBJECTS = 60 };
    static struct value list[VALUES];
    static struct match wanted[VALUES];
    static struct match found[VALUES];
    size_t in_all = 0;
    (void)state;
    for (seed = 1; seed < ROUNDS;) {
        uint32_t round = seed;
        size_t count = pick(VALUES);
        struct matcher *m = matcher_make();
        for (uint32_t i = 0; i < count; i++) {
            list[i] = random_value();
            assert_true(matcher_add(m, list + i, i));
        }
        assert_true(matcher_seal(m));
        for (unsigned k = 0; k < SUBJECTS; k++) {
            char memory[8][96];
            struct addr client;
            struct match_run run = {.room = room};
            struct subject s = random_subject(memory, &client);
            size_t n = 0;
            for (uint32_t i = 0; i < count; i++) {
                if (matches(list + i, &s))
                    wanted[n++] =
                        (struct match){i, list[i].field, list[i].kind, value_rank(list + i)};
            }
            qsort(wanted, n, sizeof(*wanted), compare);
            CHECK_ROW(matcher_find(m, &s, found, VALUES, &run) == n, "round %u, %u", round, k);
            for (size_t i = 0; i < n; i++)
                CHECK_ROW(compare(wanted + i, found + i) == 0 && wanted[i].kind == found[i].kind,
                          "round %u, %u: %u", round, k, (unsigned)wanted[i].number);
            in_all += n;
        }
        matcher_free(m);
        arena_free(&arena);
        seed = round + 1;
    }
    assert_true(in_all > 1000);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_as_a_plain_loop_finds),
    };
    return cmocka_run_group_tests_name("match_model", tests, start, stop);
}
