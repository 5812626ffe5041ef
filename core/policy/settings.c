/* settings.c: where settings come from, and which source wins. See settings.h. */
#include "core/policy/settings.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/policy/settings_table.h"

const struct setting_row setting_rows[SETTINGS] = {
#define SETTING(type, member, group, key, environment, fallback, least, most, words, flags, help) \
    {TYPE_##type, offsetof(struct settings, member),                                              \
     group,       key,                                                                            \
     environment, fallback,                                                                       \
     least,       most,                                                                           \
     words,       flags,                                                                          \
     help},
#define RULE(type, member, ...) SETTING(type, rules.member, __VA_ARGS__)
#include "core/policy/settings.def"
#undef SETTING
#undef RULE
};

#define WHY_SIZE 320

/* What a load has at hand. */
struct load {
    struct settings *settings;
    const struct settings_sources *sources;
    struct settings_error *error;
    const char *name; /* of the file */
};

static void warn(const struct load *l, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void warn(const struct load *l, const char *format, ...)
{
    char line[512];
    va_list list;
    if (l->sources->warn == NULL)
        return;
    va_start(list, format);
    vsnprintf(line, sizeof(line), format, list);
    va_end(list);
    l->sources->warn(l->sources->context, line);
}

const char *settings_key(enum setting which)
{
    return setting_rows[which].key;
}

bool settings_needs_start(enum setting which)
{
    return (setting_rows[which].flags & START) != 0;
}

static const char *variable(const char *const *entries, const char *name)
{
    size_t size = strlen(name);
    for (; entries != NULL && *entries != NULL; entries++) {
        if (strncmp(*entries, name, size) == 0 && (*entries)[size] == '=')
            return *entries + size + 1;
    }
    return NULL;
}

static bool set_defaults(struct load *l)
{
    char why[WHY_SIZE];
    for (int i = 0; i < SETTINGS; i++) {
        if (!setting_set(l->settings, (enum setting)i, text_of(setting_rows[i].fallback), why,
                         sizeof(why))) {
            snprintf(l->error->text, sizeof(l->error->text), "default of %s: %s",
                     setting_rows[i].key, why);
            return false;
        }
        l->settings->source[i] = FROM_DEFAULT;
    }
    return true;
}

/* "NAME=value" of a variable whose name nothing here has, but almost. */
static void warn_of_unknown_variable(const struct load *l, const char *entry)
{
    struct text name = {entry, strcspn(entry, "=")};
    const char *nearest = NULL;
    unsigned distance = 3;
    for (int i = 0; i < SETTINGS; i++) {
        unsigned d = text_distance(name, text_of(setting_rows[i].environment));
        if (d == 0)
            return;
        if (d < distance) {
            distance = d;
            nearest = setting_rows[i].environment;
        }
    }
    if (nearest != NULL)
        warn(l, "%.*s: no setting has this variable; is %s meant?", (int)name.size, name.data,
             nearest);
}

/* What 0.4.4 had and has no meaning now: said once, whatever its value, and without effect. */
static bool warn_of_retired(const struct load *l, enum setting which)
{
    const struct setting_row *row = &setting_rows[which];
    if ((row->flags & RETIRED) != 0)
        warn(l, "%s %s", row->key, row->help);
    return (row->flags & RETIRED) != 0;
}

static bool set_from_environment(struct load *l)
{
    const char *const *entries = l->sources->environ;
    char why[WHY_SIZE];
    for (int i = 0; i < SETTINGS; i++) {
        const struct setting_row *row = &setting_rows[i];
        const char *value = variable(entries, row->environment);
        if (value == NULL || i == SETTING_settings_path)
            continue;
        if (warn_of_retired(l, (enum setting)i))
            continue;
        if (row->type == TYPE_NUMBER && strncmp(value, "tcp://", 6) == 0) {
            warn(l, "%s: a container's link, not a setting; ignored", row->environment);
            continue;
        }
        if (!setting_set(l->settings, (enum setting)i, text_of(value), why, sizeof(why))) {
            snprintf(l->error->text, sizeof(l->error->text), "%s: %s", row->environment, why);
            return false;
        }
        l->settings->source[i] = FROM_ENVIRONMENT;
    }
    for (; entries != NULL && *entries != NULL; entries++) {
        if (strncmp(*entries, "MONGREY_", 8) == 0)
            warn_of_unknown_variable(l, *entries);
    }
    return true;
}

static int find_setting(struct text group, struct text key)
{
    for (int i = 0; i < SETTINGS; i++) {
        if (text_equal(group, text_of(setting_rows[i].group)) &&
            text_equal(key, text_of(setting_rows[i].key)))
            return i;
    }
    return -1;
}

static bool is_group(struct text name)
{
    for (int i = 0; i < SETTINGS; i++) {
        if (name.size > 0 && text_equal(name, text_of(setting_rows[i].group)))
            return true;
    }
    return false;
}

/* "group.key" of the known key that is nearest to what was written, wherever it belongs. */
static void suggest(struct writer *w, struct text group, struct text key)
{
    const struct setting_row *best = NULL;
    unsigned distance = 64;
    for (int i = 0; i < SETTINGS; i++) {
        const struct setting_row *row = &setting_rows[i];
        unsigned d = 2 * text_distance(key, text_of(row->key));
        d += text_equal(group, text_of(row->group)) ? 0 : 1;
        if (d < distance) {
            distance = d;
            best = row;
        }
    }
    const char *nearest = NULL;
    for (int i = 0; group.size == 0 && i < SETTINGS; i++) {
        const char *name = setting_rows[i].group;
        unsigned d = 2 * text_distance(key, text_of(name));
        if (name[0] != '\0' && d < distance) {
            distance = d;
            nearest = name;
        }
    }
    if (nearest != NULL && distance <= key.size + 2) {
        write_format(w, "; the nearest is the group `%s`", nearest);
        return;
    }
    if (best == NULL || distance > key.size + 2)
        return;
    write_format(w, "; the nearest is `%s%s%s`", best->group, best->group[0] != '\0' ? "." : "",
                 best->key);
}

static bool fail_at(struct load *l, unsigned line, struct text key, const char *what)
{
    struct writer w = writer_on(l->error->text, sizeof(l->error->text));
    write_format(&w, "%s:%u: ", l->name, line);
    if (key.size > 0) {
        /* A URL that slipped into the place of a key may hold a password. */
        if (memmem(key.data, key.size, "://", 3) != NULL)
            write_literal(&w, "(a URL)");
        else
            write_escaped(&w, key, "", 80);
        write_literal(&w, ": ");
    }
    write_literal(&w, what);
    writer_end(&w);
    return false;
}

static bool fail_unknown(struct load *l, unsigned line, struct text group, struct text key)
{
    char what[200];
    struct writer w = writer_on(what, sizeof(what));
    write_literal(&w, "there is no such setting");
    suggest(&w, group, key);
    writer_end(&w);
    return fail_at(l, line, key, what);
}

/* `key:` with nothing behind it, `~` or `null`: left as it was, as 0.4.4's own files have it. */
static bool is_null(const struct yaml_node *node)
{
    return node->type == YAML_SCALAR && !node->quoted &&
           (node->scalar.size == 0 || text_equal(node->scalar, TEXT("~")) ||
            text_equal_fold(node->scalar, TEXT("null")));
}

static bool set_node(struct load *l, struct text group, const struct yaml_node *node)
{
    char why[WHY_SIZE] = "";
    int which = find_setting(group, node->key);
    bool fine = false;
    unsigned line = node->line;
    if (which < 0)
        return fail_unknown(l, node->key_line, group, node->key);
    if (is_null(node))
        return true;
    if (warn_of_retired(l, (enum setting)which))
        return true;
    bool is_list = setting_rows[which].type >= TYPE_ENDPOINTS;
    if (node->type == YAML_SCALAR)
        fine = setting_set(l->settings, (enum setting)which, node->scalar, why, sizeof(why));
    else if (node->type == YAML_LIST && is_list)
        fine = setting_set_list(l->settings, (enum setting)which, node, &line, why, sizeof(why));
    else
        snprintf(why, sizeof(why), "%s", is_list ? "must be a list" : "must be a single value");
    if (!fine)
        return fail_at(l, line, node->key, why);
    l->settings->source[which] = FROM_FILE;
    l->settings->line[which] = node->line;
    return true;
}

static bool set_from_tree(struct load *l, const struct yaml_node *root)
{
    if (root == NULL)
        return true;
    if (root->type != YAML_MAP)
        return fail_at(l, root->line, (struct text){NULL, 0}, "must be `key: value` lines");
    for (const struct yaml_node *n = root->child; n != NULL; n = n->next) {
        if (!is_group(n->key)) {
            if (!set_node(l, (struct text){"", 0}, n))
                return false;
            continue;
        }
        if (is_null(n))
            continue;
        if (n->type != YAML_MAP)
            return fail_at(l, n->line, n->key, "must be a group of `key: value` lines");
        for (const struct yaml_node *m = n->child; m != NULL; m = m->next) {
            if (!set_node(l, n->key, m))
                return false;
        }
    }
    return true;
}

static bool set_from_text(struct load *l, struct text text)
{
    struct arena tree = arena_make(8 * YAML_FILE_MAX);
    struct yaml_node *root;
    struct yaml_error wrong;
    bool fine = yaml_parse(&tree, text, &root, &wrong);
    if (!fine)
        fail_at(l, wrong.line, (struct text){NULL, 0}, wrong.text);
    else
        fine = set_from_tree(l, root);
    arena_free(&tree);
    return fine;
}

/* What is no key at all may be a secret that slipped: it is not repeated. */
static bool fail_option(struct load *l, struct text name, const char *why)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789_.";
    bool is_key = name.size <= 64;
    for (size_t i = 0; is_key && i < name.size; i++)
        is_key = memchr(letters, name.data[i], sizeof(letters) - 1) != NULL;
    snprintf(l->error->text, sizeof(l->error->text), "--set%s%.*s: %s", is_key ? " " : "",
             is_key ? (int)name.size : 0, name.data, why);
    return false;
}

/* A key with its group in front or, where only one setting has that key, without. (`host` alone is the
 * listener: the store's needs its group.) */
static int find_option(struct text name, struct text *group, struct text *key)
{
    const char *dot = name.size > 0 ? memchr(name.data, '.', name.size) : NULL;
    *group = (struct text){"", 0};
    *key = name;
    if (dot != NULL) {
        *group = (struct text){name.data, (size_t)(dot - name.data)};
        *key = (struct text){dot + 1, name.size - group->size - 1};
    }
    int which = find_setting(*group, *key);
    for (int i = 0; which < 0 && dot == NULL && i < SETTINGS; i++) {
        if (text_equal(*key, text_of(setting_rows[i].key)))
            which = i;
    }
    return which;
}

static bool set_option(struct load *l, const char *option)
{
    struct text value = text_of(option);
    struct text name;
    struct text group;
    struct text key;
    char why[WHY_SIZE];
    text_split(&value, '=', &name);
    int which = find_option(name, &group, &key);
    if (value.data == NULL)
        return fail_option(l, name, "must be key=value");
    if (which < 0) {
        struct writer w = writer_on(why, sizeof(why));
        write_literal(&w, "there is no such setting");
        suggest(&w, group, key);
        return fail_option(l, name, writer_end(&w));
    }
    if (warn_of_retired(l, (enum setting)which))
        return true;
    if (!setting_set(l->settings, (enum setting)which, value, why, sizeof(why)))
        return fail_option(l, name, why);
    l->settings->source[which] = FROM_OPTION;
    return true;
}

static bool set_from_options(struct load *l)
{
    for (const char *const *o = l->sources->options; o != NULL && *o != NULL; o++) {
        if (!set_option(l, *o))
            return false;
    }
    return true;
}

/* The error names the setting that was changed last. */
static bool check_together(struct load *l)
{
    struct settings *s = l->settings;
    enum setting which;
    const char *what = settings_together(s, &which);
    if (what == NULL)
        return true;
    const struct setting_row *row = &setting_rows[which];
    if (s->source[which] == FROM_FILE)
        return fail_at(l, s->line[which], text_of(row->key), what);
    snprintf(l->error->text, sizeof(l->error->text), "%s: %s",
             s->source[which] == FROM_ENVIRONMENT ? row->environment : row->key, what);
    return false;
}

/* A profile's defaults lie below everything that was set explicitly. */
static bool apply_profile(struct load *l)
{
    struct settings *s = l->settings;
    char why[WHY_SIZE];
    for (int i = 0; i < SETTINGS; i++) {
        const char *fallback = setting_profile((enum profile)s->profile, (enum setting)i);
        if (fallback == NULL || s->source[i] != FROM_DEFAULT)
            continue;
        if (!setting_set(s, (enum setting)i, text_of(fallback), why, sizeof(why))) {
            snprintf(l->error->text, sizeof(l->error->text), "profile: %s: %s", setting_rows[i].key,
                     why);
            return false;
        }
        s->source[i] = FROM_PROFILE;
    }
    return true;
}

struct settings *settings_load_text(const struct settings_sources *sources, struct text text,
                                    const char *name, struct settings_error *error)
{
    struct settings *s = calloc(1, sizeof(*s));
    struct load l = {.settings = s, .sources = sources, .error = error, .name = name};
    snprintf(error->text, sizeof(error->text), "out of memory");
    if (s == NULL)
        return NULL;
    s->holders = 1;
    s->arena = arena_make(16 * YAML_FILE_MAX);
    if (set_defaults(&l) && set_from_environment(&l) &&
        (text.data == NULL || set_from_text(&l, text))) {
        if (text.data != NULL)
            s->file = arena_copy(&s->arena, text_of(name));
        if (set_from_options(&l)) {
            l.name = name;
            if (apply_profile(&l) && check_together(&l))
                return s;
        }
    }
    settings_release(s);
    return NULL;
}

static char *read_file(const char *path, size_t *size, const char **why)
{
    FILE *f = fopen(path, "re");
    char *memory = NULL;
    *why = f == NULL ? strerror(errno) : "is larger than 1 MiB";
    *size = 0;
    if (f == NULL)
        return NULL;
    memory = malloc(YAML_FILE_MAX + 1);
    if (memory != NULL)
        *size = fread(memory, 1, YAML_FILE_MAX + 1, f);
    bool broken = ferror(f) != 0;
    if (broken)
        *why = strerror(errno);
    fclose(f);
    if (broken || *size > YAML_FILE_MAX) {
        free(memory);
        return NULL;
    }
    return memory;
}

const char *settings_find_file(const char *option, const char *const *entries, char *memory,
                               size_t size)
{
    const char *named = option != NULL ? option : variable(entries, "MONGREY_SERVER_SETTINGS");
    const char *home = variable(entries, "HOME");
    if (named != NULL && named[0] != '\0')
        return named;
    if (access("/etc/mongrey/server.yml", F_OK) == 0)
        return "/etc/mongrey/server.yml";
    int length = home == NULL ? -1 : snprintf(memory, size, "%s/mongrey/server.yml", home);
    bool fits = length > 0 && (size_t)length < size;
    return fits && access(memory, F_OK) == 0 ? memory : NULL;
}

struct settings *settings_load(const struct settings_sources *sources, struct settings_error *error)
{
    char place[4096];
    const char *why;
    size_t size;
    const char *path = settings_find_file(sources->file, sources->environ, place, sizeof(place));
    if (path == NULL)
        return settings_load_text(sources, (struct text){NULL, 0}, "", error);
    char *memory = read_file(path, &size, &why);
    if (memory == NULL) {
        snprintf(error->text, sizeof(error->text), "%.400s: %s", path, why);
        return NULL;
    }
    struct settings *s = settings_load_text(sources, (struct text){memory, size}, path, error);
    free(memory);
    return s;
}

struct settings *settings_hold(struct settings *settings)
{
    settings->holders++;
    return settings;
}

void settings_release(struct settings *settings)
{
    if (settings == NULL || --settings->holders > 0)
        return;
    arena_free(&settings->arena);
    free(settings);
}

static const void *value_of(const struct settings *s, enum setting which)
{
    return (const char *)s + setting_rows[which].offset;
}

static bool same_lists(const struct settings_list *a, const struct settings_list *b)
{
    bool same = a->count == b->count;
    for (size_t i = 0; same && i < a->count; i++)
        same = text_equal(a->items[i], b->items[i]);
    return same;
}

static bool same_networks(const struct settings_networks *a, const struct settings_networks *b)
{
    bool same = a->count == b->count;
    for (size_t i = 0; same && i < a->count; i++)
        same = a->items[i].prefix == b->items[i].prefix &&
               addr_equal(&a->items[i].addr, &b->items[i].addr);
    return same;
}

bool settings_same(const struct settings *a, const struct settings *b, enum setting which)
{
    const void *x = value_of(a, which);
    const void *y = value_of(b, which);
    switch (setting_rows[which].type) {
    case TYPE_BOOL:
        return *(const bool *)x == *(const bool *)y;
    case TYPE_TEXT:
    case TYPE_ACTION:
    case TYPE_TEMPLATE:
    case TYPE_URL:
        return text_equal(*(const struct text *)x, *(const struct text *)y);
    case TYPE_ENDPOINTS:
    case TYPE_TEXTS:
        return same_lists(x, y);
    case TYPE_NETWORKS:
        return same_networks(x, y);
    default:
        return *(const int64_t *)x == *(const int64_t *)y;
    }
}
