/* pages.c: see pages.h. */
#include "bench/pages.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/rows.h"
#include "bench/samples.h"
#include "core/base/clock.h"
#include "core/store/records.h"

#define PAGE 50
#define TIMES 200
#define LONG UINT64_C(3000000000) /* ns: what takes so long is done a few times only */

struct page {
    size_t count;
    char id[STORAGE_ID_MAX + 1];
    struct storage_value value; /* of the field that it is sorted by; a number */
    size_t order;
};

static size_t field(const char *name)
{
    const struct storage_kind *kind = &record_kinds[KIND_ENTRY];
    for (size_t i = 0; i < kind->fields_count; i++) {
        if (strcmp(kind->fields[i].name, name) == 0)
            return i;
    }
    return 0;
}

static bool note(void *context, const struct storage_record *record)
{
    struct page *page = context;
    page->count++;
    snprintf(page->id, sizeof(page->id), "%s", record->id);
    if (page->order != STORAGE_BY_ID)
        page->value = record->values[page->order];
    return true;
}

static enum storage_status ask(struct store_line *line, struct storage_query *query,
                               struct page *page, struct storage_error *error)
{
    *page = (struct page){.order = query->order};
    return store_search(line, query, note, page, error);
}

/* A kind of page, as a table has it. %u in `text` becomes a number that is another each time. */
struct ask {
    const char *what;
    const char *order; /* NULL: by id */
    const char *field; /* NULL: no condition */
    const char *text;  /* NULL: passes = 0 */
    unsigned most;     /* of the numbers */
    enum storage_relation relation;
    bool ascending;
    bool deep; /* somewhere in the midst */
};

static const struct ask asks[] = {
    {"newest first", "first_seen", NULL, NULL, 0, STORAGE_EQ, false, false},
    {"newest first, in the midst", "first_seen", NULL, NULL, 0, STORAGE_EQ, false, true},
    {"oldest first, in the midst", "first_seen", NULL, NULL, 0, STORAGE_EQ, true, true},
    {"by expires", "expires", NULL, NULL, 0, STORAGE_EQ, true, false},
    {"by expires, in the midst", "expires", NULL, NULL, 0, STORAGE_EQ, false, true},
    {"by id, in the midst", NULL, NULL, NULL, 0, STORAGE_EQ, false, true},
    {"pending", "first_seen", "passes", NULL, 0, STORAGE_EQ, false, false},
    {"pending, in the midst", "first_seen", "passes", NULL, 0, STORAGE_EQ, false, true},
    {"sender's beginning, frequent", "first_seen", "sender", "news", 1, STORAGE_STARTS, false,
     false},
    {"sender's beginning, rare", "first_seen", "sender", "info%u@sender-1", 1000, STORAGE_STARTS,
     false, false},
    {"recipient, exact", "first_seen", "recipient", "info%u@customer-7.example", 300, STORAGE_EQ,
     false, false},
    {"a frequent domain", "first_seen", "recipient", "@customer-%u.example", 3, STORAGE_CONTAINS,
     false, false},
    {"a rare domain", "first_seen", "sender", "@sender-1%u.example", 99999, STORAGE_CONTAINS, false,
     false},
    {"address, exact", "first_seen", "client_address", "12.1.2.%u", 255, STORAGE_EQ, false, false},
    {"nowhere", "first_seen", "sender", "nobody%u", 1000, STORAGE_CONTAINS, false, false},
};

#define ASKS (sizeof(asks) / sizeof(asks[0]))

static enum storage_status ask_once(struct store_line *line, const struct ask *a, uint64_t rows,
                                    uint64_t turn, struct page *page, struct storage_error *error)
{
    char text[ROWS_TEXT] = "";
    char after[] = "80000000000000000000000000000000";
    struct storage_condition condition = {.relation = a->relation};
    struct storage_query query = {
        .kind = KIND_ENTRY,
        .order = a->order == NULL ? STORAGE_BY_ID : field(a->order),
        .descending = !a->ascending,
        .limit = PAGE,
    };
    if (a->field != NULL) {
        condition.field = field(a->field);
        condition.value.type = STORAGE_INTEGER;
        query.conditions = &condition;
        query.conditions_count = 1;
    }
    if (a->text != NULL) {
        const char *number = strstr(a->text, "%u");
        int before = number == NULL ? (int)strlen(a->text) : (int)(number - a->text);
        int size = snprintf(text, sizeof(text), "%.*s", before, a->text);
        if (number != NULL)
            size = snprintf(text, sizeof(text), "%.*s%u%s", before, a->text,
                            (unsigned)(rows_mix(turn) % a->most), number + 2);
        condition.value.type = STORAGE_TEXT;
        condition.value.text = (struct storage_text){text, (size_t)size};
    }
    if (a->deep) {
        uint64_t number = rows_mix(turn) % rows;
        int64_t kept = strcmp(a->order == NULL ? "" : a->order, "expires") == 0 ? ROWS_WINDOW : 0;
        query.after_id = after;
        query.after_value.type = a->order == NULL ? STORAGE_NULL : STORAGE_TIME;
        query.after_value.integer = rows_time(number) + kept;
        after[0] = "0123456789abcdef"[number % 16];
    }
    return ask(line, &query, page, error);
}

enum storage_status pages_once(struct store_line *line, uint64_t rows, struct storage_error *error)
{
    static uint64_t turn;
    struct page page;
    turn++;
    return ask_once(line, &asks[turn % ASKS], rows, turn, &page, error);
}

static void measure_ask(struct store_line *line, const struct ask *a, uint64_t rows)
{
    struct samples *s = calloc(1, sizeof(*s));
    struct storage_error error = {0, ""};
    enum storage_status worst = STORAGE_OK;
    size_t found = 0;
    if (s == NULL)
        return;
    for (uint64_t turn = 0; turn < TIMES && s->sum < LONG; turn++) {
        struct page page;
        uint64_t began = clock_nanoseconds();
        enum storage_status status = ask_once(line, a, rows, turn, &page, &error);
        samples_add(s, clock_nanoseconds() - began);
        found += page.count;
        if (status != STORAGE_OK)
            worst = status;
    }
    printf("%-30s %-5s ", a->what, store_status_word(worst));
    samples_print(s);
    printf(", %.1f rows a page, %zu pages\n", (double)found / (double)s->count, s->count);
    fflush(stdout);
    free(s);
}

void pages_measure(struct store_line *line, uint64_t rows)
{
    for (size_t i = 0; i < ASKS; i++)
        measure_ask(line, &asks[i], rows);
}
