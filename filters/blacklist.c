/* blacklist.c: what the black list names is rejected. */
#include "core/policy/reply.h"
#include "filters/listed.h"
#include "filters/table.h"

static enum check_answer ask(struct inquiry *q)
{
    struct list_met met;
    if (!q->settings->blacklist_enable ||
        !listed_find(q, LIST_BLACK, &met, OUTCOME_REJECT, "blacklisted"))
        return CHECK_NEXT;
    reply_set(q, OUTCOME_REJECT, "blacklisted", q->settings->reply_blacklist,
              listed_value(q, met.field));
    q->verdict.entry = met.entry->value;
    return CHECK_DECIDED;
}

static void tell(const struct inquiry *q, struct writer *w)
{
    if (q->settings->blacklist_enable)
        listed_tell(q, LIST_BLACK, w);
    else
        write_literal(w, "off (blacklist_enable)");
}

const struct check check_blacklist = {.name = "blacklist", .ask = ask, .tell = tell};
