/* decision.c: see decision.h. */
#include "core/data/decision.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/log.h"
#include "core/policy/logline.h"
#include "core/policy/pipeline.h"
#include "core/store/records.h"

#define CHECKS_MAX 4096 /* bytes of what all checks found */
#define FIELD_MAX 300   /* bytes of a text from the network */
#define TEXTS_MAX (CHECKS_MAX + 12 * (FIELD_MAX + 8) + 2 * VERDICT_TEXT_MAX)

struct telling {
    struct writer *w;
    const char *joiner;
};

static void put_check(void *context, const char *check, struct text found)
{
    const struct telling *t = context;
    if (text_equal(found, TEXT("not asked")))
        return;
    write_format(t->w, "%s%s: ", t->w->at > t->w->start ? t->joiner : "", check);
    write_text(t->w, found);
}

static void write_checks(struct writer *w, const struct inquiry *q, const char *joiner)
{
    struct telling telling = {w, joiner};
    pipeline_tell(q, put_check, &telling);
}

void decision_log(struct inquiry *q)
{
    char found[LOGLINE_MAX / 2];
    struct writer w = writer_on(found, sizeof(found));
    if (!log_wants(LOG_LEVEL_INFO))
        return;
    if (q->would[0] != '\0')
        q->verdict.would = text_of(outcome_names[q->would_outcome]);
    if (q->settings->verbose >= 2) {
        write_checks(&w, q, "; ");
        q->verdict.checks = writer_text(&w);
    }
    logline_log((enum log_format)q->settings->log_format, &q->verdict, &q->request);
    if (q->settings->verbose >= 3)
        logline_log_talk(&q->verdict, &q->request);
    q->verdict.checks = (struct text){NULL, 0};
}

/* Texts from the network, in a form that any store takes. */
static struct storage_value text_value(struct writer *w, struct text t)
{
    char *start = w->at;
    write_escaped(w, t, "", FIELD_MAX);
    size_t size = (size_t)(w->at - start);
    if (size == 0)
        return (struct storage_value){.type = STORAGE_NULL};
    return (struct storage_value){.type = STORAGE_TEXT, .text = {start, size}};
}

static struct storage_value number_value(enum storage_type type, int64_t number)
{
    return (struct storage_value){.type = type, .integer = number};
}

static void fill(struct decision *d, struct writer *w, const struct inquiry *q)
{
    const struct text *a = q->request.attribute;
    const struct verdict *v = &q->verdict;
    struct storage_value *o = d->values;
    char memory[CHECKS_MAX];
    struct writer found = writer_on(memory, sizeof(memory));
    o[DECISION_at] = number_value(STORAGE_TIME, q->request.now);
    o[DECISION_host] = text_value(w, text_of(q->host));
    o[DECISION_action] = text_value(w, text_of(outcome_names[v->outcome]));
    o[DECISION_reason] = text_value(w, text_of(v->reason));
    o[DECISION_reply] = text_value(w, text_of(v->action));
    o[DECISION_would] = text_value(w, text_of(q->would));
    o[DECISION_policy] = text_value(w, text_of(v->policy != NULL ? v->policy : ""));
    if (v->delay >= 0)
        o[DECISION_delay] = number_value(STORAGE_INTEGER, v->delay);
    o[DECISION_client_address] = text_value(w, a[ATTRIBUTE_client_address]);
    o[DECISION_client_name] = text_value(w, a[ATTRIBUTE_client_name]);
    o[DECISION_helo_name] = text_value(w, a[ATTRIBUTE_helo_name]);
    o[DECISION_sender] = text_value(w, a[ATTRIBUTE_sender]);
    o[DECISION_recipient] = text_value(w, a[ATTRIBUTE_recipient]);
    o[DECISION_country] = text_value(w, q->request.country);
    o[DECISION_instance] = text_value(w, a[ATTRIBUTE_instance]);
    write_checks(&found, q, "\n");
    char *start = w->at;
    write_text(w, writer_text(&found));
    o[DECISION_checks] =
        (struct storage_value){.type = STORAGE_TEXT, .text = {start, (size_t)(w->at - start)}};
}

struct decision *decision_make(const struct inquiry *q)
{
    char memory[TEXTS_MAX];
    struct storage_value values[DECISION_FIELDS];
    struct decision scratch = {.values = values};
    struct writer w = writer_on(memory, sizeof(memory));
    memset(values, 0, sizeof(values));
    fill(&scratch, &w, q);
    size_t used = (size_t)(w.at - w.start);
    struct decision *d = malloc(sizeof(*d) + sizeof(values) + used);
    if (d == NULL)
        return NULL;
    /* All in one piece: the struct, its values, their texts. */
    *d = scratch;
    d->values = (struct storage_value *)(void *)(d + 1);
    char *texts = (char *)(d->values + DECISION_FIELDS);
    memcpy(texts, memory, used);
    memcpy(d->values, values, sizeof(values));
    for (size_t i = 0; i < DECISION_FIELDS; i++) {
        if (values[i].type == STORAGE_TEXT)
            d->values[i].text.data = texts + (values[i].text.data - memory);
    }
    memcpy(d->id, q->verdict.id, sizeof(d->id));
    return d;
}

/* One by one, where one of many was there already. */
static enum storage_status store_each(struct store_line *line, struct storage_change *changes,
                                      size_t count, struct storage_error *error)
{
    enum storage_status status = STORAGE_OK;
    for (size_t i = 0; i < count && status == STORAGE_OK; i++) {
        status = store_change(line, KIND_DECISION, &changes[i], 1, error);
        if (status == STORAGE_CONFLICT)
            status = STORAGE_OK;
    }
    return status;
}

enum storage_status decision_store(struct store_line *line, struct decision *first,
                                   struct storage_error *error)
{
    struct storage_change changes[STORAGE_BATCH_MAX];
    size_t count = 0;
    for (struct decision *d = first; d != NULL && count < STORAGE_BATCH_MAX; d = d->next)
        changes[count++] = (struct storage_change){.id = d->id, .values = d->values};
    enum storage_status status = store_change(line, KIND_DECISION, changes, count, error);
    return status == STORAGE_CONFLICT ? store_each(line, changes, count, error) : status;
}

struct finding {
    struct text id;
    storage_each *each;
    void *context;
    bool found;
};

static bool find_id(void *context, const struct storage_record *r)
{
    struct finding *f = context;
    if (!text_equal(f->id, text_of(r->id)))
        return true;
    f->found = true;
    f->each(f->context, r);
    return false;
}

enum storage_status decision_find(struct store_line *line, struct text id, storage_each *each,
                                  void *context, struct storage_error *error)
{
    char before[STORAGE_ID_MAX + 1];
    struct writer w = writer_on(before, sizeof(before));
    struct finding finding = {.id = id, .each = each, .context = context};
    if (id.size == 0 || id.size > STORAGE_ID_MAX)
        return STORAGE_NOT_FOUND;
    /* A page begins behind an id: the one without the last sign stands right before its like. */
    write_text(&w, (struct text){id.data, id.size - 1});
    struct storage_query query = {
        .kind = KIND_DECISION, .order = STORAGE_BY_ID, .after_id = writer_end(&w), .limit = 64};
    enum storage_status status = store_search(line, &query, find_id, &finding, error);
    if (status != STORAGE_OK)
        return status;
    return finding.found ? STORAGE_OK : STORAGE_NOT_FOUND;
}
