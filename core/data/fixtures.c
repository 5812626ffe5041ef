/* fixtures.c: see fixtures.h. */
#include "core/data/fixtures.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/base/yaml.h"
#include "core/data/fixtures_old.h"

/* The tree of a file takes some ten times its size. */
#define TREE_MAX ((size_t)24 * FIXTURES_FILE_MAX)
#define WHAT_SIZE 640

const enum kind fixtures_kinds[FIXTURES_KINDS] = {
    KIND_DOMAIN,    KIND_MAILBOX, KIND_MYNETWORK, KIND_WHITELIST,
    KIND_BLACKLIST, KIND_POOL,    KIND_POLICY,
};

struct reading {
    const struct fixtures_sink *sink;
    int64_t now;
    bool old; /* a file of 0.4.4 */
    bool fine;
};

static void refuse(struct reading *r, unsigned line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void refuse(struct reading *r, unsigned line, const char *format, ...)
{
    char what[WHAT_SIZE];
    va_list list;
    va_start(list, format);
    vsnprintf(what, sizeof(what), format, list);
    va_end(list);
    r->fine = false;
    r->sink->refused(r->sink->context, line, what);
}

/* The text in quotes, and the known name that is nearest to it, if one is near. */
struct guess {
    char shown[96];
    const char *nearest;
    unsigned distance;
};

static struct guess guess_start(struct text written)
{
    struct guess g = {.nearest = NULL, .distance = (unsigned)(written.size / 3 + 2)};
    struct writer w = writer_on(g.shown, sizeof(g.shown));
    write_escaped(&w, written, "", 80);
    writer_end(&w);
    return g;
}

static void guess_try(struct guess *g, struct text written, const char *known)
{
    unsigned d = text_distance(written, text_of(known));
    if (d < g->distance) {
        g->distance = d;
        g->nearest = known;
    }
}

static void refuse_unknown(struct reading *r, unsigned line, const char *what,
                           const struct guess *g)
{
    if (g->nearest != NULL)
        refuse(r, line, "%s: there is no such %s; the nearest is `%s`", g->shown, what, g->nearest);
    else
        refuse(r, line, "%s: there is no such %s", g->shown, what);
}

static bool is_null(const struct yaml_node *node)
{
    return node->type == YAML_SCALAR && !node->quoted &&
           (node->scalar.size == 0 || text_equal(node->scalar, TEXT("~")) ||
            text_equal_fold(node->scalar, TEXT("null")));
}

static bool is_made_of_others(enum kind kind, size_t field)
{
    return (kind == KIND_WHITELIST || kind == KIND_BLACKLIST) && field == ENTRY_slug;
}

/* A YAML list as people would write it in one line. */
static bool join(struct reading *r, const struct yaml_node *list, const char *name,
                 struct text *out)
{
    size_t size = 0;
    for (const struct yaml_node *n = list->child; n != NULL; n = n->next) {
        if (n->type != YAML_SCALAR) {
            refuse(r, n->line, "%s: must be a list of single values", name);
            return false;
        }
        size += n->scalar.size + 2;
    }
    char *memory = arena_take(r->sink->arena, size + 1);
    if (memory == NULL) {
        refuse(r, list->line, "out of memory");
        return false;
    }
    struct writer w = writer_on(memory, size);
    for (const struct yaml_node *n = list->child; n != NULL; n = n->next) {
        write_literal(&w, n != list->child ? ", " : "");
        write_text(&w, n->scalar);
    }
    *out = writer_text(&w);
    return true;
}

static bool read_field(struct reading *r, enum kind kind, const struct yaml_node *node,
                       struct text *written)
{
    size_t field;
    if (!record_find_field(kind, node->key, &field)) {
        struct guess g = guess_start(node->key);
        for (size_t i = 0; i < record_fields(kind); i++) {
            if (!is_made_of_others(kind, i))
                guess_try(&g, node->key, record_field_name(kind, i));
        }
        refuse_unknown(r, node->key_line, "field", &g);
        return false;
    }
    const char *name = record_field_name(kind, field);
    if (is_null(node))
        return true;
    if (node->type == YAML_LIST && record_is_list(kind, field))
        return join(r, node, name, &written[field]);
    if (node->type != YAML_SCALAR) {
        refuse(r, node->line, "%s: must be a single value%s", name,
               record_is_list(kind, field) ? " or a list" : "");
        return false;
    }
    written[field] = node->scalar;
    return true;
}

/* False: the sink wants no more. */
static bool read_record(struct reading *r, enum kind kind, const struct yaml_node *item)
{
    struct text written[STORAGE_FIELDS_MAX] = {{NULL, 0}};
    struct storage_value values[STORAGE_FIELDS_MAX];
    struct record_fault fault;
    char why[WHAT_SIZE - 64];
    bool fine = true;
    if (item->type != YAML_MAP) {
        refuse(r, item->line, "%s: each record is written as `field: value` lines",
               record_kinds[kind].name);
        return true;
    }
    for (const struct yaml_node *n = item->child; n != NULL && fine; n = n->next)
        fine = read_field(r, kind, n, written);
    if (!fine)
        return true;
    if (r->old && !fixtures_old_read(kind, written, r->sink->arena, why, sizeof(why))) {
        refuse(r, item->line, "%s: %s", record_kinds[kind].name, why);
        return true;
    }
    if (!record_make(kind, written, r->now, r->sink->arena, values, &fault)) {
        refuse(r, item->line, "%s: %s", record_kinds[kind].name, fault.text);
        return true;
    }
    return r->sink->record(r->sink->context, kind, item->line, values);
}

static bool read_kind(struct reading *r, enum kind kind, const struct yaml_node *list)
{
    if (is_null(list))
        return true;
    if (list->type != YAML_LIST) {
        refuse(r, list->line, "%s: must be a list of records, each after a `-`",
               record_kinds[kind].name);
        return true;
    }
    for (const struct yaml_node *n = list->child; n != NULL; n = n->next) {
        if (!read_record(r, kind, n))
            return false;
    }
    return true;
}

/* --- The whole file ----------------------------------------------------------------------------- */

static const struct yaml_node *find(const struct yaml_node *root, const char *key)
{
    for (const struct yaml_node *n = root->child; n != NULL; n = n->next) {
        if (text_equal(n->key, text_of(key)))
            return n;
    }
    return NULL;
}

/* A file of a later version may mean by the same words something else. */
static bool check_version(struct reading *r, const struct yaml_node *root)
{
    const struct yaml_node *node = find(root, "version");
    int64_t version;
    r->old = node == NULL;
    if (node == NULL || (node->type == YAML_SCALAR && text_number(node->scalar, &version) &&
                         version == FIXTURES_VERSION))
        return true;
    refuse(r, node->line, "version: only version %d is known; nothing is read", FIXTURES_VERSION);
    return false;
}

static void check_keys(struct reading *r, const struct yaml_node *root)
{
    for (const struct yaml_node *n = root->child; n != NULL; n = n->next) {
        struct guess g = guess_start(n->key);
        guess_try(&g, n->key, "version");
        for (size_t i = 0; i < FIXTURES_KINDS; i++)
            guess_try(&g, n->key, record_kinds[fixtures_kinds[i]].name);
        if (g.nearest == NULL || g.distance > 0)
            refuse_unknown(r, n->key_line, "kind of record", &g);
    }
}

static void read_root(struct reading *r, const struct yaml_node *root)
{
    if (root == NULL)
        return;
    if (root->type != YAML_MAP) {
        refuse(r, root->line, "must be `domain:`, `policy:` and the like, with a list each");
        return;
    }
    if (!check_version(r, root))
        return;
    check_keys(r, root);
    for (size_t i = 0; i < FIXTURES_KINDS; i++) {
        const struct yaml_node *n = find(root, record_kinds[fixtures_kinds[i]].name);
        if (n != NULL && !read_kind(r, fixtures_kinds[i], n)) {
            r->fine = false;
            return;
        }
    }
}

bool fixtures_read(struct text file, int64_t now, const struct fixtures_sink *sink)
{
    struct reading r = {.sink = sink, .now = now, .fine = true};
    struct arena tree = arena_make(TREE_MAX);
    struct yaml_node *root;
    struct yaml_error error;
    if (yaml_parse_large(&tree, file, FIXTURES_FILE_MAX, &root, &error))
        read_root(&r, root);
    else
        refuse(&r, error.line, "%s", error.text);
    arena_free(&tree);
    return r.fine;
}

/* --- Writing ------------------------------------------------------------------------------------ */

/* YAML has two characters that are printable elsewhere for none. */
static bool is_plain_text(struct text t)
{
    if (!text_is_printable(t))
        return false;
    for (size_t i = 0; i + 2 < t.size; i++) {
        if (memcmp(t.data + i, "\xef\xbf\xbe", 3) == 0 ||
            memcmp(t.data + i, "\xef\xbf\xbf", 3) == 0)
            return false;
    }
    return true;
}

/* In single quotes only the quote is doubled, which is what people like to read and edit; what
 * would break a line or be seen wrongly needs double quotes, and escapes. */
static void write_quoted(struct writer *w, struct text t)
{
    bool plain = is_plain_text(t);
    write_literal(w, plain ? "'" : "\"");
    for (size_t i = 0; i < t.size;) {
        uint32_t code = 0;
        size_t length = text_utf8(t.data + i, t.size - i, &code);
        struct text one = {t.data + i, length == 0 ? 1 : length};
        if (plain && code == '\'')
            write_literal(w, "''");
        else if (!plain && (code == '"' || code == '\\'))
            write_format(w, "\\%c", (char)code);
        else if (!plain && code == '\n')
            write_literal(w, "\\n");
        else if (!plain && length == 0) /* the store gave what is no text: shown, not kept */
            write_literal(w, "\\uFFFD");
        else if (!plain && !is_plain_text(one))
            write_format(w,
                         code < 0x100     ? "\\x%02X"
                         : code < 0x10000 ? "\\u%04X"
                                          : "\\U%08X",
                         code);
        else
            write_text(w, one);
        i += one.size;
    }
    write_literal(w, plain ? "'" : "\"");
}

void fixtures_write_head(struct writer *w)
{
    write_format(w, "version: %d\n", FIXTURES_VERSION);
}

void fixtures_write_kind(struct writer *w, enum kind kind)
{
    write_format(w, "%s:\n", record_kinds[kind].name);
}

/* What is as record_make would have it anyway, or made of others, is left out. */
static bool is_needless(enum kind kind, size_t field, const struct storage_value *value)
{
    bool is_list = kind == KIND_WHITELIST || kind == KIND_BLACKLIST;
    bool is_enforce =
        (is_list && field == ENTRY_enforce) || (kind == KIND_POLICY && field == POLICY_enforce);
    return value->type == STORAGE_NULL || is_made_of_others(kind, field) ||
           (is_enforce && value->integer != 0);
}

/* A text that stands bare must be one that cannot be taken for anything else. */
static bool is_bare(enum kind kind, size_t field, const struct storage_value *value)
{
    bool bare = record_is_bare(kind, field);
    for (size_t i = 0; bare && value->type == STORAGE_TEXT && i < value->text.size; i++) {
        char c = value->text.data[i];
        bare = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c == '-' && i == 0);
    }
    return bare && (value->type != STORAGE_TEXT || value->text.size > 0);
}

void fixtures_write_record(struct writer *w, enum kind kind, const struct storage_value *values)
{
    const char *before = "- ";
    for (size_t i = 0; i < record_fields(kind); i++) {
        if (is_needless(kind, i, &values[i]))
            continue;
        write_format(w, "%s%s: ", before, record_field_name(kind, i));
        before = "  ";
        if (is_bare(kind, i, &values[i]) || values[i].type != STORAGE_TEXT)
            record_write(w, kind, i, &values[i]);
        else
            write_quoted(w, (struct text){values[i].text.data, values[i].text.size});
        write_literal(w, "\n");
    }
}
