/* text.c: see text.h. Knows nothing of what the text is for. */
#include "core/base/text.h"

#include <stdio.h>
#include <string.h>

struct text text_of(const char *terminated)
{
    return (struct text){terminated, terminated == NULL ? 0 : strlen(terminated)};
}

bool text_equal(struct text a, struct text b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

char text_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

bool text_equal_fold(struct text a, struct text b)
{
    if (a.size != b.size)
        return false;
    for (size_t i = 0; i < a.size; i++) {
        if (text_lower(a.data[i]) != text_lower(b.data[i]))
            return false;
    }
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

bool text_has(struct text t, const char *set)
{
    for (; *set != '\0'; set++) {
        if (t.size > 0 && memchr(t.data, *set, t.size) != NULL)
            return true;
    }
    return false;
}

struct text text_trim(struct text t)
{
    while (t.size > 0 && is_blank(t.data[0])) {
        t.data++;
        t.size--;
    }
    while (t.size > 0 && is_blank(t.data[t.size - 1]))
        t.size--;
    return t;
}

bool text_split(struct text *rest, char separator, struct text *part)
{
    if (rest->data == NULL)
        return false;
    const char *found = rest->size > 0 ? memchr(rest->data, separator, rest->size) : NULL;
    if (found == NULL) {
        *part = *rest;
        *rest = (struct text){NULL, 0};
        return true;
    }
    *part = (struct text){rest->data, (size_t)(found - rest->data)};
    rest->data = found + 1;
    rest->size -= part->size + 1;
    return true;
}

struct writer writer_on(char *memory, size_t size)
{
    return (struct writer){memory, memory, memory + size, false};
}

void write_bytes(struct writer *w, const char *data, size_t size)
{
    size_t room = (size_t)(w->end - w->at);
    if (size > room) {
        size = room;
        w->full = true;
    }
    if (size > 0)
        memcpy(w->at, data, size);
    w->at += size;
}

void write_text(struct writer *w, struct text t)
{
    write_bytes(w, t.data, t.size);
}

void write_literal(struct writer *w, const char *terminated)
{
    write_bytes(w, terminated, strlen(terminated));
}

void write_number(struct writer *w, int64_t number)
{
    char digits[24];
    char *at = digits + sizeof(digits);
    uint64_t left = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    do {
        *--at = (char)('0' + left % 10);
        left /= 10;
    } while (left > 0);
    if (number < 0)
        *--at = '-';
    write_bytes(w, at, (size_t)(digits + sizeof(digits) - at));
}

void write_format(struct writer *w, const char *format, ...)
{
    char piece[512];
    va_list list;
    va_start(list, format);
    int length = vsnprintf(piece, sizeof(piece), format, list);
    va_end(list);
    if (length < 0)
        return;
    if ((size_t)length >= sizeof(piece)) {
        length = (int)sizeof(piece) - 1;
        w->full = true;
    }
    write_bytes(w, piece, (size_t)length);
}

const char *writer_end(struct writer *w)
{
    if (w->at == w->end) {
        w->at--;
        w->full = true;
    }
    *w->at = '\0';
    return w->start;
}

struct text writer_text(const struct writer *w)
{
    return (struct text){w->start, (size_t)(w->at - w->start)};
}

size_t text_utf8(const char *data, size_t size, uint32_t *code)
{
    const unsigned char *u = (const unsigned char *)data;
    static const uint32_t smallest[5] = {0, 0, 0x80, 0x800, 0x10000};
    if (size == 0)
        return 0;
    if (u[0] < 0x80) {
        *code = u[0];
        return 1;
    }
    size_t length = u[0] >= 0xf0 && u[0] < 0xf5 ? 4 : u[0] >= 0xe0 ? 3 : 2;
    if (u[0] < 0xc2 || u[0] >= 0xf5 || length > size)
        return 0;
    uint32_t value = u[0] & (0x7fU >> length);
    for (size_t i = 1; i < length; i++) {
        if ((u[i] & 0xc0) != 0x80)
            return 0;
        value = value << 6 | (u[i] & 0x3fU);
    }
    if (value < smallest[length] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
        return 0;
    *code = value;
    return length;
}

/* Printable here means: it stays on its line, and moves or hides nothing beside it. */
static bool is_printable(uint32_t c)
{
    if (c < 0x20 || (c >= 0x7f && c < 0xa0))
        return false;
    if (c == 0xad || c == 0x61c || c == 0xfeff || (c >= 0xfff9 && c <= 0xfffb))
        return false;
    if ((c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
        (c >= 0x2060 && c <= 0x206f))
        return false;
    return c < 0xe0000 || c > 0xe0fff;
}

bool text_is_printable(struct text t)
{
    for (size_t i = 0; i < t.size;) {
        uint32_t code = 0;
        size_t length = text_utf8(t.data + i, t.size - i, &code);
        if (length == 0 || !is_printable(code))
            return false;
        i += length;
    }
    return true;
}

/* The ASCII characters that stand for themselves, a bit each. */
struct plain {
    uint64_t bits[2];
};

static struct plain plain_but(const char *also)
{
    struct plain p = {{UINT64_MAX << 32, UINT64_MAX >> 1}}; /* 0x20 to 0x7e */
    p.bits[1] &= ~(UINT64_C(1) << ('\\' - 64));
    for (; *also != '\0'; also++)
        p.bits[(unsigned char)*also >> 6 & 1] &= ~(UINT64_C(1) << (*also & 63));
    return p;
}

static size_t plain_run(const struct plain *p, struct text t, size_t at)
{
    size_t i = at;
    while (i < t.size && (unsigned char)t.data[i] < 0x80 &&
           (p->bits[(unsigned char)t.data[i] >> 6] >> (t.data[i] & 63) & 1) != 0)
        i++;
    return i - at;
}

/* What one character, or stray byte, becomes; *length is how much of the text it was. */
static size_t escape(struct text t, size_t at, char piece[16], size_t *length)
{
    static const char hex[] = "0123456789abcdef";
    size_t size = 0;
    uint32_t code = 0;
    *length = text_utf8(t.data + at, t.size - at, &code);
    if (*length > 1 && is_printable(code)) {
        memcpy(piece, t.data + at, *length);
        return *length;
    }
    if (code == '\\') {
        memcpy(piece, "\\\\", 2);
        return 2;
    }
    *length = *length == 0 ? 1 : *length;
    for (size_t k = 0; k < *length; k++) {
        unsigned char byte = (unsigned char)t.data[at + k];
        piece[size++] = '\\';
        piece[size++] = 'x';
        piece[size++] = hex[byte >> 4];
        piece[size++] = hex[byte & 15];
    }
    return size;
}

void write_escaped(struct writer *w, struct text t, const char *also, size_t limit)
{
    struct plain plain = plain_but(also);
    size_t written = 0;
    for (size_t i = 0; i < t.size;) {
        char piece[16];
        size_t run = plain_run(&plain, t, i);
        size_t size = run;
        size_t length = run;
        if (run == 0)
            size = escape(t, i, piece, &length);
        else if (size > limit - written)
            size = length = limit - written;
        if (size == 0 || size > limit - written)
            return;
        if (size > (size_t)(w->end - w->at)) {
            w->full = true;
            if (run > 0) /* as much of it as fits */
                write_bytes(w, t.data + i, size);
            return;
        }
        write_bytes(w, run > 0 ? t.data + i : piece, size);
        written += size;
        i += length;
    }
}

bool text_number(struct text t, int64_t *number)
{
    bool negative = t.size > 0 && t.data[0] == '-';
    size_t i = negative ? 1 : 0;
    int64_t value = 0;
    if (i == t.size)
        return false;
    for (; i < t.size; i++) {
        if (t.data[i] < '0' || t.data[i] > '9')
            return false;
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, t.data[i] - '0', &value))
            return false;
    }
    *number = negative ? -value : value;
    return true;
}

struct unit {
    const char *name;
    int64_t factor;
};

/* A number with at most three decimals and a unit; the unit "" says what a bare number means. */
static bool measure(struct text t, const struct unit *units, int64_t *result)
{
    size_t i = 0;
    int64_t value = 0;
    int64_t scale = 1;
    bool point = false;
    bool digits = false;
    for (; i < t.size && (t.data[i] == '.' || (t.data[i] >= '0' && t.data[i] <= '9')); i++) {
        if (t.data[i] == '.') {
            if (point || !digits)
                return false;
            point = true;
            continue;
        }
        if (scale == 1000 || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, t.data[i] - '0', &value))
            return false;
        scale *= point ? 10 : 1;
        digits = true;
    }
    struct text name = text_trim((struct text){t.data + i, t.size - i});
    for (const struct unit *u = units; digits && u->name != NULL; u++) {
        if (!text_equal_fold(name, text_of(u->name)))
            continue;
        if (__builtin_mul_overflow(value, u->factor, &value))
            return false;
        *result = value / scale;
        return value % scale == 0;
    }
    return false;
}

bool text_duration(struct text t, int64_t *milliseconds)
{
    static const struct unit units[] = {
        {"", 1000},     {"s", 1000},     {"ms", 1},        {"m", 60000}, {"min", 60000},
        {"h", 3600000}, {"d", 86400000}, {"w", 604800000}, {NULL, 0},
    };
    return measure(text_trim(t), units, milliseconds);
}

bool text_size(struct text t, int64_t *bytes)
{
    static const struct unit units[] = {
        {"", 1},          {"B", 1},        {"k", 1 << 10},   {"KB", 1 << 10},
        {"KiB", 1 << 10}, {"M", 1 << 20},  {"MB", 1 << 20},  {"MiB", 1 << 20},
        {"G", 1 << 30},   {"GB", 1 << 30}, {"GiB", 1 << 30}, {NULL, 0},
    };
    return measure(text_trim(t), units, bytes);
}

bool text_bool(struct text t, bool *value)
{
    static const char *const words[] = {"1", "yes", "true", "on", "0", "no", "false", "off"};
    for (size_t i = 0; i < 8; i++) {
        if (text_equal_fold(t, text_of(words[i]))) {
            *value = i < 4;
            return true;
        }
    }
    return false;
}

unsigned text_distance(struct text a, struct text b)
{
    unsigned row[64];
    if (a.size > 63 || b.size > 63)
        return 64;
    for (unsigned j = 0; j <= b.size; j++)
        row[j] = j;
    for (unsigned i = 1; i <= a.size; i++) {
        unsigned diagonal = row[0];
        row[0] = i;
        for (unsigned j = 1; j <= b.size; j++) {
            unsigned changed = diagonal + (a.data[i - 1] != b.data[j - 1]);
            diagonal = row[j];
            unsigned gap = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            row[j] = changed < gap ? changed : gap;
        }
    }
    return row[b.size];
}
