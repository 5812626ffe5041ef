/* greylist.c: the check that mongrey is for. A stranger is told to come back; one who does is let
 * in. */
#include "core/policy/greylist.h"

#include <string.h>

#include "core/base/hash.h"
#include "core/policy/instances.h"
#include "core/policy/prepare.h"
#include "core/policy/reply.h"
#include "filters/table.h"

/* The longest form: two addresses, a network, and the lengths. */
#define FORM_MAX (PREPARE_MEMORY_MAX + 64)

/* One part of the form: its length in two bytes, then its bytes, so that no two lists of parts look
 * alike. */
static void put_part(struct writer *form, struct text part)
{
    unsigned char length[2] = {(unsigned char)(part.size >> 8), (unsigned char)part.size};
    write_bytes(form, (const char *)length, sizeof(length));
    write_text(form, part);
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
    struct text recipient = r->recipient.whole;
    char head[2] = {(char)('A' + s->greylist_key), r->sender_is_null ? '-' : '+'};
    write_bytes(&form, head, sizeof(head));
    if (s->greylist_key != KEY_SPECIAL)
        put_client(&form, &r->client, s);
    if (s->greylist_key == KEY_HIGH || s->greylist_key == KEY_SPECIAL)
        put_part(&form, r->sender.whole);
    if (s->greylist_key == KEY_LOW)
        put_part(&form, r->recipient.domain.size > 0 ? r->recipient.domain : recipient);
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

static const char *policy_name(const struct inquiry *q)
{
    return q->verdict.policy != NULL ? q->verdict.policy : "default";
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
        .country = readable(q->request.country, &w),
        .policy = readable(text_of(policy_name(q)), &w),
    };
}

/* NULL, or why nobody is greylisted here. */
static const char *off_reason(const struct inquiry *q)
{
    const struct rules *r = q->rules;
    if (!r->greylist_enable || r->greylist_mode == MODE_OFF)
        return "disable-greylisting";
    if (!r->greylist_default && !q->opted_in)
        return "not-opted-in";
    /* A client's key needs no recipient, so that it can be asked before there is one. */
    bool alone = r->greylist_key == KEY_VLOW && q->request.state != STATE_RCPT;
    if (q->request.recipient.whole.size == 0 && !alone)
        return "no-recipient";
    return NULL;
}

/* Settings whose window ends before their delay are refused; policies are laid over each other as
 * they come, and whoever met such two could never pass: his window begins when his delay is over. */
static int64_t window_of(const struct rules *r)
{
    bool open = r->greylist_window > r->greylist_remaining;
    return r->greylist_window + (open ? 0 : r->greylist_remaining);
}

static enum check_answer ask(struct inquiry *q)
{
    const struct rules *r = q->rules;
    const char *off = off_reason(q);
    if (off != NULL) {
        verdict_set(&q->verdict, OUTCOME_PASS, off, TEXT("DUNNO"));
        return CHECK_DECIDED;
    }
    q->sighting = (struct storage_sighting){
        .op = r->greylist_mode == MODE_LEARN ? STORAGE_LEARN : STORAGE_GREY,
        .count = 1,
        .now = q->request.now,
        .delay = r->greylist_remaining,
        .window = window_of(r),
        .keep = r->greylist_expire,
    };
    greylist_key(&q->request, r, &q->sighting.key);
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
    reply_set(q, OUTCOME_GREYLIST, "new", q->rules->reply_greylist, (struct text){"", 0});
    if (q->row.tries <= 1)
        return;
    struct writer reason = writer_on(q->verdict.reason, sizeof(q->verdict.reason));
    write_literal(&reason, "early-retry (");
    write_number(&reason, (reply_left(q) + 999) / 1000);
    write_literal(&reason, "s missing)");
    writer_end(&reason);
}

/* Postfix takes no PREPEND when the message has come, and forgets one of before it. */
static bool takes_header(enum protocol_state state)
{
    return state == STATE_MAIL || state == STATE_RCPT || state == STATE_DATA;
}

static bool wants_header(struct inquiry *q)
{
    const struct text *a = q->request.attribute;
    return takes_header(q->request.state) && q->rules->greylist_header && !q->trial &&
           instances_first(q->instances, a[ATTRIBUTE_instance], a[ATTRIBUTE_client_address],
                           a[ATTRIBUTE_sender]);
}

static void pass(struct inquiry *q)
{
    bool learnt = q->sighting.op == STORAGE_LEARN;
    bool first = !learnt && q->row.passes == 1;
    const char *reason = learnt ? "learn" : "triplet found";
    if (first && wants_header(q)) {
        reply_set(q, OUTCOME_PASS, reason, q->rules->greylist_header_text, (struct text){"", 0});
    } else {
        struct writer action = verdict_open(&q->verdict, OUTCOME_PASS, reason);
        write_literal(&action, "DUNNO policy[");
        write_literal(&action, policy_name(q));
        write_literal(&action, "]");
        verdict_close(&q->verdict, &action);
    }
    if (first)
        q->verdict.delay = q->row.waited / 1000;
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

static void tell(const struct inquiry *q, struct writer *w)
{
    static const char *const keys[] = {"vlow", "low", "med", "high", "special"};
    const struct rules *r = q->rules;
    const char *off = off_reason(q);
    if (off != NULL) {
        write_literal(w, off);
        return;
    }
    write_format(w, "key %s, delay %lld s: ", keys[r->greylist_key],
                 (long long)(r->greylist_remaining / 1000));
    if (q->status != STORAGE_OK)
        write_literal(w, "the store is away (db_trouble)");
    else if (q->sighting.op == STORAGE_LEARN)
        write_literal(w, "learning");
    else if (q->row.passes == 0)
        write_format(w, "%s, %u tries, %lld s to wait", q->row.tries > 1 ? "early" : "new",
                     q->row.tries, (long long)((reply_left(q) + 999) / 1000));
    else if (q->verdict.delay >= 0)
        write_format(w, "waited %lld s", (long long)q->verdict.delay);
    else
        write_literal(w, "known");
}

const struct check check_greylist = {
    .name = "greylist", .ask = ask, .resume = resume, .tell = tell};
