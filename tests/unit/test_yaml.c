/* test_yaml.c: a YAML file as a tree that knows its lines, and what it refuses to be. */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "core/base/yaml.h"

struct read {
    struct arena arena;
    struct yaml_node *root;
    struct yaml_error error;
    bool fine;
};

static struct read read_yaml(struct text t)
{
    struct read r = {.arena = arena_make(8 * YAML_FILE_MAX)};
    r.fine = yaml_parse(&r.arena, t, &r.root, &r.error);
    return r;
}

static const struct yaml_node *child(const struct yaml_node *node, const char *key)
{
    for (const struct yaml_node *n = node->child; n != NULL; n = n->next) {
        if (text_equal(n->key, text_of(key)))
            return n;
    }
    fail_msg("no key %s", key);
    return NULL;
}

static void a_tree_knows_its_lines(void **state)
{
    static const char file[] = "# a comment\n"
                               "host: 127.0.0.1\n"
                               "group:\n"
                               "  number: 12\n"
                               "  word: \"no\"\n"
                               "  list:\n"
                               "    - a\n"
                               "    - 'b c'\n"
                               "  flow: [x, y]\n"
                               "empty:\n"
                               "late:\n"
                               "  value\n";
    struct read r = read_yaml(text_of(file));
    (void)state;
    assert_true(r.fine);
    assert_int_equal(r.root->type, YAML_MAP);
    const struct yaml_node *host = child(r.root, "host");
    expect_text(host->scalar, "127.0.0.1");
    assert_int_equal(host->line, 2);
    assert_int_equal(host->key_line, 2);
    assert_false(host->quoted);
    const struct yaml_node *group = child(r.root, "group");
    assert_int_equal(group->key_line, 3);
    assert_int_equal(child(group, "number")->line, 4);
    assert_true(child(group, "word")->quoted);
    const struct yaml_node *list = child(group, "list");
    assert_int_equal(list->type, YAML_LIST);
    assert_int_equal(list->key_line, 6);
    assert_int_equal(list->child->line, 7);
    expect_text(list->child->next->scalar, "b c");
    assert_int_equal(list->child->next->line, 8);
    assert_null(list->child->next->next);
    expect_text(child(group, "flow")->child->next->scalar, "y");
    assert_int_equal(child(r.root, "empty")->scalar.size, 0);
    assert_int_equal(child(r.root, "late")->line, 12);
    assert_int_equal(child(r.root, "late")->key_line, 11);
    arena_free(&r.arena);
}

static void nothing_at_all_is_an_empty_document(void **state)
{
    static const char *const rows[] = {"",      "\n",         "# only a comment\n",
                                       "---\n", "---\n...\n", "\n\n  \n"};
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct read r = read_yaml(text_of(rows[i]));
        CHECK_ROW(r.fine && r.root == NULL, "%zu: %s", i, r.error.text);
        arena_free(&r.arena);
    }
    struct read r = read_yaml((struct text){NULL, 0});
    assert_true(r.fine && r.root == NULL);
    arena_free(&r.arena);
}

static void each_fault_has_its_line(void **state)
{
    static const struct {
        const char *text;
        unsigned line;
        const char *what;
    } rows[] = {
        {"a: 1\na: 2\n", 2, "a key stands twice in one group"},
        {"g:\n  a: 1\n  b: 2\n  a: 3\n", 4, "a key stands twice in one group"},
        {"a: &x 1\n", 1, "anchors and tags are not read here"},
        {"a: 1\nb: &x [1]\n", 2, "anchors and tags are not read here"},
        {"a: &x {b: 1}\n", 1, "anchors and tags are not read here"},
        {"a: !!str 1\n", 1, "anchors and tags are not read here"},
        {"a: !x [1]\n", 1, "anchors and tags are not read here"},
        {"a: *x\n", 1, "aliases (*name) are not read here"},
        {"? [a, b]\n: 1\n", 1, "a key must be a plain word"},
        {"*x : 1\n", 1, "a key must be a plain word"},
        {"a: 1\n---\nb: 2\n", 2, "more than one document in the file"},
        {"a: \"x\\0y\"\n", 1, "a value holds a NUL character"},
        {"\"a\\0b\": 1\n", 1, "a value holds a NUL character"},
        {"a: [1, 2\n", 2, NULL},
        {"a: 'x\n", 2, NULL},
        {"a: 1\n b: 2\n", 2, NULL},
        {"a: 1\n\tb: 2\n", 2, NULL},
        {"a: }\n", 1, NULL},
        {"a: b: c\n", 1, NULL},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct read r = read_yaml(text_of(rows[i].text));
        CHECK_ROW(!r.fine && r.error.text[0] != '\0', "%s", rows[i].text);
        CHECK_ROW(r.error.line == rows[i].line, "%s: line %u", rows[i].text, r.error.line);
        CHECK_ROW(rows[i].what == NULL || strcmp(r.error.text, rows[i].what) == 0, "%s: %s",
                  rows[i].text, r.error.text);
        arena_free(&r.arena);
    }
}

/* The reader's own faults have no place in the scanner: they, too, must name the line. */
static void bytes_that_are_no_utf8_are_refused_with_their_line(void **state)
{
    struct read r = read_yaml(TEXT("a: 1\nb: 2\nc: \xff\n"));
    (void)state;
    assert_false(r.fine);
    assert_true(r.error.text[0] != '\0');
    assert_int_equal(r.error.line, 3);
    arena_free(&r.arena);
}

static struct read nested(unsigned depth)
{
    char text[128];
    memset(text, '[', depth);
    memset(text + depth, ']', depth);
    return read_yaml((struct text){text, 2 * depth});
}

static void depth_ends_at_its_limit(void **state)
{
    (void)state;
    struct read fits = nested(YAML_DEPTH_MAX + 1);
    assert_true(fits.fine);
    arena_free(&fits.arena);
    struct read deep = nested(YAML_DEPTH_MAX + 2);
    assert_false(deep.fine);
    assert_string_equal(deep.error.text, "nested too deeply");
    arena_free(&deep.arena);
}

static void size_ends_at_its_limit(void **state)
{
    char *file = malloc(YAML_FILE_MAX + 1);
    (void)state;
    assert_non_null(file);
    memset(file, '\n', YAML_FILE_MAX + 1);
    struct read fits = read_yaml((struct text){file, YAML_FILE_MAX});
    assert_true(fits.fine && fits.root == NULL);
    arena_free(&fits.arena);
    struct read large = read_yaml((struct text){file, YAML_FILE_MAX + 1});
    assert_false(large.fine);
    assert_string_equal(large.error.text, "is larger than 1 MiB");
    arena_free(&large.arena);
    free(file);
}

static void too_little_memory_is_said(void **state)
{
    (void)state;
    for (size_t limit = 0; limit < 800; limit += 16) {
        struct arena arena = arena_make(limit);
        struct yaml_node *root;
        struct yaml_error error;
        if (!yaml_parse(&arena, TEXT("a: [b, c]\nd: {e: f}\n"), &root, &error))
            assert_string_equal(error.text, "too much in one file");
        arena_free(&arena);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tree_knows_its_lines),
        cmocka_unit_test(nothing_at_all_is_an_empty_document),
        cmocka_unit_test(each_fault_has_its_line),
        cmocka_unit_test(bytes_that_are_no_utf8_are_refused_with_their_line),
        cmocka_unit_test(depth_ends_at_its_limit),
        cmocka_unit_test(size_ends_at_its_limit),
        cmocka_unit_test(too_little_memory_is_said),
    };
    return cmocka_run_group_tests_name("yaml", tests, NULL, NULL);
}
