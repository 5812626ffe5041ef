/* verdict.h: what was decided about a request, as Postfix is told it; logline.h is how the log tells it. */
#ifndef MONGREY_VERDICT_H
#define MONGREY_VERDICT_H

#include "core/base/id.h"
#include "core/policy/request.h"

#define VERDICT_TEXT_MAX 400 /* bytes of an action: one printable line */
#define VERDICT_REASON_MAX 64

enum outcome { OUTCOME_PASS, OUTCOME_GREYLIST, OUTCOME_REJECT, OUTCOME_ERROR, OUTCOMES };

/* pass, greylist, reject, error. */
extern const char *const outcome_names[OUTCOMES];

struct verdict {
    enum outcome outcome;
    const char *policy; /* NULL: none was asked */
    int64_t delay;      /* seconds that the first pass had waited; -1: it is none */
    size_t action_size;
    char action[VERDICT_TEXT_MAX + 1]; /* terminated */
    char reason[VERDICT_REASON_MAX + 1];
    char id[ID_SIZE + 1];
    struct text entry;  /* of a list, that decided; empty: none did. Lent by the lists in force */
    struct text would;  /* what an entry that is not enforced would have answered; empty: none */
    struct text checks; /* what each check found, for the log; empty: not wanted */
};

/* Sets outcome and reason, and gives a writer for the action, to be closed by verdict_close. */
struct writer verdict_open(struct verdict *verdict, enum outcome outcome, const char *reason);
/* Ends the action: whatever could break the line or Postfix's reading of it becomes '?'. */
void verdict_close(struct verdict *verdict, struct writer *action);
/* All at once, for an action without values in it. */
void verdict_set(struct verdict *verdict, enum outcome outcome, const char *reason,
                 struct text action);

/* `action=...` and an empty line, and not a byte more. */
void verdict_write_reply(struct writer *w, const struct verdict *verdict);

#endif
