/* recorded.h: what a record of a list, policy, domain or network says. lists.c loads by it and
 * config-check judges by it, so that both skip the same records for the same reasons. */
#ifndef MONGREY_DATA_RECORDED_H
#define MONGREY_DATA_RECORDED_H

#include "core/policy/snapshot.h"
#include "core/store/records.h"

struct recorded_fault {
    const char *field; /* NULL: out of memory */
    char why[256];
};

/* The text of a field; empty where it has none. */
struct text recorded_text(const struct storage_record *record, size_t field);

/* Each: false, and *fault filled, where the record does not count. The values' texts lie in the
 * arena; those of the entry stay the record's. */
bool recorded_entry(const struct storage_record *record, struct arena *arena,
                    struct list_entry *entry, struct value *value, struct recorded_fault *fault);
/* The rules lie in an arena of their own: they live longer. */
bool recorded_policy(const struct storage_record *record, struct arena *arena,
                     struct arena *rules_arena, struct policy *policy,
                     struct recorded_fault *fault);
/* An A-label name. */
bool recorded_domain(const struct storage_record *record, struct arena *arena, struct text *name,
                     struct recorded_fault *fault);
bool recorded_network(const struct storage_record *record, struct network *network,
                      struct recorded_fault *fault);

#endif
