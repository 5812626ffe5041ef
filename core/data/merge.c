/* merge.c: see merge.h. */
#include "core/data/merge.h"

#include <assert.h>
#include <string.h>

int merge_compare(const struct merge_item *a, const struct merge_item *b)
{
    size_t size = a->key.size < b->key.size ? a->key.size : b->key.size;
    int order = size > 0 ? memcmp(a->key.data, b->key.data, size) : 0;
    if (order != 0)
        return order;
    return a->key.size < b->key.size ? -1 : a->key.size > b->key.size;
}

static bool is_same(const struct merge_item *a, const struct merge_item *b)
{
    return text_equal(a->content, b->content);
}

/* Never imported from here before. What is here just so is what an import wrote that ended before
 * it came to the base. */
static void decide_new(struct merge_line *l)
{
    assert(l->theirs != NULL);
    l->after = MERGE_BASE_THEIRS;
    if (l->ours == NULL)
        l->step = MERGE_ADD;
    else
        l->step = is_same(l->theirs, l->ours) ? MERGE_SAME : MERGE_PRESENT;
}

static void decide_gone(struct merge_line *l)
{
    l->after = MERGE_BASE_NONE;
    if (l->ours == NULL)
        l->step = MERGE_FORGOTTEN;
    else
        l->step = is_same(l->ours, l->base) ? MERGE_REMOVE : MERGE_KEPT;
}

/* Whatever the step, the base becomes theirs: an edit that happens to go back to an older state of
 * theirs stays an edit. */
static void decide_both(struct merge_line *l)
{
    bool changed = !is_same(l->theirs, l->base);
    l->after = changed ? MERGE_BASE_THEIRS : MERGE_BASE_SAME;
    if (l->ours == NULL)
        l->step = MERGE_DELETED;
    else if (is_same(l->ours, l->theirs))
        l->step = MERGE_SAME;
    else
        l->step = is_same(l->ours, l->base) ? MERGE_UPDATE : MERGE_KEPT;
}

static void decide(struct merge_line *l)
{
    if (l->base == NULL)
        decide_new(l);
    else if (l->theirs == NULL)
        decide_gone(l);
    else
        decide_both(l);
}

/* Goes on from *from; keys come in rising order. */
static const struct merge_item *find(struct merge_side side, size_t *from,
                                     const struct merge_item *key)
{
    while (*from < side.count) {
        int order = merge_compare(&side.items[*from], key);
        if (order >= 0)
            return order == 0 ? &side.items[*from] : NULL;
        ++*from;
    }
    return NULL;
}

size_t merge_plan(struct merge_side base, struct merge_side theirs, struct merge_side ours,
                  struct merge_line *plan)
{
    size_t b = 0, t = 0, o = 0, count = 0;
    while (b < base.count || t < theirs.count) {
        struct merge_line *l = &plan[count++];
        *l = (struct merge_line){.step = MERGE_SAME};
        int order = t == theirs.count ? -1 : 1;
        if (b < base.count && t < theirs.count)
            order = merge_compare(&base.items[b], &theirs.items[t]);
        if (order >= 0)
            l->theirs = &theirs.items[t++];
        if (order <= 0)
            l->base = &base.items[b++];
        l->ours = find(ours, &o, l->base != NULL ? l->base : l->theirs);
        decide(l);
    }
    return count;
}
