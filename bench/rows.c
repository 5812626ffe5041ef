/* rows.c: see rows.h. */
#include "bench/rows.h"

#include <stdio.h>
#include <string.h>

uint64_t rows_mix(uint64_t number)
{
    uint64_t x = number + UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

int64_t rows_time(uint64_t number)
{
    return ROWS_BEGIN + (int64_t)number * ROWS_STEP;
}

void rows_key(uint64_t number, struct storage_key *key)
{
    const uint64_t halves[2] = {rows_mix(number), rows_mix(~number)};
    memcpy(key->bytes, halves, sizeof(halves));
}

/* A few of them often, most of them seldom. */
static unsigned skewed(uint64_t number, uint64_t salt, unsigned most)
{
    double u = (double)(rows_mix(number ^ salt << 56) >> 11) / 9007199254740992.0;
    return (unsigned)(u * u * u * most);
}

static struct storage_text text_of(const char *text)
{
    return (struct storage_text){text, strlen(text)};
}

void rows_read(uint64_t number, struct row_texts *t)
{
    static const char *const users[] = {
        "info",      "john.smith", "newsletter", "bounce-7f3a9c2e41",
        "m.mueller", "no-reply",   "sales",      "support.team"};
    static const char *const countries[] = {"US", "DE", "FR", "NL", "CN", "RU", "BR", "GB"};
    unsigned client = skewed(number, 1, 3000000);
    unsigned network = client / 8;
    unsigned from = skewed(number, 2, ROWS_SENDER_DOMAINS);
    unsigned to = skewed(number, 3, ROWS_RECIPIENT_DOMAINS);
    uint64_t more = rows_mix(number ^ UINT64_C(4) << 56);
    bool named = more % 10 < 7;
    snprintf(t->text[0], ROWS_TEXT, "%u.%u.%u.%u", 11 + network % 89, network / 89 % 256,
             network / 22784, 1 + client % 8 * 29);
    snprintf(t->text[1], ROWS_TEXT, named ? "mail-%u.provider%u.example" : "unknown", client,
             network % 50000);
    snprintf(t->text[2], ROWS_TEXT, "mx%u.provider%u.example", client % 8, network % 50000);
    snprintf(t->text[3], ROWS_TEXT, "%s%u@sender-%u.example", users[more / 16 % 8],
             (unsigned)(more / 128 % 1000), from);
    snprintf(t->text[4], ROWS_TEXT, "%s%u@customer-%u.example", users[more >> 32 & 7],
             (unsigned)(more >> 36) % 300, to);
    t->reading = (struct storage_reading){
        .client_address = text_of(t->text[0]),
        .client_name = text_of(t->text[1]),
        .helo_name = text_of(t->text[2]),
        .sender = text_of(t->text[3]),
        .recipient = text_of(t->text[4]),
        .country = text_of(countries[client % 8]),
        .policy = text_of("default"),
    };
}
