/* fuzz_yaml.c: a YAML file is a tree within its bounds, or is refused with a reason and a line. */
#include "tests/fuzz/fuzz.h"

#include "core/base/yaml.h"

static void walk(const struct yaml_node *node, unsigned depth, unsigned lines)
{
    HOLDS(depth <= YAML_DEPTH_MAX);
    HOLDS(node->line >= 1 && node->line <= lines);
    HOLDS(node->type != YAML_SCALAR || node->child == NULL);
    HOLDS(node->scalar.size == 0 || memchr(node->scalar.data, '\0', node->scalar.size) == NULL);
    for (const struct yaml_node *n = node->child; n != NULL; n = n->next) {
        HOLDS((n->key.data != NULL) == (node->type == YAML_MAP));
        HOLDS(node->type != YAML_MAP || (n->key_line >= 1 && n->key_line <= n->line));
        walk(n, depth + 1, lines);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = arena_make(8 * YAML_FILE_MAX);
    struct yaml_node *root = NULL;
    struct yaml_error error = {0, ""};
    /* libyaml counts more characters as line ends than '\n'; none of them is shorter than a byte.
     */
    if (yaml_parse(&arena, fuzz_text(data, size), &root, &error)) {
        if (root != NULL)
            walk(root, 0, (unsigned)size + 1);
    } else {
        HOLDS(error.line >= 1 && error.text[0] != '\0');
        HOLDS(strchr(error.text, '\n') == NULL);
    }
    arena_free(&arena);
    return 0;
}
