/* pattern.c: see pattern.h. The only file that knows PCRE2.
 *
 * PCRE2's match limit counts backtracks from one starting point and begins anew at the next, so it
 * is the limit times the starting points that bounds a match. A loop over one character is not
 * counted at all: there it is the text's size times the starting points, or times the backtracks. */
#include "core/base/pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define NEST_MAX 32
/* A backtrack costs 10 to 25 ns, and then perhaps a loop over the text. */
#define STEPS_IN_ALL 4000U
#define STEPS_BY_SIZE_MAX (4000U * 96U)
#define STEPS_AT_FIRST 24U
#define SIZE_BY_STARTS_MAX (256U * 256U)
#define DEPTH_MAX 4000U
#define HEAP_KIB 512U

struct pattern_room {
    pcre2_match_context *context;
    pcre2_match_data *data;
};

/* Only a wrapper by name: what is behind the pointer is PCRE2's. */
static const pcre2_code *code_of(const struct pattern *pattern)
{
    return (const pcre2_code *)(const void *)pattern;
}

static void say(char *why, size_t why_size, const char *what, const char *detail, size_t at)
{
    struct writer w = writer_on(why, why_size);
    write_literal(&w, what);
    write_literal(&w, detail);
    if (*detail != '\0') {
        write_literal(&w, " at byte ");
        write_number(&w, (int64_t)at);
    }
    (void)writer_end(&w);
}

static pcre2_compile_context *context;

static void make_context(void)
{
    context = pcre2_compile_context_create(NULL);
    if (context != NULL)
        (void)pcre2_set_parens_nest_limit(context, NEST_MAX);
}

struct pattern *pattern_compile(struct text written, char *why, size_t why_size)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    PCRE2_UCHAR message[PATTERN_WHY_MAX];
    int error = 0;
    PCRE2_SIZE at = 0;
    size_t size = 0;
    if (written.size == 0 || written.size > PATTERN_MAX) {
        say(why, why_size, written.size == 0 ? "is empty" : "is over 512 bytes", "", 0);
        return NULL;
    }
    (void)pthread_once(&once, make_context);
    pcre2_code *code = NULL;
    if (context != NULL)
        code = pcre2_compile((PCRE2_SPTR)written.data, written.size,
                             PCRE2_CASELESS | PCRE2_UTF | PCRE2_MATCH_INVALID_UTF |
                                 PCRE2_NEVER_BACKSLASH_C,
                             &error, &at, context);
    if (code == NULL) {
        (void)pcre2_get_error_message(error, message, sizeof(message));
        say(why, why_size,
            "is no regular expression: ", context == NULL ? "out of memory" : (const char *)message,
            at);
        return NULL;
    }
    if (pcre2_pattern_info(code, PCRE2_INFO_SIZE, &size) != 0 || size > PATTERN_BYTES_MAX) {
        pcre2_code_free(code);
        say(why, why_size, "repeats too much: it is too big when compiled", "", 0);
        return NULL;
    }
    return (struct pattern *)(void *)code;
}

void pattern_free(struct pattern *pattern)
{
    pcre2_code_free((pcre2_code *)(void *)pattern);
}

size_t pattern_bytes(const struct pattern *pattern)
{
    size_t size = 0;
    (void)pcre2_pattern_info(code_of(pattern), PCRE2_INFO_SIZE, &size);
    return size;
}

struct pattern_room *pattern_room_make(void)
{
    struct pattern_room *room = calloc(1, sizeof(*room));
    if (room == NULL)
        return NULL;
    room->context = pcre2_match_context_create(NULL);
    room->data = pcre2_match_data_create(1, NULL);
    if (room->context == NULL || room->data == NULL) {
        pattern_room_free(room);
        return NULL;
    }
    (void)pcre2_set_depth_limit(room->context, DEPTH_MAX);
    (void)pcre2_set_heap_limit(room->context, HEAP_KIB);
    return room;
}

void pattern_room_free(struct pattern_room *room)
{
    if (room == NULL)
        return;
    pcre2_match_data_free(room->data);
    pcre2_match_context_free(room->context);
    free(room);
}

/* At most how many starting points PCRE2 tries: what it knows of a match's first byte is looked up
 * in the text. */
static unsigned starts(const pcre2_code *code, struct text text)
{
    uint32_t options = 0;
    uint32_t type = 0;
    uint32_t first = 0;
    const uint8_t *bitmap = NULL;
    unsigned count = 1;
    (void)pcre2_pattern_info(code, PCRE2_INFO_ALLOPTIONS, &options);
    (void)pcre2_pattern_info(code, PCRE2_INFO_FIRSTCODETYPE, &type);
    (void)pcre2_pattern_info(code, PCRE2_INFO_FIRSTCODEUNIT, &first);
    (void)pcre2_pattern_info(code, PCRE2_INFO_FIRSTBITMAP, (void *)&bitmap);
    if ((options & PCRE2_ANCHORED) != 0)
        return 1;
    for (size_t i = 0; i < text.size; i++) {
        unsigned char byte = (unsigned char)text.data[i];
        if (type == 1)
            count += (byte | 0x20) == (first | 0x20) || byte >= 0x80;
        else if (type == 2)
            count += byte == '\n' || byte == '\r' || byte >= 0x80;
        else
            count += bitmap == NULL || (bitmap[byte / 8] >> byte % 8 & 1) != 0;
    }
    return count;
}

static int run(const pcre2_code *code, struct text text, uint32_t steps, struct pattern_room *room)
{
    (void)pcre2_set_match_limit(room->context, steps);
    return pcre2_match(code, (PCRE2_SPTR)text.data, text.size, 0, 0, room->data, room->context);
}

static uint32_t steps_for(size_t size, unsigned many)
{
    uint32_t steps = STEPS_BY_SIZE_MAX / (uint32_t)(size + 1);
    steps = (steps < STEPS_IN_ALL ? steps : STEPS_IN_ALL) / many;
    return steps > STEPS_AT_FIRST ? steps : STEPS_AT_FIRST;
}

enum pattern_answer pattern_match(const struct pattern *pattern, struct text text,
                                  struct pattern_room *room)
{
    const pcre2_code *code = code_of(pattern);
    if (text.size > PATTERN_TEXT_MAX)
        return PATTERN_GAVE_UP;
    if (text.data == NULL)
        text = TEXT("");
    unsigned many = 0;
    bool more = true; /* steps: in a long text with many starts each may be a loop over it */
    if (text.size > 256) {
        many = starts(code, text);
        more = many * text.size <= SIZE_BY_STARTS_MAX;
    }
    /* Nearly all end within the first few steps; only for the others are the starts counted. */
    int rc = run(code, text, STEPS_AT_FIRST, room);
    if (rc == PCRE2_ERROR_MATCHLIMIT && more) {
        many = many > 0 ? many : starts(code, text);
        rc = run(code, text, steps_for(text.size, many), room);
    }
    if (rc >= 0)
        return PATTERN_YES;
    return rc == PCRE2_ERROR_NOMATCH ? PATTERN_NO : PATTERN_GAVE_UP;
}

bool pattern_matches_all(const struct pattern *pattern, struct pattern_room *room)
{
    static const char *const odd[] = {"a",        "0",     "-",   "~",          "[]",
                                      "\xc3\xa9", "q0.zx", "_@x", "\"v w\"@[9]"};
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        if (pattern_match(pattern, text_of(odd[i]), room) != PATTERN_YES)
            return false;
    }
    return true;
}

size_t pattern_fold(struct text text, char *folded)
{
    size_t size = 0;
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        if (c == '\xc5' && i + 1 < text.size && text.data[i + 1] == '\xbf') {
            c = 's';
            i++;
        } else if (c == '\xe2' && i + 2 < text.size && text.data[i + 1] == '\x84' &&
                   text.data[i + 2] == '\xaa') {
            c = 'k';
            i += 2;
        }
        folded[size++] = text_lower(c);
    }
    return size;
}

/* --- Literals -------------------------------------------------------------------------------------
 * One walk over the pattern. What it does not know for certain ends it: then there is no literal,
 * and the pattern is only slower. */

struct walk {
    struct text left;
    char *out;
    size_t size; /* of all that is ended */
    size_t run;  /* of what follows it */
};

static char peek(const struct walk *w, size_t ahead)
{
    return ahead < w->left.size ? w->left.data[ahead] : '\0';
}

static void skip(struct walk *w, size_t size)
{
    size = size < w->left.size ? size : w->left.size;
    w->left.data += size;
    w->left.size -= size;
}

static void end_run(struct walk *w)
{
    if (w->run >= PATTERN_LITERAL_MIN) {
        w->out[w->size + w->run] = '\0';
        w->size += w->run + 1;
    }
    w->run = 0;
}

static bool is_one_of(char c, const char *set)
{
    return c != '\0' && strchr(set, c) != NULL;
}

/* A class, from its `[`. */
static bool skip_class(struct walk *w)
{
    skip(w, peek(w, 1) == '^' ? 2 : 1);
    if (peek(w, 0) == ']')
        skip(w, 1);
    while (w->left.size > 0 && peek(w, 0) != ']') {
        size_t size = peek(w, 0) == '\\' ? 2 : 1;
        if (peek(w, 0) == '[') { /* [:alpha:]; any other bracket is left alone */
            if (is_one_of(peek(w, 1), ".=<"))
                return false;
            for (size_t i = 2; peek(w, 1) == ':' && i + 1 < w->left.size; i++) {
                if (peek(w, i) == ':' && peek(w, i + 1) == ']')
                    size = i + 2;
                if (size > 1 || is_one_of(peek(w, i), "]\\"))
                    break;
            }
        }
        skip(w, size);
    }
    bool closed = w->left.size > 0;
    skip(w, 1);
    return closed;
}

/* An escape that is no literal character, and takes no parameter. */
static bool is_simple_escape(char c)
{
    return is_one_of(c, "dDwWsSbBhHvVRAzZGntrfae");
}

/* A backslash before punctuation makes a literal character of it. */
static bool is_punctuation(char c)
{
    char lower = text_lower(c);
    return c > ' ' && c <= '~' && !(c >= '0' && c <= '9') && !(lower >= 'a' && lower <= 'z');
}

static bool is_plain_group(const struct walk *w)
{
    if (peek(w, 1) == '*')
        return false;
    if (peek(w, 1) != '?')
        return true;
    return is_one_of(peek(w, 2), ":=!>") || (peek(w, 2) == '<' && is_one_of(peek(w, 3), "=!"));
}

/* A group with all in it, from its `(`. */
static bool skip_group(struct walk *w)
{
    size_t depth = 0;
    do {
        char c = peek(w, 0);
        if (c == '\0' || (c == '(' && !is_plain_group(w)))
            return false;
        if (c == '[') {
            if (!skip_class(w))
                return false;
            continue;
        }
        if (c == '\\' && !is_simple_escape(peek(w, 1)) && !is_punctuation(peek(w, 1)))
            return false;
        depth += c == '(';
        depth -= c == ')';
        skip(w, c == '\\' ? 2 : 1);
    } while (depth > 0);
    return true;
}

/* What repeats the piece before it. `needed`: it is there at least once. */
static bool skip_quantifier(struct walk *w, bool *quantified, bool *needed)
{
    char c = peek(w, 0);
    *quantified = is_one_of(c, "?*+{");
    *needed = !*quantified || c == '+';
    if (!*quantified)
        return true;
    if (c == '{') {
        size_t i = 1;
        while ((peek(w, i) >= '0' && peek(w, i) <= '9') || peek(w, i) == ',')
            i++;
        if (i == 1 || peek(w, i) != '}' || peek(w, 1) == ',')
            return false;
        skip(w, i);
    }
    skip(w, 1);
    if (is_one_of(peek(w, 0), "?+"))
        skip(w, 1);
    return !is_one_of(peek(w, 0), "?*+{");
}

/* One piece at the top level; *literal is its character, or NUL. */
static bool take_piece(struct walk *w, char *literal)
{
    char c = peek(w, 0);
    *literal = '\0';
    if (is_one_of(c, "|{?*+)") || c == '\0')
        return false;
    if (c == '(')
        return skip_group(w);
    if (c == '[')
        return skip_class(w);
    if (c == '\\') {
        char next = peek(w, 1);
        bool punctuation = is_punctuation(next);
        if (!punctuation && !is_simple_escape(next))
            return false;
        *literal = punctuation ? next : '\0';
        skip(w, 2);
        return true;
    }
    if (c > ' ' && c <= '~' && !is_one_of(c, ".^$]}"))
        *literal = text_lower(c);
    skip(w, 1);
    /* A character of several bytes is one piece. */
    while (((unsigned char)c & 0x80) != 0 && ((unsigned char)peek(w, 0) & 0xc0) == 0x80)
        skip(w, 1);
    return true;
}

size_t pattern_literals(struct text written, char literals[PATTERN_LITERALS_ROOM])
{
    struct walk w = {written, literals, 0, 0};
    if (written.size > PATTERN_MAX)
        return 0;
    while (w.left.size > 0) {
        char c;
        bool quantified;
        bool needed;
        if (!take_piece(&w, &c) || !skip_quantifier(&w, &quantified, &needed))
            return 0;
        if (c != '\0' && needed)
            w.out[w.size + w.run++] = c;
        if (c == '\0' || quantified)
            end_run(&w);
    }
    end_run(&w);
    return w.size;
}
