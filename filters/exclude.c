/* exclude.c: clients in `ip_excludes` pass. */
#include "filters/table.h"

static enum check_answer ask(struct inquiry *q)
{
    const struct settings_networks *excludes = &q->settings->ip_excludes;
    for (size_t i = 0; i < excludes->count; i++) {
        if (!network_contains(&excludes->items[i], &q->request.client))
            continue;
        struct writer action = verdict_open(&q->verdict, OUTCOME_PASS, "exclude");
        write_literal(&action, "DUNNO exclude filtering [");
        addr_write(&action, &q->request.client);
        write_literal(&action, "]");
        verdict_close(&q->verdict, &action);
        return CHECK_DECIDED;
    }
    return CHECK_NEXT;
}

const struct check check_exclude = {.name = "exclude", .ask = ask};
