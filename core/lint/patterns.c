/* patterns.c: patterns that match all, that can match nothing, and that are given up. */
#include <stdio.h>
#include <string.h>

#include "core/base/pattern.h"
#include "core/lint/state.h"

/* No label of a name is longer, nor a local part: on longer texts also what is only slow is given up. */
#define PROBE_REPEAT 60
#define PROBE_SIZE (PROBE_REPEAT + 64)

/* A piece again and again, then all characters that the pattern may ask for (PCRE2 looks whether they
 * are there before it tries), then an end that fits nothing usual. */
static struct text make_probe(char *memory, const char *piece, struct text written)
{
    size_t size = strlen(piece);
    size_t tail = PROBE_SIZE - PROBE_REPEAT - 1;
    tail = written.size < tail ? written.size : tail;
    for (size_t i = 0; i < PROBE_REPEAT; i++)
        memory[i] = piece[i % size];
    memcpy(memory + PROBE_REPEAT, written.data + written.size - tail, tail);
    memory[PROBE_REPEAT + tail] = '~';
    return (struct text){memory, PROBE_REPEAT + tail + 1};
}

/* A long local part of that piece, as an address. */
static struct text make_address(char *memory, const char *piece)
{
    static const char tail[] = "@x.test";
    size_t size = strlen(piece);
    for (size_t i = 0; i < PROBE_REPEAT; i++)
        memory[i] = piece[i % size];
    memcpy(memory + PROBE_REPEAT, tail, sizeof(tail) - 1);
    return (struct text){memory, PROBE_REPEAT + sizeof(tail) - 1};
}

/* What a sender may choose so that a pattern that can try in many ways tries them all. */
static bool costs(const struct pattern *p, struct text written, struct pattern_room *room)
{
    static const char *const pieces[] = {"a", "0", "-", "a.", "0.", "a-", "a@"};
    char memory[PROBE_SIZE];
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        if (pattern_match(p, make_probe(memory, pieces[i], written), room) == PATTERN_GAVE_UP)
            return true;
        if (pattern_match(p, make_address(memory, pieces[i]), room) == PATTERN_GAVE_UP)
            return true;
    }
    return false;
}

/* A literal that stands in all it matches has what no host name has. */
static const char *dead_literal(struct text written)
{
    char literals[PATTERN_LITERALS_ROOM];
    size_t size = pattern_literals(written, literals);
    for (size_t i = 0; i < size; i++) {
        if (literals[i] == '@')
            return "has an @, which no client's name has; use sender or recipient";
        if (literals[i] != '\0' && strchr("/:,;!=<>\"'", literals[i]) != NULL)
            return "has a character that no client's name has";
    }
    return NULL;
}

/* Without anything that could make a part optional, all of it has to be there. */
static bool is_straight(struct text written)
{
    for (size_t i = 0; i < written.size; i++) {
        if (strchr("[](){}|?*\\", written.data[i]) != NULL)
            return false;
    }
    return true;
}

/* What can be said for certain of names: they are ASCII, in A-labels. */
static const char *dead_name(const struct value *v)
{
    bool ascii = true;
    if (v->field == FIELD_CLIENT_NAME) {
        const char *dead = dead_literal(v->text);
        if (dead != NULL)
            return dead;
    }
    if (v->field != FIELD_CLIENT_NAME && v->field != FIELD_HELO_NAME)
        return NULL;
    for (size_t i = 0; i < v->text.size; i++)
        ascii = ascii && (unsigned char)v->text.data[i] < 0x80;
    return !ascii && is_straight(v->text)
               ? "has letters outside ASCII, which names have not when they are compared; write "
                 "their A-label (xn--)"
               : NULL;
}

/* `^` behind something, `$` before something: no line ends inside a value. */
static const char *dead_anchor(const struct value *v)
{
    struct text t = v->text;
    if (!is_straight(t) || t.size < 2)
        return NULL;
    for (size_t i = 0; i < t.size; i++) {
        if (t.data[i] == '^' && i > 0 && t.data[i - 1] != '^')
            return "has a ^, the start, behind its start";
        if (t.data[i] == '$' && i + 1 < t.size && t.data[i + 1] != '$')
            return "has a $, the end, before its end";
    }
    return NULL;
}

bool patterns_fault(struct lint *l, const struct value *v, struct pattern_fault *fault)
{
    char why[PATTERN_WHY_MAX];
    if (v->kind != VALUE_PATTERN)
        return false;
    struct pattern *p = pattern_compile(v->text, why, sizeof(why));
    if (p == NULL)
        return false; /* out of memory: else it would not have become a value */
    const char *dead = dead_name(v);
    dead = dead != NULL ? dead : dead_anchor(v);
    bool found = true;
    if (dead != NULL)
        *fault = (struct pattern_fault){FINDING_PATTERN_MATCHES_NOTHING, dead};
    else if (pattern_matches_all(p, l->room))
        *fault = (struct pattern_fault){FINDING_PATTERN_MATCHES_ALL,
                                        "matches everything; anchor it, or write a dot as \\."};
    else if (costs(p, v->text, l->room))
        *fault = (struct pattern_fault){
            FINDING_PATTERN_COSTS,
            "is given up on texts that a sender can choose, and then does not match; write it "
            "without repeats in repeats"};
    else
        found = false;
    pattern_free(p);
    return found;
}

static bool is_excluded(const struct lint *l, const struct network *n)
{
    struct match found[2]; /* of those in the matcher none lies in another */
    struct match_run run = {.room = NULL};
    struct subject s = {.client = &n->addr};
    const struct network *all = l->settings->ip_excludes.items;
    size_t count = matcher_find(l->excluded, &s, found, 2, &run);
    return count > 0 && all[found[0].number].prefix <= n->prefix &&
           !values_is_everyone(&all[found[0].number]);
}

bool reach_fault(struct lint *l, const struct value *v, struct pattern_fault *fault)
{
    bool network = v->kind == VALUE_NETWORK;
    if (network && l->settings->private_bypass && values_is_private(&v->network))
        *fault = (struct pattern_fault){FINDING_PRIVATE_NEVER_REACHED,
                                        "is private, and passes by private_bypass before this is "
                                        "asked; remove it, or turn private_bypass off"};
    else if (network && is_excluded(l, &v->network))
        *fault = (struct pattern_fault){FINDING_EXCLUDED_NEVER_REACHED,
                                        "lies in ip_excludes, and passes before this is asked; "
                                        "remove it from one of them"};
    else if (v->kind == VALUE_COUNTRY && l->settings->country_ipv4.size == 0)
        *fault = (struct pattern_fault){FINDING_COUNTRY_WITHOUT_DATABASE,
                                        "meets nobody: no country is known without country_ipv4; "
                                        "set it to a country database"};
    else if (v->field == FIELD_HELO_NAME && v->kind == VALUE_DOMAIN &&
             text_equal(v->text, TEXT("unknown")))
        *fault = (struct pattern_fault){FINDING_HELO_UNKNOWN,
                                        "meets only who says `unknown` himself: Postfix writes it "
                                        "for a client without a name, not for a HELO; remove it"};
    else
        return false;
    return true;
}
