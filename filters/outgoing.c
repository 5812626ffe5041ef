/* outgoing.c: a client in mynetworks sends out: it passes. */
#include "filters/table.h"

static bool is_on(const struct inquiry *q)
{
    return q->rules->outgoing_bypass && q->rules->mynetwork_vrfy;
}

static enum check_answer ask(struct inquiry *q)
{
    if (!is_on(q) || (q->ours & OURS_CLIENT) == 0)
        return CHECK_NEXT;
    verdict_set(&q->verdict, OUTCOME_PASS, "outgoing", TEXT("DUNNO outgoing bypass"));
    return CHECK_DECIDED;
}

static void tell(const struct inquiry *q, struct writer *w)
{
    if (!is_on(q))
        write_literal(w, "off (outgoing_bypass and mynetwork_vrfy)");
    else
        write_format(w, "%s of %zu mynetworks", (q->ours & OURS_CLIENT) != 0 ? "in one" : "in none",
                     q->snapshot->networks_count);
}

const struct check check_outgoing = {.name = "outgoing", .ask = ask, .tell = tell};
