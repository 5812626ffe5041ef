/* fuzz_template.c: reply texts that people write, with values that strangers send. */
#include "tests/fuzz/fuzz.h"

#include "core/policy/template.h"
#include "core/policy/verdict.h"

struct seen {
    struct text value; /* what each value is replaced by */
    bool asked[TEMPLATE_VALUES];
};

static void put(void *context, enum template_value which, struct writer *w)
{
    struct seen *seen = context;
    HOLDS(which < TEMPLATE_VALUES);
    seen->asked[which] = true;
    write_text(w, seen->value);
}

static struct text write_with(struct text pattern, struct text value, char *memory, size_t size)
{
    struct seen seen = {.value = value};
    struct writer w = writer_on(memory, size);
    template_write(&w, pattern, put, &seen);
    bool escapes = memmem(pattern.data, pattern.size, "%%", 2) != NULL;
    for (int i = 0; i < TEMPLATE_VALUES; i++) {
        char mark[64];
        int length = snprintf(mark, sizeof(mark), "%%(%s)s", template_names[i]);
        bool stands = memmem(pattern.data, pattern.size, mark, (size_t)length) != NULL;
        /* Behind a %% it may be plain text; without one what stands there is asked for. */
        HOLDS(escapes ? !seen.asked[i] || stands : seen.asked[i] == stands);
    }
    return writer_text(&w);
}

/* An action is one printable line, whatever the values are. */
static void expect_one_line(struct text pattern, struct text value)
{
    struct verdict v;
    struct seen seen = {.value = value};
    struct writer w = verdict_open(&v, OUTCOME_REJECT, "fuzz");
    template_write(&w, pattern, put, &seen);
    verdict_close(&v, &w);
    HOLDS(v.action_size <= VERDICT_TEXT_MAX && strlen(v.action) == v.action_size);
    for (size_t i = 0; i < v.action_size; i++)
        HOLDS(v.action[i] >= ' ' && v.action[i] <= '~');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char all[1 << 16];
    static char first[1 << 16];
    static char second[1 << 16];
    struct text whole = fuzz_text(data, size);
    if (size > 4096 || template_fault(whole) != NULL)
        return 0;
    struct text written = write_with(whole, TEXT("x"), all, sizeof(all));
    HOLDS(written.size <= whole.size);
    /* Two templates behind each other are one. */
    for (size_t cut = 0; cut <= size; cut += 1 + size / 16) {
        struct text head = {whole.data, cut};
        struct text tail = {whole.data + cut, size - cut};
        if (template_fault(head) != NULL)
            continue;
        HOLDS(template_fault(tail) == NULL);
        struct text one = write_with(head, TEXT("x"), first, sizeof(first));
        struct text two = write_with(tail, TEXT("x"), second, sizeof(second));
        HOLDS(one.size + two.size == written.size);
        HOLDS(one.size == 0 || memcmp(one.data, written.data, one.size) == 0);
        HOLDS(two.size == 0 || memcmp(two.data, written.data + one.size, two.size) == 0);
    }
    expect_one_line(whole, whole);
    expect_one_line(whole, TEXT("%(sender)s\n\naction=OK\r\x80"));
    return 0;
}
