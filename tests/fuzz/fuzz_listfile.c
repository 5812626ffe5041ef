/* fuzz_listfile.c: whatever is in a list file, what is entered of it is a record of the white list in
 * canonical form, and what is not is said in one printable line. */
#include "tests/fuzz/fuzz.h"

#include "core/base/hash.h"
#include "core/data/listfile.h"
#include "core/data/record.h"

struct got {
    unsigned lines;
    bool recipients;
};

static void entry(void *context, const struct listfile_entry *e)
{
    struct got *g = context;
    struct arena arena = arena_make(1u << 20);
    struct storage_value values[ENTRY_FIELDS];
    struct record_fault fault;
    struct text written[ENTRY_FIELDS] = {
        [ENTRY_field_name] = text_of(field_names[e->field]),
        [ENTRY_value] = e->value,
        [ENTRY_comments] = e->comments,
    };
    HOLDS(e->line >= 1 && e->line <= g->lines);
    HOLDS((e->field == FIELD_RECIPIENT) == g->recipients);
    if (!record_make(KIND_WHITELIST, written, 0, &arena, values, &fault)) {
        (void)fprintf(stderr, "%s\n", fault.text);
        HOLDS(false);
    }
    struct storage_text made = values[ENTRY_value].text;
    HOLDS(text_equal((struct text){made.data, made.size}, e->value));
    arena_free(&arena);
}

static void said(void *context, unsigned line, const char *what, bool is_refused)
{
    const struct got *g = context;
    (void)is_refused;
    HOLDS(line >= 1 && line <= g->lines);
    HOLDS(text_is_printable(text_of(what)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct got g = {.lines = 1};
    HOLDS(hash_start());
    for (size_t i = 0; i < size; i++)
        g.lines += data[i] == '\n';
    for (int recipients = 0; recipients < 2; recipients++) {
        struct arena arena = arena_make(64u << 20);
        struct listfile_sink sink = {entry, said, &g, &arena};
        g.recipients = recipients != 0;
        listfile_read(fuzz_text(data, size), g.recipients, &sink);
        arena_free(&arena);
    }
    return 0;
}
