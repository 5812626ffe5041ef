/* value.c: see value.h. What is wrong with a value is told together with what was probably meant:
 * most of those who read it have come from a table of another program. */
#include "core/policy/value.h"

#include <string.h>

#include "core/base/idn.h"
#include "core/base/pattern.h"

#define NAME_MAX_BYTES 253
#define LABEL_MAX 63
#define LABELS_MAX 128

const char *const field_names[FIELDS] = {
    "client_address", "client_name", "country", "helo_name",
    "policy_context", "recipient",   "sender",
};

bool field_find(struct text name, enum field *field)
{
    for (unsigned i = 0; i < FIELDS; i++) {
        if (text_equal(name, text_of(field_names[i]))) {
            *field = (enum field)i;
            return true;
        }
    }
    return false;
}

/* What one call of value_parse works on. */
struct reading {
    struct arena *arena;
    struct value *value;
    struct writer why;
};

static bool refuse(struct reading *r, const char *what)
{
    r->why.at = r->why.start;
    write_literal(&r->why, what);
    return false;
}

/* "...; write PREFIX TEXT SUFFIX" */
static bool refuse_for(struct reading *r, const char *what, const char *prefix, struct text text,
                       const char *suffix)
{
    (void)refuse(r, what);
    write_literal(&r->why, "; write ");
    write_literal(&r->why, prefix);
    write_text(&r->why, text);
    write_literal(&r->why, suffix);
    return false;
}

static bool accept(struct reading *r, enum value_kind kind, struct text text)
{
    char *copy = arena_copy(r->arena, text);
    if (copy == NULL)
        return refuse(r, "finds no memory");
    r->value->kind = kind;
    r->value->text = (struct text){copy, text.size};
    return true;
}

static bool starts_with(struct text t, const char *start)
{
    size_t size = strlen(start);
    return t.size >= size && memcmp(t.data, start, size) == 0;
}

static struct text behind(struct text t, size_t size)
{
    return (struct text){t.data + size, t.size - size};
}

static bool is_address_field(enum field field)
{
    return field == FIELD_SENDER || field == FIELD_RECIPIENT;
}

/* --- Patterns -------------------------------------------------------------------------------------
 */

static bool is_pattern(struct text t)
{
    return t.size > 1 && t.data[0] == '/' && t.data[t.size - 1] == '/';
}

static bool parse_pattern(struct reading *r, struct text t)
{
    char why[PATTERN_WHY_MAX];
    struct text inner = {t.data + 1, t.size - 2};
    if (inner.size == 0)
        return refuse(r, "is an empty pattern, which would match everything");
    struct pattern *pattern = pattern_compile(inner, why, sizeof(why));
    if (pattern == NULL)
        return refuse(r, why);
    pattern_free(pattern);
    return accept(r, VALUE_PATTERN, inner);
}

/* What a table of regular expressions would have: said before anything else is found wrong. */
static bool is_bare_pattern(struct text t)
{
    return text_has(t, "()[]{}*?^$|\\") || memmem(t.data, t.size, ".+", 2) != NULL;
}

static bool refuse_bare_pattern(struct reading *r, struct text t)
{
    char why[PATTERN_WHY_MAX];
    if (t.data[0] == '/')
        return refuse(r, "is a pattern without its end; write it between two slashes, and nothing "
                         "behind them (letter case never counts)");
    struct pattern *pattern = pattern_compile(t, why, sizeof(why));
    if (pattern == NULL)
        return refuse(r, "has wildcards, or is no complete regular expression; one is written "
                         "between slashes, as in /^mail[0-9]+/");
    pattern_free(pattern);
    return refuse_for(r, "looks like a regular expression", "it between slashes: /", t, "/");
}

/* --- Networks -------------------------------------------------------------------------------------
 */

/* `192.0.2` and the like, as Postfix's and postgrey's tables have them. */
static bool is_octets(struct text t, unsigned *count)
{
    struct text part;
    int64_t number;
    *count = 0;
    while (text_split(&t, '.', &part)) {
        if (part.size == 0 || part.size > 3 || !text_number(part, &number) || number > 255 ||
            number < 0)
            return false;
        ++*count;
    }
    return *count < 4;
}

static bool parse_network(struct reading *r, struct text t)
{
    char memory[NETWORK_TEXT_MAX];
    struct writer w = writer_on(memory, sizeof(memory));
    const char *why = "";
    unsigned octets = 0;
    if (network_parse(t, &r->value->network, &why)) {
        r->value->kind = VALUE_NETWORK;
        return true;
    }
    if (strstr(why, "bits set") != NULL) {
        network_write(&w, &r->value->network);
        return refuse_for(r, why, "", writer_text(&w), "");
    }
    if (is_octets(t, &octets)) {
        write_text(&w, t);
        for (unsigned i = octets; i < 4; i++)
            write_literal(&w, ".0");
        write_format(&w, "/%u", octets * 8);
        return refuse_for(r, "is a part of an address", "", writer_text(&w), "");
    }
    if (t.data[0] == '[' && t.data[t.size - 1] == ']')
        return refuse_for(r, why, "", (struct text){t.data + 1, t.size - 2}, "");
    if (is_pattern(t))
        return refuse(r, "is a pattern, which an address has none of; write a network, as in "
                         "192.0.2.0/24, or use client_name");
    if (memchr(t.data, '/', t.size) == NULL && memchr(t.data, ':', t.size) == NULL)
        return refuse(r, "is not an IP address or network; for a host name use client_name");
    return refuse(r, why);
}

/* --- Names ----------------------------------------------------------------------------------------
 */

/* Whether it is a name in A-label form, as it stands in DNS or behind a HELO (`_` happens). */
static bool check_name(struct reading *r, struct text name)
{
    struct text rest = name;
    struct text label;
    struct addr addr;
    unsigned octets = 0;
    if (addr_parse(name, &addr))
        return refuse(r, "is an IP address; use client_address");
    if (is_octets(name, &octets) && octets > 1)
        return refuse(r, "is a part of an IP address; use client_address");
    if (name.size > NAME_MAX_BYTES)
        return refuse(r, "is a name of over 253 bytes");
    while (text_split(&rest, '.', &label)) {
        if (label.size == 0)
            return refuse(r, "has an empty label (two dots, or one at an end)");
        if (label.size > LABEL_MAX)
            return refuse(r, "has a label of over 63 bytes");
        for (size_t i = 0; i < label.size; i++) {
            char c = label.data[i];
            if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_'))
                return refuse(r, "has a character that no host or domain name has");
        }
    }
    return true;
}

/* A name as people write it -> its canonical form in `out`. */
static bool read_name(struct reading *r, struct text t, struct writer *out)
{
    if (!idn_domain(t, out))
        return refuse(r, "is no domain name that IDNA 2008 allows");
    return check_name(r, writer_text(out));
}

static bool parse_name(struct reading *r, struct text t)
{
    char memory[IDN_ROOM(VALUE_MAX)];
    struct writer w = writer_on(memory, sizeof(memory));
    enum value_kind kind = VALUE_DOMAIN;
    if (starts_with(t, "*.") && !text_has(behind(t, 1), "()[]{}*+?^$|\\"))
        return refuse_for(r, "has a wildcard", "", behind(t, 1), " (it and all below)");
    if (is_bare_pattern(t) || t.data[0] == '/')
        return refuse_bare_pattern(r, t);
    if (t.data[0] == '.' && t.size > 1) {
        kind = VALUE_BELOW;
        t = behind(t, 1);
    }
    if (memchr(t.data, '/', t.size) != NULL) {
        const char *why;
        struct network network;
        if (network_parse(t, &network, &why) || strstr(why, "bits set") != NULL)
            return refuse(r, "is a network; use client_address");
    }
    return read_name(r, t, &w) && accept(r, kind, writer_text(&w));
}

/* `[192.0.2.1]`, `[IPv6:2001:db8::1]`: an address literal of RFC 5321 (the tag may be missing). */
static bool is_literal(struct text t)
{
    struct addr addr;
    if (t.size < 3 || t.data[0] != '[' || t.data[t.size - 1] != ']')
        return false;
    struct text inner = {t.data + 1, t.size - 2};
    if (inner.size > 5 && text_equal_fold((struct text){inner.data, 5}, TEXT("IPv6:")))
        inner = behind(inner, 5);
    return addr_parse(inner, &addr);
}

static bool parse_host(struct reading *r, struct text t)
{
    char memory[IDN_ROOM(VALUE_MAX)];
    struct writer w = writer_on(memory, sizeof(memory));
    struct addr addr;
    bool helo = r->value->field == FIELD_HELO_NAME;
    if (is_pattern(t))
        return parse_pattern(r, t);
    if (helo && is_literal(t)) {
        (void)idn_domain(t, &w);
        return accept(r, VALUE_TEXT, writer_text(&w));
    }
    if (helo && addr_parse(t, &addr))
        return refuse_for(r, "is an IP address without brackets", "[", t,
                          "], or use client_address");
    if (memchr(t.data, '@', t.size) != NULL && !text_has(t, "()[]{}*?^$|\\"))
        return refuse(r, "is a mail address; use sender or recipient");
    if (!helo && text_equal_fold(t, TEXT("unknown")))
        return refuse(r,
                      "is what Postfix says of a client without a confirmed name, and is matched "
                      "by nothing");
    return parse_name(r, t);
}

/* --- Mail addresses -------------------------------------------------------------------------------
 */

/* The part behind the @; an address literal stays as it is. */
static bool read_mail_domain(struct reading *r, struct text t, struct writer *out)
{
    if (is_literal(t))
        return idn_domain(t, out);
    if (t.size > 0 && t.data[0] == '.')
        return refuse_for(r, "has a dot behind its @", "", t, " for the domain and all below");
    return read_name(r, t, out);
}

/* local@, local@domain or @domain. */
static bool parse_mailbox(struct reading *r, struct text t, struct text domain)
{
    char memory[IDN_ROOM(VALUE_MAX)];
    struct writer w = writer_on(memory, sizeof(memory));
    struct text local = {t.data, t.size - domain.size - 1};
    if (local.size == 1 && local.data[0] == '*')
        return refuse_for(r, "has a wildcard", "", behind(t, 1), "");
    if (is_bare_pattern(local) || (is_bare_pattern(domain) && !is_literal(domain)))
        return refuse_bare_pattern(r, t);
    if (local.size == 0 && domain.size == 0)
        return refuse(r, "has nothing beside its @");
    if (text_has(local, "<>,;: ") || (text_has(local, "@\"") && local.data[0] != '"'))
        return refuse(r, "has a character that no mail address has; write just user@example.com");
    (void)idn_local(local, &w);
    if (domain.size == 0)
        return accept(r, VALUE_USER, writer_text(&w));
    if (local.size > 0)
        write_literal(&w, "@");
    struct writer rest = writer_on(w.at, (size_t)(w.end - w.at));
    if (!read_mail_domain(r, domain, &rest))
        return false;
    w.at = rest.at;
    return accept(r, local.size > 0 ? VALUE_MAILBOX : VALUE_DOMAIN, writer_text(&w));
}

static bool parse_address(struct reading *r, struct text t)
{
    struct addr addr;
    if (addr_parse(t, &addr))
        return refuse(r, "is an IP address; use client_address");
    if (is_pattern(t))
        return parse_pattern(r, t);
    if (text_equal(t, TEXT("<>"))) {
        if (r->value->field == FIELD_SENDER)
            return accept(r, VALUE_MAILBOX, TEXT(""));
        return refuse(r, "is the null sender, which is no recipient");
    }
    if (t.size > 2 && t.data[0] == '<' && t.data[t.size - 1] == '>')
        return refuse_for(r, "stands in angle brackets", "", (struct text){t.data + 1, t.size - 2},
                          "");
    const char *at = memrchr(t.data, '@', t.size);
    if (at != NULL)
        return parse_mailbox(r, t, behind(t, (size_t)(at + 1 - t.data)));
    if (is_literal(t))
        return refuse_for(r, "lacks its @", "@", t, "");
    if (memchr(t.data, '.', t.size) == NULL && !is_bare_pattern(t))
        return refuse_for(r, "has neither @ nor dot", "", t,
                          "@ for a user of any domain, @DOMAIN for a domain");
    return parse_name(r, t);
}

/* --- The rest -------------------------------------------------------------------------------------
 */

static bool parse_country(struct reading *r, struct text t)
{
    char code[2];
    bool letters = t.size == 2;
    for (size_t i = 0; letters && i < 2; i++) {
        code[i] = text_lower(t.data[i]);
        letters = code[i] >= 'a' && code[i] <= 'z';
        code[i] = (char)(code[i] & ~0x20);
    }
    if (!letters)
        return refuse(r, "is no country; write its two letters in ISO 3166, as in FR");
    struct text country = {code, 2};
    if (text_equal(country, TEXT("UK")))
        return refuse_for(r, "is no country of ISO 3166", "", TEXT("GB"), "");
    if (text_equal(country, TEXT("EL")))
        return refuse_for(r, "is no country of ISO 3166", "", TEXT("GR"), "");
    return accept(r, VALUE_COUNTRY, country);
}

static bool parse_any(struct reading *r, struct text t)
{
    if (t.size == 0)
        return refuse(r, "is empty");
    if (t.size > VALUE_MAX)
        return refuse(r, "is over 512 bytes");
    if (!text_is_printable(t))
        return refuse(r, "has a control or an invisible character, or is not UTF-8");
    switch (r->value->field) {
    case FIELD_CLIENT_ADDRESS:
        return parse_network(r, t);
    case FIELD_COUNTRY:
        return parse_country(r, t);
    case FIELD_CLIENT_NAME:
    case FIELD_HELO_NAME:
        return parse_host(r, t);
    case FIELD_POLICY_CONTEXT:
        return is_pattern(t) ? parse_pattern(r, t) : accept(r, VALUE_TEXT, t);
    case FIELD_RECIPIENT:
    case FIELD_SENDER:
        return parse_address(r, t);
    case FIELDS:
        break;
    }
    return refuse(r, "is of no known field");
}

bool value_parse(enum field field, struct text written, struct arena *arena, struct value *value,
                 char *why, size_t why_size)
{
    struct reading r = {arena, value, writer_on(why, why_size)};
    char memory[VALUE_MAX];
    struct writer canonical = writer_on(memory, sizeof(memory));
    memset(value, 0, sizeof(*value));
    value->field = field;
    bool fine = parse_any(&r, text_trim(written));
    if (fine) {
        /* NFC and A-labels may be longer than what was written. */
        value_write(&canonical, value);
        fine = !canonical.full || refuse(&r, "is over 512 bytes in its canonical form");
    }
    (void)writer_end(&r.why);
    return fine;
}

void value_write(struct writer *w, const struct value *value)
{
    struct text t = value->text;
    switch (value->kind) {
    case VALUE_NETWORK:
        network_write(w, &value->network);
        return;
    case VALUE_PATTERN:
        write_literal(w, "/");
        write_text(w, t);
        write_literal(w, "/");
        return;
    case VALUE_BELOW:
        write_literal(w, ".");
        break;
    case VALUE_DOMAIN:
        /* Without a dot, or in brackets, it would not be taken for a domain. */
        if (is_address_field(value->field) &&
            (t.data[0] == '[' || memchr(t.data, '.', t.size) == NULL))
            write_literal(w, "@");
        break;
    case VALUE_MAILBOX:
        if (t.size == 0)
            t = TEXT("<>");
        break;
    case VALUE_USER:
        write_text(w, t);
        t = TEXT("@");
        break;
    case VALUE_TEXT:
    case VALUE_COUNTRY:
    case VALUE_KINDS:
        break;
    }
    write_text(w, t);
}

unsigned value_rank(const struct value *value)
{
    static const unsigned base[VALUE_KINDS] = {
        [VALUE_NETWORK] = 0,    [VALUE_MAILBOX] = 1000, [VALUE_TEXT] = 1000,
        [VALUE_USER] = 2000,    [VALUE_DOMAIN] = 3000,  [VALUE_BELOW] = 4000,
        [VALUE_PATTERN] = 5000, [VALUE_COUNTRY] = 6000,
    };
    unsigned within = 0;
    if (value->kind == VALUE_NETWORK)
        within = (value->network.addr.family == ADDR_IPV4 ? 32U : 128U) - value->network.prefix;
    if (value->kind == VALUE_BELOW) {
        within = LABELS_MAX;
        for (size_t i = 0; i < value->text.size && within > 0; i++)
            within -= value->text.data[i] == '.';
    }
    return base[value->kind] + within;
}
