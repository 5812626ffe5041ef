/* logline.c: see logline.h. */
#include "core/policy/logline.h"

#include <string.h>
#include <time.h>

#include "core/base/json.h"
#include "core/base/log.h"

/* Bytes of a value, as it is written. Their sum is less than LOGLINE_MAX. */
#define QUEUE_ID_MOST 64
#define VALUE_MOST 300
#define POLICY_MOST 200
#define WOULD_MOST 450
#define CHECKS_MOST 900

/* --- Postgrey's ------------------------------------------------------------------------------- */

static void write_field(struct writer *w, const char *name, struct text value, const char *also,
                        size_t most)
{
    if (value.size == 0)
        return;
    write_literal(w, name);
    write_escaped(w, value, also, most);
}

static void write_request_text(struct writer *w, const struct request *r)
{
#define FIELD(name) write_field(w, ", " #name "=", r->attribute[ATTRIBUTE_##name], " ,", VALUE_MOST)
    FIELD(client_name);
    FIELD(client_address);
    FIELD(sender);
    FIELD(recipient);
#undef FIELD
}

static void write_as_text(struct writer *w, const struct verdict *v, const struct request *r)
{
    write_escaped(w, r->attribute[ATTRIBUTE_queue_id], " ,:", QUEUE_ID_MOST);
    if (w->at > w->start)
        write_literal(w, ": ");
    write_literal(w, "action=");
    write_literal(w, outcome_names[v->outcome]);
    write_field(w, ", reason=", text_of(v->reason), ",", VALUE_MOST);
    if (v->delay >= 0) {
        write_literal(w, ", delay=");
        write_number(w, v->delay);
    }
    write_field(w, ", entry=", v->entry, " ,", POLICY_MOST);
    write_request_text(w, r);
    write_field(w, ", policy=", text_of(v->policy), " ,", POLICY_MOST);
    write_field(w, ", would_action=", v->would, ",", WOULD_MOST);
    write_field(w, ", checks=", v->checks, ",[", CHECKS_MOST); /* none forges fail2ban's `host [` */
    write_literal(w, ", id=");
    write_literal(w, v->id);
}

/* --- JSON ------------------------------------------------------------------------------------- */

static void write_member(struct writer *w, const char *name, struct text value, size_t most)
{
    write_literal(w, name);
    write_json(w, value, most);
}

static void write_time(struct writer *w, int64_t now)
{
    time_t seconds = (time_t)(now / 1000);
    struct tm t;
    if (now < 0 || gmtime_r(&seconds, &t) == NULL) {
        write_literal(w, "null");
        return;
    }
    write_format(w, "\"%04d-%02d-%02dT%02d:%02d:%02d.%03dZ\"", t.tm_year + 1900, t.tm_mon + 1,
                 t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec, (int)(now % 1000));
}

static void write_as_json(struct writer *w, const struct verdict *v, const struct request *r)
{
    write_literal(w, "{\"time\":");
    write_time(w, r->now);
    write_member(w, ",\"action\":", text_of(outcome_names[v->outcome]), VALUE_MOST);
    write_member(w, ",\"reason\":", text_of(v->reason), VALUE_MOST);
    write_literal(w, ",\"delay\":");
    if (v->delay >= 0)
        write_number(w, v->delay);
    else
        write_literal(w, "null");
#define MEMBER(name) write_member(w, ",\"" #name "\":", r->attribute[ATTRIBUTE_##name], VALUE_MOST)
    MEMBER(client_name);
    MEMBER(client_address);
    MEMBER(helo_name);
    MEMBER(sender);
    MEMBER(recipient);
#undef MEMBER
    if (v->entry.size > 0)
        write_member(w, ",\"entry\":", v->entry, POLICY_MOST);
    if (v->policy != NULL)
        write_member(w, ",\"policy\":", text_of(v->policy), POLICY_MOST);
    else
        write_literal(w, ",\"policy\":null");
    if (v->would.size > 0)
        write_member(w, ",\"would_action\":", v->would, WOULD_MOST);
    if (v->checks.size > 0)
        write_member(w, ",\"checks\":", v->checks, CHECKS_MOST);
    write_member(w, ",\"queue_id\":", r->attribute[ATTRIBUTE_queue_id], QUEUE_ID_MOST);
    write_member(w, ",\"id\":", text_of(v->id), ID_SIZE);
    write_literal(w, "}");
}

/* --- 0.4.4's ---------------------------------------------------------------------------------- */

/* Its reasons; ours begin with what is on the left. What is not here had no counterpart, and stays. */
static const struct {
    const char *ours;
    const char *its;
} its_reasons[] = {
    {"new", "new"},
    {"early-retry", "retry"},
    {"triplet found", "delay"},
    {"client AWL", "delay"},
    {"instance", "delay"},
    {"blacklist", "blacklisted"},
    {"whitelist", "whitelisted"},
    {"client whitelist", "whitelisted"},
    {"recipient whitelist", "whitelisted"},
    {"relay", "relay-denied"},
    {"outgoing", "outgoing"},
    {"spoofing", "spoofing"},
    {"private", "private"},
    {"exclude", "exclude"},
    {"disable-greylisting", "disable-greylisting"},
};

static struct text its_reason(const char *ours)
{
    for (size_t i = 0; i < sizeof(its_reasons) / sizeof(its_reasons[0]); i++) {
        if (strncmp(ours, its_reasons[i].ours, strlen(its_reasons[i].ours)) == 0)
            return text_of(its_reasons[i].its);
    }
    return text_of(ours);
}

static void write_as_mongrey(struct writer *w, const struct verdict *v, const struct request *r)
{
    write_literal(w, "action=");
    write_literal(w, outcome_names[v->outcome]);
    write_literal(w, ", reason=");
    write_escaped(w, its_reason(v->reason), " ,", VALUE_MOST);
#define FIELD(name)                   \
    write_literal(w, ", " #name "="); \
    write_escaped(w, r->attribute[ATTRIBUTE_##name], " ,", VALUE_MOST)
    FIELD(client_name);
    FIELD(client_address);
    FIELD(sender);
    FIELD(recipient);
#undef FIELD
    write_literal(w, " policy=");
    write_escaped(w, text_of(v->policy != NULL ? v->policy : "default"), " ,", POLICY_MOST);
}

/* ---------------------------------------------------------------------------------------------- */

void logline_write(struct writer *w, enum log_format format, const struct verdict *v,
                   const struct request *r)
{
    switch (format) {
    case FORMAT_JSON:
        write_as_json(w, v, r);
        break;
    case FORMAT_MONGREY:
        write_as_mongrey(w, v, r);
        break;
    default:
        write_as_text(w, v, r);
    }
}

void logline_log(enum log_format format, const struct verdict *v, const struct request *r)
{
    char line[LOGLINE_MAX];
    struct writer w = writer_on(line, sizeof(line));
    if (!log_wants(LOG_LEVEL_INFO))
        return;
    logline_write(&w, format, v, r);
    if (format == FORMAT_JSON)
        log_bare(LOG_LEVEL_INFO, writer_text(&w));
    else
        log_line(LOG_LEVEL_INFO, writer_text(&w));
}

void logline_log_talk(const struct verdict *v, const struct request *r)
{
    char line[LOGLINE_MAX];
    struct writer w = writer_on(line, sizeof(line));
    if (!log_wants(LOG_LEVEL_INFO))
        return;
    write_literal(&w, "asked");
    for (int i = 0; i < ATTRIBUTES; i++) {
        if (r->attribute[i].size == 0)
            continue;
        write_format(&w, "%s %s=", w.at - w.start == 5 ? ":" : ",", attribute_names[i]);
        write_escaped(&w, r->attribute[i], " ,", VALUE_MOST);
    }
    log_line(LOG_LEVEL_INFO, writer_text(&w));
    w = writer_on(line, sizeof(line));
    write_literal(&w, "answered: ");
    write_literal(&w, v->id);
    write_literal(&w, " ");
    write_escaped(&w, (struct text){v->action, v->action_size}, "[", VERDICT_TEXT_MAX);
    log_line(LOG_LEVEL_INFO, writer_text(&w));
}
