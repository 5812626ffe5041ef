/* listed.c: see listed.h. */
#include "filters/listed.h"

struct text listed_value(const struct inquiry *q, enum field field)
{
    static const enum attribute looked_at[FIELDS] = {
        [FIELD_CLIENT_ADDRESS] = ATTRIBUTE_client_address,
        [FIELD_CLIENT_NAME] = ATTRIBUTE_client_name,
        [FIELD_COUNTRY] = ATTRIBUTE_country,
        [FIELD_HELO_NAME] = ATTRIBUTE_helo_name,
        [FIELD_POLICY_CONTEXT] = ATTRIBUTE_policy_context,
        [FIELD_RECIPIENT] = ATTRIBUTE_recipient,
        [FIELD_SENDER] = ATTRIBUTE_sender,
    };
    if (field == FIELD_SENDER && q->request.sender_is_null)
        return TEXT("<>");
    return q->request.attribute[looked_at[field]];
}

bool listed_find(struct inquiry *q, enum snapshot_list list, struct list_met *met,
                 enum outcome would, const char *word)
{
    *met = snapshot_find(q->snapshot, list, &q->request);
    if (met->would != NULL && q->would[0] == '\0') {
        struct writer w = writer_on(q->would, sizeof(q->would));
        q->would_outcome = would;
        write_format(&w, "%s [", word);
        write_text(&w, met->would->value);
        write_literal(&w, "]");
        writer_end(&w);
    }
    if (met->entry == NULL)
        return false;
    if (!q->trial)
        snapshot_hit(q->snapshot, list, met->number, q->request.now);
    return true;
}

void listed_tell(const struct inquiry *q, enum snapshot_list list, struct writer *w)
{
    struct list_met met = snapshot_find(q->snapshot, list, &q->request);
    if (met.would != NULL) {
        write_literal(w, "not enforced: ");
        write_escaped(w, met.would->value, "", 100);
        write_literal(w, "; ");
    }
    if (met.entry == NULL) {
        write_format(w, "none of %zu entries", q->snapshot->lists[list].count);
        return;
    }
    write_format(w, "%s is ", field_names[met.field]);
    write_escaped(w, met.entry->value, "", 100);
}
