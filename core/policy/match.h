/*
 * match.h: the values of many lists and policies, compiled for look-up. A request costs the same
 * beside ten entries and beside a hundred thousand.
 *
 * Names, mailboxes, networks, countries and texts lie in one hash table; patterns are found by a
 * literal that they cannot do without (pattern.h), and only those that have none are always run.
 * docs/decisions/0006-lists.md has the figures.
 */
#ifndef MONGREY_MATCH_H
#define MONGREY_MATCH_H

#include "core/base/addr.h"
#include "core/base/pattern.h"
#include "core/policy/value.h"

/* Built by one thread; once sealed it never changes, and any number of threads may look up. */
struct matcher;

struct matcher *matcher_make(void);
/* The value is copied. `number` is the caller's, and comes back from matcher_find; several values
 * may have one number, several numbers one value. False: out of memory (or over 2^32 bytes), or a
 * pattern that does not compile, which value_parse would have refused. Not after the seal. */
bool matcher_add(struct matcher *m, const struct value *value, uint32_t number);
/* False: out of memory; the matcher can then only be freed. */
bool matcher_seal(struct matcher *m);
void matcher_free(struct matcher *m);
/* Memory taken, the compiled patterns with it. */
size_t matcher_bytes(const struct matcher *m);

/* What is looked up, in the form that idn.h gives: names as A-labels, local parts folded. An empty
 * text is a missing one, and matched by nothing. */
struct subject {
    const struct addr *client; /* may be NULL */
    struct text client_name;   /* the confirmed one; `unknown` is matched by nothing */
    struct text helo_name;
    struct text country;        /* in capital letters */
    struct text policy_context; /* as it came */
    struct text sender_local;
    struct text sender_domain;
    bool sender_null; /* matched only by <>; the sender's texts are not looked at */
    struct text recipient_local;
    struct text recipient_domain;
    struct text sender; /* local@domain */
    struct text recipient;
};

struct match {
    uint32_t number;
    enum field field;
    enum value_kind kind;
    unsigned rank; /* value_rank's */
};

#define MATCH_GAVE_UP_MAX 3
#define MATCH_PATTERNS_NS 2000000 /* that the patterns of one sort may take in one look-up */

/* What the patterns of one sort have cost in this look-up. */
struct match_cost {
    unsigned gave_up;
    uint64_t spent; /* ns */
    uint64_t began; /* ns of the thread's own time, at the first pattern; 0: none was tried */
};

/* One look-up: what patterns need, and what became of them. */
struct match_run {
    struct pattern_room *room; /* this thread's; NULL: patterns are left out */
    /* Those whose literal stands in the text, and those that have none. At MATCH_GAVE_UP_MAX or
     * MATCH_PATTERNS_NS no more of that sort are run. */
    struct match_cost filed;
    struct match_cost always;
    unsigned gave_up; /* patterns whose match was broken off, or that were not run any more */
    uint32_t gave_up_numbers[MATCH_GAVE_UP_MAX]; /* the first of them */
    bool too_long;   /* a text over PATTERN_TEXT_MAX was held against no pattern */
    size_t left_out; /* matches beyond `most` */
};

/*
 * All that match, ordered by field, in a field by rank, in a rank by number; returns how many. Of
 * more than `most` the least specific are left out. `run` is written but for its room. A number
 * comes once for each of its values that match. Takes no memory.
 */
size_t matcher_find(const struct matcher *m, const struct subject *subject, struct match *found,
                    size_t most, struct match_run *run);

#endif
