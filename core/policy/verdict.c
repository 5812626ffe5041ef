/* verdict.c: see verdict.h. */
#include "core/policy/verdict.h"

#include <string.h>

const char *const outcome_names[OUTCOMES] = {"pass", "greylist", "reject", "error"};

struct writer verdict_open(struct verdict *v, enum outcome outcome, const char *reason)
{
    struct writer r = writer_on(v->reason, sizeof(v->reason));
    v->outcome = outcome;
    v->delay = -1;
    v->entry = (struct text){NULL, 0};
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
