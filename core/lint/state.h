/* state.h: what the files of this folder share: the records as they were read, and how a finding is
 * told. For core/lint/ only. */
#ifndef MONGREY_LINT_STATE_H
#define MONGREY_LINT_STATE_H

#include "core/lint/lint.h"
#include "core/policy/snapshot.h"

#define LINT_NONE SIZE_MAX

/* Where a record stands. */
struct lint_origin {
    const char *id; /* empty where it came from a file */
    unsigned line;
};

struct lint_entry {
    struct lint_origin origin;
    struct value value;
    struct text written;
    int64_t expires;
    bool enforce;
    bool live;    /* it has not expired */
    size_t first; /* the first of this list with this value; itself, if it is that */
    size_t own;   /* of one's own domains, one that it names or has below it */
    bool own_network;
};

struct lint_entries {
    struct lint_entry *items;
    size_t count;
    size_t room;
    size_t *order;           /* by value; equal ones by number */
    struct matcher *matcher; /* the live, enforced firsts but for patterns, by number */
};

struct lint_policy {
    struct policy p;
    struct lint_origin origin;
    uint64_t sets; /* bits of its rules */
    bool live;
    bool unreachable;
};

/* A domain or mailbox. */
struct lint_name {
    struct lint_origin origin;
    struct value value;
    struct text written;
};

struct lint_own_network {
    struct lint_origin origin;
    struct network network;
};

#define LINT_SHOWN 4
#define LINT_SHOWN_MAX 600

struct lint {
    const struct settings *settings;
    int64_t now;
    lint_put *put;
    void *context;
    struct lint_tally tally;
    const char *file; /* NULL: a store */
    bool complete;    /* all records were taken */
    struct arena arena;
    struct pattern_room *room;

    struct lint_entries lists[LISTS];
    struct lint_policy *policies;
    size_t policies_count;
    size_t policies_room;
    size_t setting_by[RULES]; /* how many live policies set each rule */
    size_t enabled_by[RULES]; /* and how many, of truth values, to true */
    struct lint_name *domains;
    size_t domains_count;
    size_t domains_room;
    struct lint_name *mailboxes;
    size_t mailboxes_count;
    size_t mailboxes_room;
    struct lint_own_network *networks;
    size_t networks_count;
    size_t networks_room;
    struct matcher *own_domains;  /* each as itself and as what is below it */
    struct matcher *own_networks; /* none that lies in another */
    struct matcher *excluded;     /* of ip_excludes; the same */

    char shown[LINT_SHOWN][LINT_SHOWN_MAX + 8];
    unsigned shown_next;
};

#define RULE_INDEX(which) ((size_t)((which)-SETTINGS_FIRST_RULE))
#define RULE_BIT(which) (UINT64_C(1) << RULE_INDEX(which))
_Static_assert(RULES <= 64, "a policy's rules are bits");

/* --- Telling (report.c) ------------------------------------------------------------------------ */

/* "LEVEL: PLACE: what is wrong; what to do [code]": the format is the middle. */
void report_setting(struct lint *l, enum finding finding, enum setting which, const char *format,
                    ...) __attribute__((format(printf, 4, 5)));
void report_entry(struct lint *l, enum finding finding, enum snapshot_list list,
                  const struct lint_entry *entry, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
/* `which`: the rule that it is about; SETTINGS: none. */
void report_policy(struct lint *l, enum finding finding, const struct lint_policy *policy,
                   enum setting which, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
/* Any other record: its kind, and what people know it by. */
void report_record(struct lint *l, enum finding finding, const char *kind, struct text name,
                   const struct lint_origin *origin, const char *format, ...)
    __attribute__((format(printf, 6, 7)));
/* About no record or setting of its own; `place` goes before it. */
void report_place(struct lint *l, enum finding finding, const char *place, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* A text, value or network as it may be shown; valid until LINT_SHOWN more were. */
const char *report_shown(struct lint *l, struct text t);
const char *report_value(struct lint *l, const struct value *value);
const char *report_network(struct lint *l, const struct network *network);

/* --- Values (values.c) ------------------------------------------------------------------------- */

/* An order in which equal values stand side by side. */
int values_compare(const struct value *a, const struct value *b);
/* What requests that `narrow` matches look like to a matcher: of its field, whatever is certain. */
struct subject values_subject(const struct value *narrow);
/* Of a value that a matcher found for that subject: whether it matches all that `narrow` does. */
bool values_cover(const struct value *wide, const struct value *narrow);
bool values_is_everyone(const struct network *n);
bool values_is_private(const struct network *n);
/* The domain of a mail address's value; empty where it has none. */
struct text values_domain(const struct value *v);
/* For each network the nearest other that it lies in (of equal ones an earlier), or LINT_NONE, into
 * `outer`. By sorting. False: out of memory. */
bool values_nest(const struct network *items, size_t count, size_t *outer);

/* --- Records (records.c) ----------------------------------------------------------------------- */

/* Whether it is one's own domain (exactly). */
bool records_is_own_domain(const struct lint *l, struct text domain);
/* Builds the indexes, after all records were taken. False: out of memory. */
bool records_index(struct lint *l);
/* The first entry of the list with that value, or LINT_NONE. */
size_t records_find(const struct lint *l, enum snapshot_list list, const struct value *value);

/* --- The checks -------------------------------------------------------------------------------- */

/* Those of the top level (serving.c), of rules, the settings' and the policies' (rules.c). */
void serving_check(struct lint *l);
void rules_check(struct lint *l);
/* False: out of memory. */
bool entries_check(struct lint *l);
bool policies_check(struct lint *l);
bool own_check(struct lint *l);
/* What is wrong with a value, whatever list or policy has it (patterns.c). */
struct pattern_fault {
    enum finding finding;
    const char *what;
};
/* False: nothing is wrong with it. */
bool patterns_fault(struct lint *l, const struct value *value, struct pattern_fault *fault);
/* Why nothing ever meets it. False: it may be met. */
bool reach_fault(struct lint *l, const struct value *value, struct pattern_fault *fault);

#endif
