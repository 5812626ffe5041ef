/* steps.c: what a sighting makes of an entry's row. Knows no SQL. */
#include <string.h>

#include "drivers/mysql/mysql.h"

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

void step_seen(struct storage_row *row, int64_t now)
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

bool step_grey(const struct storage_sighting *s, struct storage_row *row, bool alive)
{
    if (!alive) {
        seen_first(row, s->now);
        row->tries = s->count;
        row->expires = s->now + s->window;
        return false;
    }
    step_seen(row, s->now);
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

void step_learn(const struct storage_sighting *s, struct storage_row *row, bool alive)
{
    if (!alive)
        seen_first(row, s->now);
    step_seen(row, s->now);
    row->passes = sum(row->passes, s->count);
    row->expires = slide(row->expires, s->now, s->keep);
}

void step_merge(const struct storage_merge *m, struct storage_row *row, bool alive)
{
    if (!alive)
        memset(row, 0, sizeof(*row));
    row->first_seen = alive ? earlier(row->first_seen, m->first_seen) : m->first_seen;
    row->last_seen = alive ? later(row->last_seen, m->last_seen) : m->last_seen;
    row->expires = later(row->expires, m->expires);
    row->waited = later(row->waited, m->waited);
    row->tries = sum(row->tries, m->tries);
    row->passes = sum(row->passes, m->passes);
}
