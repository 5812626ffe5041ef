/* exempt.c: mail to postmaster and abuse must get through (RFC 2142): these recipients pass. */
#include "filters/table.h"

/* `user@`, `user@domain`, `@domain`, `domain`, `.domain`, compared as addresses are. */
static bool is_recipient(struct text item, const struct mailbox *recipient)
{
    struct text local = item;
    struct text domain = item;
    size_t at = item.size;
    while (at > 0 && item.data[at - 1] != '@')
        at--;
    if (at == 0) {
        struct text tail = recipient->domain;
        bool below = item.size > 1 && item.data[0] == '.';
        if (below) {
            domain = (struct text){item.data + 1, item.size - 1};
            bool longer = tail.size > domain.size && tail.data[tail.size - domain.size - 1] == '.';
            if (longer)
                tail = (struct text){tail.data + tail.size - domain.size, domain.size};
        }
        return domain.size > 0 && text_equal_fold(domain, tail);
    }
    local.size = at - 1;
    domain = (struct text){item.data + at, item.size - at};
    return (local.size == 0 || text_equal_fold(local, recipient->local)) &&
           (domain.size == 0 || text_equal_fold(domain, recipient->domain)) && item.size > 1;
}

static bool is_exempt(const struct inquiry *q)
{
    const struct settings_list *exempt = &q->rules->recipients_exempt;
    for (size_t i = 0; i < exempt->count; i++) {
        if (is_recipient(exempt->items[i], &q->request.recipient))
            return true;
    }
    return false;
}

static enum check_answer ask(struct inquiry *q)
{
    if (q->request.recipient.whole.size == 0 || !is_exempt(q))
        return CHECK_NEXT;
    struct writer action = verdict_open(&q->verdict, OUTCOME_PASS, "exempt");
    write_literal(&action, "DUNNO exempt recipient [");
    write_text(&action, q->request.attribute[ATTRIBUTE_recipient]);
    write_literal(&action, "]");
    verdict_close(&q->verdict, &action);
    return CHECK_DECIDED;
}

static void tell(const struct inquiry *q, struct writer *w)
{
    write_literal(w, is_exempt(q) ? "in recipients_exempt" : "not in recipients_exempt");
}

const struct check check_exempt = {.name = "exempt", .ask = ask, .tell = tell};
