/* own.c: one's own networks and mailboxes. */
#include <stdlib.h>

#include "core/lint/state.h"

static bool check_networks(struct lint *l)
{
    struct network *items = calloc(l->networks_count + 1, sizeof(*items));
    size_t *outer = calloc(l->networks_count + 1, sizeof(*outer));
    for (size_t i = 0; items != NULL && i < l->networks_count; i++)
        items[i] = l->networks[i].network;
    bool fine = items != NULL && outer != NULL && values_nest(items, l->networks_count, outer);
    for (size_t i = 0; fine && i < l->networks_count; i++) {
        const struct lint_own_network *n = &l->networks[i];
        const struct lint_own_network *wide = outer[i] == LINT_NONE ? NULL : &l->networks[outer[i]];
        if (values_is_everyone(&n->network))
            report_record(l, FINDING_OWN_NETWORK_EVERYONE, "mynetwork",
                          text_of(report_network(l, &n->network)), &n->origin,
                          "is the whole internet: everybody counts as one's own; name one's own "
                          "networks");
        else if (wide != NULL && !values_is_everyone(&wide->network))
            report_record(l, FINDING_OWN_NETWORKS_OVERLAP, "mynetwork",
                          text_of(report_network(l, &n->network)), &n->origin,
                          "lies in %s, and adds nothing; remove one of them",
                          report_network(l, &wide->network));
    }
    free(items);
    free(outer);
    return fine;
}

static void check_mailboxes(struct lint *l)
{
    for (size_t i = 0; i < l->mailboxes_count; i++) {
        const struct lint_name *m = &l->mailboxes[i];
        struct text domain = values_domain(&m->value);
        if (!records_is_own_domain(l, domain))
            report_record(l, FINDING_MAILBOX_WITHOUT_DOMAIN, "mailbox", m->written, &m->origin,
                          "%s is not among the domains; enter it there, or remove the mailbox",
                          report_shown(l, domain));
    }
}

bool own_check(struct lint *l)
{
    check_mailboxes(l);
    return check_networks(l);
}
