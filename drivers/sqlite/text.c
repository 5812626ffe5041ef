/* text.c: how STARTS and CONTAINS look at a text. SQLite's own lower() and instr() would copy each text
 * of each row that a search walks over, and its LIKE has signs of its own. */
#include <stddef.h>

#include "drivers/sqlite/sqlite.h"

static unsigned char fold(unsigned char c)
{
    return c >= 'A' && c <= 'Z' ? (unsigned char)(c - 'A' + 'a') : c;
}

static bool is_alike(const unsigned char *a, const unsigned char *b, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (fold(a[i]) != fold(b[i]))
            return false;
    }
    return true;
}

/* False: an argument is NULL. */
static bool read_both(sqlite3_value **arguments, const unsigned char *texts[2], size_t sizes[2])
{
    for (int i = 0; i < 2; i++) {
        texts[i] = sqlite3_value_text(arguments[i]);
        sizes[i] = (size_t)sqlite3_value_bytes(arguments[i]);
        if (texts[i] == NULL)
            return false;
    }
    return true;
}

static void starts(sqlite3_context *context, int count, sqlite3_value **arguments)
{
    const unsigned char *texts[2];
    size_t sizes[2];
    (void)count;
    if (read_both(arguments, texts, sizes))
        sqlite3_result_int(context, sizes[0] >= sizes[1] && is_alike(texts[0], texts[1], sizes[1]));
}

static void contains(sqlite3_context *context, int count, sqlite3_value **arguments)
{
    const unsigned char *texts[2];
    size_t sizes[2];
    bool found = false;
    (void)count;
    if (!read_both(arguments, texts, sizes))
        return;
    unsigned char first = sizes[1] > 0 ? fold(texts[1][0]) : 0;
    for (size_t at = 0; !found && at + sizes[1] <= sizes[0]; at++)
        found = sizes[1] == 0 ||
                (fold(texts[0][at]) == first && is_alike(texts[0] + at, texts[1], sizes[1]));
    sqlite3_result_int(context, found);
}

int text_functions(sqlite3 *sqlite)
{
    int flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY;
    int code =
        sqlite3_create_function_v2(sqlite, "text_starts", 2, flags, NULL, starts, NULL, NULL, NULL);
    if (code != SQLITE_OK)
        return code;
    return sqlite3_create_function_v2(sqlite, "text_contains", 2, flags, NULL, contains, NULL, NULL,
                                      NULL);
}
