/* match.c: see match.h.
 *
 * Networks are asked for with one probe for each prefix length that is there at all, names with one
 * for each parent of a depth that is there: a handful, where a tree would cost a cache miss a step.
 * A probe that finds nothing, as nearly all do, reads one byte of a table of one byte a slot. */
#include "core/policy/match.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/hash.h"
#include "core/policy/patterns.h"

#define DEPTHS 128 /* a name has at most 127 labels */
#define NETWORK_KEY_MAX 18

struct entry {
    uint32_t at; /* its key, in the pool */
    uint32_t number;
    uint16_t size;
    uint8_t what; /* field and kind */
    bool more;    /* the next entry has the same key */
};

struct bits {
    uint64_t words[3];
};

struct matcher {
    struct entry *entries; /* once sealed: by hash, key and number */
    size_t count;
    size_t room;
    char *pool;
    size_t pool_size;
    size_t pool_room;
    uint8_t *tags; /* a byte of the hash for each slot; 0: empty */
    uint32_t *slots;
    uint32_t capacity;
    uint64_t seed[2];
    uint16_t kinds[FIELDS];     /* a bit for each kind that is there */
    struct bits prefixes[2];    /* lengths of IPv4, IPv6 networks */
    struct bits depths[FIELDS]; /* labels of VALUE_BELOW */
    struct patterns patterns;
};

static void set_bit(struct bits *b, unsigned bit)
{
    b->words[bit / 64] |= UINT64_C(1) << bit % 64;
}

static bool has_bit(const struct bits *b, unsigned bit)
{
    return (b->words[bit / 64] >> bit % 64 & 1) != 0;
}

static bool has_kind(const struct matcher *m, enum field field, enum value_kind kind)
{
    return (m->kinds[field] >> kind & 1) != 0;
}

static uint8_t what_of(enum field field, enum value_kind kind)
{
    return (uint8_t)((unsigned)field * VALUE_KINDS + (unsigned)kind);
}

/* --- Hashing --------------------------------------------------------------------------------------
 * Folded multiplication under a seed of this matcher. Only who writes the lists puts keys into the
 * table, so a hash that resists an attacker (hash_table) would be time for nothing. */

__extension__ typedef unsigned __int128 wide;

static uint64_t mix(uint64_t a, uint64_t b)
{
    wide product = (wide)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t hash_on(const struct matcher *m, uint64_t hash, const char *data, size_t size)
{
    uint64_t word;
    uint64_t last = 0;
    size_t i = 0;
    for (; i + 8 <= size; i += 8) {
        memcpy(&word, data + i, 8);
        hash = mix(hash ^ word, m->seed[0]);
    }
    for (; i < size; i++)
        last = last << 8 | (unsigned char)data[i];
    return mix(hash ^ last, m->seed[1] + 2 * size);
}

static uint64_t hash_text(const struct matcher *m, struct text t)
{
    return hash_on(m, m->seed[0], t.data, t.size);
}

/* The start of the label that ends at `end`. */
static size_t label_start(struct text name, size_t end)
{
    while (end > 0 && name.data[end - 1] != '.')
        end--;
    return end;
}

/* Label by label from the right, so that a name's hash is a step on the way to those below it. */
static uint64_t hash_name(const struct matcher *m, struct text name)
{
    uint64_t hash = m->seed[0];
    for (size_t end = name.size;;) {
        size_t start = label_start(name, end);
        hash = hash_on(m, hash, name.data + start, end - start);
        if (start == 0)
            return hash;
        end = start - 1;
    }
}

static uint64_t hash_what(const struct matcher *m, uint64_t hash, uint8_t what)
{
    return mix(hash ^ m->seed[1], m->seed[0] + 2U * what);
}

static uint64_t hash_entry(const struct matcher *m, const struct entry *e)
{
    struct text key = {m->pool + e->at, e->size};
    unsigned kind = e->what % VALUE_KINDS;
    bool name = kind == VALUE_DOMAIN || kind == VALUE_BELOW;
    return hash_what(m, name ? hash_name(m, key) : hash_text(m, key), e->what);
}

static uint32_t slot_of(const struct matcher *m, uint64_t hash)
{
    return (uint32_t)((uint64_t)(uint32_t)hash * m->capacity >> 32);
}

static uint8_t tag_of(uint64_t hash)
{
    return (uint8_t)(hash >> 56 | 0x80);
}

/* --- Building -------------------------------------------------------------------------------------
 */

struct matcher *matcher_make(void)
{
    struct matcher *m = calloc(1, sizeof(*m));
    if (m == NULL)
        return NULL;
    hash_random(m->seed, sizeof(m->seed));
    m->seed[0] |= 1;
    m->seed[1] |= 1;
    return m;
}

static bool make_room(struct matcher *m, size_t bytes)
{
    if (m->count == m->room) {
        size_t room = m->room < 16 ? 16 : m->room + m->room / 2;
        struct entry *entries = realloc(m->entries, room * sizeof(*entries));
        if (entries == NULL)
            return false;
        m->entries = entries;
        m->room = room;
    }
    if (m->pool_size + bytes >= m->pool_room) {
        size_t room = (m->pool_room + bytes) * 3 / 2 + 64;
        char *pool = realloc(m->pool, room);
        if (pool == NULL)
            return false;
        m->pool = pool;
        m->pool_room = room;
    }
    return true;
}

/* Family, length, and the bytes that count. */
static size_t network_key(const struct network *n, char key[NETWORK_KEY_MAX])
{
    size_t size = (n->prefix + 7U) / 8;
    key[0] = (char)n->addr.family;
    key[1] = (char)n->prefix;
    memcpy(key + 2, n->addr.bytes, size);
    return 2 + size;
}

static unsigned depth_of(struct text name)
{
    unsigned depth = 1;
    for (size_t i = 0; i < name.size; i++)
        depth += name.data[i] == '.';
    return depth;
}

bool matcher_add(struct matcher *m, const struct value *value, uint32_t number)
{
    char network[NETWORK_KEY_MAX];
    struct text key = value->text;
    if (value->kind == VALUE_NETWORK)
        key = (struct text){network, network_key(&value->network, network)};
    if (value->kind == VALUE_PATTERN) {
        if (!patterns_add(&m->patterns, value->field, key, number))
            return false;
    } else {
        if (key.size > VALUE_MAX || m->count == UINT32_MAX / 2 ||
            m->pool_size + key.size > UINT32_MAX || !make_room(m, key.size))
            return false;
        m->entries[m->count++] = (struct entry){(uint32_t)m->pool_size, number, (uint16_t)key.size,
                                                what_of(value->field, value->kind), false};
        if (key.size > 0)
            memcpy(m->pool + m->pool_size, key.data, key.size);
        m->pool_size += key.size;
    }
    m->kinds[value->field] |= (uint16_t)(1U << value->kind);
    if (value->kind == VALUE_NETWORK)
        set_bit(&m->prefixes[value->network.addr.family == ADDR_IPV6], value->network.prefix);
    if (value->kind == VALUE_BELOW && depth_of(key) < DEPTHS)
        set_bit(&m->depths[value->field], depth_of(key));
    return true;
}

/* An entry while it is sorted. */
struct sorted {
    uint64_t hash;
    const char *key;
    struct entry entry;
};

static int compare_keys(const struct sorted *a, const struct sorted *b)
{
    if (a->hash != b->hash)
        return a->hash < b->hash ? -1 : 1;
    if (a->entry.what != b->entry.what)
        return a->entry.what < b->entry.what ? -1 : 1;
    if (a->entry.size != b->entry.size)
        return a->entry.size < b->entry.size ? -1 : 1;
    return memcmp(a->key, b->key, a->entry.size);
}

static int compare(const void *left, const void *right)
{
    const struct sorted *a = left;
    const struct sorted *b = right;
    int order = compare_keys(a, b);
    if (order == 0 && a->entry.number != b->entry.number)
        order = a->entry.number < b->entry.number ? -1 : 1;
    return order;
}

static void place(struct matcher *m, uint64_t hash, uint32_t index)
{
    uint32_t slot = slot_of(m, hash);
    while (m->tags[slot] != 0)
        slot = slot + 1 == m->capacity ? 0 : slot + 1;
    m->tags[slot] = tag_of(hash);
    m->slots[slot] = index;
}

/* The table has as many slots as three for two different keys. */
static bool build_table(struct matcher *m, const struct sorted *sorted)
{
    size_t keys = 0;
    for (size_t i = 0; i < m->count; i++) {
        m->entries[i] = sorted[i].entry;
        m->entries[i].more = i + 1 < m->count && compare_keys(sorted + i, sorted + i + 1) == 0;
        keys += !m->entries[i].more;
    }
    m->capacity = (uint32_t)(keys + keys / 2 + 1);
    m->tags = calloc(m->capacity, sizeof(*m->tags));
    m->slots = calloc(m->capacity, sizeof(*m->slots));
    if (m->tags == NULL || m->slots == NULL)
        return false;
    for (size_t i = 0; i < m->count; i++) {
        if (i == 0 || !m->entries[i - 1].more)
            place(m, sorted[i].hash, (uint32_t)i);
    }
    return true;
}

static void shrink(struct matcher *m)
{
    void *smaller = realloc(m->entries, m->count * sizeof(*m->entries));
    if (smaller != NULL) {
        m->entries = smaller;
        m->room = m->count;
    }
    smaller = realloc(m->pool, m->pool_size + 1);
    if (smaller != NULL) {
        m->pool = smaller;
        m->pool_room = m->pool_size + 1;
    }
}

bool matcher_seal(struct matcher *m)
{
    if (!patterns_seal(&m->patterns))
        return false;
    if (m->count == 0)
        return true;
    struct sorted *sorted = malloc(m->count * sizeof(*sorted));
    if (sorted == NULL)
        return false;
    for (size_t i = 0; i < m->count; i++)
        sorted[i] = (struct sorted){hash_entry(m, m->entries + i), m->pool + m->entries[i].at,
                                    m->entries[i]};
    qsort(sorted, m->count, sizeof(*sorted), compare);
    bool fine = build_table(m, sorted);
    free(sorted);
    shrink(m);
    return fine;
}

void matcher_free(struct matcher *m)
{
    if (m == NULL)
        return;
    patterns_free(&m->patterns);
    free(m->entries);
    free(m->pool);
    free(m->tags);
    free(m->slots);
    free(m);
}

size_t matcher_bytes(const struct matcher *m)
{
    return sizeof(*m) + m->room * sizeof(*m->entries) + m->pool_room +
           m->capacity * (sizeof(*m->tags) + sizeof(*m->slots)) + patterns_bytes(&m->patterns);
}

/* --- Look-up --------------------------------------------------------------------------------------
 */

/* A key that is looked for. Its slot is on the way from memory while the next keys are worked out: in a
 * table that no cache holds, they would otherwise be waited for one by one. */
struct wanted {
    uint64_t hash;
    struct text key;
    struct value value;
    char network[NETWORK_KEY_MAX]; /* the key of a network */
};

#define WANTED_MAX 32

struct look {
    const struct matcher *m;
    size_t wanted_count;
    struct wanted wanted[WANTED_MAX];
    struct match *found;
    size_t most;
    size_t count;
    struct match_run *run;
};

static bool is_before(const struct match *a, const struct match *b)
{
    if (a->field != b->field)
        return a->field < b->field;
    return a->rank != b->rank ? a->rank < b->rank : a->number < b->number;
}

static bool is_more_specific(const struct match *a, const struct match *b)
{
    return a->rank != b->rank ? a->rank < b->rank : is_before(a, b);
}

/* False: there was no room for it. */
static bool make_way(struct look *l, const struct match *match)
{
    size_t worst = 0;
    if (l->count < l->most)
        return true;
    l->run->left_out++;
    for (size_t i = 1; i < l->count; i++) {
        if (is_more_specific(l->found + worst, l->found + i))
            worst = i;
    }
    if (l->count == 0 || !is_more_specific(match, l->found + worst))
        return false;
    memmove(l->found + worst, l->found + worst + 1, (l->count - worst - 1) * sizeof(*match));
    l->count--;
    return true;
}

static bool keep(struct look *l, const struct value *value, uint32_t number)
{
    struct match match = {number, value->field, value->kind, value_rank(value)};
    if (!make_way(l, &match))
        return false;
    size_t i = l->count++;
    for (; i > 0 && is_before(&match, l->found + i - 1); i--)
        l->found[i] = l->found[i - 1];
    l->found[i] = match;
    return true;
}

/* All entries of one key; they come by number, so that after the first without room none has any.
 */
static void keep_all(struct look *l, const struct entry *e, const struct value *value)
{
    while (keep(l, value, e->number) && e->more)
        e++;
    for (; e->more; e++)
        l->run->left_out++;
}

static void answer(struct look *l, const struct wanted *w)
{
    const struct matcher *m = l->m;
    struct text key =
        w->value.kind == VALUE_NETWORK ? (struct text){w->network, w->key.size} : w->key;
    uint8_t what = what_of(w->value.field, w->value.kind);
    uint8_t tag = tag_of(w->hash);
    for (uint32_t slot = slot_of(m, w->hash); m->tags[slot] != 0;
         slot = slot + 1 == m->capacity ? 0 : slot + 1) {
        if (m->tags[slot] != tag)
            continue;
        const struct entry *e = m->entries + m->slots[slot];
        if (e->what != what || e->size != key.size ||
            (key.size > 0 && memcmp(m->pool + e->at, key.data, key.size) != 0))
            continue;
        keep_all(l, e, &w->value);
        return;
    }
}

static void answer_all(struct look *l)
{
    for (size_t i = 0; i < l->wanted_count; i++)
        answer(l, &l->wanted[i]);
    l->wanted_count = 0;
}

/* value: field, kind and, for its rank, network or text; hash: of the key alone. The key lives as long
 * as the look-up; a network's is copied. */
static void probe(struct look *l, const struct value *value, struct text key, uint64_t hash)
{
    if (l->wanted_count == WANTED_MAX)
        answer_all(l);
    struct wanted *w = &l->wanted[l->wanted_count++];
    w->hash = hash_what(l->m, hash, what_of(value->field, value->kind));
    w->key = key;
    w->value = *value;
    if (value->kind == VALUE_NETWORK)
        memcpy(w->network, key.data, key.size);
    __builtin_prefetch(l->m->tags + slot_of(l->m, w->hash));
}

static void find_text(struct look *l, enum field field, enum value_kind kind, struct text text)
{
    struct value value = {.field = field, .kind = kind, .text = text};
    if (has_kind(l->m, field, kind) && text.size > 0 && text.size <= VALUE_MAX)
        probe(l, &value, text, hash_text(l->m, text));
}

/* From the shortest parent down to the name itself. */
static void find_name(struct look *l, enum field field, struct text name)
{
    const struct matcher *m = l->m;
    struct value value = {.field = field, .kind = VALUE_BELOW};
    bool below = has_kind(m, field, VALUE_BELOW);
    uint64_t hash = m->seed[0];
    size_t start = name.size + 1;
    if (name.size == 0 || name.size > VALUE_MAX || !(below || has_kind(m, field, VALUE_DOMAIN)))
        return;
    for (unsigned depth = 1; start > 0; depth++) {
        size_t end = start - 1;
        start = label_start(name, end);
        hash = hash_on(m, hash, name.data + start, end - start);
        value.text = (struct text){name.data + start, name.size - start};
        if (below && depth < DEPTHS && has_bit(&m->depths[field], depth))
            probe(l, &value, value.text, hash);
    }
    value.kind = VALUE_DOMAIN;
    if (has_kind(m, field, VALUE_DOMAIN))
        probe(l, &value, name, hash);
}

static void find_address(struct look *l, const struct addr *client)
{
    struct value value = {.field = FIELD_CLIENT_ADDRESS, .kind = VALUE_NETWORK};
    struct addr *addr = &value.network.addr;
    char key[NETWORK_KEY_MAX];
    if (client == NULL || client->family == ADDR_NONE ||
        !has_kind(l->m, FIELD_CLIENT_ADDRESS, VALUE_NETWORK))
        return;
    const struct bits *lengths = &l->m->prefixes[client->family == ADDR_IPV6];
    *addr = *client;
    for (unsigned length = client->family == ADDR_IPV6 ? 129 : 33; length-- > 0;) {
        /* What lies behind it has been cleared, but for one bit. */
        if (length < 128)
            addr->bytes[length / 8] &= (uint8_t) ~(0x80U >> length % 8);
        if (!has_bit(lengths, length))
            continue;
        value.network.prefix = (uint8_t)length;
        struct text text = {key, network_key(&value.network, key)};
        probe(l, &value, text, hash_text(l->m, text));
    }
}

static void keep_pattern(void *context, enum field field, uint32_t number)
{
    struct value value = {.field = field, .kind = VALUE_PATTERN};
    (void)keep(context, &value, number);
}

static void find_patterns(struct look *l, enum field field, struct text text)
{
    if (has_kind(l->m, field, VALUE_PATTERN))
        patterns_find(&l->m->patterns, field, text, l->run, keep_pattern, l);
}

static void find_mail(struct look *l, enum field field, struct text local, struct text domain,
                      struct text whole)
{
    find_text(l, field, VALUE_MAILBOX, whole);
    find_text(l, field, VALUE_USER, local);
    find_name(l, field, domain);
    find_patterns(l, field, whole);
}

static void find_sender(struct look *l, const struct subject *s)
{
    static const struct value null = {.field = FIELD_SENDER, .kind = VALUE_MAILBOX};
    if (!s->sender_null)
        find_mail(l, FIELD_SENDER, s->sender_local, s->sender_domain, s->sender);
    else if (has_kind(l->m, FIELD_SENDER, VALUE_MAILBOX))
        probe(l, &null, null.text, hash_text(l->m, null.text));
}

static void find_host(struct look *l, enum field field, struct text name)
{
    find_name(l, field, name);
    find_text(l, field, VALUE_TEXT, name);
    find_patterns(l, field, name);
}

size_t matcher_find(const struct matcher *m, const struct subject *subject, struct match *found,
                    size_t most, struct match_run *run)
{
    struct look l;
    l.m = m;
    l.wanted_count = 0;
    l.found = found;
    l.most = most;
    l.count = 0;
    l.run = run;
    *run = (struct match_run){.room = run->room};
    if (m->kinds[FIELD_CLIENT_ADDRESS] != 0)
        find_address(&l, subject->client);
    if (m->kinds[FIELD_CLIENT_NAME] != 0 && !text_equal_fold(subject->client_name, TEXT("unknown")))
        find_host(&l, FIELD_CLIENT_NAME, subject->client_name);
    if (m->kinds[FIELD_COUNTRY] != 0)
        find_text(&l, FIELD_COUNTRY, VALUE_COUNTRY, subject->country);
    if (m->kinds[FIELD_HELO_NAME] != 0)
        find_host(&l, FIELD_HELO_NAME, subject->helo_name);
    if (m->kinds[FIELD_POLICY_CONTEXT] != 0) {
        find_text(&l, FIELD_POLICY_CONTEXT, VALUE_TEXT, subject->policy_context);
        find_patterns(&l, FIELD_POLICY_CONTEXT, subject->policy_context);
    }
    if (m->kinds[FIELD_RECIPIENT] != 0)
        find_mail(&l, FIELD_RECIPIENT, subject->recipient_local, subject->recipient_domain,
                  subject->recipient);
    if (m->kinds[FIELD_SENDER] != 0)
        find_sender(&l, subject);
    answer_all(&l);
    return l.count;
}
