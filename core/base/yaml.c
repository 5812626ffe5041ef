/* yaml.c: see yaml.h. The only file that knows libyaml. */
#include "core/base/yaml.h"

#include <stdio.h>
#include <string.h>
#include <yaml.h>

struct reader {
    yaml_parser_t parser;
    yaml_event_t event;
    struct arena *arena;
    struct text text;
    struct yaml_error *error;
};

static bool fail(struct reader *r, unsigned line, const char *what)
{
    r->error->line = line;
    snprintf(r->error->text, sizeof(r->error->text), "%s", what);
    return false;
}

static unsigned event_line(const struct reader *r)
{
    return (unsigned)r->event.start_mark.line + 1;
}

static bool next(struct reader *r)
{
    yaml_event_delete(&r->event);
    if (yaml_parser_parse(&r->parser, &r->event) == 1)
        return true;
    memset(&r->event, 0, sizeof(r->event));
    unsigned line = (unsigned)r->parser.problem_mark.line + 1;
    /* Of bytes that are no characters libyaml tells the place only. */
    for (size_t i = 0;
         r->parser.error == YAML_READER_ERROR && i < r->parser.problem_offset && i < r->text.size;
         i++)
        line += r->text.data[i] == '\n';
    return fail(r, line, r->parser.problem != NULL ? r->parser.problem : "is not YAML");
}

static struct yaml_node *node_make(struct reader *r, enum yaml_type type)
{
    struct yaml_node *node = arena_take(r->arena, sizeof(*node));
    if (node == NULL) {
        fail(r, event_line(r), "too much in one file");
        return NULL;
    }
    node->type = type;
    node->line = event_line(r);
    return node;
}

static bool copy_scalar(struct reader *r, struct text *out)
{
    const char *data = (const char *)r->event.data.scalar.value;
    struct text t = {data, r->event.data.scalar.length};
    if (t.size > 0 && memchr(data, '\0', t.size) != NULL)
        return fail(r, event_line(r), "a value holds a NUL character");
    out->data = arena_copy(r->arena, t);
    out->size = t.size;
    return out->data != NULL || fail(r, event_line(r), "too much in one file");
}

static bool read_node(struct reader *r, unsigned depth, struct yaml_node **out);

/* The event that opened the list or map is current; reads to the one that closes it. */
static bool read_children(struct reader *r, struct yaml_node *parent, unsigned depth)
{
    struct yaml_node **link = &parent->child;
    unsigned keys = 0;
    for (;;) {
        struct text key = {NULL, 0};
        if (!next(r))
            return false;
        unsigned line = event_line(r);
        if (r->event.type == YAML_SEQUENCE_END_EVENT || r->event.type == YAML_MAPPING_END_EVENT)
            return true;
        if (parent->type == YAML_MAP) {
            if (r->event.type != YAML_SCALAR_EVENT)
                return fail(r, line, "a key must be a plain word");
            if (!copy_scalar(r, &key) || !next(r))
                return false;
        }
        if (!read_node(r, depth + 1, link))
            return false;
        (*link)->key = key;
        (*link)->key_line = line;
        if (key.data != NULL && ++keys > YAML_KEYS_MAX)
            return fail(r, line, "too many keys in one group");
        for (struct yaml_node *n = parent->child; key.data != NULL && n != *link; n = n->next) {
            if (text_equal(n->key, key))
                return fail(r, line, "a key stands twice in one group");
        }
        link = &(*link)->next;
    }
}

static bool read_node(struct reader *r, unsigned depth, struct yaml_node **out)
{
    if (depth > YAML_DEPTH_MAX)
        return fail(r, event_line(r), "nested too deeply");
    if (r->event.type == YAML_SCALAR_EVENT) {
        if (r->event.data.scalar.anchor != NULL || r->event.data.scalar.tag != NULL)
            return fail(r, event_line(r), "anchors and tags are not read here");
        *out = node_make(r, YAML_SCALAR);
        if (*out == NULL)
            return false;
        (*out)->quoted = r->event.data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
        return copy_scalar(r, &(*out)->scalar);
    }
    bool list = r->event.type == YAML_SEQUENCE_START_EVENT;
    if (!list && r->event.type != YAML_MAPPING_START_EVENT)
        return fail(r, event_line(r), "aliases (*name) are not read here");
    const void *anchor =
        list ? r->event.data.sequence_start.anchor : r->event.data.mapping_start.anchor;
    const void *tag = list ? r->event.data.sequence_start.tag : r->event.data.mapping_start.tag;
    if (anchor != NULL || tag != NULL)
        return fail(r, event_line(r), "anchors and tags are not read here");
    *out = node_make(r, list ? YAML_LIST : YAML_MAP);
    return *out != NULL && read_children(r, *out, depth);
}

static bool read_document(struct reader *r, struct yaml_node **root)
{
    if (!next(r) || !next(r)) /* stream start; document start or stream end */
        return false;
    if (r->event.type == YAML_STREAM_END_EVENT)
        return true;
    if (!next(r) || !read_node(r, 0, root) || !next(r) || !next(r))
        return false;
    return r->event.type == YAML_STREAM_END_EVENT ||
           fail(r, event_line(r), "more than one document in the file");
}

bool yaml_parse(struct arena *arena, struct text t, struct yaml_node **root,
                struct yaml_error *error)
{
    return yaml_parse_large(arena, t, YAML_FILE_MAX, root, error);
}

bool yaml_parse_large(struct arena *arena, struct text t, size_t most, struct yaml_node **root,
                      struct yaml_error *error)
{
    struct reader r = {.arena = arena, .text = t, .error = error};
    *root = NULL;
    *error = (struct yaml_error){0, ""};
    if (t.size > most) {
        char what[64];
        snprintf(what, sizeof(what), "is larger than %zu MiB", most / (1024 * 1024));
        return fail(&r, 1, what);
    }
    if (yaml_parser_initialize(&r.parser) != 1)
        return fail(&r, 1, "out of memory");
    const char *data = t.size > 0 ? t.data : "";
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)data, t.size);
    bool fine = read_document(&r, root);
    yaml_event_delete(&r.event);
    yaml_parser_delete(&r.parser);
    /* An empty value is a plain scalar of no size: a document of nothing else is an empty one. */
    if (fine && *root != NULL && (*root)->type == YAML_SCALAR && (*root)->scalar.size == 0)
        *root = NULL;
    return fine;
}
