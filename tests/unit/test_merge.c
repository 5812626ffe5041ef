/* test_merge.c: the three-way merge: each case once, and ten thousand histories of edits, imports and
 * crashes that must never lose a local edit. */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "core/data/merge.h"

/* --- One key ------------------------------------------------------------------------------------ */

static struct merge_side one(struct merge_item *item, const char *content)
{
    *item = (struct merge_item){TEXT("key"), text_of(content), 0};
    return (struct merge_side){item, content != NULL};
}

static void every_case(void **state)
{
    static const struct {
        const char *base;
        const char *theirs;
        const char *ours;
        enum merge_step step;
        enum merge_base after;
    } rows[] = {
        {NULL, "a", NULL, MERGE_ADD, MERGE_BASE_THEIRS},
        {NULL, "a", "a", MERGE_SAME, MERGE_BASE_THEIRS},
        {NULL, "a", "x", MERGE_PRESENT, MERGE_BASE_THEIRS},
        {"a", "a", "a", MERGE_SAME, MERGE_BASE_SAME},
        {"a", "b", "a", MERGE_UPDATE, MERGE_BASE_THEIRS},
        {"a", "b", "b", MERGE_SAME, MERGE_BASE_THEIRS},
        {"a", "a", "x", MERGE_KEPT, MERGE_BASE_SAME},
        {"a", "b", "x", MERGE_KEPT, MERGE_BASE_THEIRS},
        {"a", "a", NULL, MERGE_DELETED, MERGE_BASE_SAME},
        {"a", "b", NULL, MERGE_DELETED, MERGE_BASE_THEIRS},
        {"a", NULL, "a", MERGE_REMOVE, MERGE_BASE_NONE},
        {"a", NULL, "x", MERGE_KEPT, MERGE_BASE_NONE},
        {"a", NULL, NULL, MERGE_FORGOTTEN, MERGE_BASE_NONE},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct merge_item b, t, o;
        struct merge_line plan[2];
        size_t count =
            merge_plan(one(&b, rows[i].base), one(&t, rows[i].theirs), one(&o, rows[i].ours), plan);
        CHECK_ROW(count == 1, "%zu: %zu lines", i, count);
        CHECK_ROW(plan[0].step == rows[i].step && plan[0].after == rows[i].after, "%zu: %d, %d", i,
                  (int)plan[0].step, (int)plan[0].after);
        CHECK_ROW((plan[0].base == &b) == (rows[i].base != NULL) &&
                      (plan[0].theirs == &t) == (rows[i].theirs != NULL) &&
                      (plan[0].ours == &o) == (rows[i].ours != NULL),
                  "%zu: the sides", i);
    }
}

static void only_ours_is_left_alone(void **state)
{
    struct merge_item o;
    struct merge_line plan[1];
    struct merge_side none = {NULL, 0};
    (void)state;
    assert_int_equal(merge_plan(none, none, one(&o, "x"), plan), 0);
}

static void keys_are_met_in_order(void **state)
{
    struct merge_item base[] = {{TEXT("a"), TEXT("1"), 0}, {TEXT("c"), TEXT("1"), 1}};
    struct merge_item theirs[] = {{TEXT("aa"), TEXT("1"), 0}, {TEXT("c"), TEXT("1"), 1}};
    struct merge_item ours[] = {
        {TEXT("a"), TEXT("1"), 0}, {TEXT("b"), TEXT("1"), 1}, {TEXT("c"), TEXT("2"), 2}};
    struct merge_line plan[4];
    (void)state;
    assert_int_equal(merge_plan((struct merge_side){base, 2}, (struct merge_side){theirs, 2},
                                (struct merge_side){ours, 3}, plan),
                     3);
    assert_int_equal(plan[0].step, MERGE_REMOVE);
    assert_int_equal(plan[1].step, MERGE_ADD);
    assert_int_equal(plan[2].step, MERGE_KEPT);
}

/* --- Histories ---------------------------------------------------------------------------------- */

#define KEYS 9

/* 0: not there; 1 to 3: one of theirs; from LOCAL up: an edit, each its own. */
#define LOCAL 100

struct world {
    unsigned base[KEYS];
    unsigned theirs[KEYS];
    unsigned ours[KEYS];
    bool deleted[KEYS]; /* by hand, and it had been imported: stays so while theirs has it */
    unsigned edits;
};

struct sheet {
    struct merge_item items[KEYS];
    char keys[KEYS][2];
    char contents[KEYS][12];
    struct merge_side side;
};

static void fill(struct sheet *s, const unsigned *from)
{
    size_t count = 0;
    for (unsigned k = 0; k < KEYS; k++) {
        if (from[k] == 0)
            continue;
        snprintf(s->keys[k], sizeof(s->keys[k]), "%c", 'a' + (char)k);
        snprintf(s->contents[k], sizeof(s->contents[k]), "%u", from[k]);
        s->items[count++] = (struct merge_item){text_of(s->keys[k]), text_of(s->contents[k]), k};
    }
    s->side = (struct merge_side){s->items, count};
}

static size_t key_of(const struct merge_line *l)
{
    return l->theirs != NULL ? l->theirs->at : l->base->at;
}

/* Carries a plan out up to `most` writes: records first, then the base. Returns how many there were. */
static unsigned merge(struct world *w, unsigned most)
{
    struct sheet b, t, o;
    struct merge_line plan[2 * KEYS];
    unsigned writes = 0;
    fill(&b, w->base);
    fill(&t, w->theirs);
    fill(&o, w->ours);
    size_t count = merge_plan(b.side, t.side, o.side, plan);
    for (size_t i = 0; i < count; i++) {
        size_t k = key_of(&plan[i]);
        bool write = plan[i].step == MERGE_ADD || plan[i].step == MERGE_UPDATE;
        if ((!write && plan[i].step != MERGE_REMOVE) || writes++ >= most)
            continue;
        w->ours[k] = write ? w->theirs[k] : 0;
    }
    for (size_t i = 0; i < count; i++) {
        size_t k = key_of(&plan[i]);
        if (plan[i].after == MERGE_BASE_SAME || writes++ >= most)
            continue;
        w->base[k] = plan[i].after == MERGE_BASE_THEIRS ? w->theirs[k] : 0;
    }
    return writes;
}

static void edit(struct world *w)
{
    unsigned k = (unsigned)rand() % KEYS;
    if (rand() % 3 > 0) {
        w->ours[k] = LOCAL + w->edits++;
        w->deleted[k] = false;
    } else if (w->ours[k] != 0) {
        w->ours[k] = 0;
        w->deleted[k] = w->base[k] != 0;
    }
}

static void check_merged(const struct world *before, struct world *w, unsigned seed)
{
    for (unsigned k = 0; k < KEYS; k++) {
        w->deleted[k] = w->deleted[k] && w->theirs[k] != 0;
        CHECK_ROW(before->ours[k] < LOCAL || w->ours[k] == before->ours[k],
                  "seed %u, key %u: a local edit is gone", seed, k);
        CHECK_ROW(!w->deleted[k] || w->ours[k] == 0, "seed %u, key %u: is back", seed, k);
        CHECK_ROW(w->ours[k] >= LOCAL || w->ours[k] == 0 || w->ours[k] == w->theirs[k],
                  "seed %u, key %u: neither theirs nor edited", seed, k);
        CHECK_ROW(w->theirs[k] == 0 || w->ours[k] != 0 || w->deleted[k],
                  "seed %u, key %u: theirs is missing", seed, k);
        CHECK_ROW(w->base[k] == w->theirs[k], "seed %u, key %u: the base", seed, k);
    }
}

static void no_history_loses_an_edit(void **state)
{
    (void)state;
    for (unsigned seed = 0; seed < 10000; seed++) {
        struct world w = {.edits = 0};
        srand(seed);
        for (unsigned step = 0; step < 30; step++) {
            unsigned what = (unsigned)rand() % 4;
            if (what == 0) {
                edit(&w);
            } else if (what < 3) {
                w.theirs[rand() % KEYS] = (unsigned)rand() % 4;
            } else {
                struct world before = w;
                if (rand() % 3 == 0) /* a crash on the way, and again */
                    merge(&w, (unsigned)rand() % 6);
                merge(&w, UINT32_MAX);
                check_merged(&before, &w, seed);
                CHECK_ROW(merge(&w, UINT32_MAX) == 0, "seed %u: the same again writes", seed);
            }
        }
    }
}

/* With nobody editing, the store is what the list is. */
static void without_edits_it_is_a_copy(void **state)
{
    (void)state;
    for (unsigned seed = 0; seed < 1000; seed++) {
        struct world w = {.edits = 0};
        srand(seed);
        for (unsigned step = 0; step < 10; step++) {
            for (unsigned k = 0; k < KEYS; k++)
                w.theirs[k] = (unsigned)rand() % 4;
            merge(&w, (unsigned)rand() % 12);
            merge(&w, UINT32_MAX);
            CHECK_ROW(memcmp(w.ours, w.theirs, sizeof(w.ours)) == 0, "seed %u", seed);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_case),
        cmocka_unit_test(only_ours_is_left_alone),
        cmocka_unit_test(keys_are_met_in_order),
        cmocka_unit_test(no_history_loses_an_edit),
        cmocka_unit_test(without_edits_it_is_a_copy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
