/* reply.c: see reply.h. */
#include "core/policy/reply.h"

#include <time.h>

#include "core/base/version.h"
#include "core/policy/template.h"

struct values {
    const struct inquiry *q;
    struct text value;
};

/* RFC 5322's date, in English whatever the locale. */
static void write_date(struct writer *w, int64_t now)
{
    static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t seconds = (time_t)(now / 1000);
    struct tm t;
    if (localtime_r(&seconds, &t) == NULL)
        return;
    long zone = t.tm_gmtoff / 60;
    write_format(w, "%s, %d %s %d %02d:%02d:%02d %c%02ld%02ld", days[t.tm_wday], t.tm_mday,
                 months[t.tm_mon], t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec,
                 zone < 0 ? '-' : '+', (zone < 0 ? -zone : zone) / 60,
                 (zone < 0 ? -zone : zone) % 60);
}

int64_t reply_left(const struct inquiry *q)
{
    if (q->sighting.op == 0)
        return 0;
    int64_t left = q->sighting.delay - (q->request.now - q->row.first_seen);
    return left < 1 ? 1 : left;
}

/* As Python writes a float rounded to two places: 20.0, 12.34. */
static void write_remaining(struct writer *w, int64_t ms)
{
    int64_t hundredths = (ms + 5) / 10;
    write_number(w, hundredths / 100);
    write_format(w, hundredths % 10 == 0 ? ".%d" : ".%02d",
                 (int)(hundredths % 10 == 0 ? hundredths % 100 / 10 : hundredths % 100));
}

static void put(void *context, enum template_value which, struct writer *w)
{
    const struct values *v = context;
    const struct inquiry *q = v->q;
    const struct text *a = q->request.attribute;
    switch (which) {
    case TEMPLATE_SECONDS:
        write_number(w, (reply_left(q) + 999) / 1000);
        return;
    case TEMPLATE_REMAINING:
        write_remaining(w, reply_left(q));
        return;
    case TEMPLATE_DELAY:
        write_number(w, q->row.waited / 1000);
        return;
    case TEMPLATE_POLICY:
        write_literal(w, q->verdict.policy != NULL ? q->verdict.policy : "default");
        return;
    case TEMPLATE_VALUE:
        write_text(w, v->value);
        return;
    case TEMPLATE_CLIENT_ADDRESS:
        write_text(w, a[ATTRIBUTE_client_address]);
        return;
    case TEMPLATE_CLIENT_NAME:
        write_text(w, a[ATTRIBUTE_client_name]);
        return;
    case TEMPLATE_SENDER:
        write_text(w, a[ATTRIBUTE_sender]);
        return;
    case TEMPLATE_RECIPIENT:
        write_text(w, a[ATTRIBUTE_recipient]);
        return;
    case TEMPLATE_RECIPIENT_DOMAIN:
        write_text(w, q->request.recipient.domain);
        return;
    case TEMPLATE_COUNTRY:
        write_text(w, q->request.country);
        return;
    case TEMPLATE_ID:
        write_literal(w, q->verdict.id);
        return;
    case TEMPLATE_URL:
        write_text(w, q->settings->errors_url);
        return;
    case TEMPLATE_HOST:
        write_literal(w, q->host);
        return;
    case TEMPLATE_VERSION:
        write_literal(w, MONGREY_VERSION);
        return;
    case TEMPLATE_DATE:
        write_date(w, q->request.now);
        return;
    case TEMPLATE_VALUES:
        return;
    }
}

void reply_set(struct inquiry *q, enum outcome outcome, const char *reason, struct text pattern,
               struct text value)
{
    struct values values = {q, value};
    struct writer action = verdict_open(&q->verdict, outcome, reason);
    template_write(&action, pattern, put, &values);
    verdict_close(&q->verdict, &action);
}
