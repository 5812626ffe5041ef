/*
 * fuzz.h: what the fuzzers share. Each fuzz_NAME.c is one function: libFuzzer calls it with what it
 * made up, replay.c with the files of tests/fuzz/corpus/NAME.
 */
#ifndef MONGREY_FUZZ_H
#define MONGREY_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A property that must hold whatever the input is. */
#define HOLDS(condition)                                                                         \
    do {                                                                                         \
        if (!(condition)) {                                                                      \
            (void)fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                                             \
        }                                                                                        \
    } while (0)

static inline struct text fuzz_text(const uint8_t *data, size_t size)
{
    return (struct text){(const char *)data, size};
}

static inline bool fuzz_has(struct text where, struct text what)
{
    return what.size == 0 || (where.size >= what.size &&
                              memmem(where.data, where.size, what.data, what.size) != NULL);
}

/* Whether every character is well-formed, and none could move, hide or end what stands beside it.
 */
static inline bool fuzz_is_printable(struct text t)
{
    for (size_t i = 0; i < t.size;) {
        uint32_t c = 0;
        size_t length = text_utf8(t.data + i, t.size - i, &c);
        bool bad = length == 0 || c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0xfeff ||
                   (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
        if (bad)
            return false;
        i += length;
    }
    return true;
}

#endif
