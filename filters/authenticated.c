/* authenticated.c: who has logged in is one's own user, and passes. */
#include "filters/table.h"

static bool has_logged_in(const struct inquiry *q)
{
    return q->request.attribute[ATTRIBUTE_sasl_username].size > 0;
}

static enum check_answer ask(struct inquiry *q)
{
    if (!q->settings->sasl_bypass || !has_logged_in(q))
        return CHECK_NEXT;
    verdict_set(&q->verdict, OUTCOME_PASS, "authenticated", TEXT("DUNNO authenticated"));
    return CHECK_DECIDED;
}

static void tell(const struct inquiry *q, struct writer *w)
{
    if (!q->settings->sasl_bypass) {
        write_literal(w, "off (sasl_bypass)");
    } else if (has_logged_in(q)) {
        write_literal(w, "logged in as ");
        write_escaped(w, q->request.attribute[ATTRIBUTE_sasl_username], "", 100);
    } else {
        write_literal(w, "not logged in");
    }
}

const struct check check_authenticated = {.name = "authenticated", .ask = ask, .tell = tell};
