/* fuzz_saved.c: a file of saved lists is read or refused with a reason. The input is the body: its head and
 * its end are put around it, so that the fuzzer need not guess a hash; every other input comes as it is. */
#include "tests/fuzz/fuzz.h"

#include "core/base/hash.h"
#include "core/data/saved.h"

static bool take(void *context, enum kind kind, const struct storage_record *r)
{
    size_t *records = context;
    size_t size = strlen(r->id);
    HOLDS(kind < KINDS && size > 0 && size <= STORAGE_ID_MAX);
    for (size_t i = 0; i < record_kinds[kind].fields_count; i++) {
        const struct storage_value *v = &r->values[i];
        HOLDS(v->type == STORAGE_NULL || v->type == record_kinds[kind].fields[i].type);
        if (v->type != STORAGE_TEXT)
            continue;
        HOLDS(v->text.size <= STORAGE_VALUE_MAX);
    }
    return ++*records < 10000;
}

static size_t wrap(char *memory, size_t room, const uint8_t *data, size_t size)
{
    uint8_t hash[HASH_KEY_SIZE];
    char text[SAVED_HASH_TEXT];
    size_t records = 0;
    struct writer w = writer_on(memory, room);
    for (size_t i = 0; i + 6 < size; i++)
        records += (i == 0 || data[i - 1] == '\n') && memcmp(data + i, "record\t", 7) == 0;
    saved_write_head(&w, "store");
    write_literal(&w, "time\t2026-01-31T12:00:00Z\n");
    const char *body = w.at;
    write_bytes(&w, (const char *)data, size);
    write_format(&w, "end\t%zu\t", records);
    hash_key(body, (size_t)(w.at - body), hash);
    saved_write_hash(text, hash);
    write_format(&w, "%s\n", text);
    HOLDS(!w.full);
    return (size_t)(w.at - w.start);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char why[160] = "";
    size_t room = size + 512;
    size_t records = 0;
    int64_t time = 0;
    char *memory = malloc(room);
    HOLDS(memory != NULL && hash_start());
    bool bare = size > 8 && memcmp(data, "mongrey ", 8) == 0;
    size_t used = size;
    if (bare)
        memcpy(memory, data, size);
    else
        used = wrap(memory, room, data, size);
    char *exact = realloc(memory, used > 0 ? used : 1); /* so that a byte too far is seen */
    HOLDS(exact != NULL);
    if (!saved_read(exact, used, "store", take, &records, &time, why, sizeof(why)))
        HOLDS(why[0] != '\0' && text_is_printable(text_of(why)));
    free(exact);
    return 0;
}
