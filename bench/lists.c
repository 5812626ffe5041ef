/*
 * lists.c: what a look-up in compiled lists costs beside ten and beside a hundred thousand entries
 * of each kind, and what an entry takes. Both sizes are timed in turns, in one run; the ratio is of
 * medians, and what counts.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/hash.h"
#include "core/policy/match.h"

#define SMALL 10U
#define LARGE 100000U
#define SUBJECTS 256U
#define TURNS 41U
#define MOST 32U

struct kind {
    const char *name;
    enum field field;
    void (*write)(struct writer *w, unsigned i);
};

static void write_address(struct writer *w, unsigned i)
{
    write_format(w, "%u.%u.%u.%u", 11 + i % 89, i / 89 % 256, i / 22784, i * 7 % 256);
}

static void write_network(struct writer *w, unsigned i)
{
    unsigned length = 20 + i % 5;
    write_format(w, "%u.%u.%u.0/%u", 100 + i % 97, i / 97 % 256, (i / 24832) * 16 % 256, length);
}

static void write_domain(struct writer *w, unsigned i)
{
    write_format(w, "mx%u.sender-%u.example", i % 7, i);
}

static void write_below(struct writer *w, unsigned i)
{
    write_format(w, ".customers-%u.example.net", i);
}

static void write_mailbox(struct writer *w, unsigned i)
{
    write_format(w, "user.%u@domain-%u.example", i, i % 1000);
}

static void write_user(struct writer *w, unsigned i)
{
    write_format(w, "newsletter-%u@", i);
}

static void write_pattern(struct writer *w, unsigned i)
{
    write_format(w, "/^(mail|mx)[0-9]*\\.provider%u-[a-z]+\\.example\\.com$/",
                 i * 7919U % 1000003U);
}

static const struct kind kinds[] = {
    {"address", FIELD_CLIENT_ADDRESS, write_address},
    {"network", FIELD_CLIENT_ADDRESS, write_network},
    {"domain", FIELD_CLIENT_NAME, write_domain},
    {"below", FIELD_CLIENT_NAME, write_below},
    {"mailbox", FIELD_SENDER, write_mailbox},
    {"user", FIELD_SENDER, write_user},
    {"pattern", FIELD_CLIENT_NAME, write_pattern},
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static double now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void die(const char *what)
{
    (void)fprintf(stderr, "lists: %s\n", what);
    exit(1);
}

static void add(struct matcher *m, const struct kind *kind, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        char memory[VALUE_MAX];
        char why[VALUE_WHY_MAX];
        struct writer w = writer_on(memory, sizeof(memory));
        struct arena arena = arena_make(8192);
        struct value v;
        kind->write(&w, i);
        /* Of an address with host bits set, the network around it. */
        bool network = kind->write == write_network;
        if (!value_parse(kind->field, writer_text(&w), &arena, &v, why, sizeof(why)) && !network)
            die(why);
        v.kind = network ? VALUE_NETWORK : v.kind;
        if (!matcher_add(m, &v, i))
            die("no memory");
        arena_free(&arena);
    }
}

static struct matcher *build(const struct kind *first, size_t many, unsigned count)
{
    struct matcher *m = matcher_make();
    for (size_t i = 0; m != NULL && i < many; i++)
        add(m, first + i, count);
    if (m == NULL || !matcher_seal(m))
        die("no memory");
    return m;
}

/* Mail as it comes: none of it is on a list. */
static char names[SUBJECTS][5][96];
static struct addr addresses[SUBJECTS];
static struct subject subjects[SUBJECTS];

__attribute__((format(printf, 2, 3))) static struct text text_in(char memory[96],
                                                                 const char *format, ...)
{
    va_list list;
    va_start(list, format);
    int size = vsnprintf(memory, 96, format, list);
    va_end(list);
    return (struct text){memory, (size_t)size};
}

static void make_subjects(void)
{
    for (unsigned i = 0; i < SUBJECTS; i++) {
        struct subject *s = subjects + i;
        addresses[i] = (struct addr){ADDR_IPV4, {203, 0, (uint8_t)(i % 256), (uint8_t)(i * 37)}};
        s->client = addresses + i;
        s->client_name = text_in(names[i][0], "mail%u.city-%u.provider.example.org", i, i * 31);
        s->helo_name = s->client_name;
        s->country = TEXT("FR");
        s->sender = text_in(names[i][1], "someone.%u@company-%u.example.org", i, i * 17);
        s->recipient = text_in(names[i][2], "person%u@our-%u.example.edu", i, i % 3);
        const char *at = memchr(s->sender.data, '@', s->sender.size);
        s->sender_local = (struct text){s->sender.data, (size_t)(at - s->sender.data)};
        s->sender_domain = text_of(at + 1);
        at = memchr(s->recipient.data, '@', s->recipient.size);
        s->recipient_local = (struct text){s->recipient.data, (size_t)(at - s->recipient.data)};
        s->recipient_domain = text_of(at + 1);
    }
}

static double turn(const struct matcher *m, struct match_run *run)
{
    struct match found[MOST];
    size_t count = 0;
    double start = now();
    for (unsigned i = 0; i < SUBJECTS; i++)
        count += matcher_find(m, subjects + i, found, MOST, run);
    double took = (now() - start) / SUBJECTS;
    if (count > 0 || run->gave_up > 0)
        die("something was found");
    return took;
}

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a;
    double right = *(const double *)b;
    return left < right ? -1 : left > right;
}

static void measure(const char *name, const struct kind *first, size_t many)
{
    double small_took[TURNS];
    double large_took[TURNS];
    struct match_run run = {.room = pattern_room_make()};
    struct matcher *small = build(first, many, SMALL);
    double start = now();
    struct matcher *large = build(first, many, LARGE);
    double built = (now() - start) / 1e6;
    for (unsigned i = 0; i < TURNS; i++) {
        small_took[i] = turn(small, &run);
        large_took[i] = turn(large, &run);
    }
    qsort(small_took, TURNS, sizeof(double), compare);
    qsort(large_took, TURNS, sizeof(double), compare);
    double few = small_took[TURNS / 2];
    double lot = large_took[TURNS / 2];
    (void)printf("%-8s %8.0f %10.0f %10.2f %+9.0f %8.0f %10.0f\n", name, few, lot, lot / few,
                 lot - few, (double)matcher_bytes(large) / ((double)LARGE * (double)many), built);
    matcher_free(small);
    matcher_free(large);
    pattern_room_free(run.room);
}

int main(void)
{
    if (!hash_start())
        die("no random bytes");
    make_subjects();
    (void)printf("%-8s %8s %10s %10s %9s %8s %10s\n", "kind", "ns/10", "ns/100000", "ratio",
                 "ns more", "B/entry", "ms built");
    for (size_t i = 0; i < KINDS; i++)
        measure(kinds[i].name, kinds + i, 1);
    measure("all", kinds, KINDS);
    return 0;
}
