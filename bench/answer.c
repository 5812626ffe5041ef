/*
 * answer.c: see answer.h.
 */
#include "answer.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

static const char prefix[] = "action=";

enum { PREFIX_LENGTH = sizeof(prefix) - 1 };

static bool begins(const char *bytes, size_t length, const char *word)
{
    size_t wanted = strlen(word);
    return length >= wanted && strncasecmp(bytes, word, wanted) == 0;
}

static enum answer kind_of(const char *action, size_t length)
{
    if (begins(action, length, "DUNNO") || begins(action, length, "PREPEND ")) {
        return ANSWER_PASS;
    }
    if (begins(action, length, "DEFER")) {
        return ANSWER_DEFER;
    }
    if (length > 4 && action[0] == '4' && isdigit((unsigned char)action[1]) &&
        isdigit((unsigned char)action[2]) && action[3] == ' ') {
        return ANSWER_DEFER;
    }
    return ANSWER_OTHER;
}

enum answer answer_judge(const char *bytes, size_t length)
{
    size_t compared = length < PREFIX_LENGTH ? length : (size_t)PREFIX_LENGTH;
    if (memcmp(bytes, prefix, compared) != 0) {
        return ANSWER_MALFORMED;
    }
    const char *end = memchr(bytes, '\n', length);
    if (end == NULL) {
        return ANSWER_PARTIAL;
    }
    size_t line = (size_t)(end - bytes);
    if (length == line + 1) {
        return ANSWER_PARTIAL;
    }
    if (length != line + 2 || bytes[line + 1] != '\n' || line == PREFIX_LENGTH) {
        return ANSWER_MALFORMED;
    }
    return kind_of(bytes + PREFIX_LENGTH, line - PREFIX_LENGTH);
}

const char *answer_name(enum answer answer)
{
    static const char *const names[ANSWER_KINDS] = {"partial", "pass", "defer", "other",
                                                    "malformed"};
    return names[answer];
}
