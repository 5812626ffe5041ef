/* settings_table.h: the rows of settings.def, for the files settings_*.c only. */
#ifndef MONGREY_SETTINGS_TABLE_H
#define MONGREY_SETTINGS_TABLE_H

#include "core/base/yaml.h"
#include "core/policy/settings.h"

enum setting_type {
    TYPE_BOOL,
    TYPE_NUMBER,
    TYPE_DURATION,
    TYPE_SIZE,
    TYPE_WORD,
    TYPE_TEXT,
    TYPE_ACTION,
    TYPE_TEMPLATE,
    TYPE_URL,
    TYPE_ENDPOINTS, /* this and the following are lists */
    TYPE_NETWORKS,
    TYPE_TEXTS,
};

enum setting_flags { START = 1u << 0, LATER = 1u << 1, RETIRED = 1u << 2 };

struct setting_row {
    enum setting_type type;
    size_t offset; /* in struct settings */
    const char *group;
    const char *key;
    const char *environment;
    const char *fallback;
    int64_t least;
    int64_t most;
    const char *words;
    unsigned flags;
    const char *help;
};

extern const struct setting_row setting_rows[SETTINGS];

/* Parses one value into its member. False: `why` (of `size` bytes) says what is wrong with it. */
bool setting_set(struct settings *settings, enum setting which, struct text value, char *why,
                 size_t size);
/* NULL, or why this value is not to be had yet: what it is for is not built. */
const char *setting_not_built(const struct settings *settings, enum setting which);
/* The default under a profile; NULL: the table's. */
const char *setting_profile(enum profile profile, enum setting which);
/* What single values cannot show. NULL, or what is wrong with *which. */
const char *settings_together(const struct settings *settings, enum setting *which);
/* The same for a YAML list; only lists take one. *line is where the fault is. */
bool setting_set_list(struct settings *settings, enum setting which, const struct yaml_node *list,
                      unsigned *line, char *why, size_t size);
/* How many items a list has; 0 for all other types. */
size_t setting_items(const struct settings *settings, enum setting which);
void setting_write_item(struct writer *w, const struct settings *settings, enum setting which,
                        size_t item);
/* The value as it would be written in a file, secrets masked. */
void setting_write(struct writer *w, const struct settings *settings, enum setting which);

#endif
