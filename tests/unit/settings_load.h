/* settings_load.h: one load of settings as the unit tests make it, from text instead of a file, and
 * all that it said. */
#ifndef MONGREY_SETTINGS_LOAD_H
#define MONGREY_SETTINGS_LOAD_H

#include "tests/unit/unit.h"

#include "core/policy/settings.h"

#define LINES_MAX 32

/* What one load said, and with what it was fed. */
struct said {
    struct settings_error error;
    char warnings[LINES_MAX][512];
    size_t warnings_count;
};

static inline void keep_warning(void *context, const char *text)
{
    struct said *said = context;
    if (said->warnings_count < LINES_MAX)
        snprintf(said->warnings[said->warnings_count++], sizeof(said->warnings[0]), "%s", text);
}

static inline struct settings *load(struct said *said, const char *file,
                                    const char *const *variables, const char *const *options)
{
    struct settings_sources sources = {
        .environ = variables, .options = options, .warn = keep_warning, .context = said};
    memset(said, 0, sizeof(*said));
    struct text text = file == NULL ? (struct text){NULL, 0} : text_of(file);
    return settings_load_text(&sources, text, "m.yml", &said->error);
}

#endif
