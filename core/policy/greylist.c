/* greylist.c: the check that mongrey is for. A stranger is told to come back; one who does is let
 * in. */
#include "core/policy/greylist.h"

#include <string.h>
#include <time.h>

#include "core/base/hash.h"
#include "core/policy/instances.h"
#include "filters/table.h"
#include "core/base/version.h"

/* The longest form: two addresses of a line each, a network, and the lengths. */
#define FORM_MAX (2 * REQUEST_LINE_MAX + 64)

/* One part of the form: its length in two bytes, then its bytes, so that no two lists of parts look
 * alike. */
static void put_part(struct writer *form, struct text part)
{
    unsigned char length[2] = {(unsigned char)(part.size >> 8), (unsigned char)part.size};
    write_bytes(form, (const char *)length, sizeof(length));
    char *start = form->at;
    write_text(form, part);
    for (char *c = start; c < form->at; c++)
        *c = text_lower(*c);
}

static void put_client(struct writer *form, const struct addr *client, const struct rules *s)
{
    int64_t prefix =
        client->family == ADDR_IPV4 ? s->greylist_ipv4_prefix : s->greylist_ipv6_prefix;
    struct network n = network_around(client, (unsigned)prefix);
    uint8_t bytes[18] = {n.addr.family, n.prefix};
    memcpy(bytes + 2, n.addr.bytes, 16);
    write_bytes(form, (const char *)bytes, sizeof(bytes));
}

void greylist_key(const struct request *r, const struct rules *s, struct storage_key *key)
{
    char memory[FORM_MAX];
    struct writer form = writer_on(memory, sizeof(memory));
    struct text sender = r->attribute[ATTRIBUTE_sender];
    struct text recipient = r->attribute[ATTRIBUTE_recipient];
    char head[2] = {(char)('A' + s->greylist_key), sender.size == 0 ? '-' : '+'};
    write_bytes(&form, head, sizeof(head));
    if (s->greylist_key != KEY_SPECIAL)
        put_client(&form, &r->client, s);
    if (s->greylist_key == KEY_HIGH || s->greylist_key == KEY_SPECIAL)
        put_part(&form, sender);
    if (s->greylist_key == KEY_LOW)
        put_part(&form, r->domain.size > 0 ? r->domain : recipient);
    else if (s->greylist_key != KEY_VLOW)
        put_part(&form, recipient);
    hash_key(form.start, (size_t)(form.at - form.start), key->bytes);
}

static bool is_plain(struct text t)
{
    if (t.size > STORAGE_TEXT_MAX)
        return false;
    for (size_t i = 0; i < t.size; i++) {
        if (t.data[i] < ' ' || t.data[i] > '~' || t.data[i] == '\\')
            return false;
    }
    return true;
}

static struct storage_text readable(struct text t, struct writer *memory)
{
    if (is_plain(t))
        return (struct storage_text){t.data, t.size};
    char *start = memory->at;
    write_escaped(memory, t, "", STORAGE_TEXT_MAX);
    return (struct storage_text){start, (size_t)(memory->at - start)};
}

void greylist_read(const struct inquiry *q, char memory[GREYLIST_READING_MAX],
                   struct storage_reading *reading)
{
    const struct text *a = q->request.attribute;
    struct writer w = writer_on(memory, GREYLIST_READING_MAX);
    *reading = (struct storage_reading){
        .client_address = readable(a[ATTRIBUTE_client_address], &w),
        .client_name = readable(a[ATTRIBUTE_client_name], &w),
        .helo_name = readable(a[ATTRIBUTE_helo_name], &w),
        .sender = readable(a[ATTRIBUTE_sender], &w),
        .recipient = readable(a[ATTRIBUTE_recipient], &w),
        .country = {"", 0},
        .policy = {"default", 7},
    };
}

static enum check_answer ask(struct inquiry *q)
{
    const struct rules *s = q->rules;
    q->verdict.policy = "default";
    if (!s->greylist_enable) {
        verdict_set(&q->verdict, OUTCOME_PASS, "disable-greylisting", TEXT("DUNNO"));
        return CHECK_DECIDED;
    }
    if (q->request.attribute[ATTRIBUTE_recipient].size == 0) {
        verdict_set(&q->verdict, OUTCOME_PASS, "no-recipient", TEXT("DUNNO"));
        return CHECK_DECIDED;
    }
    q->sighting = (struct storage_sighting){
        .op = STORAGE_GREY,
        .count = 1,
        .now = q->request.now,
        .delay = s->greylist_remaining,
        .window = s->greylist_window,
        .keep = s->greylist_expire,
    };
    greylist_key(&q->request, s, &q->sighting.key);
    return CHECK_WAITS;
}

static void store_trouble(struct inquiry *q)
{
    if (q->settings->db_trouble == TROUBLE_DEFER)
        verdict_set(&q->verdict, OUTCOME_GREYLIST, "store-trouble",
                    TEXT("450 4.3.0 Temporary trouble, please try again later"));
    else
        verdict_set(&q->verdict, OUTCOME_PASS, "store-trouble", TEXT("DUNNO"));
}

static void defer(struct inquiry *q)
{
    int64_t left = q->sighting.delay - (q->request.now - q->row.first_seen);
    int64_t seconds = (left + 999) / 1000;
    struct writer action = verdict_open(&q->verdict, OUTCOME_GREYLIST, "new");
    if (seconds < 1)
        seconds = 1;
    if (q->row.tries > 1) {
        struct writer reason = writer_on(q->verdict.reason, sizeof(q->verdict.reason));
        write_literal(&reason, "early-retry (");
        write_number(&reason, seconds);
        write_literal(&reason, "s missing)");
        writer_end(&reason);
    }
    write_literal(&action, "450 4.2.0 Greylisted for ");
    write_number(&action, seconds);
    write_literal(&action, " seconds. policy[default] - ");
    write_text(&action, q->settings->errors_url);
    write_literal(&action, "#greylisted");
    verdict_close(&q->verdict, &action);
}

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

static bool wants_header(struct inquiry *q)
{
    const struct text *a = q->request.attribute;
    return q->rules->greylist_header &&
           instances_first(q->instances, a[ATTRIBUTE_instance], a[ATTRIBUTE_client_address],
                           a[ATTRIBUTE_sender]);
}

static void pass(struct inquiry *q)
{
    bool first = q->row.passes == 1;
    struct writer action = verdict_open(&q->verdict, OUTCOME_PASS, "triplet found");
    if (first)
        q->verdict.delay = q->row.waited / 1000;
    if (first && wants_header(q)) {
        write_literal(&action, "PREPEND X-Greylist: delayed ");
        write_number(&action, q->row.waited / 1000);
        write_literal(&action, " seconds by mongrey-" MONGREY_VERSION " at ");
        write_literal(&action, q->host);
        write_literal(&action, "; ");
        write_date(&action, q->request.now);
    } else {
        write_literal(&action, "DUNNO policy[default]");
    }
    verdict_close(&q->verdict, &action);
}

static enum check_answer resume(struct inquiry *q)
{
    if (q->status != STORAGE_OK)
        store_trouble(q);
    else if (q->row.passes == 0)
        defer(q);
    else
        pass(q);
    return CHECK_DECIDED;
}

const struct check check_greylist = {.name = "greylist", .ask = ask, .resume = resume};
