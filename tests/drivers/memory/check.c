/*
 * check.c: refuses what storage.h does not allow, before anything is done. Strict, so that a fault
 * of the caller shows here and not first in one of the databases.
 */
#include "store.h"

#include <string.h>

/* No time that can be meant comes near; what is added to one cannot overflow. */
#define TIME_MAX (INT64_MAX / 4)

static bool is_time(int64_t time)
{
    return time >= 0 && time <= TIME_MAX;
}

static bool is_duration(int64_t duration)
{
    return duration >= 0 && duration <= STORAGE_DURATION_MAX;
}

static bool is_counter(enum storage_op op)
{
    return op == STORAGE_COUNT || op == STORAGE_PAIR || op == STORAGE_TAKE;
}

static const char *check_reading(const struct storage_reading *reading)
{
    const struct storage_text *const texts[MEMORY_READINGS] = {
        &reading->client_address, &reading->client_name, &reading->helo_name, &reading->sender,
        &reading->recipient,      &reading->country,     &reading->policy};

    for (size_t i = 0; i < MEMORY_READINGS; i++) {
        if (texts[i]->size > STORAGE_TEXT_MAX) {
            return "a text of a reading is too long";
        }
        if (texts[i]->size > 0 && memchr(texts[i]->data, '\0', texts[i]->size) != NULL) {
            return "a text of a reading holds a NUL";
        }
    }
    return NULL;
}

static const char *check_merge(const struct storage_merge *merge)
{
    if (merge == NULL) {
        return "MERGE without what to merge";
    }
    if (merge->position > INT64_MAX) {
        return "a merge's position is out of bounds";
    }
    if (!is_time(merge->first_seen) || !is_time(merge->last_seen) || !is_time(merge->expires) ||
        !is_duration(merge->waited)) {
        return "a time of a merge is out of bounds";
    }
    return NULL;
}

static const char *check_on_pass(const struct storage_sighting *sighting)
{
    if (sighting->on_pass_count > STORAGE_ON_PASS) {
        return "too much on_pass";
    }
    for (size_t i = 0; i < sighting->on_pass_count; i++) {
        const struct storage_sighting *then = &sighting->on_pass[i];
        if (then->op != STORAGE_COUNT && then->op != STORAGE_PAIR) {
            return "on_pass is for COUNT and PAIR";
        }
        if (then->on_pass_count > 0) {
            return "on_pass within on_pass";
        }
        if (memory_check_sighting(then) != NULL) {
            return memory_check_sighting(then);
        }
    }
    return NULL;
}

static const char *check_grey(const struct storage_sighting *sighting)
{
    if (sighting->alternates_count > STORAGE_ALTERNATES) {
        return "too many alternates";
    }
    if (sighting->exemptions_count > STORAGE_EXEMPTIONS) {
        return "too many exemptions";
    }
    for (size_t i = 0; i < sighting->exemptions_count; i++) {
        if (!is_duration(sighting->exemption[i].keep)) {
            return "a duration is out of bounds";
        }
    }
    return check_on_pass(sighting);
}

static const char *check_op(const struct storage_sighting *sighting)
{
    switch (sighting->op) {
    case STORAGE_GREY:
        return check_grey(sighting);
    case STORAGE_MERGE:
        return check_merge(sighting->merge);
    case STORAGE_TOUCH:
    case STORAGE_LEARN:
    case STORAGE_COUNT:
    case STORAGE_PAIR:
    case STORAGE_TAKE:
        return NULL;
    default:
        return "an unknown op";
    }
}

const char *memory_check_sighting(const struct storage_sighting *sighting)
{
    if (!is_time(sighting->now)) {
        return "a time is out of bounds";
    }
    if (!is_duration(sighting->delay) || !is_duration(sighting->window) ||
        !is_duration(sighting->keep) || !is_duration(sighting->min_gap)) {
        return "a duration is out of bounds";
    }
    if (sighting->count == 0 && sighting->op != STORAGE_COUNT) {
        return "only COUNT may be of nothing";
    }
    if (sighting->look && (is_counter(sighting->op) || sighting->op == STORAGE_MERGE)) {
        return "only GREY, TOUCH and LEARN can look";
    }
    if (sighting->reading != NULL && check_reading(sighting->reading) != NULL) {
        return check_reading(sighting->reading);
    }
    return check_op(sighting);
}

/* Entries among entries, counters among counters. */
static const char *check_order(const struct memory_store *store,
                               const struct storage_sighting *sightings, size_t count)
{
    const struct storage_key *last[2] = {NULL, NULL}; /* of entries, of counters */

    for (size_t i = 0; i < count; i++) {
        const struct storage_key *key = &sightings[i].key;
        size_t table = is_counter(sightings[i].op) ? 1 : 0;
        int order =
            last[table] == NULL ? -1 : memcmp(last[table]->bytes, key->bytes, STORAGE_KEY_SIZE);
        if (memory_broken(store, MEMORY_BREAK_BATCH_INTERLEAVED) && i > 0 && order < 0) {
            order = memcmp(sightings[i - 1].key.bytes, key->bytes, STORAGE_KEY_SIZE) - 1;
        }
        if (order >= 0) {
            return order == 0 ? "a key is there twice" : "the sightings are not sorted by key";
        }
        last[table] = key;
    }
    return NULL;
}

const char *memory_check_sightings(const struct memory_store *store,
                                   const struct storage_sighting *sightings, size_t count)
{
    if (count == 0 || count > STORAGE_BATCH_MAX) {
        return "a batch has 1 to STORAGE_BATCH_MAX sightings";
    }
    for (size_t i = 0; i < count && !memory_broken(store, MEMORY_BREAK_BATCH_HALF); i++) {
        const char *wrong = memory_check_sighting(&sightings[i]);
        if (wrong != NULL) {
            return wrong;
        }
    }
    for (size_t i = 1; i < count && !memory_broken(store, MEMORY_BREAK_LOOK_MIXED); i++) {
        if (sightings[i].look != sightings[0].look) {
            return "all sightings of a batch look, or none";
        }
    }
    return memory_broken(store, MEMORY_BREAK_BATCH_UNSORTED) ? NULL
                                                             : check_order(store, sightings, count);
}

/* --- Records ---------------------------------------------------------------------------------- */

static bool is_value(const struct storage_value *value, enum storage_type type)
{
    return value->type == STORAGE_NULL || value->type == type;
}

static const char *check_text(const struct memory_store *store, const struct storage_field *field,
                              const struct storage_text *text)
{
    bool indexed = (field->flags & (STORAGE_UNIQUE | STORAGE_INDEXED)) != 0 &&
                   !memory_broken(store, MEMORY_BREAK_INDEXED_LONG);

    if (text->size > (indexed ? STORAGE_INDEXED_MAX : STORAGE_VALUE_MAX)) {
        return "a text is too long";
    }
    if (text->size > 0 && memchr(text->data, '\0', text->size) != NULL) {
        return "a text holds a NUL";
    }
    return NULL;
}

static const char *check_values(const struct memory_store *store, const struct storage_kind *kind,
                                const struct storage_value *values)
{
    for (size_t i = 0; i < kind->fields_count; i++) {
        const char *wrong = NULL;
        if (!is_value(&values[i], kind->fields[i].type)) {
            return "a value is not of its field's type";
        }
        if (values[i].type == STORAGE_TEXT) {
            wrong = check_text(store, &kind->fields[i], &values[i].text);
        }
        if (wrong != NULL) {
            return wrong;
        }
    }
    return NULL;
}

static const char *check_change(const struct memory_store *store, const struct storage_kind *kind,
                                const struct storage_change *change)
{
    if (change->id == NULL || *change->id == '\0' || strlen(change->id) > STORAGE_ID_MAX) {
        return "an id has 1 to STORAGE_ID_MAX bytes";
    }
    if (change->expected < STORAGE_ANY_VERSION) {
        return "no such version";
    }
    if ((kind->flags & STORAGE_ENTRIES) != 0 &&
        (change->values != NULL || change->expected != STORAGE_ANY_VERSION)) {
        return "of entries any version can be erased, no more";
    }
    return change->values == NULL ? NULL : check_values(store, kind, change->values);
}

const char *memory_check_changes(const struct memory_store *store, const struct storage_kind *kind,
                                 const struct storage_change *changes, size_t count)
{
    if (count == 0 || count > STORAGE_BATCH_MAX) {
        return "a call changes 1 to STORAGE_BATCH_MAX records";
    }
    for (size_t i = 0; i < count; i++) {
        const char *wrong = check_change(store, kind, &changes[i]);
        if (wrong != NULL) {
            return wrong;
        }
    }
    return NULL;
}

static const char *check_condition(const struct storage_kind *kind,
                                   const struct storage_condition *condition)
{
    enum storage_type type;

    if (condition->field >= kind->fields_count) {
        return "a condition on no field";
    }
    type = kind->fields[condition->field].type;
    if (!is_value(&condition->value, type)) {
        return "a condition's value is not of its field's type";
    }
    switch (condition->relation) {
    case STORAGE_EQ:
    case STORAGE_LT:
    case STORAGE_GT:
        return NULL;
    case STORAGE_STARTS:
    case STORAGE_CONTAINS:
        return condition->value.type == STORAGE_TEXT ? NULL : "STARTS and CONTAINS are for text";
    default:
        return "an unknown relation";
    }
}

const char *memory_check_query(const struct storage_host *host, const struct storage_query *query)
{
    const struct storage_kind *kind;

    if (query->kind >= host->kinds_count) {
        return "no such kind";
    }
    kind = &host->kinds[query->kind];
    if (query->conditions_count > STORAGE_CONDITIONS) {
        return "too many conditions";
    }
    if (query->limit == 0) {
        return "a page has at least one record";
    }
    if (query->order != STORAGE_BY_ID && query->order >= kind->fields_count) {
        return "an order by no field";
    }
    if (query->order != STORAGE_BY_ID && query->after_id != NULL &&
        !is_value(&query->after_value, kind->fields[query->order].type)) {
        return "the page begins behind a value that is not of its field's type";
    }
    for (size_t i = 0; i < query->conditions_count; i++) {
        const char *wrong = check_condition(kind, &query->conditions[i]);
        if (wrong != NULL) {
            return wrong;
        }
    }
    return NULL;
}
