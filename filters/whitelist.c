/* whitelist.c: what the white list names passes. */
#include "filters/listed.h"
#include "filters/table.h"

static enum check_answer ask(struct inquiry *q)
{
    struct list_met met;
    if (!q->rules->whitelist_enable ||
        !listed_find(q, LIST_WHITE, &met, OUTCOME_PASS, "whitelisted"))
        return CHECK_NEXT;
    struct writer action = verdict_open(&q->verdict, OUTCOME_PASS, "whitelisted");
    write_literal(&action, "DUNNO whitelisted [");
    write_text(&action, listed_value(q, met.field));
    write_literal(&action, "]");
    verdict_close(&q->verdict, &action);
    q->verdict.entry = met.entry->value;
    return CHECK_DECIDED;
}

static void tell(const struct inquiry *q, struct writer *w)
{
    if (q->rules->whitelist_enable)
        listed_tell(q, LIST_WHITE, w);
    else
        write_literal(w, "off (whitelist_enable)");
}

const struct check check_whitelist = {.name = "whitelist", .ask = ask, .tell = tell};
