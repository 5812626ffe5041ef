/* entries.c: GREY, TOUCH, LEARN and MERGE: what comes of a row as it was read. Nothing is written here. */
#include <string.h>

#include "drivers/mongo/rows.h"

int64_t slide(int64_t expires, int64_t now, int64_t keep)
{
    return expires >= now + keep ? expires : now + keep + keep / 64;
}

uint32_t sum(uint32_t a, uint32_t b)
{
    return b > UINT32_MAX - a ? UINT32_MAX : a + b;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static bool is_alive(const struct row *row, int64_t now)
{
    return row != NULL && row->there && row->data.expires > now;
}

static void seen(struct storage_row *row, int64_t now)
{
    row->first_seen = earlier(row->first_seen, now);
    row->last_seen = later(row->last_seen, now);
}

static void seen_first(struct storage_row *row, int64_t now)
{
    memset(row, 0, sizeof(*row));
    row->first_seen = now;
    row->last_seen = now;
}

/* To be written as `data`; `turned`: it went from not passed to passed, so the reading is that of now. What
 * is left of a dead row goes. */
static void write_row(struct entry_outcome *outcome, const struct storage_sighting *s,
                      const struct row *own, const struct storage_row *data, bool turned)
{
    struct put *put = &outcome->put;
    bool alive = is_alive(own, s->now);
    outcome->writes = true;
    put->before = own;
    put->after = *own;
    put->after.data = *data;
    put->flags = alive ? 0 : PUT_WHOLE;
    put->reading = !alive || turned ? s->reading : NULL;
    if (!alive)
        put->after.merged_count = 0;
}

static bool is_better(const struct storage_row *a, const struct storage_row *b)
{
    if ((a->passes > 0) != (b->passes > 0))
        return a->passes > 0;
    return a->first_seen < b->first_seen;
}

/* Among the live histories of the alternates, one that is better than *row (which counts if *alive). */
static void take_best(const struct storage_sighting *s, const struct rows *entries,
                      struct storage_row *row, bool *alive)
{
    for (uint8_t i = 0; i < s->alternates_count; i++) {
        const struct row *other = rows_get(entries, &s->alternate[i]);
        if (!is_alive(other, s->now) || (*alive && !is_better(&other->data, row)))
            continue;
        *row = other->data;
        row->origin = (uint8_t)(i + 1);
        *alive = true;
    }
}

/* The table of STORAGE_GREY. True: this is the first pass. */
static bool grey_step(const struct storage_sighting *s, struct storage_row *row, bool alive)
{
    if (!alive) {
        seen_first(row, s->now);
        row->tries = s->count;
        row->expires = s->now + s->window;
        return false;
    }
    seen(row, s->now);
    bool waited = s->now - row->first_seen >= s->delay;
    bool first = row->passes == 0 && waited;
    if (row->passes == 0 && !waited) {
        row->tries = sum(row->tries, s->count);
        return false;
    }
    row->passes = sum(row->passes, s->count);
    row->waited = first ? s->now - row->first_seen : row->waited;
    row->expires = slide(row->expires, s->now, s->keep);
    return first;
}

static bool is_exempt(const struct storage_sighting *s, const struct rows *counters,
                      struct storage_row *answer)
{
    for (uint8_t i = 0; i < s->exemptions_count; i++) {
        const struct row *counter = rows_get(counters, &s->exemption[i].key);
        if (counter != NULL && counter_exempts(counter, &s->exemption[i], s->now, answer)) {
            answer->exempt = (uint8_t)(i + 1);
            return true;
        }
    }
    return false;
}

static void grey(const struct storage_sighting *s, const struct rows *entries,
                 const struct rows *counters, struct entry_outcome *outcome,
                 struct storage_row *answer)
{
    const struct row *own = rows_get(entries, &s->key);
    bool alive = is_alive(own, s->now);
    if (is_exempt(s, counters, answer))
        return;
    if (alive)
        *answer = own->data;
    bool had_passed = alive && answer->passes > 0;
    if (!had_passed)
        take_best(s, entries, answer, &alive);
    outcome->first_pass = grey_step(s, answer, alive);
    if (!s->look)
        write_row(outcome, s, own, answer, !had_passed && answer->passes > 0);
}

static void touch(const struct storage_sighting *s, const struct row *own,
                  struct entry_outcome *outcome, struct storage_row *answer)
{
    if (!is_alive(own, s->now) || own->data.passes == 0) {
        answer->status = STORAGE_NOT_FOUND;
        return;
    }
    *answer = own->data;
    seen(answer, s->now);
    answer->passes = sum(answer->passes, s->count);
    answer->expires = slide(answer->expires, s->now, s->keep);
    if (!s->look)
        write_row(outcome, s, own, answer, false);
}

static void learn(const struct storage_sighting *s, const struct row *own,
                  struct entry_outcome *outcome, struct storage_row *answer)
{
    bool alive = is_alive(own, s->now);
    bool had_passed = alive && own->data.passes > 0;
    if (alive)
        *answer = own->data;
    else
        seen_first(answer, s->now);
    seen(answer, s->now);
    answer->passes = sum(answer->passes, s->count);
    answer->expires = slide(answer->expires, s->now, s->keep);
    if (!s->look)
        write_row(outcome, s, own, answer, !had_passed);
}

static unsigned find_origin(const struct row *row, const uint8_t origin[STORAGE_KEY_SIZE])
{
    unsigned i = 0;
    while (i < row->merged_count && memcmp(row->merged[i].origin, origin, STORAGE_KEY_SIZE) != 0)
        i++;
    return i;
}

/* The origin goes to the end; where there are too many, the one that was not merged for longest goes. */
static void remember_merge(struct row *row, const struct storage_merge *m)
{
    unsigned at = find_origin(row, m->origin);
    if (at == row->merged_count && row->merged_count == ORIGINS)
        at = 0;
    if (at < row->merged_count) {
        row->merged_count--;
        memmove(&row->merged[at], &row->merged[at + 1],
                (row->merged_count - at) * sizeof(row->merged[0]));
    }
    struct merged *last = &row->merged[row->merged_count++];
    memcpy(last->origin, m->origin, STORAGE_KEY_SIZE);
    last->position = m->position;
}

static void merge(const struct storage_sighting *s, const struct row *own,
                  struct entry_outcome *outcome, struct storage_row *answer)
{
    const struct storage_merge *m = s->merge;
    bool alive = is_alive(own, s->now);
    unsigned at = alive ? find_origin(own, m->origin) : 0;
    bool known = alive && at < own->merged_count && own->merged[at].position >= m->position;
    if (known || m->expires <= s->now) {
        answer->status = STORAGE_NOT_FOUND;
        return;
    }
    if (alive)
        *answer = own->data;
    answer->first_seen = alive ? earlier(answer->first_seen, m->first_seen) : m->first_seen;
    answer->last_seen = later(answer->last_seen, m->last_seen);
    answer->expires = later(answer->expires, m->expires);
    answer->waited = later(answer->waited, m->waited);
    answer->tries = sum(answer->tries, m->tries);
    answer->passes = sum(answer->passes, m->passes);
    write_row(outcome, s, own, answer, false);
    outcome->put.flags |= PUT_MERGED;
    remember_merge(&outcome->put.after, m);
}

void entry_see(const struct storage_sighting *sighting, const struct rows *entries,
               const struct rows *counters, struct entry_outcome *outcome,
               struct storage_row *answer)
{
    const struct row *own = rows_get(entries, &sighting->key);
    memset(answer, 0, sizeof(*answer));
    outcome->writes = false;
    outcome->first_pass = false;
    if (own == NULL)
        return; /* never: each sighting's own row was wanted */
    switch (sighting->op) {
    case STORAGE_GREY:
        grey(sighting, entries, counters, outcome, answer);
        break;
    case STORAGE_TOUCH:
        touch(sighting, own, outcome, answer);
        break;
    case STORAGE_LEARN:
        learn(sighting, own, outcome, answer);
        break;
    default:
        merge(sighting, own, outcome, answer);
        break;
    }
}
