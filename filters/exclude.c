/* exclude.c: clients in `ip_excludes` pass. */
#include "filters/table.h"

static const struct network *find(const struct inquiry *q)
{
    const struct settings_networks *excludes = &q->settings->ip_excludes;
    for (size_t i = 0; i < excludes->count; i++) {
        if (network_contains(&excludes->items[i], &q->request.client))
            return &excludes->items[i];
    }
    return NULL;
}

static enum check_answer ask(struct inquiry *q)
{
    if (find(q) == NULL)
        return CHECK_NEXT;
    struct writer action = verdict_open(&q->verdict, OUTCOME_PASS, "exclude");
    write_literal(&action, "DUNNO exclude filtering [");
    addr_write(&action, &q->request.client);
    write_literal(&action, "]");
    verdict_close(&q->verdict, &action);
    return CHECK_DECIDED;
}

static void tell(const struct inquiry *q, struct writer *w)
{
    const struct network *network = find(q);
    if (network == NULL) {
        write_format(w, "in none of the %zu networks of ip_excludes",
                     q->settings->ip_excludes.count);
        return;
    }
    write_literal(w, "in ");
    network_write(w, network);
}

const struct check check_exclude = {.name = "exclude", .ask = ask, .tell = tell};
