/* settings_rule.c: settings that a policy sets otherwise. */
#include <stdio.h>
#include <string.h>

#include "core/policy/settings_table.h"

static size_t member_size(enum setting_type type)
{
    switch (type) {
    case TYPE_BOOL:
        return sizeof(bool);
    case TYPE_TEXT:
    case TYPE_ACTION:
    case TYPE_TEMPLATE:
    case TYPE_URL:
        return sizeof(struct text);
    case TYPE_ENDPOINTS:
    case TYPE_TEXTS:
        return sizeof(struct settings_list);
    case TYPE_NETWORKS:
        return sizeof(struct settings_networks);
    default:
        return sizeof(int64_t);
    }
}

bool rule_parse(enum setting which, struct text written, struct arena *arena,
                struct rule_value *value, char *why, size_t size)
{
    /* The parser writes into settings: these live as long as the call, and lend it the arena. */
    struct settings scratch = {.arena = *arena};
    bool fine = setting_set(&scratch, which, written, why, size);
    const char *fault = fine ? setting_not_built(&scratch, which) : NULL;
    *arena = scratch.arena;
    if (fault != NULL)
        snprintf(why, size, "%s", fault);
    if (!fine || fault != NULL)
        return false;
    value->which = which;
    memcpy(&value->as, (const char *)&scratch + setting_rows[which].offset,
           member_size(setting_rows[which].type));
    return true;
}

void rule_apply(const struct rule_value *value, struct rules *rules)
{
    const struct setting_row *row = &setting_rows[value->which];
    size_t offset = row->offset - offsetof(struct settings, rules);
    memcpy((char *)rules + offset, &value->as, member_size(row->type));
}

void rule_write(struct writer *w, const struct rule_value *value)
{
    struct settings scratch = {.holders = 0};
    const struct settings_list *list = &value->as.list;
    switch (setting_rows[value->which].type) {
    case TYPE_TEXT:
    case TYPE_ACTION:
    case TYPE_TEMPLATE:
        write_text(w, value->as.text); /* without the quotes that a settings file needs */
        return;
    case TYPE_TEXTS:
        for (size_t i = 0; i < list->count; i++) {
            write_literal(w, i > 0 ? ", " : "");
            write_text(w, list->items[i]);
        }
        return;
    default:
        rule_apply(value, &scratch.rules);
        setting_write(w, &scratch, value->which);
    }
}

bool rule_is_bool(enum setting which)
{
    return setting_rows[which].type == TYPE_BOOL;
}
