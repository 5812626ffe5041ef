/* pipeline.h: a prepared request's way through the checks. */
#ifndef MONGREY_PIPELINE_H
#define MONGREY_PIPELINE_H

#include "include/check.h"

/* Asks the checks in order. True: the verdict is set. False: the sighting is set, and
 * pipeline_resume is to be called with status and row filled. */
bool pipeline_run(struct inquiry *inquiry);
bool pipeline_resume(struct inquiry *inquiry);

#endif
