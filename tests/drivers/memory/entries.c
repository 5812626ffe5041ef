/*
 * entries.c: GREY, TOUCH, LEARN and MERGE. Each reads what was, works out what is to be, and only
 * then writes: so that `look` is the same without the last step.
 */
#include "store.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static int64_t earlier(int64_t left, int64_t right)
{
    return left < right ? left : right;
}

static int64_t later(int64_t left, int64_t right)
{
    return left > right ? left : right;
}

/* --- Writing ---------------------------------------------------------------------------------- */

static bool keep_text(char **kept, const struct storage_text *text)
{
    char *copy = malloc(text->size + 1);

    if (copy == NULL) {
        return false;
    }
    if (text->size > 0) {
        memcpy(copy, text->data, text->size);
    }
    copy[text->size] = '\0';
    free(*kept);
    *kept = copy;
    return true;
}

static bool keep_reading(struct memory_row *row, const struct storage_reading *reading)
{
    const struct storage_text *const texts[MEMORY_READINGS] = {
        &reading->client_address, &reading->client_name, &reading->helo_name, &reading->sender,
        &reading->recipient,      &reading->country,     &reading->policy};

    for (size_t i = 0; i < MEMORY_READINGS; i++) {
        if (!keep_text(&row->reading[i], texts[i])) {
            return false;
        }
    }
    return true;
}

/* Whether what is to be read of the row changes; `row` is NULL or dead where it is made. */
static bool tells(const struct memory_store *store, const struct storage_sighting *sighting,
                  const struct memory_row *row, const struct memory_history *history)
{
    bool merge = sighting->op == STORAGE_MERGE;

    if (sighting->reading == NULL || sighting->op == STORAGE_TOUCH) {
        return false;
    }
    if (row == NULL) {
        return !merge || !memory_broken(store, MEMORY_BREAK_MERGE_UNREAD);
    }
    if (merge) {
        return memory_broken(store, MEMORY_BREAK_MERGE_READING);
    }
    return (row->history.passes == 0 && history->passes > 0) ||
           memory_broken(store, MEMORY_BREAK_READING_LAST);
}

/* Writes under the sighting's key; a dead row that is there is made anew. */
static bool write_entry(struct memory_store *store, const struct storage_sighting *sighting,
                        const struct memory_history *history)
{
    struct memory_row *row = memory_live(store, &store->entries, &sighting->key, sighting->now);
    bool telling = tells(store, sighting, row, history);

    if (row == NULL) {
        row = memory_table_find(&store->entries, &sighting->key);
        if (row == NULL) {
            row = memory_table_add(&store->entries, &sighting->key);
        } else {
            memory_row_reset(row);
        }
        if (row == NULL) {
            return false;
        }
    }
    row->history = *history;
    return !telling || keep_reading(row, sighting->reading);
}

/* What GREY, TOUCH and LEARN do to a row's times. MERGE has times of its own. */
static void stamp(const struct memory_store *store, struct memory_history *history, int64_t now)
{
    if (!memory_broken(store, MEMORY_BREAK_FIRST_SEEN_STAYS)) {
        history->first_seen = earlier(history->first_seen, now);
    }
    if (memory_broken(store, MEMORY_BREAK_FIRST_SEEN_MOVES) && history->passes == 0) {
        history->first_seen = now;
    }
    history->last_seen =
        memory_broken(store, MEMORY_BREAK_LAST_SEEN_BACK) ? now : later(history->last_seen, now);
}

/* --- GREY ------------------------------------------------------------------------------------- */

/* The number, from 1, of the exemption that spares this sighting its row; 0 if none does. */
static uint8_t find_exemption(const struct memory_store *store,
                              const struct storage_sighting *sighting, struct memory_row **row)
{
    for (uint8_t i = 0; i < sighting->exemptions_count; i++) {
        const struct storage_exemption *exemption = &sighting->exemption[i];
        *row = memory_live(store, &store->counters, &exemption->key, sighting->now);
        if (*row != NULL && ((*row)->history.count >= exemption->at_least ||
                             memory_broken(store, MEMORY_BREAK_EXEMPT_ANY))) {
            return (uint8_t)(i + 1);
        }
    }
    return 0;
}

static void answer_exempt(const struct memory_store *store, const struct storage_sighting *sighting,
                          uint8_t exempt, struct memory_row *row, struct storage_row *answer)
{
    struct memory_history history = row->history;

    memory_slide(store, &history.expires, sighting->now, sighting->exemption[exempt - 1].keep);
    if (!sighting->look) {
        row->history = history;
    }
    *answer = memory_answer(&history);
    answer->exempt = exempt;
}

static bool is_better(const struct memory_row *row, const struct memory_row *best)
{
    if (best == NULL) {
        return true;
    }
    if ((row->history.passes > 0) != (best->history.passes > 0)) {
        return row->history.passes > 0;
    }
    return row->history.first_seen < best->history.first_seen;
}

/* The key's own live row if it has passed; else the best live one of it and its alternates, or
 * NULL. */
static struct memory_row *find_best(const struct memory_store *store,
                                    const struct storage_sighting *sighting, uint8_t *origin)
{
    struct memory_row *best = memory_live(store, &store->entries, &sighting->key, sighting->now);

    *origin = 0;
    if (memory_broken(store, MEMORY_BREAK_ALTERNATES_IGNORED)) {
        return best;
    }
    if (best != NULL && best->history.passes > 0 &&
        !memory_broken(store, MEMORY_BREAK_OWN_NOT_PREFERRED)) {
        return best;
    }
    for (uint8_t i = 0; i < sighting->alternates_count; i++) {
        struct memory_row *row =
            memory_live(store, &store->entries, &sighting->alternate[i], sighting->now);
        bool taken = row != NULL && is_better(row, best);
        if (memory_broken(store, MEMORY_BREAK_ALTERNATES_FIRST)) {
            taken = row != NULL && best == NULL;
        }
        if (taken) {
            best = row;
            *origin = (uint8_t)(i + 1);
        }
    }
    return best;
}

static bool delay_is_over(const struct memory_store *store, int64_t waited, int64_t delay)
{
    if (memory_broken(store, MEMORY_BREAK_GREY_EARLY)) {
        return waited >= delay - 1;
    }
    if (memory_broken(store, MEMORY_BREAK_GREY_LATE)) {
        return waited > delay;
    }
    return waited >= delay;
}

/* What `before` (NULL: absent) becomes. True: it has just passed for the first time. */
static bool next_history(const struct memory_store *store, const struct storage_sighting *sighting,
                         const struct memory_row *before, struct memory_history *history)
{
    int64_t waited;

    if (before == NULL) {
        *history = (struct memory_history){.first_seen = sighting->now,
                                           .last_seen = sighting->now,
                                           .expires = sighting->now + sighting->window,
                                           .tries = sighting->count};
        return false;
    }
    *history = before->history;
    waited = sighting->now - history->first_seen;
    stamp(store, history, sighting->now);
    if (!memory_broken(store, MEMORY_BREAK_STEP_LAST)) {
        waited = sighting->now - history->first_seen;
    }
    if (history->passes > 0) {
        history->passes = memory_add(store, history->passes, sighting->count);
        memory_slide(store, &history->expires, sighting->now, sighting->keep);
        return false;
    }
    if (!delay_is_over(store, waited, sighting->delay)) {
        history->tries = memory_add(store, history->tries, sighting->count);
        return false;
    }
    history->passes = sighting->count;
    history->waited = memory_broken(store, MEMORY_BREAK_WAITED_DELAY) ? sighting->delay : waited;
    memory_slide(store, &history->expires, sighting->now, sighting->keep);
    return true;
}

static bool do_on_pass(struct memory_store *store, const struct storage_sighting *sighting)
{
    struct storage_sighting then;
    struct storage_row unread;

    if (memory_broken(store, MEMORY_BREAK_ON_PASS_NEVER)) {
        return true;
    }
    for (size_t i = 0; i < sighting->on_pass_count; i++) {
        then = sighting->on_pass[i];
        if (then.min_gap == 0 && memory_broken(store, MEMORY_BREAK_ON_PASS_ONCE)) {
            then.min_gap = 1;
        }
        if (!memory_see_counter(store, &then, &unread)) {
            return false;
        }
    }
    return true;
}

/* Gives another thread the time to read the same row. */
static void invite_race(struct memory_store *store)
{
    const struct timespec moment = {.tv_sec = 0, .tv_nsec = 50000};

    (void)pthread_mutex_unlock(&store->lock);
    (void)nanosleep(&moment, NULL);
    (void)pthread_mutex_lock(&store->lock);
}

static bool see_grey(struct memory_store *store, const struct storage_sighting *sighting,
                     struct storage_row *answer)
{
    struct memory_history history;
    struct memory_row *row;
    uint8_t exempt = find_exemption(store, sighting, &row);
    uint8_t origin;
    bool passed;
    bool write = !sighting->look || memory_broken(store, MEMORY_BREAK_LOOK_WRITES);
    bool count = !sighting->look || memory_broken(store, MEMORY_BREAK_LOOK_ON_PASS);

    if (exempt != 0) {
        answer_exempt(store, sighting, exempt, row, answer);
        if (!memory_broken(store, MEMORY_BREAK_EXEMPT_WRITES)) {
            return true;
        }
    }
    row = find_best(store, sighting, &origin);
    passed = next_history(store, sighting, row, &history);
    if (memory_broken(store, MEMORY_BREAK_ON_PASS_ALWAYS)) {
        passed = history.passes > 0;
    }
    if (memory_broken(store, MEMORY_BREAK_RACE)) {
        invite_race(store);
    }
    if (exempt == 0) {
        *answer = memory_answer(&history);
        answer->origin = memory_broken(store, MEMORY_BREAK_ORIGIN_MISSING) ? 0 : origin;
    }
    if (origin > 0 && write && memory_broken(store, MEMORY_BREAK_ALTERNATE_WRITTEN)) {
        row->history = history;
    }
    return (!write || write_entry(store, sighting, &history)) &&
           (!passed || !count || do_on_pass(store, sighting));
}

/* --- TOUCH, LEARN, MERGE ---------------------------------------------------------------------- */

static bool see_touch(struct memory_store *store, const struct storage_sighting *sighting,
                      struct storage_row *answer)
{
    struct memory_row *row = memory_live(store, &store->entries, &sighting->key, sighting->now);
    struct memory_history history = {.first_seen = sighting->now, .last_seen = sighting->now};

    if (row == NULL || row->history.passes == 0) {
        bool break_rule = row == NULL ? memory_broken(store, MEMORY_BREAK_TOUCH_MAKES)
                                      : memory_broken(store, MEMORY_BREAK_TOUCH_PENDING);
        if (!break_rule) {
            *answer = (struct storage_row){.status = STORAGE_NOT_FOUND};
            return true;
        }
    }
    if (row != NULL) {
        history = row->history;
    }
    stamp(store, &history, sighting->now);
    history.passes = memory_add(store, history.passes, sighting->count);
    memory_slide(store, &history.expires, sighting->now, sighting->keep);
    *answer = memory_answer(&history);
    return sighting->look || write_entry(store, sighting, &history);
}

static bool see_learn(struct memory_store *store, const struct storage_sighting *sighting,
                      struct storage_row *answer)
{
    struct memory_row *row = memory_live(store, &store->entries, &sighting->key, sighting->now);
    struct memory_history history = {.first_seen = sighting->now, .last_seen = sighting->now};

    if (row != NULL) {
        history = row->history;
        stamp(store, &history, sighting->now);
    }
    history.passes = memory_add(store, history.passes, sighting->count);
    if (memory_broken(store, MEMORY_BREAK_LEARN_FORGETS)) {
        history.waited = 0;
    }
    memory_slide(store, &history.expires, sighting->now, sighting->keep);
    *answer = memory_answer(&history);
    return sighting->look || write_entry(store, sighting, &history);
}

/* True: this position, or a later one of its origin, is not in the row yet. */
static bool is_new_to(const struct memory_store *store, const struct memory_row *row,
                      const struct storage_merge *merge)
{
    if (memory_broken(store, MEMORY_BREAK_MERGE_TWICE)) {
        return true;
    }
    for (size_t i = 0; i < row->merged_count; i++) {
        if (memcmp(row->merged[i].origin, merge->origin, sizeof merge->origin) == 0) {
            return merge->position > row->merged[i].position;
        }
    }
    return true;
}

static bool note_merged(const struct memory_store *store, struct memory_row *row,
                        const struct storage_merge *merge)
{
    struct memory_merged *grown;
    size_t at = 0;

    while (at < row->merged_count &&
           memcmp(row->merged[at].origin, merge->origin, sizeof merge->origin) != 0) {
        at++;
    }
    if (memory_broken(store, MEMORY_BREAK_MERGE_ONE_ORIGIN)) {
        at = 0;
    }
    if (at == row->merged_count) {
        grown = realloc(row->merged, (row->merged_count + 1) * sizeof *grown);
        if (grown == NULL) {
            return false;
        }
        row->merged = grown;
        row->merged_count++;
    }
    memcpy(row->merged[at].origin, merge->origin, sizeof merge->origin);
    row->merged[at].position = merge->position;
    return true;
}

static void merge_into(const struct memory_store *store, struct memory_history *history,
                       const struct storage_merge *merge)
{
    history->first_seen = memory_broken(store, MEMORY_BREAK_MERGE_LATEST_FIRST)
                              ? later(history->first_seen, merge->first_seen)
                              : earlier(history->first_seen, merge->first_seen);
    history->last_seen = later(history->last_seen, merge->last_seen);
    history->expires = later(history->expires, merge->expires);
    history->waited = later(history->waited, merge->waited);
    history->tries = memory_add(store, history->tries, merge->tries);
    history->passes = memory_add(store, history->passes, merge->passes);
}

static bool see_merge(struct memory_store *store, const struct storage_sighting *sighting,
                      struct storage_row *answer)
{
    const struct storage_merge *merge = sighting->merge;
    struct memory_row *row = memory_live(store, &store->entries, &sighting->key, sighting->now);
    struct memory_history history = {.first_seen = merge->first_seen,
                                     .last_seen = merge->last_seen};

    if ((merge->expires <= sighting->now && !memory_broken(store, MEMORY_BREAK_MERGE_DEAD)) ||
        (row != NULL && !is_new_to(store, row, merge))) {
        *answer = (struct storage_row){.status = STORAGE_NOT_FOUND};
        return true;
    }
    if (row != NULL) {
        history = row->history;
    }
    merge_into(store, &history, merge);
    *answer = memory_answer(&history);
    if (!write_entry(store, sighting, &history)) {
        return false;
    }
    return note_merged(store, memory_table_find(&store->entries, &sighting->key), merge);
}

bool memory_see_entry(struct memory_store *store, const struct storage_sighting *sighting,
                      struct storage_row *answer)
{
    switch (sighting->op) {
    case STORAGE_GREY:
        return see_grey(store, sighting, answer);
    case STORAGE_TOUCH:
        return see_touch(store, sighting, answer);
    case STORAGE_LEARN:
        return see_learn(store, sighting, answer);
    default:
        return see_merge(store, sighting, answer);
    }
}
