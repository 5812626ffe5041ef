/* fuzz_value.c: a value that is taken is spelled so that it is the same value again, and is found
 * where it stands. The first byte chooses the field. */
#include "tests/fuzz/fuzz.h"

#include "core/base/hash.h"
#include "core/policy/match.h"

static void find(const struct value *v)
{
    struct match found[2];
    struct match_run run = {0};
    struct subject s = {0};
    bool sender = v->field == FIELD_SENDER;
    if (v->kind == VALUE_PATTERN)
        return;
    struct matcher *m = matcher_make();
    HOLDS(m != NULL && matcher_add(m, v, 7) && matcher_seal(m));
    s.client = &v->network.addr;
    s.client_name = s.helo_name = s.country = s.policy_context = v->text;
    *(sender ? &s.sender : &s.recipient) = v->kind == VALUE_MAILBOX ? v->text : TEXT("");
    *(sender ? &s.sender_local : &s.recipient_local) = v->kind == VALUE_USER ? v->text : TEXT("");
    if (v->kind == VALUE_DOMAIN || v->kind == VALUE_BELOW)
        *(sender ? &s.sender_domain : &s.recipient_domain) = v->text;
    s.sender_null = sender && v->text.size == 0;
    HOLDS(matcher_find(m, &s, found, 2, &run) == 1);
    HOLDS(found[0].number == 7 && found[0].field == v->field && found[0].kind == v->kind);
    HOLDS(found[0].rank == value_rank(v));
    matcher_free(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool started;
    char memory[VALUE_MAX];
    char why[VALUE_WHY_MAX];
    struct writer w = writer_on(memory, sizeof(memory));
    struct arena arena = arena_make(8192);
    struct value first;
    struct value second;
    started = started || hash_start();
    HOLDS(started);
    if (size == 0)
        return 0;
    enum field field = (enum field)(data[0] % FIELDS);
    if (!value_parse(field, fuzz_text(data + 1, size - 1), &arena, &first, why, sizeof(why))) {
        HOLDS(why[0] != '\0' && memchr(why, '\0', sizeof(why)) != NULL);
        arena_free(&arena);
        return 0;
    }
    value_write(&w, &first);
    HOLDS(!w.full && fuzz_is_printable(writer_text(&w)));
    HOLDS(value_parse(field, writer_text(&w), &arena, &second, why, sizeof(why)));
    HOLDS(first.field == second.field && first.kind == second.kind);
    HOLDS(text_equal(first.text, second.text) && value_rank(&first) == value_rank(&second));
    HOLDS(first.network.prefix == second.network.prefix &&
          addr_equal(&first.network.addr, &second.network.addr));
    find(&first);
    arena_free(&arena);
    return 0;
}
