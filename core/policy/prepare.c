/* prepare.c: see prepare.h. */
#include "core/policy/prepare.h"

#include <string.h>

#include "core/base/hash.h"
#include "core/base/idn.h"

/* Seconds; later than the year 9999 is no time but a trick. */
#define TEST_TIME_MAX INT64_C(253402300799)
/* Bytes; no address is so long (RFC 5321, 4.5.3.1), and what is stands by its hash. */
#define ADDRESS_MAX 1024

static int64_t request_time(const struct request *r, int64_t wall, bool test_clock)
{
    int64_t seconds;
    if (test_clock && text_number(r->attribute[ATTRIBUTE_policy_test_time], &seconds) &&
        seconds >= 0 && seconds <= TEST_TIME_MAX)
        return seconds * 1000;
    return wall;
}

/* What is too long to be an address: no two of them look alike, and none looks like a short one. */
static void put_hash(struct writer *w, struct text t)
{
    uint8_t key[HASH_KEY_SIZE];
    hash_key(t.data, t.size, key);
    write_literal(w, "\\H"); /* no other form has a capital H */
    for (int i = 0; i < HASH_KEY_SIZE; i++)
        write_format(w, "%02x", key[i]);
}

static struct text put_domain(struct writer *w, struct text domain)
{
    char *start = w->at;
    if (domain.size > ADDRESS_MAX)
        put_hash(w, domain);
    else if (!idn_domain(domain, w)) {
        /* Not in the form that IDNA asks for; what a resolver makes of it is the domain all the same:
         * else a full-width letter would lead round a list. */
        char *escaped_end = w->at;
        if (idn_mapped(domain, w)) {
            size_t size = (size_t)(w->at - escaped_end);
            memmove(start, escaped_end, size);
            w->at = start + size;
        }
    }
    return (struct text){start, (size_t)(w->at - start)};
}

static struct mailbox put_mailbox(struct writer *w, struct text address)
{
    struct mailbox m = {.whole = {w->at, 0}};
    size_t at = address.size;
    while (at > 0 && address.data[at - 1] != '@')
        at--;
    if (address.size > ADDRESS_MAX) {
        put_hash(w, address);
    } else {
        idn_local((struct text){address.data, at > 0 ? at - 1 : address.size}, w);
    }
    m.local = (struct text){m.whole.data, (size_t)(w->at - m.whole.data)};
    if (at > 0 && address.size <= ADDRESS_MAX) {
        write_literal(w, "@");
        m.domain = put_domain(w, (struct text){address.data + at, address.size - at});
    }
    m.whole.size = (size_t)(w->at - m.whole.data);
    return m;
}

static struct text put_country(struct writer *w, struct text country)
{
    char *start = w->at;
    for (size_t i = 0; country.size == 2 && i < 2; i++) {
        char c = country.data[i];
        char upper = c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
        write_bytes(w, &upper, 1);
    }
    return (struct text){start, (size_t)(w->at - start)};
}

/* Whether there is a sender at this state: before MAIL nobody is a null sender yet. */
static bool has_sender(enum protocol_state state)
{
    return state == STATE_MAIL || state == STATE_RCPT || state == STATE_DATA ||
           state == STATE_END_OF_MESSAGE;
}

void prepare(struct request *r, int64_t wall, bool test_clock, char memory[PREPARE_MEMORY_MAX])
{
    const struct text *a = r->attribute;
    struct writer w = writer_on(memory, PREPARE_MEMORY_MAX);
    r->now = request_time(r, wall, test_clock);
    r->state = request_state(a[ATTRIBUTE_protocol_state]);
    addr_parse(a[ATTRIBUTE_client_address], &r->client);
    r->sender_is_null = a[ATTRIBUTE_sender].size == 0 && has_sender(r->state);
    r->sender = put_mailbox(&w, a[ATTRIBUTE_sender]);
    r->recipient = put_mailbox(&w, a[ATTRIBUTE_recipient]);
    r->client_name = (struct text){memory, 0};
    if (!text_equal_fold(a[ATTRIBUTE_client_name], TEXT("unknown")))
        r->client_name = put_domain(&w, a[ATTRIBUTE_client_name]);
    r->helo_name = put_domain(&w, a[ATTRIBUTE_helo_name]);
    r->country = put_country(&w, a[ATTRIBUTE_country]);
    r->canonical = writer_text(&w);
}
