/* test_id.c: ids of decisions: unique, sortable, and right whatever the clock does. */
#include "tests/unit/unit.h"

#include "core/base/hash.h"
#include "core/base/id.h"

#define MILLION 1000000
#define T0 INT64_C(1700000000000)

static int start(void **state)
{
    (void)state;
    return hash_start() ? 0 : -1;
}

static void expect_digits(const char *id)
{
    assert_int_equal(strlen(id), ID_SIZE);
    assert_int_equal(strspn(id, "0123456789abcdefghjkmnpqrstvwxyz"), ID_SIZE);
}

/* The form is what people paste into `explain`: it must not change. */
static void the_bits_stand_where_they_are_said_to_stand(void **state)
{
    struct id_maker maker = {.process = 0xffff};
    char id[ID_SIZE + 1];
    (void)state;
    id_make(&maker, 1, id);
    assert_string_equal(id, "000000003zzz0000");
    maker = (struct id_maker){.process = 0};
    id_make(&maker, (INT64_C(1) << 44) - 1, id);
    assert_string_equal(id, "zzzzzzzzy0000000");
    maker = (struct id_maker){.process = 1};
    id_make(&maker, T0, id);
    id_make(&maker, T0, id);
    expect_digits(id);
    assert_string_equal(id + 11, "10001");
}

static void a_million_in_one_millisecond_are_unique_and_sorted(void **state)
{
    struct id_maker maker;
    char before[ID_SIZE + 1] = "";
    char id[ID_SIZE + 1];
    (void)state;
    id_start(&maker);
    for (int i = 0; i < MILLION + 200000; i++) {
        id_make(&maker, T0, id);
        CHECK_ROW(strcmp(before, id) < 0, "%d: %s, %s", i, before, id);
        memcpy(before, id, sizeof(id));
    }
    expect_digits(id);
}

static void a_clock_set_back_keeps_ids_unique_and_sorted(void **state)
{
    static const int64_t clock[] = {T0,     T0 + 5, T0 + 5, T0 - 3600000, T0 - 3600000, 0,     -1,
                                    T0 + 4, T0 + 5, T0 + 6, T0 + 6,       INT64_MIN,    T0 + 7};
    struct id_maker maker;
    char before[ID_SIZE + 1] = "";
    char id[ID_SIZE + 1];
    (void)state;
    id_start(&maker);
    for (size_t i = 0; i < COUNT(clock); i++) {
        id_make(&maker, clock[i], id);
        CHECK_ROW(strcmp(before, id) < 0, "%zu: %s, %s", i, before, id);
        memcpy(before, id, sizeof(id));
    }
}

static void a_maker_can_begin_at_the_epoch(void **state)
{
    struct id_maker maker;
    char first[ID_SIZE + 1];
    char second[ID_SIZE + 1];
    (void)state;
    id_start(&maker);
    id_make(&maker, 0, first);
    id_make(&maker, 0, second);
    expect_digits(first);
    assert_true(strcmp(first, second) < 0);
}

/* Two processes in one millisecond: 16 random bits keep them apart nearly always. */
static void makers_differ(void **state)
{
    char first[ID_SIZE + 1];
    int same = 0;
    (void)state;
    for (int i = 0; i < 64; i++) {
        struct id_maker maker;
        char id[ID_SIZE + 1];
        id_start(&maker);
        id_make(&maker, T0, id);
        same += i > 0 && strcmp(first, id) == 0;
        memcpy(first, id, sizeof(id));
    }
    assert_true(same <= 1);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_bits_stand_where_they_are_said_to_stand),
        cmocka_unit_test(a_million_in_one_millisecond_are_unique_and_sorted),
        cmocka_unit_test(a_clock_set_back_keeps_ids_unique_and_sorted),
        cmocka_unit_test(a_maker_can_begin_at_the_epoch),
        cmocka_unit_test(makers_differ),
    };
    return cmocka_run_group_tests_name("id", tests, start, NULL);
}
