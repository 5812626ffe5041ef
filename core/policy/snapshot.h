/*
 * snapshot.h: all lists and policies, compiled for look-up. Built by one thread, then immutable and
 * exchanged whole; only what counts (hits, holders, patterns broken off) changes, on the loop thread.
 */
#ifndef MONGREY_SNAPSHOT_H
#define MONGREY_SNAPSHOT_H

#include "core/policy/match.h"
#include "core/policy/request.h"
#include "core/policy/settings.h"

enum snapshot_list { LIST_BLACK, LIST_WHITE, LISTS };

/* Whose a request is. */
enum ours {
    OURS_CLIENT = 1u << 0,       /* in mynetworks */
    OURS_SENDER = 1u << 1,       /* its domain is one's own */
    OURS_SENDER_BELOW = 1u << 2, /* or lies below one's own */
    OURS_RECIPIENT = 1u << 3,
};

struct list_entry {
    struct text id;    /* of its record */
    struct text value; /* in its canonical spelling */
    int64_t expires;   /* ms; INT64_MAX: never */
    bool enforce;      /* false: only logged */
};

/* How often an entry was met since it was last told to the store. Loop thread. */
struct list_hit {
    uint32_t count;
    int64_t last; /* ms */
};

struct list {
    struct matcher *matcher;
    struct list_entry *entries;
    struct list_hit *hits;
    size_t count;
    size_t room;
    bool met; /* there are hits to be told */
};

struct policy {
    const char *name;
    struct value value;
    int64_t priority;
    int64_t expires;
    bool enforce;
    unsigned states; /* bits of enum protocol_state */
    const struct rule_value *rules;
    size_t rules_count;
};

struct snapshot {
    struct arena arena;
    struct list lists[LISTS];
    struct matcher *policies_matcher;
    struct policy *policies; /* in the order in which they go before each other */
    size_t policies_count;
    size_t policies_room;
    unsigned states; /* at which some policy asks for checks */
    struct matcher *domains;
    size_t domains_count;
    struct matcher *networks;
    size_t networks_count;
    bool loaded;      /* from a store; an empty one that was not rejects nobody as a stranger */
    int64_t saved_at; /* ms; not 0: from a file, as it was in the store then */
    uint64_t revision;
    unsigned holders;          /* loop thread */
    struct snapshot *next_old; /* of those that wait to be freed */
    struct pattern_room *room;
    /* Matches of patterns that were broken off because they cost too much, and where the last one
     * stands: "whitelist ID". */
    uint64_t gave_up;
    uint64_t too_long; /* texts that were held against no pattern */
    char gave_up_at[64];
};

/* --- Building: any one thread. False: out of memory ------------------------------------------- */

/* With one holder. NULL when out of memory. */
struct snapshot *snapshot_make(void);
bool snapshot_add_entry(struct snapshot *snapshot, enum snapshot_list list,
                        const struct list_entry *entry, const struct value *value);
/* The policy's name and its value's text are copied; its rules lie in the snapshot's arena. */
bool snapshot_add_policy(struct snapshot *snapshot, const struct policy *policy);
bool snapshot_add_domain(struct snapshot *snapshot, struct text domain);
bool snapshot_add_network(struct snapshot *snapshot, const struct network *network);
/* Ends the building: it can be asked from now on. */
bool snapshot_seal(struct snapshot *snapshot);
/* Which of two policies goes before the other: below 0, the first. */
int snapshot_policy_order(const struct policy *a, const struct policy *b);
/* Whether a policy says itself if there is greylisting, for greylist_default: off. One no counts
 * more than any yes. */
bool snapshot_policy_has_say(const struct policy *policy, bool *wanted);
/* Bytes that it takes. */
size_t snapshot_bytes(const struct snapshot *snapshot);

/* --- Asking: the loop thread ------------------------------------------------------------------ */

struct snapshot *snapshot_hold(struct snapshot *snapshot);
/* True: that was the last holder, and snapshot_free is due; it may take milliseconds. */
bool snapshot_let_go(struct snapshot *snapshot);
void snapshot_free(struct snapshot *snapshot);
/* Both. NULL is fine. */
void snapshot_release(struct snapshot *snapshot);

struct list_met {
    const struct list_entry *entry; /* NULL: none */
    const struct list_entry *would; /* one that is not enforced and would have come first */
    enum field field;
    size_t number; /* of the entry */
};

/* The entry that decides: of those that have not expired the first by field, then the most
 * specific. */
struct list_met snapshot_find(struct snapshot *snapshot, enum snapshot_list list,
                              const struct request *request);
/* Counts a hit. */
void snapshot_hit(struct snapshot *snapshot, enum snapshot_list list, size_t number, int64_t now);

#define SNAPSHOT_POLICIES_MAX 32 /* that one request can have */

/* The policies that apply at this request's state, in their order. `by_field`: as 0.4.4, by the
 * name of the field that they look at. */
size_t snapshot_policies(struct snapshot *snapshot, const struct request *request, bool by_field,
                         const struct policy *found[SNAPSHOT_POLICIES_MAX]);

/* Bits of enum ours. */
unsigned snapshot_ours(struct snapshot *snapshot, const struct request *request);

#endif
