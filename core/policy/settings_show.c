/* settings_show.c: the settings as YAML: those in force (`config`), and the sample
 * (`config-install`). */
#include <string.h>

#include "core/policy/settings_table.h"

#define ITEMS_ON_A_LINE 3

typedef void put_line(void *context, struct text line);

static void put_group(const char *group, const char **current, put_line *put, void *context)
{
    char line[128];
    struct writer w = writer_on(line, sizeof(line));
    if (strcmp(group, *current) == 0)
        return;
    *current = group;
    write_format(&w, "%s:", group);
    put(context, writer_text(&w));
}

/* A long list goes an item a line. */
static void put_items(const struct settings *s, enum setting which, const char *indent,
                      put_line *put, void *context)
{
    for (size_t i = 0; i < setting_items(s, which); i++) {
        char line[8400]; /* a text of 4096 bytes, all of them quotes */
        struct writer w = writer_on(line, sizeof(line));
        write_format(&w, "%s  - ", indent);
        setting_write_item(&w, s, which, i);
        put(context, writer_text(&w));
    }
}

void settings_write(const struct settings *s, put_line *put, void *context)
{
    static const char *const from[] = {"default", "profile", "environment", "file", "option"};
    const char *group = "";
    for (int i = 0; i < SETTINGS; i++) {
        char line[32768]; /* three texts of 4096 bytes, all of them quotes, and what is around */
        struct writer w = writer_on(line, sizeof(line));
        const struct setting_row *row = &setting_rows[i];
        if ((row->flags & RETIRED) != 0)
            continue;
        put_group(row->group, &group, put, context);
        const char *indent = group[0] != '\0' ? "  " : "";
        bool is_long = setting_items(s, (enum setting)i) > ITEMS_ON_A_LINE;
        write_format(&w, "%s%s:%s", indent, row->key, is_long ? "" : " ");
        if (!is_long)
            setting_write(&w, s, (enum setting)i);
        write_format(&w, "  # %s", from[s->source[i]]);
        if (s->source[i] == FROM_FILE)
            write_format(&w, ", line %u", s->line[i]);
        if (s->source[i] == FROM_ENVIRONMENT)
            write_format(&w, ", %s", row->environment);
        put(context, writer_text(&w));
        if (is_long)
            put_items(s, (enum setting)i, indent, put, context);
    }
}

/* A comment broken into lines of at most 96 columns. */
static void put_help(const char *help, const char *indent, put_line *put, void *context)
{
    struct text rest = text_of(help);
    struct text word;
    char line[256];
    struct writer w = writer_on(line, sizeof(line));
    while (text_split(&rest, ' ', &word)) {
        if (w.at > w.start && (size_t)(w.at - w.start) + word.size > 95) {
            put(context, writer_text(&w));
            w = writer_on(line, sizeof(line));
        }
        write_format(&w, "%s", w.at == w.start ? indent : " ");
        if (w.at == w.start + strlen(indent))
            write_literal(&w, "# ");
        write_text(&w, word);
    }
    put(context, writer_text(&w));
}

static void put_sample(const struct setting_row *row, put_line *put, void *context)
{
    char line[1024];
    struct writer w = writer_on(line, sizeof(line));
    const char *indent = row->group[0] != '\0' ? "  " : "";
    put_help(row->help, indent, put, context);
    /* A value that YAML would read otherwise than as this word goes in quotes. */
    bool quote = strpbrk(row->fallback, ":,#[]{} ") != NULL || row->fallback[0] == '\0';
    write_format(&w, "#%s%s: %s%s%s", indent, row->key, quote ? "'" : "", row->fallback,
                 quote ? "'" : "");
    put(context, writer_text(&w));
    put(context, (struct text){"", 0});
}

void settings_write_sample(put_line *put, void *context)
{
    static const char *const head[] = {
        "# Settings of mongrey-server. Every one is commented out and shows its default:",
        "# nothing here counts, and hides no environment variable, until a line is edited.",
        "# Durations: 20 (seconds), 90s, 5m, 3h, 35d. Lists: [a, b] or 'a, b'.",
        "",
    };
    const char *group = "";
    for (size_t i = 0; i < sizeof(head) / sizeof(head[0]); i++)
        put(context, text_of(head[i]));
    for (int i = 0; i < SETTINGS; i++) {
        if ((setting_rows[i].flags & RETIRED) != 0)
            continue;
        put_group(setting_rows[i].group, &group, put, context);
        put_sample(&setting_rows[i], put, context);
    }
}
