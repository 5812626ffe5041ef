/* url.c: see url.h. */
#include "core/base/url.h"

#include <string.h>

/* The parts as they stand in the text, before decoding. */
struct parts {
    struct text scheme;
    struct text user;
    struct text password;
    struct text hosts;
    struct text path;
    struct text query;
    bool has_password;
    bool has_path;
};

static bool is_letter(char c)
{
    return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

static bool is_scheme(struct text t)
{
    for (size_t i = 0; i < t.size; i++) {
        bool digit = (t.data[i] >= '0' && t.data[i] <= '9') || strchr("+-.", t.data[i]) != NULL;
        if (!is_letter(t.data[i]) && !(i > 0 && digit))
            return false;
    }
    return t.size > 0 && t.size <= 32;
}

static const char *find_last(struct text t, char c)
{
    for (size_t i = t.size; i > 0; i--) {
        if (t.data[i - 1] == c)
            return t.data + i - 1;
    }
    return NULL;
}

static struct text between(const char *start, const char *end)
{
    return (struct text){start, (size_t)(end - start)};
}

static const char *first_of(const char *start, const char *end, const char *set)
{
    while (start < end && strchr(set, *start) == NULL)
        start++;
    return start;
}

static bool cut(struct text t, struct parts *p, const char **why)
{
    memset(p, 0, sizeof(*p));
    *why = "is empty, too long, or has control characters";
    if (t.size == 0 || t.size > URL_MAX)
        return false;
    for (size_t i = 0; i < t.size; i++) {
        if ((unsigned char)t.data[i] <= ' ' || t.data[i] == 0x7f)
            return false;
    }
    const char *end = t.data + t.size;
    const char *colon = memchr(t.data, ':', t.size);
    *why = "has no scheme such as sqlite:// in front";
    if (colon == NULL || end - colon < 3 || memcmp(colon, "://", 3) != 0)
        return false;
    p->scheme = between(t.data, colon);
    if (!is_scheme(p->scheme))
        return false;
    const char *authority = colon + 3;
    const char *slash = first_of(authority, end, "/?#");
    /* The last '@' before the first '/' ends the password, as the client libraries read it. */
    const char *at = find_last(between(authority, slash), '@');
    if (at != NULL) {
        const char *sep = memchr(authority, ':', (size_t)(at - authority));
        p->has_password = sep != NULL;
        p->user = between(authority, sep != NULL ? sep : at);
        p->password = sep != NULL ? between(sep + 1, at) : (struct text){at, 0};
        authority = at + 1;
    }
    p->hosts = between(authority, slash);
    const char *question = first_of(slash, end, "?#");
    p->has_path = slash < question;
    p->path = p->has_path ? between(slash + 1, question) : between(slash, slash);
    *why = "has a fragment (#): write %23 where it belongs to a name or password";
    if (first_of(question, end, "#") < end)
        return false;
    *why = "has an @ behind its host: in names and passwords write %40 for @, %2F for /, %3F for ?";
    if (first_of(slash, end, "@") < end)
        return false;
    p->query = question < end ? between(question + 1, end) : (struct text){NULL, 0};
    return true;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static const char *decode(struct arena *arena, struct text t, const char **why)
{
    char *copy = arena_copy(arena, t);
    size_t size = 0;
    *why = copy == NULL ? "is too long" : "has a % that no two hex digits follow, or %00";
    for (size_t i = 0; copy != NULL && i < t.size; i++) {
        char c = t.data[i];
        if (c == '%') {
            int high = i + 2 < t.size ? hex_digit(t.data[i + 1]) : -1;
            int low = i + 2 < t.size ? hex_digit(t.data[i + 2]) : -1;
            if (high < 0 || low < 0 || high * 16 + low == 0)
                return NULL;
            c = (char)(high * 16 + low);
            i += 2;
        }
        copy[size++] = c;
    }
    if (copy != NULL)
        copy[size] = '\0';
    return copy;
}

static bool check_port(struct text port)
{
    int64_t number;
    return port.size == 0 || (port.data[0] != '-' && text_number(port, &number) && number <= 65535);
}

/* Each host is a name, an address, or an IPv6 address in brackets, with a port or none. (MongoDB's Unix
 * sockets come percent-encoded.) */
static bool check_hosts(struct text hosts, const char **why)
{
    struct text host;
    while (hosts.size > 0 && text_split(&hosts, ',', &host)) {
        const char *close = host.size > 0 && host.data[0] == '[' ? find_last(host, ']') : NULL;
        size_t skip = close != NULL ? (size_t)(close - host.data) + 1 : 0;
        struct text rest = {host.data + skip, host.size - skip};
        struct text name;
        *why = "has unbalanced brackets in its host";
        size_t brackets = 0;
        for (size_t i = 0; i < host.size; i++)
            brackets += host.data[i] == '[' || host.data[i] == ']';
        if (brackets != (close != NULL ? 2 : 0))
            return false;
        *why = "has a port that is no number up to 65535 (an IPv6 address goes in brackets)";
        text_split(&rest, ':', &name);
        if ((close != NULL && name.size > 0) || (rest.data != NULL && !check_port(rest)))
            return false;
    }
    return true;
}

static bool decode_query(struct arena *arena, struct text query, struct url *url, const char **why)
{
    struct text part;
    while (text_split(&query, '&', &part)) {
        struct text name;
        if (part.size == 0)
            continue;
        *why = "has more than 32 parameters";
        if (url->parameters_count == URL_PARAMETERS_MAX)
            return false;
        if (!text_split(&part, '=', &name))
            continue;
        struct url_parameter *p = &url->parameters[url->parameters_count++];
        p->name = decode(arena, name, why);
        p->value = p->name != NULL ? decode(arena, part, why) : NULL;
        if (p->value == NULL)
            return false;
    }
    return true;
}

bool url_parse(struct arena *arena, struct text t, struct url *url, const char **why)
{
    struct parts p;
    memset(url, 0, sizeof(*url));
    if (!cut(t, &p, why) || !check_hosts(p.hosts, why))
        return false;
    char *scheme = arena_copy(arena, p.scheme);
    for (char *c = scheme; c != NULL && *c != '\0'; c++)
        *c = text_lower(*c);
    *why = "is too long";
    url->scheme = scheme;
    url->text = arena_copy(arena, t);
    url->hosts = arena_copy(arena, p.hosts);
    if (scheme == NULL || url->text == NULL || url->hosts == NULL)
        return false;
    url->user = decode(arena, p.user, why);
    url->password = url->user != NULL ? decode(arena, p.password, why) : NULL;
    url->path = url->password != NULL ? decode(arena, p.path, why) : NULL;
    return url->path != NULL && decode_query(arena, p.query, url, why);
}

/* An encoded name could hide any word. */
static bool looks_secret(struct text name)
{
    if (name.size > 0 && memchr(name.data, '%', name.size) != NULL)
        return true;
    static const char *const words[] = {"pass", "secret", "token", "key", "pwd", "auth"};
    for (size_t w = 0; w < sizeof(words) / sizeof(words[0]); w++) {
        struct text word = text_of(words[w]);
        for (size_t i = 0; i + word.size <= name.size; i++) {
            if (text_equal_fold((struct text){name.data + i, word.size}, word))
                return true;
        }
    }
    return false;
}

void url_write_masked(struct writer *w, struct text t)
{
    struct parts p;
    const char *why;
    if (!cut(t, &p, &why)) {
        write_literal(w, "(a URL that cannot be read)");
        return;
    }
    write_text(w, p.scheme);
    write_literal(w, "://");
    write_text(w, p.user);
    if (p.has_password)
        write_literal(w, ":***");
    if (p.has_password || p.user.size > 0)
        write_literal(w, "@");
    write_text(w, p.hosts);
    if (p.has_path)
        write_literal(w, "/");
    write_text(w, p.path);
    char separator = '?';
    struct text part;
    while (text_split(&p.query, '&', &part)) {
        struct text name;
        text_split(&part, '=', &name);
        write_bytes(w, &separator, 1);
        write_text(w, name);
        if (part.data != NULL) {
            write_literal(w, "=");
            write_text(w, looks_secret(name) ? TEXT("***") : part);
        }
        separator = '&';
    }
}
