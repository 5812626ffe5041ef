/* match_values.h: what both tests of the matcher start from: values that parse, addresses that are
 * cut in two. */
#ifndef MONGREY_MATCH_VALUES_H
#define MONGREY_MATCH_VALUES_H

#include "tests/unit/unit.h"

#include "core/base/hash.h"
#include "core/policy/match.h"

static struct arena arena;
static struct pattern_room *room;

static int start(void **state)
{
    (void)state;
    arena = arena_make(16 * 1024 * 1024);
    room = pattern_room_make();
    return !hash_start() || room == NULL;
}

static int stop(void **state)
{
    (void)state;
    arena_free(&arena);
    pattern_room_free(room);
    return 0;
}

static struct value value_of(const char *field, const char *written)
{
    struct value v;
    enum field f;
    char why[VALUE_WHY_MAX] = "";
    CHECK_ROW(field_find(text_of(field), &f), "%s", field);
    CHECK_ROW(value_parse(f, text_of(written), &arena, &v, why, sizeof(why)), "%s %s: %s", field,
              written, why);
    return v;
}

static void set_mail(const char *address, struct text *whole, struct text *local,
                     struct text *domain)
{
    const char *at = strrchr(address, '@');
    *whole = text_of(address);
    *local = at == NULL ? *whole : (struct text){address, (size_t)(at - address)};
    *domain = at == NULL ? TEXT("") : text_of(at + 1);
}

#endif
