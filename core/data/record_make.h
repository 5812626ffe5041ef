/* record_make.h: the makers of single fields, for the files record*.c only. */
#ifndef MONGREY_RECORD_MAKE_H
#define MONGREY_RECORD_MAKE_H

#include "core/data/record.h"

/* A record on its way. */
struct making {
    enum kind kind;
    const struct text *written;
    int64_t now;
    struct arena *arena;
    struct storage_value *values;
    struct record_fault *fault;
};

enum record_flags { RECORD_BARE = 1u << 0, RECORD_TRUTH = 1u << 1, RECORD_LIST = 1u << 2 };

/* Makes values[field] of written[field], or leaves it NULL. False: *fault is filled. */
typedef bool record_maker(struct making *m, size_t field);

struct record_row {
    record_maker *make;
    unsigned flags;
};

/* Each returns false. */
bool record_refuse(struct making *m, size_t field, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool record_refuse_value(struct making *m, size_t field, const char *what);

bool record_put_text(struct making *m, size_t field, struct text t);
bool record_put_integer(struct making *m, size_t field, int64_t number);

record_maker record_make_name, record_make_comments, record_make_source, record_make_short,
    record_make_created, record_make_expires, record_make_true, record_make_domain,
    record_make_mailbox, record_make_network, record_make_slug, record_make_field,
    record_make_value, record_make_guard, record_make_priority, record_make_states,
    record_make_rule, record_make_networks, record_make_domains, record_make_role;

/* What single rules cannot show. */
bool record_check_rules(struct making *m);

#endif
