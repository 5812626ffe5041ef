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
enum db_trouble { TROUBLE_PASS, TROUBLE_DEFER };

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
#include "core/policy/settings.def"
#undef SETTING
    SETTINGS
};

/* The C type of each setting type. */
#define SETTING_C_BOOL bool
#define SETTING_C_NUMBER int64_t
#define SETTING_C_DURATION int64_t
#define SETTING_C_SIZE int64_t
#define SETTING_C_WORD int64_t
#define SETTING_C_TEXT struct text
#define SETTING_C_ACTION struct text
#define SETTING_C_URL struct text
#define SETTING_C_ENDPOINTS struct settings_list
#define SETTING_C_NETWORKS struct settings_networks

enum settings_source { FROM_DEFAULT, FROM_ENVIRONMENT, FROM_FILE, FROM_OPTION };

struct settings {
#define SETTING(type, member, ...) SETTING_C_##type member;
#include "core/policy/settings.def"
#undef SETTING
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

/* The file that would be read, or NULL; in memory of the caller. */
const char *settings_find_file(const char *option, const char *const *entries, char *memory,
                               size_t size);
/* The settings in force as YAML, each with where it came from, secrets masked. */
void settings_write(const struct settings *settings, void (*put)(void *context, struct text line),
                    void *context);
/* A settings file in which every setting is commented out, with its comment and its default. */
void settings_write_sample(void (*put)(void *context, struct text line), void *context);

#endif
