/* unit.h: what every unit test needs: cmocka in its order, and a few words over it. */
#ifndef MONGREY_UNIT_H
#define MONGREY_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "core/base/text.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define UNIT_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define UNIT_SANITIZED 1
#endif
#endif
#ifndef UNIT_SANITIZED
#define UNIT_SANITIZED 0
#endif

/* Names the row of a table that is wrong before the test ends; `...` is a format and its values. */
#define CHECK_ROW(condition, ...)     \
    do {                              \
        if (!(condition)) {           \
            print_error("in row: ");  \
            print_error(__VA_ARGS__); \
            print_error("\n");        \
            assert_true(condition);   \
        }                             \
    } while (0)

static inline void expect_text(struct text found, const char *wanted)
{
    if (found.size != strlen(wanted) || (found.size > 0 && memcmp(found.data, wanted, found.size)))
        fail_msg("\"%.*s\" is not \"%s\"", (int)found.size, found.size > 0 ? found.data : "",
                 wanted);
}

#endif
