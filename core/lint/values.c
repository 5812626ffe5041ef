/* values.c: how values lie to each other: equal, in each other, wholly private. */
#include <stdlib.h>
#include <string.h>

#include "core/lint/state.h"

static int compare_networks(const struct network *a, const struct network *b)
{
    if (a->addr.family != b->addr.family)
        return a->addr.family < b->addr.family ? -1 : 1;
    int order = memcmp(a->addr.bytes, b->addr.bytes, sizeof(a->addr.bytes));
    return order != 0 ? order : a->prefix - b->prefix;
}

int values_compare(const struct value *a, const struct value *b)
{
    if (a->field != b->field)
        return a->field < b->field ? -1 : 1;
    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    if (a->kind == VALUE_NETWORK)
        return compare_networks(&a->network, &b->network);
    size_t size = a->text.size < b->text.size ? a->text.size : b->text.size;
    int order = size > 0 ? memcmp(a->text.data, b->text.data, size) : 0;
    if (order != 0 || a->text.size == b->text.size)
        return order;
    return a->text.size < b->text.size ? -1 : 1;
}

struct text values_domain(const struct value *v)
{
    const char *at = NULL;
    if (v->kind == VALUE_DOMAIN || v->kind == VALUE_BELOW)
        return v->text;
    if (v->kind == VALUE_MAILBOX && v->text.size > 0)
        at = memrchr(v->text.data, '@', v->text.size);
    if (at == NULL)
        return (struct text){"", 0};
    size_t before = (size_t)(at + 1 - v->text.data);
    return (struct text){at + 1, v->text.size - before};
}

struct subject values_subject(const struct value *v)
{
    struct subject s = {.client = NULL};
    struct text whole = v->kind == VALUE_MAILBOX ? v->text : (struct text){"", 0};
    struct text domain = values_domain(v);
    struct text local = v->kind == VALUE_USER ? v->text : (struct text){"", 0};
    if (v->kind == VALUE_PATTERN)
        return s;
    if (whole.size > domain.size)
        local = (struct text){whole.data, whole.size - domain.size - 1};
    switch (v->field) {
    case FIELD_CLIENT_ADDRESS:
        s.client = &v->network.addr;
        break;
    case FIELD_CLIENT_NAME:
        s.client_name = v->text;
        break;
    case FIELD_HELO_NAME:
        s.helo_name = v->text;
        break;
    case FIELD_COUNTRY:
        s.country = v->text;
        break;
    case FIELD_POLICY_CONTEXT:
        s.policy_context = v->text;
        break;
    case FIELD_RECIPIENT:
        s.recipient = whole;
        s.recipient_local = local;
        s.recipient_domain = domain;
        break;
    case FIELD_SENDER:
        s.sender = whole;
        s.sender_local = local;
        s.sender_domain = domain;
        s.sender_null = v->kind == VALUE_MAILBOX && v->text.size == 0;
        break;
    case FIELDS:
        break;
    }
    return s;
}

bool values_cover(const struct value *wide, const struct value *narrow)
{
    if (wide->field != narrow->field || wide->kind == VALUE_PATTERN)
        return false;
    if (narrow->kind == VALUE_NETWORK)
        return wide->network.prefix <= narrow->network.prefix;
    return narrow->kind != VALUE_BELOW || wide->kind == VALUE_BELOW;
}

bool values_is_everyone(const struct network *n)
{
    return n->prefix == 0;
}

/* The ranges have no neighbours: what begins and ends in one lies in it. */
bool values_is_private(const struct network *n)
{
    struct addr last = n->addr;
    size_t bits = n->addr.family == ADDR_IPV4 ? 32 : 128;
    for (size_t i = n->prefix; i < bits; i++)
        last.bytes[i / 8] |= (uint8_t)(0x80u >> i % 8);
    return addr_is_private(&n->addr) && addr_is_private(&last);
}

struct nesting {
    const struct network *network;
    size_t number;
};

static int compare_nesting(const void *a, const void *b)
{
    const struct nesting *x = a;
    const struct nesting *y = b;
    int order = compare_networks(x->network, y->network);
    return order != 0 ? order : (x->number > y->number) - (x->number < y->number);
}

/* Sorted, a network comes right before all that lies in it: what is open is a stack of at most 128
 * (of equal ones only the first is put on it). */
static void sweep(const struct nesting *sorted, size_t count, size_t *outer)
{
    const struct nesting *open[130];
    size_t depth = 0;
    for (size_t i = 0; i < count; i++) {
        const struct nesting *n = &sorted[i];
        while (depth > 0 && !network_contains(open[depth - 1]->network, &n->network->addr))
            depth--;
        outer[n->number] = depth > 0 ? open[depth - 1]->number : LINT_NONE;
        if (depth == 0 || open[depth - 1]->network->prefix < n->network->prefix)
            open[depth++] = n;
    }
}

bool values_nest(const struct network *items, size_t count, size_t *outer)
{
    struct nesting *sorted = calloc(count + 1, sizeof(*sorted));
    if (sorted == NULL)
        return false;
    for (size_t i = 0; i < count; i++)
        sorted[i] = (struct nesting){&items[i], i};
    qsort(sorted, count, sizeof(*sorted), compare_nesting);
    sweep(sorted, count, outer);
    free(sorted);
    return true;
}
