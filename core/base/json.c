/* json.c: see json.h. */
#include "core/base/json.h"

#include <string.h>

static size_t put_unit(char *piece, unsigned unit)
{
    static const char hex[] = "0123456789abcdef";
    piece[0] = '\\';
    piece[1] = 'u';
    for (unsigned i = 0; i < 4; i++)
        piece[2 + i] = hex[unit >> (12 - 4 * i) & 15];
    return 6;
}

/* Beyond the first 65,536 characters JSON takes the two surrogates of UTF-16. */
static size_t put_code(char *piece, uint32_t code)
{
    if (code < 0x10000)
        return put_unit(piece, code);
    code -= 0x10000;
    size_t size = put_unit(piece, 0xd800 | code >> 10);
    return size + put_unit(piece + size, 0xdc00 | (code & 0x3ff));
}

/* What one character, or stray byte, becomes; *length is how much of the text it was. */
static size_t escape(struct text t, char piece[16], size_t *length)
{
    static const char hex[] = "0123456789abcdef";
    unsigned char byte = (unsigned char)t.data[0];
    uint32_t code = 0;
    *length = text_utf8(t.data, t.size, &code);
    if (*length == 0) {
        *length = 1;
        memcpy(piece, "\\\\x", 3);
        piece[3] = hex[byte >> 4];
        piece[4] = hex[byte & 15];
        return 5;
    }
    if (code == '"' || code == '\\') {
        piece[0] = '\\';
        piece[1] = (char)code;
        return 2;
    }
    /* JSON keeps blanks as they are: a value could hold fail2ban's `reject host [192.0.2.1]`. */
    if (code == '[' || !text_is_printable((struct text){t.data, *length}))
        return put_code(piece, code);
    memcpy(piece, t.data, *length);
    return *length;
}

void write_json(struct writer *w, struct text t, size_t limit)
{
    write_bytes(w, "\"", 1);
    for (size_t i = 0; i < t.size;) {
        char piece[16];
        size_t length;
        size_t size = escape((struct text){t.data + i, t.size - i}, piece, &length);
        if (size > limit)
            break;
        if (size > (size_t)(w->end - w->at)) {
            w->full = true;
            break;
        }
        write_bytes(w, piece, size);
        limit -= size;
        i += length;
    }
    write_bytes(w, "\"", 1);
}
