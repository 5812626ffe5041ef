/*
 * check.h: the check door. What a check sees of a request, and how it answers.
 *
 * A check is one file in filters/ and one line in filters/table.c, which is the order in which they
 * are asked; the first that decides ends it. A check knows nothing of sockets, threads or stores,
 * and runs on the loop thread: it must not wait. What would have to wait answers CHECK_WAITS and is
 * resumed with what it waited for.
 */
#ifndef MONGREY_CHECK_H
#define MONGREY_CHECK_H

#include "core/policy/request.h"
#include "core/policy/settings.h"
#include "core/policy/snapshot.h"
#include "core/policy/verdict.h"
#include "include/storage.h"

enum check_answer {
    CHECK_NEXT,    /* nothing to say: ask the next check */
    CHECK_DECIDED, /* the verdict is set */
    CHECK_WAITS    /* `sighting` is set: the store is to be told, then resume() is called */
};

struct instances;

/* A request on its way through the checks. At any moment one thread holds it. */
struct inquiry {
    struct request request;
    struct settings *settings;   /* those in force when it was read */
    struct snapshot *snapshot;   /* the lists in force then */
    struct instances *instances; /* the messages that already got a header; loop thread */
    const char *host;            /* this machine's name, for headers */
    size_t cursor;               /* the check that is asked; only moves forward */
    uint64_t *costs;             /* NULL, or ns for each check of the table, to be added to */
    bool trial;                  /* only to see what would come out: no hits, no headers */

    /* What applies to it: the settings', or `own` where policies set some otherwise. */
    const struct rules *rules;
    struct rules own;
    const struct policy *policy; /* the first of those that apply; NULL: none */
    bool opted_in;               /* a policy says that this recipient is greylisted */
    const struct policy *shadow; /* one that is not enforced and would have come first */
    unsigned ours;               /* bits of enum ours, from `relay` on */

    struct verdict verdict;
    /* What an entry ("blacklisted [VALUE]") or a policy (an action) that is not enforced would have come
     * to; empty: there is none. */
    enum outcome would_outcome;
    char would[VERDICT_TEXT_MAX + 1];

    /* Between CHECK_WAITS and resume(). */
    struct storage_sighting sighting;
    enum storage_status status; /* of the call: OK, or why `row` says nothing */
    struct storage_row row;
};

struct check {
    const char *name;
    enum check_answer (*ask)(struct inquiry *inquiry);
    /* After CHECK_WAITS: sets the verdict, or answers CHECK_NEXT. Never CHECK_WAITS again. */
    enum check_answer (*resume)(struct inquiry *inquiry);
    /* For people: what it looks at and what it finds in this inquiry, in a few words. Called for the
     * checks that were asked, after the verdict; changes nothing. */
    void (*tell)(const struct inquiry *inquiry, struct writer *w);
};

/* In their order, ends with NULL. */
extern const struct check *const checks[];

#endif
