/* relay.c: neither the client nor a domain of the mail is one's own: somebody tries to relay. */
#include "core/policy/reply.h"
#include "filters/table.h"

static bool is_on(const struct inquiry *q)
{
    /* Without lists from the store everybody would look like a stranger. */
    return q->rules->domain_vrfy && q->rules->mynetwork_vrfy && q->snapshot->loaded;
}

static enum check_answer ask(struct inquiry *q)
{
    q->ours = snapshot_ours(q->snapshot, &q->request);
    /* Before RCPT, and after several of them, nobody knows where the mail goes. */
    if (q->request.recipient.whole.size == 0)
        return CHECK_NEXT;
    if (!is_on(q) || (q->ours & (OURS_CLIENT | OURS_SENDER | OURS_RECIPIENT)) != 0)
        return CHECK_NEXT;
    reply_set(q, OUTCOME_REJECT, "relay-denied", q->rules->reply_relay, (struct text){"", 0});
    return CHECK_DECIDED;
}

static void tell(const struct inquiry *q, struct writer *w)
{
    if (!q->rules->domain_vrfy || !q->rules->mynetwork_vrfy)
        write_literal(w, "off (domain_vrfy and mynetwork_vrfy)");
    else if (!is_on(q))
        write_literal(w, "off while the lists are not loaded");
    else if ((q->ours & (OURS_CLIENT | OURS_SENDER | OURS_RECIPIENT)) == 0)
        write_literal(w, "neither the client nor a domain is one's own");
    else
        write_format(w, "one's own:%s%s%s", (q->ours & OURS_CLIENT) != 0 ? " client" : "",
                     (q->ours & OURS_SENDER) != 0 ? " sender" : "",
                     (q->ours & OURS_RECIPIENT) != 0 ? " recipient" : "");
}

const struct check check_relay = {.name = "relay", .ask = ask, .tell = tell};
