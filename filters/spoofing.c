/* spoofing.c: a sender of one's own domain that comes from outside is forged. */
#include "core/policy/reply.h"
#include "filters/table.h"

/* Without the lists of domains and networks there is neither "own" nor "outside". */
static bool is_on(const struct inquiry *q)
{
    const struct rules *r = q->rules;
    return r->spoofing_enable && r->domain_vrfy && r->mynetwork_vrfy && q->snapshot->loaded;
}

static bool is_spoofed(const struct inquiry *q)
{
    unsigned own = q->rules->spoofing_subdomains ? OURS_SENDER | OURS_SENDER_BELOW : OURS_SENDER;
    return (q->ours & OURS_CLIENT) == 0 && (q->ours & own) != 0;
}

static enum check_answer ask(struct inquiry *q)
{
    if (!is_on(q) || !is_spoofed(q))
        return CHECK_NEXT;
    reply_set(q, OUTCOME_REJECT, "spoofing", q->rules->reply_spoofing, (struct text){"", 0});
    return CHECK_DECIDED;
}

static void tell(const struct inquiry *q, struct writer *w)
{
    if (!is_on(q))
        write_literal(w, "off (spoofing_enable, domain_vrfy and mynetwork_vrfy)");
    else
        write_literal(w, is_spoofed(q) ? "one's own sender domain, from outside"
                                       : "no sender of one's own from outside");
}

const struct check check_spoofing = {.name = "spoofing", .ask = ask, .tell = tell};
