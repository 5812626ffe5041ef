/* test_instances.c: a message gets its header once, however many recipients it has. */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "core/base/hash.h"
#include "core/policy/instances.h"

static int start(void **state)
{
    *state = calloc(1, sizeof(struct instances));
    return *state != NULL && hash_start() ? 0 : -1;
}

static int stop(void **state)
{
    free(*state);
    return 0;
}

static bool first(struct instances *instances, int number)
{
    char name[32];
    snprintf(name, sizeof(name), "%x.5f3e.0", (unsigned)number);
    return instances_first(instances, text_of(name), TEXT("192.0.2.1"), TEXT("a@b"));
}

static void a_message_is_new_once(void **state)
{
    assert_true(first(*state, 1));
    assert_false(first(*state, 1));
    assert_true(first(*state, 2));
    assert_false(first(*state, 1));
    assert_false(first(*state, 2));
}

static void a_message_without_a_name_is_always_new(void **state)
{
    assert_true(instances_first(*state, TEXT(""), TEXT("192.0.2.1"), TEXT("a@b")));
    assert_true(instances_first(*state, TEXT(""), TEXT("192.0.2.1"), TEXT("a@b")));
    assert_true(instances_first(*state, (struct text){NULL, 0}, TEXT("192.0.2.1"), TEXT("a@b")));
}

/* Instances are numbered by each Postfix for itself, and used again. */
static void another_client_or_sender_is_another_message(void **state)
{
    assert_true(instances_first(*state, TEXT("1"), TEXT("192.0.2.1"), TEXT("a@b")));
    assert_true(instances_first(*state, TEXT("1"), TEXT("192.0.2.2"), TEXT("a@b")));
    assert_true(instances_first(*state, TEXT("1"), TEXT("192.0.2.1"), TEXT("")));
    assert_true(instances_first(*state, TEXT("1"), TEXT("192.0.2.1"), (struct text){"a@b", 2}));
    assert_false(instances_first(*state, TEXT("1"), TEXT("192.0.2.1"), TEXT("a@b")));
    assert_false(instances_first(*state, TEXT("1"), TEXT("192.0.2.1"), TEXT("")));
}

static void the_last_1024_are_remembered(void **state)
{
    for (int i = 0; i < INSTANCES_MAX; i++)
        assert_true(first(*state, i));
    for (int i = 0; i < INSTANCES_MAX; i++)
        assert_false(first(*state, i));
    assert_true(first(*state, INSTANCES_MAX));
    assert_false(first(*state, 1));
    assert_true(first(*state, 0));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_message_is_new_once, start, stop),
        cmocka_unit_test_setup_teardown(a_message_without_a_name_is_always_new, start, stop),
        cmocka_unit_test_setup_teardown(another_client_or_sender_is_another_message, start, stop),
        cmocka_unit_test_setup_teardown(the_last_1024_are_remembered, start, stop),
    };
    return cmocka_run_group_tests_name("instances", tests, NULL, NULL);
}
