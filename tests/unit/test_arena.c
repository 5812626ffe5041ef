/* test_arena.c: memory with a stated maximum: zeroed, aligned, apart, and never over its limit. */
#include "tests/unit/unit.h"

#include <stdalign.h>
#include <stdlib.h>

#include "core/base/arena.h"

static void pieces_are_zeroed_aligned_and_apart(void **state)
{
    struct arena arena = arena_make(1 << 20);
    unsigned char *before = NULL;
    size_t before_size = 0;
    (void)state;
    for (size_t size = 1; size < 600; size++) {
        unsigned char *piece = arena_take(&arena, size);
        assert_non_null(piece);
        assert_int_equal((uintptr_t)piece % alignof(max_align_t), 0);
        for (size_t i = 0; i < size; i++)
            assert_int_equal(piece[i], 0);
        memset(piece, (int)size, size);
        for (size_t i = 0; i < before_size; i++)
            assert_int_equal(before[i], (unsigned char)before_size);
        before = piece;
        before_size = size;
    }
    arena_free(&arena);
}

static void the_limit_holds_to_the_byte(void **state)
{
    struct arena arena = arena_make(1024);
    (void)state;
    assert_null(arena_take(&arena, 1025));
    assert_non_null(arena_take(&arena, 512));
    assert_null(arena_take(&arena, 513));
    assert_non_null(arena_take(&arena, 512));
    assert_null(arena_take(&arena, 1));
    arena_free(&arena);
}

static void a_size_near_overflow_is_refused(void **state)
{
    struct arena arena = arena_make(4096);
    (void)state;
    assert_null(arena_take(&arena, SIZE_MAX));
    assert_null(arena_take(&arena, SIZE_MAX - 14));
    assert_non_null(arena_take(&arena, 16));
    arena_free(&arena);
}

static void a_piece_larger_than_a_block_fits(void **state)
{
    struct arena arena = arena_make(1 << 20);
    (void)state;
    char *small = arena_take(&arena, 10);
    char *large = arena_take(&arena, 100000);
    char *next = arena_take(&arena, 10);
    assert_true(small != NULL && large != NULL && next != NULL);
    memset(large, 1, 100000);
    assert_int_equal(small[9] + next[0], 0);
    arena_free(&arena);
}

static void copies_are_terminated_and_need_their_end_too(void **state)
{
    struct arena arena = arena_make(16);
    (void)state;
    char *copy = arena_copy(&arena, (struct text){"abcdef", 3});
    assert_string_equal(copy, "abc");
    assert_null(arena_copy(&arena, TEXT("x")));
    arena_free(&arena);
    assert_null(arena_copy(&arena, TEXT("0123456789abcdef")));
    assert_string_equal(arena_copy(&arena, (struct text){NULL, 0}), "");
    arena_free(&arena);
}

static void a_freed_arena_can_be_used_again(void **state)
{
    struct arena arena = arena_make(64);
    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_non_null(arena_take(&arena, 64));
        assert_null(arena_take(&arena, 1));
        arena_free(&arena);
    }
    arena_free(&arena);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_zeroed_aligned_and_apart),
        cmocka_unit_test(the_limit_holds_to_the_byte),
        cmocka_unit_test(a_size_near_overflow_is_refused),
        cmocka_unit_test(a_piece_larger_than_a_block_fits),
        cmocka_unit_test(copies_are_terminated_and_need_their_end_too),
        cmocka_unit_test(a_freed_arena_can_be_used_again),
    };
    return cmocka_run_group_tests_name("arena", tests, NULL, NULL);
}
