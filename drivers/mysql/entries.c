/* entries.c: GREY, TOUCH, LEARN and MERGE of a batch. The rows that are there are locked, so that what is
 * worked out here stays true until COMMIT; a row that is not there cannot be locked, so that its INSERT
 * fails if another session was quicker, and the batch is done anew. */
#include <stdlib.h>
#include <string.h>

#include "drivers/mysql/mysql.h"

/* The alternates that the batch has to look under. */
struct others {
    struct alternate *list;
    size_t count;
};

static int alternate_order(const void *a, const void *b)
{
    return memcmp(((const struct alternate *)a)->key.bytes,
                  ((const struct alternate *)b)->key.bytes, STORAGE_KEY_SIZE);
}

/* A live row of its own that has passed wins over any alternate. */
static bool needs_alternates(const struct entry *e)
{
    return e->sighting->op == STORAGE_GREY && e->sighting->alternates_count > 0 &&
           !(e->alive && e->row.passes > 0);
}

static enum storage_status others_read(struct storage_session *session, const struct entry *entries,
                                       size_t count, struct others *others,
                                       struct storage_error *error)
{
    size_t wanted = 0;
    for (size_t i = 0; i < count; i++)
        wanted += needs_alternates(&entries[i]) ? entries[i].sighting->alternates_count : 0;
    if (wanted == 0)
        return STORAGE_OK;
    others->list = calloc(wanted, sizeof(*others->list));
    if (others->list == NULL)
        return mysql_refuse(error, STORAGE_BUSY, "out of memory");
    wanted = 0;
    for (size_t i = 0; i < count; i++) {
        const struct storage_sighting *s = entries[i].sighting;
        for (uint8_t k = 0; needs_alternates(&entries[i]) && k < s->alternates_count; k++)
            others->list[wanted++].key = s->alternate[k];
    }
    qsort(others->list, wanted, sizeof(*others->list), alternate_order);
    for (size_t i = 0; i < wanted; i++) {
        if (i == 0 || alternate_order(&others->list[i], &others->list[others->count - 1]) != 0)
            others->list[others->count++] = others->list[i];
    }
    return rows_alternates(session, others->list, others->count, error);
}

/* Among the live histories of the alternates, one that is better than *row (which counts if alive). */
static bool take_best(const struct entry *e, const struct others *others, struct storage_row *row)
{
    const struct storage_sighting *s = e->sighting;
    bool alive = e->alive;
    for (uint8_t i = 0; others->list != NULL && i < s->alternates_count; i++) {
        struct alternate wanted = {.key = s->alternate[i]};
        const struct alternate *found =
            bsearch(&wanted, others->list, others->count, sizeof(*others->list), alternate_order);
        if (found == NULL || !found->there || found->row.expires <= s->now)
            continue;
        if (!alive || steps_is_better(&found->row, row)) {
            *row = found->row;
            row->origin = (uint8_t)(i + 1);
            alive = true;
        }
    }
    return alive;
}

static void not_found(struct entry *e)
{
    memset(e->answer, 0, sizeof(*e->answer));
    e->answer->status = STORAGE_NOT_FOUND;
    e->writing = WRITE_NOTHING;
}

static void work_out(struct entry *e, const struct others *others)
{
    const struct storage_sighting *s = e->sighting;
    bool had_passed = e->alive && e->row.passes > 0;
    bool alive = e->alive;
    bool turned = false;
    *e->answer = e->row;
    switch (s->op) {
    case STORAGE_GREY:
        if (needs_alternates(e))
            alive = take_best(e, others, e->answer);
        e->first = steps_grey(s, e->answer, alive);
        turned = !had_passed && e->answer->passes > 0;
        break;
    case STORAGE_LEARN:
        steps_learn(s, e->answer, e->alive);
        turned = !had_passed;
        break;
    case STORAGE_TOUCH:
        if (!had_passed) {
            not_found(e);
            return;
        }
        steps_learn(s, e->answer, true);
        break;
    default:
        if (s->merge->expires <= s->now || (e->alive && e->merged)) {
            not_found(e);
            return;
        }
        steps_merge(s->merge, e->answer, e->alive);
        break;
    }
    if (s->look)
        return;
    if (!e->there)
        e->writing = WRITE_NEW;
    else
        e->writing = !e->alive || (turned && s->reading != NULL) ? WRITE_ALL : WRITE_NUMBERS;
}

static bool is_entry(enum storage_op op)
{
    return op >= STORAGE_GREY && op <= STORAGE_MERGE;
}

enum storage_status entries_observe(struct storage_session *session,
                                    const struct storage_sighting *sightings, size_t count,
                                    struct storage_row *rows, struct entry *entries, size_t *made,
                                    struct storage_error *error)
{
    struct others others = {.list = NULL};
    *made = 0;
    for (size_t i = 0; i < count; i++) {
        if (is_entry(sightings[i].op) && rows[i].exempt == 0)
            entries[(*made)++] = (struct entry){.sighting = &sightings[i], .answer = &rows[i]};
    }
    if (*made == 0)
        return STORAGE_OK;
    enum storage_status status = rows_lock(session, entries, *made, error);
    if (status == STORAGE_OK)
        status = rows_merged(session, entries, *made, error);
    if (status == STORAGE_OK)
        status = others_read(session, entries, *made, &others, error);
    for (size_t i = 0; status == STORAGE_OK && i < *made; i++)
        work_out(&entries[i], &others);
    free(others.list);
    if (status == STORAGE_OK)
        status = rows_write(session, entries, *made, error);
    return status;
}
