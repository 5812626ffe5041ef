/*
 * settings.h: the settings in force. One table (settings.def) is behind all of it.
 *
 * A value comes from the command line, else the YAML file, else the environment, else the default.
 * A struct settings never changes once it is loaded; a reload makes another. Counting the holders
 * is the loop thread's affair.
 */
#ifndef MONGREY_SETTINGS_H
#define MONGREY_SETTINGS_H

#include "core/base/addr.h"
#include "core/base/arena.h"
#include "core/base/text.h"

enum greylist_key { KEY_VLOW, KEY_LOW, KEY_MED, KEY_HIGH, KEY_SPECIAL };
enum greylist_mode { MODE_ALL, MODE_SELECTIVE, MODE_OFF, MODE_LEARN };
enum db_trouble { TROUBLE_PASS, TROUBLE_DEFER, TROUBLE_LOCAL };
enum log_format { FORMAT_TEXT, FORMAT_JSON, FORMAT_MONGREY };
enum profile { PROFILE_NONE, PROFILE_MONGREY };

struct settings_list {
    const struct text *items;
    size_t count;
};

struct settings_networks {
    const struct network *items;
    size_t count;
};

enum setting {
#define SETTING(type, member, ...) SETTING_##member,
#define RULE(type, member, ...) SETTING_##member,
#include "core/policy/settings.def"
#undef SETTING
#undef RULE
    SETTINGS
};

/* The settings that a policy may set otherwise are the last in the table. */
#define SETTINGS_FIRST_RULE SETTING_whitelist_enable
#define RULES (SETTINGS - SETTINGS_FIRST_RULE)

/* The C type of each setting type. */
#define SETTING_C_BOOL bool
#define SETTING_C_NUMBER int64_t
#define SETTING_C_DURATION int64_t
#define SETTING_C_SIZE int64_t
#define SETTING_C_WORD int64_t
#define SETTING_C_TEXT struct text
#define SETTING_C_ACTION struct text
#define SETTING_C_TEMPLATE struct text
#define SETTING_C_URL struct text
#define SETTING_C_TEXTS struct settings_list
#define SETTING_C_ENDPOINTS struct settings_list
#define SETTING_C_NETWORKS struct settings_networks

enum settings_source { FROM_DEFAULT, FROM_PROFILE, FROM_ENVIRONMENT, FROM_FILE, FROM_OPTION };

/* What a policy may set otherwise: those of the settings hold where none does. */
struct rules {
#define SETTING(...)
#define RULE(type, member, ...) SETTING_C_##type member;
#include "core/policy/settings.def"
#undef SETTING
#undef RULE
};

struct settings {
    struct rules rules;
#define SETTING(type, member, ...) SETTING_C_##type member;
#define RULE(...)
#include "core/policy/settings.def"
#undef SETTING
#undef RULE
    enum settings_source source[SETTINGS];
    unsigned line[SETTINGS]; /* in the file, where it came from there */
    const char *file;        /* NULL: there was none */
    unsigned holders;
    struct arena arena;
};

struct settings_error {
    char text[512]; /* "FILE:LINE: key: what is wrong", "VARIABLE: what is wrong" */
};

/* What to read. NULL members are left out. */
struct settings_sources {
    const char *file;           /* --settings */
    const char *const *environ; /* "NAME=value", ends with NULL */
    const char *const *options; /* "key=value" or "group.key=value", ends with NULL */
    /* Called for what is odd but harmless, with a whole sentence. */
    void (*warn)(void *context, const char *text);
    void *context;
};

/* NULL, and *error filled: the configuration is bad. The result has one holder. */
struct settings *settings_load(const struct settings_sources *sources,
                               struct settings_error *error);
/* The same on the text of a file, which `name` stands for in errors; text.data NULL: no file. */
struct settings *settings_load_text(const struct settings_sources *sources, struct text text,
                                    const char *name, struct settings_error *error);
struct settings *settings_hold(struct settings *settings);
void settings_release(struct settings *settings);

/* Whether one setting has the same value in both: a reload changes all but the START ones, and says
 * which of those wait for the next start. */
bool settings_same(const struct settings *a, const struct settings *b, enum setting which);
bool settings_needs_start(enum setting which);
const char *settings_key(enum setting which);

/* --- What a policy sets ----------------------------------------------------------------------- */

/* One rule that a policy sets otherwise. */
struct rule_value {
    enum setting which;
    union {
        bool truth;
        int64_t number;
        struct text text;
        struct settings_list list;
    } as;
};

/* Reads one, whose texts go into the arena. False: `why` says what is wrong with it, without its
 * name. */
bool rule_parse(enum setting which, struct text written, struct arena *arena,
                struct rule_value *value, char *why, size_t size);
/* As `rule_parse` reads it. */
void rule_write(struct writer *w, const struct rule_value *value);
/* Puts it in its place. */
void rule_apply(const struct rule_value *value, struct rules *rules);
/* Whether it is a truth value, written true and false. */
bool rule_is_bool(enum setting which);

/* The file that would be read, or NULL; in memory of the caller. */
const char *settings_find_file(const char *option, const char *const *entries, char *memory,
                               size_t size);
/* The settings in force as YAML, each with where it came from, secrets masked. */
void settings_write(const struct settings *settings, void (*put)(void *context, struct text line),
                    void *context);
/* A settings file in which every setting is commented out, with its comment and its default. */
void settings_write_sample(void (*put)(void *context, struct text line), void *context);

#endif
