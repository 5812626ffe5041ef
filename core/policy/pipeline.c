/* pipeline.c: see pipeline.h. The only place that knows the checks follow each other. */
#include "core/policy/pipeline.h"

#include <string.h>

#include "core/base/clock.h"
#include "filters/table.h"

/* The cursor of an inquiry that no check was asked about. */
#define BEFORE_ALL SIZE_MAX

static enum check_answer ask_timed(struct inquiry *q)
{
    uint64_t before = clock_nanoseconds();
    enum check_answer answer = checks[q->cursor]->ask(q);
    q->costs[q->cursor] += clock_nanoseconds() - before;
    return answer;
}

static bool go_on(struct inquiry *q)
{
    for (; checks[q->cursor] != NULL; q->cursor++) {
        switch (q->costs == NULL ? checks[q->cursor]->ask(q) : ask_timed(q)) {
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

/* What the store would have said under the trial's rules. It is not asked twice: what it said of the
 * same key has to do. */
static struct storage_row guess_row(const struct inquiry *q, const struct inquiry *trial)
{
    bool same = q->sighting.op != 0 && q->status == STORAGE_OK &&
                memcmp(trial->sighting.key.bytes, q->sighting.key.bytes, STORAGE_KEY_SIZE) == 0;
    struct storage_row row = {.first_seen = q->request.now, .tries = 1};
    if (same)
        row = q->row;
    if (trial->sighting.op == STORAGE_LEARN)
        row.passes = 2;
    else if (row.passes <= 1)
        row.passes = q->request.now - row.first_seen >= trial->sighting.delay ? 2 : 0;
    return row;
}

/* What a policy that is not enforced would have come to, from where policies begin to count; from
 * the first check on where none was asked. */
static void try_shadow(struct inquiry *q)
{
    struct inquiry trial = *q;
    trial.costs = NULL;
    trial.trial = true;
    policy_rules_with_shadow(&trial);
    trial.verdict.policy = q->shadow->name;
    trial.sighting.op = 0;
    trial.cursor = 0;
    while (q->cursor != BEFORE_ALL && checks[trial.cursor] != &check_policy)
        trial.cursor++;
    if (!go_on(&trial)) {
        trial.status = STORAGE_OK;
        trial.row = guess_row(q, &trial);
        checks[trial.cursor]->resume(&trial);
    }
    q->would_outcome = trial.verdict.outcome;
    memcpy(q->would, trial.verdict.action, sizeof(q->would));
}

/* True, as all who have come to a verdict. */
static bool end(struct inquiry *q)
{
    if (q->shadow != NULL && q->would[0] == '\0')
        try_shadow(q);
    return true;
}

static bool end_before(struct inquiry *q, const char *reason)
{
    q->cursor = BEFORE_ALL;
    verdict_set(&q->verdict, OUTCOME_PASS, reason, TEXT("DUNNO"));
    return true;
}

/* Whether some policy asks for checks at this state of the session. One that is not enforced does
 * not: what it would have come to is tried behind the verdict. */
static bool is_asked_for(struct inquiry *q)
{
    const struct policy *found[SNAPSHOT_POLICIES_MAX];
    if ((q->snapshot->states & (1u << q->request.state)) == 0)
        return false;
    size_t count = snapshot_policies(q->snapshot, &q->request, false, found);
    for (size_t i = 0; i < count; i++) {
        if (found[i]->enforce)
            return true;
    }
    if (count > 0 && q->request.client.family != ADDR_NONE)
        q->shadow = found[0];
    return false;
}

bool pipeline_run(struct inquiry *q)
{
    q->cursor = 0;
    q->trial = false;
    q->rules = &q->settings->rules;
    q->policy = NULL;
    q->shadow = NULL;
    q->opted_in = false;
    q->ours = 0;
    q->would[0] = '\0';
    /* Any reply text may name what only greylisting fills. */
    q->sighting = (struct storage_sighting){.op = 0};
    q->row = (struct storage_row){.passes = 0};
    q->status = STORAGE_UNAVAILABLE;
    q->verdict.policy = NULL;
    q->verdict.would = (struct text){NULL, 0};
    q->verdict.checks = (struct text){NULL, 0};
    if (q->request.state != STATE_RCPT && !is_asked_for(q))
        return end_before(q, "state") && end(q);
    if (q->settings->no_stress && q->request.attribute[ATTRIBUTE_stress].size > 0)
        return end_before(q, "stress");
    if (q->request.client.family == ADDR_NONE)
        return end_before(q, "no-address");
    return go_on(q) && end(q);
}

bool pipeline_resume(struct inquiry *q)
{
    if (checks[q->cursor]->resume(q) == CHECK_DECIDED)
        return end(q);
    q->cursor++;
    return go_on(q) && end(q);
}

bool pipeline_was_asked(const struct inquiry *q)
{
    return q->cursor != BEFORE_ALL && checks[q->cursor] != NULL;
}

const char *pipeline_decider(const struct inquiry *q)
{
    if (q->cursor == BEFORE_ALL)
        return q->verdict.reason;
    return checks[q->cursor] != NULL ? checks[q->cursor]->name : "no-check";
}

void pipeline_tell(const struct inquiry *q,
                   void (*put)(void *context, const char *check, struct text found), void *context)
{
    char memory[512];
    for (size_t i = 0; checks[i] != NULL; i++) {
        struct writer w = writer_on(memory, sizeof(memory));
        if (q->cursor == BEFORE_ALL || i > q->cursor)
            write_literal(&w, "not asked");
        else
            checks[i]->tell(q, &w);
        put(context, checks[i]->name, writer_text(&w));
    }
}
