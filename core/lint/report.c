/* report.c: one finding, one line. What comes from a record is escaped: nobody can forge a line. */
#include <stdio.h>
#include <string.h>

#include "core/lint/state.h"
#include "core/policy/settings_table.h"

enum level { ERROR, WARNING };

static const struct {
    enum level level;
    const char *code;
} findings[FINDINGS] = {
#define FINDING(name, level, code, help) {level, code},
#include "core/lint/findings.def"
#undef FINDING
};

#define LINE_MAX_BYTES 4096

struct line {
    char memory[LINE_MAX_BYTES];
    struct writer w;
    enum finding finding;
};

/* What cannot forge a line stands as people wrote it: a pattern's backslashes are not doubled. */
static void write_shown(struct writer *w, struct text t, size_t limit)
{
    if (t.size <= limit && text_is_printable(t))
        write_text(w, t);
    else
        write_escaped(w, t, "", limit);
}

static void begin(struct line *line, enum finding finding)
{
    line->finding = finding;
    line->w = writer_on(line->memory, sizeof(line->memory));
    write_literal(&line->w, findings[finding].level == ERROR ? "error: " : "warning: ");
}

static void end(struct lint *l, struct line *line, const char *format, va_list list)
    __attribute__((format(printf, 3, 0)));

static void end(struct lint *l, struct line *line, const char *format, va_list list)
{
    char what[2600];
    vsnprintf(what, sizeof(what), format, list);
    write_format(&line->w, ": %s [%s]", what, findings[line->finding].code);
    if (findings[line->finding].level == ERROR)
        l->tally.errors++;
    else
        l->tally.warnings++;
    l->put(l->context, writer_text(&line->w));
}

static void write_key(struct writer *w, enum setting which)
{
    const struct setting_row *row = &setting_rows[which];
    write_format(w, "%s%s%s", row->group, row->group[0] != '\0' ? "." : "", row->key);
}

static void write_origin(const struct lint *l, struct writer *w, const struct lint_origin *o)
{
    if (o->id[0] == '\0') {
        write_literal(w, " (");
        write_shown(w, text_of(l->file != NULL ? l->file : ""), 200);
        write_format(w, ":%u)", o->line);
        return;
    }
    write_literal(w, " (id ");
    write_shown(w, text_of(o->id), 80);
    write_literal(w, ")");
}

void report_setting(struct lint *l, enum finding finding, enum setting which, const char *format,
                    ...)
{
    const struct settings *s = l->settings;
    struct line line;
    va_list list;
    begin(&line, finding);
    write_literal(&line.w, "settings ");
    switch (s->source[which]) {
    case FROM_FILE:
        write_shown(&line.w, text_of(s->file != NULL ? s->file : ""), 200);
        write_format(&line.w, ":%u ", s->line[which]);
        break;
    case FROM_ENVIRONMENT:
        write_format(&line.w, "$%s ", setting_rows[which].environment);
        break;
    case FROM_OPTION:
        write_literal(&line.w, "--set ");
        break;
    case FROM_PROFILE:
        write_literal(&line.w, "(profile) ");
        break;
    case FROM_DEFAULT:
        write_literal(&line.w, "(default) ");
        break;
    }
    write_key(&line.w, which);
    va_start(list, format);
    end(l, &line, format, list);
    va_end(list);
}

void report_entry(struct lint *l, enum finding finding, enum snapshot_list which,
                  const struct lint_entry *entry, const char *format, ...)
{
    struct line line;
    va_list list;
    begin(&line, finding);
    write_format(&line.w, "%s %s ", which == LIST_BLACK ? "blacklist" : "whitelist",
                 field_names[entry->value.field]);
    write_shown(&line.w, entry->written, 200);
    write_origin(l, &line.w, &entry->origin);
    va_start(list, format);
    end(l, &line, format, list);
    va_end(list);
}

void report_policy(struct lint *l, enum finding finding, const struct lint_policy *policy,
                   enum setting which, const char *format, ...)
{
    struct line line;
    va_list list;
    begin(&line, finding);
    write_literal(&line.w, "policy ");
    write_shown(&line.w, text_of(policy->p.name), 200);
    write_origin(l, &line.w, &policy->origin);
    if (which != SETTINGS)
        write_format(&line.w, " %s", settings_key(which));
    va_start(list, format);
    end(l, &line, format, list);
    va_end(list);
}

void report_record(struct lint *l, enum finding finding, const char *kind, struct text name,
                   const struct lint_origin *origin, const char *format, ...)
{
    struct line line;
    va_list list;
    begin(&line, finding);
    write_format(&line.w, "%s ", kind);
    write_shown(&line.w, name, 200);
    write_origin(l, &line.w, origin);
    va_start(list, format);
    end(l, &line, format, list);
    va_end(list);
}

void report_place(struct lint *l, enum finding finding, const char *place, const char *format, ...)
{
    struct line line;
    va_list list;
    begin(&line, finding);
    write_shown(&line.w, text_of(place), 400);
    va_start(list, format);
    end(l, &line, format, list);
    va_end(list);
}

const char *report_shown(struct lint *l, struct text t)
{
    char *memory = l->shown[l->shown_next++ % LINT_SHOWN];
    struct writer w = writer_on(memory, sizeof(l->shown[0]));
    write_shown(&w, t, LINT_SHOWN_MAX);
    return writer_end(&w);
}

const char *report_value(struct lint *l, const struct value *value)
{
    char memory[VALUE_MAX];
    struct writer w = writer_on(memory, sizeof(memory));
    value_write(&w, value);
    return report_shown(l, writer_text(&w));
}

const char *report_network(struct lint *l, const struct network *network)
{
    char memory[NETWORK_TEXT_MAX];
    struct writer w = writer_on(memory, sizeof(memory));
    network_write(&w, network);
    return report_shown(l, writer_text(&w));
}
