/*
 * observe.c: a batch of sightings in one transaction.
 */
#include <string.h>

#include "driver.h"

struct batch {
    const struct storage_sighting *sightings;
    size_t count;
    struct storage_row *rows;
};

static bool is_entry(enum storage_op op)
{
    return op == STORAGE_GREY || op == STORAGE_TOUCH || op == STORAGE_LEARN || op == STORAGE_MERGE;
}

static bool is_counter(enum storage_op op)
{
    return op == STORAGE_COUNT || op == STORAGE_PAIR || op == STORAGE_TAKE;
}

/* Whether it leaves the store as it is, whatever it finds. */
static bool looks(const struct storage_sighting *sighting)
{
    return sighting->look || (sighting->op == STORAGE_COUNT && sighting->count == 0);
}

static bool is_duration(int64_t duration)
{
    return duration >= 0 && duration <= STORAGE_DURATION_MAX;
}

static bool durations_are_sound(const struct storage_sighting *sighting)
{
    for (uint8_t i = 0; i < sighting->exemptions_count; i++) {
        if (!is_duration(sighting->exemption[i].keep)) {
            return false;
        }
    }
    return is_duration(sighting->delay) && is_duration(sighting->window) &&
           is_duration(sighting->keep) && is_duration(sighting->min_gap);
}

static bool reading_is_sound(const struct storage_reading *reading)
{
    return reading == NULL ||
           (reading->client_address.size <= STORAGE_TEXT_MAX &&
            reading->client_name.size <= STORAGE_TEXT_MAX &&
            reading->helo_name.size <= STORAGE_TEXT_MAX &&
            reading->sender.size <= STORAGE_TEXT_MAX &&
            reading->recipient.size <= STORAGE_TEXT_MAX &&
            reading->country.size <= STORAGE_TEXT_MAX && reading->policy.size <= STORAGE_TEXT_MAX);
}

static bool merge_is_sound(const struct storage_sighting *sighting)
{
    return sighting->op != STORAGE_MERGE ||
           (sighting->merge != NULL && sighting->merge->position <= INT64_MAX);
}

static bool on_pass_is_sound(const struct storage_sighting *sighting)
{
    if (sighting->on_pass_count > STORAGE_ON_PASS ||
        (sighting->on_pass_count > 0 && sighting->on_pass == NULL)) {
        return false;
    }
    for (uint8_t i = 0; i < sighting->on_pass_count; i++) {
        const struct storage_sighting *one = &sighting->on_pass[i];

        if ((one->op != STORAGE_COUNT && one->op != STORAGE_PAIR) || one->on_pass_count != 0 ||
            (one->count == 0 && one->op != STORAGE_COUNT) || !durations_are_sound(one)) {
            return false;
        }
    }
    return true;
}

static bool may_look(enum storage_op op)
{
    return op == STORAGE_GREY || op == STORAGE_TOUCH || op == STORAGE_LEARN;
}

static bool is_sound(const struct storage_sighting *sighting)
{
    return (is_entry(sighting->op) || is_counter(sighting->op)) &&
           (sighting->count > 0 || sighting->op == STORAGE_COUNT) &&
           sighting->alternates_count <= STORAGE_ALTERNATES &&
           sighting->exemptions_count <= STORAGE_EXEMPTIONS &&
           (!sighting->look || may_look(sighting->op)) && durations_are_sound(sighting) &&
           reading_is_sound(sighting->reading) && merge_is_sound(sighting) &&
           on_pass_is_sound(sighting);
}

/* Rising keys, entries and counters each for themselves, and all of them look or none. */
static bool are_sorted(const struct storage_sighting *sightings, size_t count)
{
    const struct storage_sighting *last[2] = {NULL, NULL};

    for (size_t i = 0; i < count; i++) {
        const struct storage_sighting **before = &last[is_entry(sightings[i].op)];

        if (sightings[i].look != sightings[0].look ||
            (*before != NULL &&
             memcmp((*before)->key.bytes, sightings[i].key.bytes, STORAGE_KEY_SIZE) >= 0)) {
            return false;
        }
        *before = &sightings[i];
    }
    return true;
}

static enum storage_status see_all(struct call *call, void *argument)
{
    const struct batch *batch = argument;
    enum storage_status status = STORAGE_OK;

    memset(batch->rows, 0, batch->count * sizeof *batch->rows);
    for (size_t i = 0; i < batch->count && status == STORAGE_OK; i++) {
        const struct storage_sighting *sighting = &batch->sightings[i];

        status = is_entry(sighting->op) ? entry_see(call, sighting, &batch->rows[i])
                                        : counter_see(call, sighting, &batch->rows[i]);
    }
    return status;
}

enum storage_status driver_observe(struct storage_session *session,
                                   const struct storage_sighting *sightings, size_t count,
                                   struct storage_row *rows, struct storage_error *error)
{
    struct batch batch = {sightings, count, rows};
    struct call call;
    bool look = true;

    if (count == 0 || count > STORAGE_BATCH_MAX) {
        return say(error, STORAGE_INVALID, 0, "%zu sightings are no batch", count);
    }
    for (size_t i = 0; i < count; i++) {
        if (!is_sound(&sightings[i])) {
            return say(error, STORAGE_INVALID, 0, "the batch's sighting %zu is not a sound one", i);
        }
        look = look && looks(&sightings[i]);
    }
    if (!are_sorted(sightings, count)) {
        return say(error, STORAGE_INVALID, 0,
                   "the batch is not sorted, has a key twice, or looks in part only");
    }
    call_begin(&call, session, error);
    return look ? call_read(&call, see_all, &batch) : call_write(&call, see_all, &batch);
}
