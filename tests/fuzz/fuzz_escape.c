/* fuzz_escape.c: what is escaped is printable UTF-8, keeps to its limit, and can be turned back
 * into what it was, so that no two texts look alike. */
#include "tests/fuzz/fuzz.h"

static int digit(char c)
{
    return c <= '9' ? c - '0' : c - 'a' + 10;
}

static size_t turn_back(struct text t, char *out)
{
    size_t size = 0;
    for (size_t i = 0; i < t.size; i++) {
        char c = t.data[i];
        if (c == '\\') {
            HOLDS(i + 1 < t.size);
            c = t.data[++i];
            HOLDS(c == '\\' || c == 'x');
            if (c == 'x') {
                HOLDS(i + 2 < t.size);
                c = (char)(digit(t.data[i + 1]) * 16 + digit(t.data[i + 2]));
                i += 2;
            }
        }
        out[size++] = c;
    }
    return size;
}

static void expect_escaped(struct text t, const char *also, size_t limit, size_t room)
{
    char *memory = malloc(room + 1);
    char *back = malloc(room + 1);
    HOLDS(memory != NULL && back != NULL);
    struct writer w = writer_on(memory, room);
    write_escaped(&w, t, also, limit);
    struct text out = writer_text(&w);
    HOLDS(out.size <= limit && out.size <= room);
    HOLDS(fuzz_is_printable(out));
    for (const char *c = also; *c != '\0'; c++)
        HOLDS(memchr(out.data, *c, out.size) == NULL);
    size_t size = turn_back(out, back);
    HOLDS(size <= t.size && (size == 0 || memcmp(back, t.data, size) == 0));
    HOLDS(size == t.size || out.size + 16 > limit || out.size + 16 > room);
    HOLDS(size == t.size || w.full || out.size + 16 > limit);
    free(back);
    free(memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct text t = fuzz_text(data, size);
    expect_escaped(t, "", 4 * size, 4 * size);
    expect_escaped(t, " ,", 300, 2048);
    expect_escaped(t, " ,:", 4 * size, size / 2);
    return 0;
}
