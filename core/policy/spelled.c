/* spelled.c: see spelled.h. */
#include "core/policy/spelled.h"

#include <string.h>

#include "core/policy/request.h"

static bool is_separator(char c)
{
    return c == ' ' || c == ',' || c == '\t';
}

/* The length of `name=` at `at`, 0 where there is none. */
static size_t name_at(struct text line, size_t at)
{
    size_t i = at;
    while (i < line.size && ((line.data[i] >= 'a' && line.data[i] <= 'z') || line.data[i] == '_'))
        i++;
    return i > at && i < line.size && line.data[i] == '=' ? i - at + 1 : 0;
}

/* Where the value that begins at `at` ends: before the separators in front of the next name. */
static size_t value_end(struct text line, size_t at)
{
    size_t end = line.size;
    for (size_t i = at; i < line.size; i++) {
        if (is_separator(line.data[i]) && i + 1 < line.size && name_at(line, i + 1) > 0) {
            end = i;
            break;
        }
    }
    while (end > at && is_separator(line.data[end - 1]))
        end--;
    return end;
}

static bool is_known(struct text name)
{
    for (int i = 0; i < ATTRIBUTES; i++) {
        if (i != ATTRIBUTE_request && text_equal(name, text_of(attribute_names[i])))
            return true;
    }
    return false;
}

bool spelled_write(struct text line, struct writer *out)
{
    unsigned items = 0;
    if (line.size > 0 && memchr(line.data, '\n', line.size) != NULL)
        return false;
    write_literal(out, "request=smtpd_access_policy\n");
    for (size_t i = 0; i < line.size;) {
        size_t name = i == 0 || is_separator(line.data[i - 1]) ? name_at(line, i) : 0;
        if (name == 0) {
            i++;
            continue;
        }
        size_t end = value_end(line, i + name);
        struct text key = {line.data + i, name - 1};
        if (is_known(key)) {
            write_text(out, (struct text){line.data + i, end - i});
            write_literal(out, "\n");
            items++;
        }
        i = end > i + name ? end : i + name;
    }
    write_literal(out, "protocol_state=RCPT\n\n"); /* of two the first holds */
    return items > 0 && !out->full;
}
