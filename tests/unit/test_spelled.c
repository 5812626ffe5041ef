/* test_spelled.c: requests as people and logs write them become requests as Postfix sends them. */
#include "tests/unit/unit.h"

#include "core/policy/request.h"
#include "core/policy/spelled.h"

struct spelled {
    char memory[4096];
    bool fine;
    struct request request;
};

static void spell(const char *line, struct spelled *s)
{
    struct writer w = writer_on(s->memory, sizeof(s->memory));
    const char *why;
    size_t size;
    struct request_frame frame = {0, 0};
    s->fine = spelled_write(text_of(line), &w);
    assert_int_equal(request_frame(&frame, writer_text(&w), &size, &why), REQUEST_WHOLE);
    assert_int_equal(size, writer_text(&w).size);
    assert_true(request_parse(writer_text(&w), &s->request, &why));
}

static void each_spelling_is_read(void **state)
{
    static const struct {
        const char *line;
        const char *address, *sender, *recipient, *helo;
    } rows[] = {
        {"client_address=192.0.2.1, sender=a@b.example, recipient=c@d.example", "192.0.2.1",
         "a@b.example", "c@d.example", ""},
        {"client_address=192.0.2.1 sender=a@b.example\trecipient=c@d.example", "192.0.2.1",
         "a@b.example", "c@d.example", ""},
        {"client_address=192.0.2.1,sender=a@b.example,recipient=c@d.example", "192.0.2.1",
         "a@b.example", "c@d.example", ""},
        {"  ,, sender=a@b , ,", "", "a@b", "", ""},
        {"sender=, recipient=c@d", "", "", "c@d", ""},
        {"recipient=c@d, sender=", "", "", "c@d", ""},
        {"sender=recipient=c@d", "", "recipient=c@d", "", ""},
        {"sender=a=b@c recipient=d=e@f", "", "a=b@c", "d=e@f", ""},
        {"helo_name=the big one, sender=a@b", "", "a@b", "", "the big one"},
        {"sender=a@b, sender=c@d", "", "a@b", "", ""},
        {"xsender=a@b, sender=c@d", "", "c@d", "", ""},
        {"sender=\"a, b\"@c, recipient=d@e", "", "\"a, b\"@c", "d@e", ""},
        {"mx postfix/smtpd[1]: action=greylist, reason=early-retry (5s missing), "
         "client_name=mail, client_address=192.0.2.1, sender=a@b, recipient=c@d, id=0123",
         "192.0.2.1", "a@b", "c@d", ""},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct spelled s;
        spell(rows[i].line, &s);
        CHECK_ROW(s.fine, "%s", rows[i].line);
        expect_text(s.request.attribute[ATTRIBUTE_client_address], rows[i].address);
        expect_text(s.request.attribute[ATTRIBUTE_sender], rows[i].sender);
        expect_text(s.request.attribute[ATTRIBUTE_recipient], rows[i].recipient);
        expect_text(s.request.attribute[ATTRIBUTE_helo_name], rows[i].helo);
        expect_text(s.request.attribute[ATTRIBUTE_protocol_state], "RCPT");
    }
}

static void what_holds_no_item_is_refused(void **state)
{
    static const char *const rows[] = {
        "",           " ",         ",",      "192.0.2.1",
        "Sender=a",   "unknown=x", "=x",     "request=smtpd_access_policy",
        "x.sender=a", "sender:a",  "sender",
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct spelled s;
        spell(rows[i], &s);
        CHECK_ROW(!s.fine, "%s", rows[i]);
    }
}

/* One who asks how a request at DATA is answered must not be told how one at RCPT is. */
static void a_state_that_is_spelled_counts(void **state)
{
    struct spelled s;
    (void)state;
    spell("protocol_state=DATA, sender=a@b", &s);
    expect_text(s.request.attribute[ATTRIBUTE_protocol_state], "DATA");
}

static void the_kind_of_request_cannot_be_spelled(void **state)
{
    struct spelled s;
    (void)state;
    spell("request=junk, sender=a@b", &s);
    assert_true(s.fine);
    expect_text(s.request.attribute[ATTRIBUTE_request], "smtpd_access_policy");
}

static void a_value_with_a_line_end_makes_no_further_line(void **state)
{
    char memory[512];
    struct writer w = writer_on(memory, sizeof(memory));
    (void)state;
    if (!spelled_write(TEXT("sender=a\nclient_address=10.0.0.1\n\nx, recipient=c@d"), &w))
        return;
    struct request_frame frame = {0, 0};
    struct request r;
    const char *why = "";
    size_t size = 0;
    assert_int_equal(request_frame(&frame, writer_text(&w), &size, &why), REQUEST_WHOLE);
    assert_int_equal(size, writer_text(&w).size);
    assert_true(request_parse(writer_text(&w), &r, &why));
    assert_int_equal(r.attribute[ATTRIBUTE_client_address].size, 0);
    expect_text(r.attribute[ATTRIBUTE_recipient], "c@d");
}

static void what_does_not_fit_is_refused(void **state)
{
    char memory[512];
    (void)state;
    struct writer wide = writer_on(memory, sizeof(memory));
    assert_true(spelled_write(TEXT("sender=a@b"), &wide));
    size_t size = writer_text(&wide).size;
    for (size_t room = 0; room < size; room++) {
        struct writer w = writer_on(memory, room);
        assert_false(spelled_write(TEXT("sender=a@b"), &w));
    }
    struct writer exact = writer_on(memory, size);
    assert_true(spelled_write(TEXT("sender=a@b"), &exact));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_spelling_is_read),
        cmocka_unit_test(what_holds_no_item_is_refused),
        cmocka_unit_test(a_state_that_is_spelled_counts),
        cmocka_unit_test(the_kind_of_request_cannot_be_spelled),
        cmocka_unit_test(a_value_with_a_line_end_makes_no_further_line),
        cmocka_unit_test(what_does_not_fit_is_refused),
    };
    return cmocka_run_group_tests_name("spelled", tests, NULL, NULL);
}
