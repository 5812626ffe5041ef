/* present.c: see present.h. */
#include "core/data/present.h"

#include <stdio.h>
#include <string.h>

#include "core/data/record.h"

struct comparing {
    enum kind kind;
    const struct storage_value *values;
    struct present *present;
    bool found;
    bool same;
};

static bool is_same(const struct storage_value *a, const struct storage_value *b)
{
    if (a->type != b->type)
        return false;
    switch (a->type) {
    case STORAGE_NULL:
        return true;
    case STORAGE_TEXT:
        return a->text.size == b->text.size &&
               (a->text.size == 0 || memcmp(a->text.data, b->text.data, a->text.size) == 0);
    case STORAGE_REAL:
        return a->real >= b->real && a->real <= b->real;
    default:
        return a->integer == b->integer;
    }
}

static bool compare(void *context, const struct storage_record *r)
{
    struct comparing *c = context;
    const struct storage_kind *kind = &record_kinds[c->kind];
    c->found = true;
    c->same = true;
    snprintf(c->present->id, sizeof(c->present->id), "%s", r->id);
    c->present->version = r->version;
    for (size_t i = 0; i < kind->fields_count; i++) {
        const char *name = kind->fields[i].name;
        bool counts = strcmp(name, "created") != 0 && strcmp(name, "source") != 0;
        if (counts && !is_same(&r->values[i], &c->values[i]))
            c->same = false;
    }
    return false;
}

enum presence present_compare(struct store_line *line, enum kind kind,
                              const struct storage_value *values, struct present *present)
{
    struct comparing c = {.kind = kind, .values = values, .present = present};
    struct storage_error error;
    struct text key = record_key(values);
    struct storage_condition same_key = {
        .field = 0,
        .relation = STORAGE_EQ,
        .value = {.type = STORAGE_TEXT, .text = {key.data, key.size}},
    };
    struct storage_query query = {.kind = kind,
                                  .conditions = &same_key,
                                  .conditions_count = 1,
                                  .order = STORAGE_BY_ID,
                                  .limit = 1};
    if (store_search(line, &query, compare, &c, &error) != STORAGE_OK || !c.found)
        return PRESENT_NOT;
    return c.same ? PRESENT_SAME : PRESENT_DIFFERS;
}
