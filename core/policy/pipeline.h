/* pipeline.h: a prepared request's way through the checks. */
#ifndef MONGREY_PIPELINE_H
#define MONGREY_PIPELINE_H

#include "include/check.h"

/* Asks the checks in order. True: the verdict is set. False: the sighting is set, and
 * pipeline_resume is to be called with status and row filled. verdict.id is set by the caller. */
bool pipeline_run(struct inquiry *inquiry);
bool pipeline_resume(struct inquiry *inquiry);

/* After the verdict: calls `put` for each check in its order with what it found, "not asked" behind
 * the one that decided. */
void pipeline_tell(const struct inquiry *inquiry,
                   void (*put)(void *context, const char *check, struct text found), void *context);
/* Whether a check decided; it is checks[cursor]. */
bool pipeline_was_asked(const struct inquiry *inquiry);
/* The name of the check that decided; what else ended it: state, stress, no-address. */
const char *pipeline_decider(const struct inquiry *inquiry);

#endif
