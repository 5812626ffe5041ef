/* private.c: clients in private, loopback and link-local networks are one's own: they pass. */
#include "filters/table.h"

static enum check_answer ask(struct inquiry *q)
{
    if (!q->settings->private_bypass || !addr_is_private(&q->request.client))
        return CHECK_NEXT;
    struct writer action = verdict_open(&q->verdict, OUTCOME_PASS, "private");
    write_literal(&action, "DUNNO private address [");
    addr_write(&action, &q->request.client);
    write_literal(&action, "]");
    verdict_close(&q->verdict, &action);
    return CHECK_DECIDED;
}

static void tell(const struct inquiry *q, struct writer *w)
{
    if (!q->settings->private_bypass)
        write_literal(w, "off (private_bypass)");
    else
        write_literal(w, addr_is_private(&q->request.client) ? "a private address"
                                                             : "no private address");
}

const struct check check_private = {.name = "private", .ask = ask, .tell = tell};
