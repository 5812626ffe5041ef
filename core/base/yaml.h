/* yaml.h: a YAML file as a tree that knows its lines. Anchors, aliases and tags are refused, so a
 * small file is a small tree. */
#ifndef MONGREY_YAML_H
#define MONGREY_YAML_H

#include "core/base/arena.h"
#include "core/base/text.h"

#define YAML_FILE_MAX (1024 * 1024)
#define YAML_DEPTH_MAX 16
#define YAML_KEYS_MAX 1024 /* of one map; lists have no such bound */

enum yaml_type { YAML_SCALAR, YAML_LIST, YAML_MAP };

struct yaml_node {
    enum yaml_type type;
    bool quoted; /* a scalar in quotes: `"no"` is a word, `no` is a bool */
    unsigned line;
    struct text scalar;
    struct text key;         /* this node's name, in a map */
    unsigned key_line;       /* where that name stands */
    struct yaml_node *child; /* first of a list or map */
    struct yaml_node *next;  /* in the same list or map */
};

struct yaml_error {
    unsigned line;
    char text[160];
};

/* One document; *root is NULL for an empty one. The tree lives in the arena. */
bool yaml_parse(struct arena *arena, struct text t, struct yaml_node **root,
                struct yaml_error *error);
/* The same for a text of up to `most` bytes; the arena must be as much larger. */
bool yaml_parse_large(struct arena *arena, struct text t, size_t most, struct yaml_node **root,
                      struct yaml_error *error);

#endif
