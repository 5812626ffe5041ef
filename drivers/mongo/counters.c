/* counters.c: COUNT, PAIR and TAKE, on a row in memory. */
#include <string.h>

#include "drivers/mongo/rows.h"

bool counter_exempts(const struct row *row, const struct storage_exemption *exemption, int64_t now,
                     struct storage_row *answer)
{
    if (!row->there || row->data.expires <= now || row->data.count < exemption->at_least)
        return false;
    *answer = row->data;
    answer->expires = slide(row->data.expires, now, exemption->keep);
    return true;
}

/* A row that is not there, or dead, begins anew. */
static bool revive(struct row *row, int64_t now)
{
    if (row->there && row->data.expires > now)
        return true;
    memset(&row->data, 0, sizeof(row->data));
    row->marks_count = 0;
    row->there = true;
    row->data.first_seen = now;
    return false;
}

static bool not_found(struct storage_row *answer)
{
    memset(answer, 0, sizeof(*answer));
    answer->status = STORAGE_NOT_FOUND;
    return false;
}

static bool count(struct row *row, const struct storage_sighting *s, struct storage_row *answer)
{
    bool alive = row->there && row->data.expires > s->now;
    if (s->count == 0) {
        if (!alive)
            return not_found(answer);
        *answer = row->data;
        return false;
    }
    revive(row, s->now);
    if (!alive || s->min_gap == 0 || s->now - row->data.last_seen >= s->min_gap) {
        row->data.count = sum(row->data.count, s->count);
        row->data.last_seen = s->now;
    }
    row->data.expires = slide(row->data.expires, s->now, s->keep);
    *answer = row->data;
    return true;
}

static bool takes_mark(const struct row *row, const struct storage_sighting *s)
{
    if (row->marks_count >= STORAGE_MARKS)
        return false;
    if (s->min_gap > 0 && s->now - row->data.last_seen < s->min_gap)
        return false;
    for (unsigned i = 0; i < row->marks_count; i++) {
        if (row->marks[i] == s->mark)
            return false;
    }
    return true;
}

static bool pair(struct row *row, const struct storage_sighting *s, struct storage_row *answer)
{
    bool alive = revive(row, s->now);
    if (!alive)
        row->data.expires = s->window > 0 ? s->now + s->window : 0;
    if (!alive || takes_mark(row, s)) {
        row->marks[row->marks_count++] = s->mark;
        row->data.last_seen = s->now;
    }
    row->data.count = row->marks_count;
    if (s->window == 0)
        row->data.expires = slide(row->data.expires, s->now, s->keep);
    *answer = row->data;
    return true;
}

/* What is taken is written as dead first: one of two can do that. It is removed after. */
static bool take(struct row *row, const struct storage_sighting *s, struct storage_row *answer)
{
    if (!row->there || row->data.expires <= s->now || row->data.count < s->count)
        return not_found(answer);
    *answer = row->data;
    memset(&row->data, 0, sizeof(row->data));
    row->marks_count = 0;
    return true;
}

bool counter_do(struct row *row, const struct counter_op *op)
{
    struct storage_row ignored;
    struct storage_row *answer = op->answer != NULL ? op->answer : &ignored;
    if (op->sighting == NULL) {
        int64_t before = row->data.expires;
        if (counter_exempts(row, op->exemption, op->now, &ignored))
            row->data.expires = ignored.expires;
        return row->data.expires != before;
    }
    switch (op->sighting->op) {
    case STORAGE_COUNT:
        return count(row, op->sighting, answer);
    case STORAGE_PAIR:
        return pair(row, op->sighting, answer);
    default:
        return take(row, op->sighting, answer);
    }
}
