/*
 * entries.c: what a sighting makes of an entry (GREY, TOUCH, LEARN, MERGE).
 */
#include <string.h>

#include "driver.h"

/* A count that has reached its end stays there. */
uint32_t add(uint32_t a, uint32_t b)
{
    return a > UINT32_MAX - b ? UINT32_MAX : a + b;
}

/* An expiry that is far enough away is left alone: moving it would cost its place in an index. */
int64_t slide(int64_t expires, bool live, int64_t now, int64_t keep)
{
    return live && expires >= now + keep ? expires : now + keep + keep / 64;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static void read_texts(struct entry *entry, const struct storage_reading *reading)
{
    if (reading == NULL) {
        return;
    }

    const struct storage_text *texts[TEXTS] = {
        &reading->client_address, &reading->client_name, &reading->helo_name, &reading->sender,
        &reading->recipient,      &reading->country,     &reading->policy};

    entry->has_texts = 1;
    for (size_t i = 0; i < TEXTS; i++) {
        entry->text_size[i] = (uint8_t)texts[i]->size; /* observe() has looked at the sizes */
        if (texts[i]->size > 0) {
            memcpy(entry->text[i], texts[i]->data, texts[i]->size);
        }
    }
}

static void answer(struct storage_row *row, const struct entry *entry)
{
    row->status = STORAGE_OK;
    row->first_seen = entry->first_seen;
    row->last_seen = entry->last_seen;
    row->expires = entry->expires;
    row->waited = entry->waited;
    row->tries = entry->tries;
    row->passes = entry->passes;
}

static void make_row(struct entry *entry, int64_t now)
{
    memset(entry, 0, sizeof *entry);
    entry->first_seen = now;
    entry->last_seen = now;
}

static void seen_now(struct entry *entry, int64_t now)
{
    entry->first_seen = earlier(entry->first_seen, now);
    entry->last_seen = later(entry->last_seen, now);
}

/* --- GREY -------------------------------------------------------------------------------------- */

/* Whether one of the exemptions answers; it does so before the entries are even looked at. */
static enum storage_status exempt(struct call *call, const struct storage_sighting *sighting,
                                  struct storage_row *row)
{
    for (uint8_t i = 0; i < sighting->exemptions_count; i++) {
        const struct storage_exemption *exemption = &sighting->exemption[i];
        struct counter before;
        enum storage_status status = counter_load(call, &exemption->key, sighting->now, &before);

        if (status != STORAGE_OK) {
            return status;
        }
        if (!before.live || before.count < exemption->at_least) {
            continue;
        }

        struct counter after = before;

        after.expires = slide(before.expires, true, sighting->now, exemption->keep);
        row->status = STORAGE_OK;
        row->exempt = (uint8_t)(i + 1);
        row->first_seen = after.first_seen;
        row->last_seen = after.last_seen;
        row->expires = after.expires;
        row->count = after.count;
        return sighting->look || after.expires == before.expires
                   ? STORAGE_OK
                   : counter_save(call, &exemption->key, &before, &after);
    }
    return STORAGE_OK;
}

/* `best` is the row to go on from: the own one, or an alternate's history. */
static enum storage_status choose(struct call *call, const struct storage_sighting *sighting,
                                  const struct entry *own, struct entry *best, uint8_t *origin)
{
    *best = *own;
    *origin = 0;
    if (own->live && own->passes > 0) {
        return STORAGE_OK;
    }
    for (uint8_t i = 0; i < sighting->alternates_count; i++) {
        struct entry other;
        enum storage_status status =
            entry_load(call, &sighting->alternate[i], sighting->now, &other);

        if (status != STORAGE_OK) {
            return status;
        }
        if (!other.live) {
            continue;
        }

        bool passed = other.passes > 0;
        bool better = !best->live;

        if (!better && passed != (best->passes > 0)) {
            better = passed;
        } else if (!better) {
            better = other.first_seen < best->first_seen;
        }
        if (better) {
            *best = other;
            *origin = (uint8_t)(i + 1);
        }
    }
    return STORAGE_OK;
}

static enum storage_status passed_first(struct call *call, const struct storage_sighting *sighting)
{
    enum storage_status status = STORAGE_OK;

    for (uint8_t i = 0; i < sighting->on_pass_count && status == STORAGE_OK; i++) {
        struct storage_row unused = {0};

        status = counter_see(call, &sighting->on_pass[i], &unused);
    }
    return status;
}

/* An alternate lends its history. What was merged into the own row, and its reading, stay its own. */
static void keep_own(struct entry *entry, const struct entry *own)
{
    entry->origins_count = 0;
    entry->has_texts = 0;
    memset(entry->text_size, 0, sizeof entry->text_size);
    if (own->live) {
        entry->origins_count = own->origins_count;
        memcpy(entry->origins, own->origins, sizeof entry->origins);
        entry->has_texts = own->has_texts;
        memcpy(entry->text_size, own->text_size, sizeof entry->text_size);
        memcpy(entry->text, own->text, sizeof entry->text);
    }
}

static enum storage_status grey(struct call *call, const struct storage_sighting *sighting,
                                struct storage_row *row)
{
    const int64_t now = sighting->now;
    struct entry own;
    struct entry entry;
    enum storage_status status = exempt(call, sighting, row);

    if (status != STORAGE_OK || row->exempt != 0) {
        return status;
    }
    status = entry_load(call, &sighting->key, now, &own);
    if (status == STORAGE_OK) {
        status = choose(call, sighting, &own, &entry, &row->origin);
    }
    if (status != STORAGE_OK) {
        return status;
    }
    if (!entry.live) {
        make_row(&entry, now);
        entry.tries = sighting->count;
        entry.expires = now + sighting->window;
        read_texts(&entry, sighting->reading);
    } else {
        bool made = !own.live;
        bool first = false;

        if (row->origin != 0) {
            keep_own(&entry, &own);
        }
        seen_now(&entry, now);
        if (entry.passes > 0) {
            entry.passes = add(entry.passes, sighting->count);
            entry.expires = slide(entry.expires, true, now, sighting->keep);
            first = own.live && own.passes == 0;
        } else if (now - entry.first_seen >= sighting->delay) {
            entry.passes = sighting->count;
            entry.waited = now - entry.first_seen;
            entry.expires = slide(entry.expires, true, now, sighting->keep);
            first = true;
            if (!sighting->look) {
                status = passed_first(call, sighting);
            }
        } else {
            entry.tries = add(entry.tries, sighting->count);
        }
        if (made || first) {
            read_texts(&entry, sighting->reading);
        }
    }
    answer(row, &entry);
    if (status != STORAGE_OK || sighting->look) {
        return status;
    }
    return entry_save(call, &sighting->key, &own, &entry);
}

/* --- TOUCH, LEARN, MERGE ----------------------------------------------------------------------- */

static enum storage_status
touch_or_learn(struct call *call, const struct storage_sighting *sighting, struct storage_row *row)
{
    struct entry before;
    struct entry after;
    enum storage_status status = entry_load(call, &sighting->key, sighting->now, &before);

    if (status != STORAGE_OK) {
        return status;
    }
    if (sighting->op == STORAGE_TOUCH && (!before.live || before.passes == 0)) {
        row->status = STORAGE_NOT_FOUND;
        return STORAGE_OK;
    }
    if (before.live) {
        after = before;
        seen_now(&after, sighting->now);
    } else {
        make_row(&after, sighting->now);
    }
    if (after.passes == 0) {
        read_texts(&after, sighting->reading);
    }
    after.passes = add(after.passes, sighting->count);
    after.expires = slide(after.expires, before.live, sighting->now, sighting->keep);
    answer(row, &after);
    return sighting->look ? STORAGE_OK : entry_save(call, &sighting->key, &before, &after);
}

/* False where this or a later position of the origin was merged before. */
static bool remember_origin(struct entry *entry, const struct storage_merge *merge)
{
    size_t i = 0;

    while (i < entry->origins_count &&
           memcmp(entry->origins[i].name, merge->origin, sizeof merge->origin) != 0) {
        i++;
    }
    if (i < entry->origins_count && entry->origins[i].position >= merge->position) {
        return false;
    }
    if (i == ORIGINS) {
        i = 0; /* the one that was merged longest ago is forgotten */
    }
    if (i < entry->origins_count) {
        entry->origins_count--;
        memmove(&entry->origins[i], &entry->origins[i + 1],
                (entry->origins_count - i) * sizeof entry->origins[0]);
    }

    struct origin *last = &entry->origins[entry->origins_count++];

    memcpy(last->name, merge->origin, sizeof last->name);
    last->position = merge->position;
    return true;
}

static enum storage_status merge_entry(struct call *call, const struct storage_sighting *sighting,
                                       struct storage_row *row)
{
    const struct storage_merge *merge = sighting->merge;
    struct entry before;
    struct entry after;
    enum storage_status status = entry_load(call, &sighting->key, sighting->now, &before);

    if (status != STORAGE_OK) {
        return status;
    }
    row->status = STORAGE_NOT_FOUND;
    if (merge->expires <= sighting->now) {
        return STORAGE_OK;
    }
    if (before.live) {
        after = before;
    } else {
        make_row(&after, sighting->now);
        after.first_seen = merge->first_seen;
        after.last_seen = merge->last_seen;
        read_texts(&after, sighting->reading);
    }
    if (!remember_origin(&after, merge)) {
        return STORAGE_OK;
    }
    after.first_seen = earlier(after.first_seen, merge->first_seen);
    after.last_seen = later(after.last_seen, merge->last_seen);
    after.expires = later(after.expires, merge->expires);
    after.waited = later(after.waited, merge->waited);
    after.tries = add(after.tries, merge->tries);
    after.passes = add(after.passes, merge->passes);
    answer(row, &after);
    return sighting->look ? STORAGE_OK : entry_save(call, &sighting->key, &before, &after);
}

enum storage_status entry_see(struct call *call, const struct storage_sighting *sighting,
                              struct storage_row *row)
{
    switch (sighting->op) {
    case STORAGE_GREY:
        return grey(call, sighting, row);
    case STORAGE_MERGE:
        return merge_entry(call, sighting, row);
    case STORAGE_TOUCH:
    case STORAGE_LEARN:
    case STORAGE_COUNT:
    case STORAGE_PAIR:
    case STORAGE_TAKE:
        break;
    }
    return touch_or_learn(call, sighting, row);
}
