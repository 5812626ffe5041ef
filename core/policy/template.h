/*
 * template.h: reply texts with values in them: %(seconds)s and so on, %% for a percent sign.
 */
#ifndef MONGREY_TEMPLATE_H
#define MONGREY_TEMPLATE_H

#include "core/base/text.h"

/* What a template may name. */
enum template_value {
    TEMPLATE_SECONDS,   /* still to wait, whole, rounded up */
    TEMPLATE_REMAINING, /* the same as 0.4.4 writes it: 20.0, 12.34 */
    TEMPLATE_DELAY,     /* seconds that the first pass had waited */
    TEMPLATE_POLICY,
    TEMPLATE_VALUE, /* what of the request a list entry met */
    TEMPLATE_CLIENT_ADDRESS,
    TEMPLATE_CLIENT_NAME,
    TEMPLATE_SENDER,
    TEMPLATE_RECIPIENT,
    TEMPLATE_RECIPIENT_DOMAIN,
    TEMPLATE_COUNTRY,
    TEMPLATE_ID,
    TEMPLATE_URL,
    TEMPLATE_HOST,
    TEMPLATE_VERSION,
    TEMPLATE_DATE,
    TEMPLATE_VALUES
};

extern const char *const template_names[TEMPLATE_VALUES];

/* NULL, or what is wrong with it: an unknown name, a lone %. Fuzzed. */
const char *template_fault(struct text pattern);

/* Writes a template without fault; `put` writes each value. */
void template_write(struct writer *w, struct text pattern,
                    void (*put)(void *context, enum template_value which, struct writer *w),
                    void *context);

#endif
