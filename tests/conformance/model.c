/*
 * model.c: see model.h.
 */
#include "model.h"

#include <string.h>

static uint32_t number_of(const struct storage_key *key)
{
    uint32_t number = key->bytes[3];

    assert_true(key->bytes[0] == 0 && key->bytes[1] == 0 && key->bytes[2] == 0);
    assert_true(number < MODEL_KEYS);
    return number;
}

static bool entry_lives(const struct model_entry *entry, int64_t now)
{
    return entry->there && entry->expires > now;
}

static bool counter_lives(const struct model_counter *counter, int64_t now)
{
    return counter->there && counter->expires > now;
}

static int64_t slid(int64_t expires, int64_t now, int64_t keep)
{
    return expires >= now + keep ? expires : now + keep + keep / 64;
}

static uint32_t sum(uint32_t count, uint32_t more)
{
    uint64_t exact = (uint64_t)count + more;

    return exact > UINT32_MAX ? UINT32_MAX : (uint32_t)exact;
}

static void keep_text(char kept[STORAGE_TEXT_MAX + 1], struct storage_text text)
{
    memset(kept, 0, STORAGE_TEXT_MAX + 1);
    if (text.size > 0) {
        memcpy(kept, text.data, text.size);
    }
}

static void keep_reading(struct model_entry *entry, const struct storage_reading *reading)
{
    if (reading == NULL) {
        return;
    }
    entry->told = true;
    keep_text(entry->text[CLIENT_ADDRESS - CLIENT_ADDRESS], reading->client_address);
    keep_text(entry->text[CLIENT_NAME - CLIENT_ADDRESS], reading->client_name);
    keep_text(entry->text[HELO_NAME - CLIENT_ADDRESS], reading->helo_name);
    keep_text(entry->text[SENDER - CLIENT_ADDRESS], reading->sender);
    keep_text(entry->text[RECIPIENT - CLIENT_ADDRESS], reading->recipient);
    keep_text(entry->text[COUNTRY - CLIENT_ADDRESS], reading->country);
    keep_text(entry->text[POLICY - CLIENT_ADDRESS], reading->policy);
}

static void seen_at(struct model_entry *entry, int64_t now)
{
    if (now < entry->first_seen) {
        entry->first_seen = now;
    }
    if (now > entry->last_seen) {
        entry->last_seen = now;
    }
}

static void tell_entry(const struct model_entry *entry, struct storage_row *row)
{
    row->status = STORAGE_OK;
    row->first_seen = entry->first_seen;
    row->last_seen = entry->last_seen;
    row->expires = entry->expires;
    row->waited = entry->waited;
    row->tries = entry->tries;
    row->passes = entry->passes;
}

static void tell_counter(const struct model_counter *counter, struct storage_row *row)
{
    row->status = STORAGE_OK;
    row->first_seen = counter->first_seen;
    row->last_seen = counter->last_seen;
    row->expires = counter->expires;
    row->count = counter->count;
}

/* --- Counters --------------------------------------------------------------------------------- */

static void see_count(struct model_counter *counter, const struct storage_sighting *s,
                      struct storage_row *row)
{
    bool lives = counter_lives(counter, s->now);

    if (s->count == 0) {
        if (lives) {
            tell_counter(counter, row);
        } else {
            row->status = STORAGE_NOT_FOUND;
        }
        return;
    }
    if (!lives) {
        *counter = (struct model_counter){.there = true,
                                          .first_seen = s->now,
                                          .last_seen = s->now,
                                          .expires = s->now + s->keep + s->keep / 64,
                                          .count = s->count};
    } else {
        if (s->min_gap == 0 || s->now - counter->last_seen >= s->min_gap) {
            counter->count = sum(counter->count, s->count);
            counter->last_seen = s->now;
        }
        counter->expires = slid(counter->expires, s->now, s->keep);
    }
    tell_counter(counter, row);
}

static void see_pair(struct model_counter *counter, const struct storage_sighting *s,
                     struct storage_row *row)
{
    if (!counter_lives(counter, s->now)) {
        *counter = (struct model_counter){.there = true,
                                          .first_seen = s->now,
                                          .last_seen = s->now,
                                          .count = 1,
                                          .mark = {s->mark}};
        counter->expires = s->window != 0 ? s->now + s->window : s->now + s->keep + s->keep / 64;
        tell_counter(counter, row);
        return;
    }
    bool has = false;
    for (uint32_t i = 0; i < counter->count; i++) {
        has = has || counter->mark[i] == s->mark;
    }
    bool gap = s->min_gap == 0 || s->now - counter->last_seen >= s->min_gap;
    if (!has && counter->count < STORAGE_MARKS && gap) {
        counter->mark[counter->count] = s->mark;
        counter->count++;
        counter->last_seen = s->now;
    }
    if (s->window == 0) {
        counter->expires = slid(counter->expires, s->now, s->keep);
    }
    tell_counter(counter, row);
}

static void see_take(struct model_counter *counter, const struct storage_sighting *s,
                     struct storage_row *row)
{
    if (counter_lives(counter, s->now) && counter->count >= s->count) {
        tell_counter(counter, row);
        counter->there = false;
    } else {
        row->status = STORAGE_NOT_FOUND;
    }
}

/* --- Entries ---------------------------------------------------------------------------------- */

/* True: it is exempt, and answered. */
static bool see_exemption(struct model *model, const struct storage_sighting *s,
                          struct storage_row *row)
{
    for (uint8_t i = 0; i < s->exemptions_count; i++) {
        struct model_counter *counter = &model->counter[number_of(&s->exemption[i].key)];
        struct model_counter after = *counter;
        if (counter_lives(counter, s->now) && counter->count >= s->exemption[i].at_least) {
            after.expires = slid(after.expires, s->now, s->exemption[i].keep);
            tell_counter(&after, row);
            row->exempt = (uint8_t)(i + 1);
            if (!s->look) {
                *counter = after;
            }
            return true;
        }
    }
    return false;
}

/* 0 the key's own row, i alternate i; -1 none lives. */
static int choose(const struct model *model, const struct storage_sighting *s)
{
    int best = -1;
    const struct model_entry *best_entry = NULL;
    const struct model_entry *own = &model->entry[number_of(&s->key)];

    if (entry_lives(own, s->now) && own->passes > 0) {
        return 0;
    }
    for (int i = 0; i <= s->alternates_count; i++) {
        const struct storage_key *key = i == 0 ? &s->key : &s->alternate[i - 1];
        const struct model_entry *entry = &model->entry[number_of(key)];
        if (!entry_lives(entry, s->now)) {
            continue;
        }
        bool passed = entry->passes > 0;
        bool best_passed = best_entry != NULL && best_entry->passes > 0;
        if (best_entry == NULL || (passed && !best_passed) ||
            (passed == best_passed && entry->first_seen < best_entry->first_seen)) {
            best = i;
            best_entry = entry;
        }
    }
    return best;
}

static void write_grey(struct model *model, const struct storage_sighting *s,
                       struct model_entry after, bool first_pass)
{
    struct model_entry *own = &model->entry[number_of(&s->key)];
    bool made = !entry_lives(own, s->now);
    bool moved = !made && own->passes == 0 && after.passes > 0;

    if (made) {
        memset(after.merged, 0, sizeof after.merged);
        memset(after.text, 0, sizeof after.text);
        after.told = false;
    } else {
        memcpy(after.merged, own->merged, sizeof after.merged);
        memcpy(after.position, own->position, sizeof after.position);
        memcpy(after.text, own->text, sizeof after.text);
        after.told = own->told;
    }
    if (made || moved) {
        keep_reading(&after, s->reading);
    }
    *own = after;
    for (size_t i = 0; first_pass && i < s->on_pass_count; i++) {
        model_see(model, &s->on_pass[i], &(struct storage_row){.status = STORAGE_OK});
    }
}

static void see_grey(struct model *model, const struct storage_sighting *s, struct storage_row *row)
{
    struct model_entry after = {.there = true, .first_seen = s->now, .last_seen = s->now};
    bool first_pass = false;
    int taken;

    if (see_exemption(model, s, row)) {
        return;
    }
    taken = choose(model, s);
    if (taken < 0) {
        after.tries = s->count;
        after.expires = s->now + s->window;
    } else {
        after = model->entry[number_of(taken == 0 ? &s->key : &s->alternate[taken - 1])];
        seen_at(&after, s->now);
        if (after.passes > 0) {
            after.passes = sum(after.passes, s->count);
            after.expires = slid(after.expires, s->now, s->keep);
        } else if (s->now - after.first_seen < s->delay) {
            after.tries = sum(after.tries, s->count);
        } else {
            first_pass = true;
            after.passes = s->count;
            after.waited = s->now - after.first_seen;
            after.expires = slid(after.expires, s->now, s->keep);
        }
        row->origin = (uint8_t)taken;
    }
    tell_entry(&after, row);
    if (!s->look) {
        write_grey(model, s, after, first_pass);
    }
}

static void see_touch(struct model_entry *entry, const struct storage_sighting *s,
                      struct storage_row *row)
{
    struct model_entry after = *entry;

    if (!entry_lives(entry, s->now) || entry->passes == 0) {
        row->status = STORAGE_NOT_FOUND;
        return;
    }
    seen_at(&after, s->now);
    after.passes = sum(after.passes, s->count);
    after.expires = slid(after.expires, s->now, s->keep);
    tell_entry(&after, row);
    if (!s->look) {
        *entry = after;
    }
}

static void see_learn(struct model_entry *entry, const struct storage_sighting *s,
                      struct storage_row *row)
{
    struct model_entry after = *entry;

    if (!entry_lives(entry, s->now)) {
        after = (struct model_entry){.there = true,
                                     .first_seen = s->now,
                                     .last_seen = s->now,
                                     .expires = s->now + s->keep + s->keep / 64};
    }
    seen_at(&after, s->now);
    if (after.passes == 0) {
        keep_reading(&after, s->reading);
    }
    after.passes = sum(after.passes, s->count);
    after.expires = slid(after.expires, s->now, s->keep);
    tell_entry(&after, row);
    if (!s->look) {
        *entry = after;
    }
}

static void see_merge(struct model_entry *entry, const struct storage_sighting *s,
                      struct storage_row *row)
{
    const struct storage_merge *merge = s->merge;
    uint8_t origin = merge->origin[0];

    assert_true(origin < MODEL_ORIGINS);
    if (merge->expires <= s->now) {
        row->status = STORAGE_NOT_FOUND;
        return;
    }
    if (!entry_lives(entry, s->now)) {
        *entry = (struct model_entry){.there = true,
                                      .first_seen = merge->first_seen,
                                      .last_seen = merge->last_seen,
                                      .expires = merge->expires,
                                      .waited = merge->waited,
                                      .tries = merge->tries,
                                      .passes = merge->passes};
        keep_reading(entry, s->reading);
    } else if (!entry->merged[origin] || entry->position[origin] < merge->position) {
        seen_at(entry, merge->first_seen);
        seen_at(entry, merge->last_seen);
        entry->expires = merge->expires > entry->expires ? merge->expires : entry->expires;
        entry->waited = merge->waited > entry->waited ? merge->waited : entry->waited;
        entry->tries = sum(entry->tries, merge->tries);
        entry->passes = sum(entry->passes, merge->passes);
    } else {
        row->status = STORAGE_NOT_FOUND;
        return;
    }
    entry->merged[origin] = true;
    entry->position[origin] = merge->position;
}

void model_see(struct model *model, const struct storage_sighting *sighting,
               struct storage_row *row)
{
    uint32_t number = number_of(&sighting->key);

    *row = (struct storage_row){.status = STORAGE_OK};
    switch (sighting->op) {
    case STORAGE_GREY:
        see_grey(model, sighting, row);
        break;
    case STORAGE_TOUCH:
        see_touch(&model->entry[number], sighting, row);
        break;
    case STORAGE_LEARN:
        see_learn(&model->entry[number], sighting, row);
        break;
    case STORAGE_MERGE:
        see_merge(&model->entry[number], sighting, row);
        break;
    case STORAGE_COUNT:
        see_count(&model->counter[number], sighting, row);
        break;
    case STORAGE_PAIR:
        see_pair(&model->counter[number], sighting, row);
        break;
    case STORAGE_TAKE:
        see_take(&model->counter[number], sighting, row);
        break;
    }
}

/* --- All of it -------------------------------------------------------------------------------- */

size_t model_purge(struct model *model, int64_t now)
{
    size_t removed = 0;

    for (size_t i = 0; i < MODEL_KEYS; i++) {
        if (model->entry[i].there && model->entry[i].expires <= now) {
            model->entry[i].there = false;
            removed++;
        }
        if (model->counter[i].there && model->counter[i].expires <= now) {
            model->counter[i].there = false;
            removed++;
        }
    }
    return removed;
}

struct storage_tally model_tally(const struct model *model, int64_t since, int64_t abandoned_before)
{
    struct storage_tally tally = {0};

    for (size_t i = 0; i < MODEL_KEYS; i++) {
        const struct model_entry *entry = &model->entry[i];
        if (!entry->there || entry->first_seen < since) {
            continue;
        }
        tally.entries += 1;
        tally.accepted += entry->passes;
        tally.rejected += entry->tries;
        if (entry->passes == 0 && entry->first_seen < abandoned_before) {
            tally.abandoned += 1;
        }
        if (entry->passes > 0 && entry->waited > 0) {
            tally.passed += 1;
            tally.waited += entry->waited;
        }
    }
    return tally;
}
