/* template.c: see template.h. */
#include "core/policy/template.h"

#include <string.h>

const char *const template_names[TEMPLATE_VALUES] = {
    [TEMPLATE_SECONDS] = "seconds",
    [TEMPLATE_REMAINING] = "remaining",
    [TEMPLATE_DELAY] = "delay",
    [TEMPLATE_POLICY] = "policy",
    [TEMPLATE_VALUE] = "value",
    [TEMPLATE_CLIENT_ADDRESS] = "client_address",
    [TEMPLATE_CLIENT_NAME] = "client_name",
    [TEMPLATE_SENDER] = "sender",
    [TEMPLATE_RECIPIENT] = "recipient",
    [TEMPLATE_RECIPIENT_DOMAIN] = "recipient_domain",
    [TEMPLATE_COUNTRY] = "country",
    [TEMPLATE_ID] = "id",
    [TEMPLATE_URL] = "url",
    [TEMPLATE_HOST] = "host",
    [TEMPLATE_VERSION] = "version",
    [TEMPLATE_DATE] = "date",
};

/* A piece of a template: text as it is, or a value. */
struct piece {
    struct text literal;
    int value; /* enum template_value, or -1 */
    const char *fault;
};

static int find(struct text name)
{
    for (int i = 0; i < TEMPLATE_VALUES; i++) {
        if (text_equal(name, text_of(template_names[i])))
            return i;
    }
    return -1;
}

/* What begins with '%'. Takes it off the front of *rest. */
static struct piece take_marked(struct text *rest)
{
    struct piece p = {{"%", 1}, -1, NULL};
    if (rest->size >= 2 && rest->data[1] == '%') {
        *rest = (struct text){rest->data + 2, rest->size - 2};
        return p;
    }
    const char *end =
        rest->size >= 2 && rest->data[1] == '(' ? memchr(rest->data, ')', rest->size) : NULL;
    size_t used = end == NULL ? rest->size : (size_t)(end - rest->data) + 2;
    if (end == NULL || used > rest->size || end[1] != 's') {
        p.fault = "has a `%` that is neither %% nor a value such as %(sender)s";
    } else {
        p.value = find((struct text){rest->data + 2, used - 4});
        if (p.value < 0)
            p.fault = "names a value that there is not (seconds, remaining, delay, policy, value, "
                      "client_address, client_name, sender, recipient, recipient_domain, country, "
                      "id, url, host, version, date)";
    }
    used = used > rest->size ? rest->size : used;
    *rest = (struct text){rest->data + used, rest->size - used};
    return p;
}

static struct piece take(struct text *rest)
{
    const char *mark = memchr(rest->data, '%', rest->size);
    size_t size = mark == NULL ? rest->size : (size_t)(mark - rest->data);
    if (size == 0)
        return take_marked(rest);
    struct piece p = {{rest->data, size}, -1, NULL};
    *rest = (struct text){rest->data + size, rest->size - size};
    return p;
}

const char *template_fault(struct text pattern)
{
    while (pattern.size > 0) {
        struct piece p = take(&pattern);
        if (p.fault != NULL)
            return p.fault;
    }
    return NULL;
}

void template_write(struct writer *w, struct text pattern,
                    void (*put)(void *context, enum template_value which, struct writer *w),
                    void *context)
{
    while (pattern.size > 0) {
        struct piece p = take(&pattern);
        if (p.value >= 0)
            put(context, (enum template_value)p.value, w);
        else
            write_text(w, p.literal);
    }
}
