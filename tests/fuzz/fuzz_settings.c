/* fuzz_settings.c: a settings file is loaded or refused with a reason; what `config` shows of one
 * that was loaded can be loaded, and is the same. */
#include "tests/fuzz/fuzz.h"

#include "core/base/url.h"
#include "core/policy/settings.h"

struct page {
    char *memory;
    struct writer w;
};

#define PAGE_SIZE (4 * 1024 * 1024)

static void put(void *context, struct text line)
{
    struct page *page = context;
    write_text(&page->w, line);
    write_literal(&page->w, "\n");
}

/* Where a secret was masked, the setting is another one. */
static bool is_shown_as_it_is(struct text url)
{
    char memory[URL_MAX + 64];
    struct writer w = writer_on(memory, sizeof(memory));
    url_write_masked(&w, url);
    return text_equal(writer_text(&w), url);
}

static void expect_same_when_written(const struct settings *s)
{
    struct settings_sources sources = {0};
    struct settings_error error = {""};
    struct page page = {.memory = malloc(PAGE_SIZE)};
    HOLDS(page.memory != NULL);
    page.w = writer_on(page.memory, PAGE_SIZE);
    settings_write(s, put, &page);
    struct settings *again =
        settings_load_text(&sources, writer_text(&page.w), "again.yml", &error);
    if (again == NULL)
        (void)fprintf(stderr, "%s\n%.*s", error.text, (int)(page.w.at - page.memory), page.memory);
    HOLDS(again != NULL);
    for (int i = 0; i < SETTINGS; i++) {
        bool masked = i == SETTING_db_url && !is_shown_as_it_is(s->db_url);
        HOLDS(masked || settings_same(s, again, (enum setting)i));
    }
    settings_release(again);
    free(page.memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct settings_sources sources = {0};
    struct settings_error error = {""};
    struct settings *s = settings_load_text(&sources, fuzz_text(data, size), "fuzz.yml", &error);
    if (s == NULL) {
        HOLDS(memcmp(error.text, "fuzz.yml:", 9) == 0 || strchr(error.text, ' ') != NULL);
        HOLDS(memchr(error.text, '\n', strlen(error.text)) == NULL);
        return 0;
    }
    expect_same_when_written(s);
    settings_release(s);
    return 0;
}
