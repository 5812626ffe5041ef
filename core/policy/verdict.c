/* verdict.c: see verdict.h. */
#include "core/policy/verdict.h"

#include <string.h>

struct writer verdict_open(struct verdict *v, enum outcome outcome, const char *reason)
{
    struct writer r = writer_on(v->reason, sizeof(v->reason));
    v->outcome = outcome;
    v->delay = -1;
    write_literal(&r, reason);
    writer_end(&r);
    return writer_on(v->action, sizeof(v->action));
}

void verdict_close(struct verdict *v, struct writer *action)
{
    v->action_size = strlen(writer_end(action));
    for (size_t i = 0; i < v->action_size; i++) {
        unsigned char c = (unsigned char)v->action[i];
        if (c < ' ' || c > '~')
            v->action[i] = '?';
    }
}

void verdict_set(struct verdict *v, enum outcome outcome, const char *reason, struct text action)
{
    struct writer w = verdict_open(v, outcome, reason);
    write_text(&w, action);
    verdict_close(v, &w);
}

void verdict_write_reply(struct writer *w, const struct verdict *v)
{
    write_bytes(w, "action=", 7);
    write_bytes(w, v->action, v->action_size);
    write_bytes(w, "\n\n", 2);
}

static void write_field(struct writer *w, const char *name, size_t size, struct text value)
{
    if (value.size == 0)
        return;
    write_bytes(w, name, size);
    write_escaped(w, value, " ,", 300);
}

void verdict_write_log(struct writer *w, const struct verdict *v, const struct request *r)
{
    static const char *const action[] = {"pass", "greylist", "reject", "error"};
    write_escaped(w, r->attribute[ATTRIBUTE_queue_id], " ,:", 64);
    if (w->at > w->start)
        write_literal(w, ": ");
    write_literal(w, "action=");
    write_literal(w, action[v->outcome]);
    write_literal(w, ", reason=");
    write_literal(w, v->reason);
    if (v->delay >= 0) {
        write_literal(w, ", delay=");
        write_number(w, v->delay);
    }
#define FIELD(name) \
    write_field(w, ", " #name "=", sizeof(#name) + 2, r->attribute[ATTRIBUTE_##name])
    FIELD(client_name);
    FIELD(client_address);
    FIELD(sender);
    FIELD(recipient);
#undef FIELD
    if (v->policy != NULL)
        write_field(w, ", policy=", 9, text_of(v->policy));
    write_literal(w, ", id=");
    write_literal(w, v->id);
}
