/* fuzz_fixtures.c: a fixtures file is read or refused with reasons; what is read of it, written again,
 * is read as the same and written to the same bytes: an export can always be imported. */
#include "tests/fuzz/fuzz.h"

#include "core/base/hash.h"
#include "core/data/fixtures.h"

#define NOW INT64_C(1769860800000)

struct again {
    enum kind kind;
    const struct storage_value *wanted;
    size_t records;
};

static bool is_same(const struct storage_value *a, const struct storage_value *b)
{
    return a->type == b->type && a->integer == b->integer && a->text.size == b->text.size &&
           (a->text.size == 0 || memcmp(a->text.data, b->text.data, a->text.size) == 0);
}

static bool take_again(void *context, enum kind kind, unsigned line,
                       const struct storage_value *values)
{
    struct again *again = context;
    HOLDS(kind == again->kind && line == 3);
    for (size_t i = 0; i < record_fields(kind); i++) {
        if (!is_same(&values[i], &again->wanted[i]))
            (void)fprintf(stderr, "%s\n", record_field_name(kind, i));
        HOLDS(is_same(&values[i], &again->wanted[i]));
    }
    again->records++;
    return true;
}

static void refused_again(void *context, unsigned line, const char *what)
{
    (void)context;
    (void)fprintf(stderr, "%u: %s\n", line, what);
    HOLDS(false);
}

static bool take(void *context, enum kind kind, unsigned line, const struct storage_value *values)
{
    unsigned *records = context;
    struct arena arena = arena_make(8u << 20);
    struct again again = {kind, values, 0};
    struct fixtures_sink sink = {take_again, refused_again, &again, &arena};
    char *memory = malloc(FIXTURES_RECORD_MAX);
    HOLDS(memory != NULL && line >= 1);
    struct writer w = writer_on(memory, FIXTURES_RECORD_MAX);
    fixtures_write_head(&w);
    fixtures_write_kind(&w, kind);
    fixtures_write_record(&w, kind, values);
    HOLDS(!w.full);
    HOLDS(fixtures_read(writer_text(&w), 0, &sink) && again.records == 1);
    arena_free(&arena);
    free(memory);
    return ++*records < 64;
}

static void refused(void *context, unsigned line, const char *what)
{
    (void)context;
    HOLDS(line >= 1 && what[0] != '\0');
    HOLDS(text_is_printable(text_of(what)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned records = 0;
    struct arena arena = arena_make(64u << 20);
    struct fixtures_sink sink = {take, refused, &records, &arena};
    HOLDS(hash_start());
    (void)fixtures_read(fuzz_text(data, size), NOW, &sink);
    arena_free(&arena);
    return 0;
}
