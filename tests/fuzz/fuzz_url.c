/* fuzz_url.c: a URL is read or refused with a reason, and its secrets are never shown. */
#include "tests/fuzz/fuzz.h"

#include "core/base/url.h"

static size_t occurrences(struct text where, struct text what)
{
    size_t count = 0;
    for (size_t i = 0; what.size > 0 && i + what.size <= where.size; i++)
        count += memcmp(where.data + i, what.data, what.size) == 0;
    return count;
}

/* What stands between the first ':' of the authority and its last '@'. */
static struct text raw_password(struct text t)
{
    struct text none = {NULL, 0};
    const char *start = memmem(t.data, t.size, "://", 3);
    if (start == NULL)
        return none;
    start += 3;
    const char *end = start;
    const char *at = NULL;
    for (; end < t.data + t.size && strchr("/?#", *end) == NULL; end++)
        at = *end == '@' ? end : at;
    const char *colon = at != NULL ? memchr(start, ':', (size_t)(at - start)) : NULL;
    return colon == NULL ? none : (struct text){colon + 1, (size_t)(at - colon) - 1};
}

/* A secret that stands once in the text, and nowhere in it by chance. */
static bool is_telling(struct text t, struct text secret)
{
    return secret.size >= 4 && occurrences(t, secret) <= 1 && !fuzz_has(TEXT(":***@=***&"), secret);
}

/* The values as they stand in the text, each beside the name that was read of it. */
static void expect_parameters_masked(struct text t, const struct url *url, struct text shown)
{
    const char *question = memchr(t.data, '?', t.size);
    struct text rest = {NULL, 0};
    struct text part;
    size_t i = 0;
    if (question != NULL)
        rest = (struct text){question + 1, t.size - (size_t)(question + 1 - t.data)};
    while (text_split(&rest, '&', &part)) {
        struct text name;
        if (part.size == 0)
            continue;
        text_split(&part, '=', &name);
        HOLDS(i < url->parameters_count);
        bool secret = strcasestr(url->parameters[i++].name, "password") != NULL;
        HOLDS(!secret || !is_telling(t, part) || !fuzz_has(shown, part));
    }
    HOLDS(i == url->parameters_count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char memory[URL_MAX + 64];
    struct writer w = writer_on(memory, sizeof(memory));
    struct arena arena = arena_make(64 * 1024);
    struct text t = fuzz_text(data, size);
    struct url url;
    const char *why = NULL;
    url_write_masked(&w, t);
    struct text shown = writer_text(&w);
    HOLDS(!w.full);
    if (!url_parse(&arena, t, &url, &why)) {
        HOLDS(why != NULL && why[0] != '\0');
        arena_free(&arena);
        return 0;
    }
    struct text raw = raw_password(t);
    struct text decoded = text_of(url.password);
    HOLDS(decoded.size <= raw.size);
    HOLDS(!is_telling(t, raw) || !fuzz_has(shown, raw));
    HOLDS(!is_telling(t, decoded) || occurrences(t, decoded) != occurrences(raw, decoded) ||
          !fuzz_has(shown, decoded));
    expect_parameters_masked(t, &url, shown);
    HOLDS(strlen(url.scheme) + strlen(url.user) + strlen(url.hosts) + strlen(url.path) <= size);
    arena_free(&arena);
    return 0;
}
