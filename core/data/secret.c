/* secret.c: see secret.h. */
#include "core/data/secret.h"

#include <stdio.h>
#include <string.h>

#include "core/base/text.h"
#include "core/store/records.h"

struct finding {
    uint8_t *secret;
    bool found;
    bool fine;
};

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool take(void *context, const struct storage_record *r)
{
    struct finding *f = context;
    const struct storage_value *v = &r->values[SECRET_value];
    f->found = true;
    f->fine = v->type == STORAGE_TEXT && v->text.size == 2 * (size_t)HASH_SECRET_SIZE;
    for (size_t i = 0; f->fine && i < HASH_SECRET_SIZE; i++) {
        int high = digit(v->text.data[2 * i]);
        int low = digit(v->text.data[2 * i + 1]);
        f->fine = high >= 0 && low >= 0;
        f->secret[i] = (uint8_t)((unsigned)high << 4 | (unsigned)low);
    }
    return false;
}

static enum storage_status find(struct store_line *line, const char *name, uint8_t *secret,
                                struct storage_error *error)
{
    struct finding f = {.secret = secret};
    struct storage_condition is_it = {
        .field = SECRET_name,
        .relation = STORAGE_EQ,
        .value = {.type = STORAGE_TEXT, .text = {name, strlen(name)}},
    };
    struct storage_query query = {
        .kind = KIND_SECRET,
        .conditions = &is_it,
        .conditions_count = 1,
        .order = STORAGE_BY_ID,
        .limit = 1,
    };
    enum storage_status status = store_search(line, &query, take, &f, error);
    if (status != STORAGE_OK)
        return status;
    if (f.found && !f.fine)
        snprintf(error->text, sizeof(error->text), "the secret %s is damaged", name);
    return !f.found ? STORAGE_NOT_FOUND : f.fine ? STORAGE_OK : STORAGE_SCHEMA;
}

/* Of two hosts that make one at once, one does, and both read that. */
static enum storage_status make(struct store_line *line, const char *name,
                                struct storage_error *error)
{
    uint8_t random[HASH_SECRET_SIZE];
    char hex[2 * HASH_SECRET_SIZE + 1];
    struct writer w = writer_on(hex, sizeof(hex));
    hash_random(random, sizeof(random));
    for (size_t i = 0; i < sizeof(random); i++)
        write_format(&w, "%02x", random[i]);
    struct storage_value values[SECRET_FIELDS] = {
        [SECRET_name] = {.type = STORAGE_TEXT, .text = {name, strlen(name)}},
        [SECRET_value] = {.type = STORAGE_TEXT, .text = {hex, 2 * (size_t)HASH_SECRET_SIZE}},
    };
    struct storage_change change = {.id = name, .values = values};
    enum storage_status status = store_change(line, KIND_SECRET, &change, 1, error);
    return status == STORAGE_CONFLICT || status == STORAGE_EXISTS ? STORAGE_OK : status;
}

enum storage_status secret_get(struct store_line *line, const char *name,
                               uint8_t secret[HASH_SECRET_SIZE], struct storage_error *error)
{
    enum storage_status status = find(line, name, secret, error);
    if (status != STORAGE_NOT_FOUND)
        return status;
    status = make(line, name, error);
    return status == STORAGE_OK ? find(line, name, secret, error) : status;
}
