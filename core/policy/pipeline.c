/* pipeline.c: see pipeline.h. The only place that knows the checks follow each other. */
#include "core/policy/pipeline.h"

static bool go_on(struct inquiry *q)
{
    for (; checks[q->cursor] != NULL; q->cursor++) {
        switch (checks[q->cursor]->ask(q)) {
        case CHECK_DECIDED:
            return true;
        case CHECK_WAITS:
            return false;
        case CHECK_NEXT:
            break;
        }
    }
    verdict_set(&q->verdict, OUTCOME_PASS, "no-check", TEXT("DUNNO"));
    return true;
}

bool pipeline_run(struct inquiry *q)
{
    q->cursor = 0;
    q->rules = &q->settings->rules;
    q->verdict.policy = NULL;
    q->verdict.would = (struct text){NULL, 0};
    q->verdict.checks = (struct text){NULL, 0};
    if (!q->request.at_rcpt) {
        verdict_set(&q->verdict, OUTCOME_PASS, "state", TEXT("DUNNO"));
        return true;
    }
    if (q->request.client.family == ADDR_NONE) {
        verdict_set(&q->verdict, OUTCOME_PASS, "no-address", TEXT("DUNNO"));
        return true;
    }
    return go_on(q);
}

bool pipeline_resume(struct inquiry *q)
{
    if (checks[q->cursor]->resume(q) == CHECK_DECIDED)
        return true;
    q->cursor++;
    return go_on(q);
}
