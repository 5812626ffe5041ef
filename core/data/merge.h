/*
 * merge.h: the three-way merge of a list that others keep and people edit here. Pure: it is told
 * what was imported the last time (base), what the list has now (theirs) and what the store has now
 * (ours), and says what is to be done. A local edit is never overwritten nor taken back.
 */
#ifndef MONGREY_MERGE_H
#define MONGREY_MERGE_H

#include "core/base/text.h"

/* A record as the merge sees it: what identifies it, and all of it that can be edited. */
struct merge_item {
    struct text key;
    struct text content;
    size_t at; /* the caller's */
};

/* Sorted by merge_compare, no key twice. */
struct merge_side {
    const struct merge_item *items;
    size_t count;
};

enum merge_step {
    MERGE_SAME,     /* here as there, or as it was agreed: nothing to do */
    MERGE_ADD,      /* new in theirs: write it */
    MERGE_UPDATE,   /* changed in theirs, untouched here: write theirs */
    MERGE_REMOVE,   /* gone from theirs, untouched here: erase it */
    MERGE_KEPT,     /* edited here, and theirs has it otherwise or no more: ours stays */
    MERGE_DELETED,  /* deleted here, still in theirs: stays deleted */
    MERGE_PRESENT,  /* new in theirs, and was here before, otherwise: ours stays */
    MERGE_FORGOTTEN /* in neither any more */
};

/* What becomes of the base once the step is done. */
enum merge_base { MERGE_BASE_SAME, MERGE_BASE_THEIRS, MERGE_BASE_NONE };

struct merge_line {
    enum merge_step step;
    enum merge_base after;
    const struct merge_item *base; /* NULL where a side has none */
    const struct merge_item *theirs;
    const struct merge_item *ours;
};

/* Byte by byte, the shorter first. */
int merge_compare(const struct merge_item *a, const struct merge_item *b);

/*
 * Writes a line for each key of base and theirs, in their order, and returns how many; `plan` has
 * room for base.count + theirs.count. What only ours has is nobody's affair here.
 *
 * Whoever carries it out does the steps before he writes the base: then doing all of it once more
 * after a crash in between comes to the same.
 */
size_t merge_plan(struct merge_side base, struct merge_side theirs, struct merge_side ours,
                  struct merge_line *plan);

#endif
