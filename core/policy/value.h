/* value.h: what may be written into a list or policy: a field of the request, and a network, name,
 * mailbox, pattern, country or text that it is compared with. Parsed once, where it is entered; a
 * value that was parsed is in the form in which it is compared. Fuzzed. */
#ifndef MONGREY_VALUE_H
#define MONGREY_VALUE_H

#include <stdbool.h>

#include "core/base/addr.h"
#include "core/base/arena.h"
#include "core/base/text.h"

/* In the order in which lists are looked at: by name. */
enum field {
    FIELD_CLIENT_ADDRESS,
    FIELD_CLIENT_NAME,
    FIELD_COUNTRY,
    FIELD_HELO_NAME,
    FIELD_POLICY_CONTEXT,
    FIELD_RECIPIENT,
    FIELD_SENDER,
    FIELDS
};

extern const char *const field_names[FIELDS];
/* False: no field is called that. */
bool field_find(struct text name, enum field *field);

enum value_kind {
    VALUE_NETWORK,
    VALUE_MAILBOX, /* user@example.com; empty: the null sender, written <> */
    VALUE_TEXT,    /* a policy_context, compared byte by byte; a HELO's [192.0.2.1] */
    VALUE_USER,    /* user@: of any domain; text is `user` */
    VALUE_DOMAIN,  /* example.com, and of an address @example.com: just that */
    VALUE_BELOW,   /* .example.com: it and all below; text is `example.com` */
    VALUE_PATTERN, /* /regex/: found anywhere, letter case never counts; text is `regex` */
    VALUE_COUNTRY, /* two capital letters of ISO 3166 */
    VALUE_KINDS
};

#define VALUE_MAX 512 /* bytes, as written and in canonical form */
#define VALUE_WHY_MAX 256

struct value {
    enum field field;
    enum value_kind kind;
    struct network network; /* only of VALUE_NETWORK */
    struct text text;       /* of all others: canonical, lies in the arena */
};

/*
 * False: *why (terminated, cut at why_size) says what is wrong and how to write it right, as a
 * clause that follows the value ("has bits set behind ...; write 192.0.2.0/24").
 * Blanks around the value are left out. Any thread.
 */
bool value_parse(enum field field, struct text written, struct arena *arena, struct value *value,
                 char *why, size_t why_size);

/* The canonical spelling: at most VALUE_MAX bytes, and it parses to the same value again. */
void value_write(struct writer *w, const struct value *value);

/*
 * How specific a value is; smaller is more so, and values of different fields may be compared:
 * address, network (longer prefix first), mailbox and text, user of any domain, domain, parent
 * (more labels first), pattern, country.
 */
unsigned value_rank(const struct value *value);

#endif
