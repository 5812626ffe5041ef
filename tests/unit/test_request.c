/* test_request.c: framing and parsing of the policy protocol, at every split and every limit. */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "core/policy/prepare.h"
#include "core/policy/request.h"

static const char usual[] = "request=smtpd_access_policy\n"
                            "protocol_state=RCPT\n"
                            "protocol_name=ESMTP\n"
                            "client_address=192.0.2.1\n"
                            "client_name=mail.example.org\n"
                            "helo_name=mail.example.org\n"
                            "sender=a@example.org\n"
                            "recipient=b@example.net\n"
                            "instance=1234.5678.0\n"
                            "\n";

struct framing {
    enum request_status status;
    size_t size;
    const char *why;
};

static struct framing frame_once(const char *data, size_t size)
{
    struct request_frame frame = {0, 0};
    struct framing f = {REQUEST_MORE, 0, NULL};
    f.status = request_frame(&frame, (struct text){data, size}, &f.size, &f.why);
    return f;
}

static void a_request_is_whole_with_its_empty_line(void **state)
{
    struct framing f = frame_once(usual, sizeof(usual) - 1);
    (void)state;
    assert_int_equal(f.status, REQUEST_WHOLE);
    assert_int_equal(f.size, sizeof(usual) - 1);
    assert_int_equal(frame_once("", 0).status, REQUEST_MORE);
    assert_int_equal(frame_once("\n", 1).status, REQUEST_WHOLE);
    assert_int_equal(frame_once("\n", 1).size, 1);
}

/* The bytes are copied to memory of their exact size, so that a read behind them is found. */
static struct framing frame_split(const char *data, size_t size, size_t cut)
{
    struct request_frame frame = {0, 0};
    struct framing f = {REQUEST_MORE, 0, NULL};
    size_t parts[2] = {cut, size};
    for (int i = 0; i < 2 && f.status == REQUEST_MORE; i++) {
        char *copy = malloc(parts[i] + 1);
        assert_non_null(copy);
        memcpy(copy, data, parts[i]);
        f.status = request_frame(&frame, (struct text){copy, parts[i]}, &f.size, &f.why);
        free(copy);
    }
    return f;
}

static void every_split_gives_the_same_request(void **state)
{
    size_t size = sizeof(usual) - 1;
    (void)state;
    for (size_t cut = 0; cut <= size; cut++) {
        if (cut < size)
            assert_int_equal(frame_once(usual, cut).status, REQUEST_MORE);
        struct framing f = frame_split(usual, size, cut);
        assert_int_equal(f.status, REQUEST_WHOLE);
        assert_int_equal(f.size, size);
    }
}

static void byte_by_byte_gives_the_same_request(void **state)
{
    struct request_frame frame = {0, 0};
    size_t size = 0;
    const char *why;
    (void)state;
    for (size_t i = 0; i < sizeof(usual) - 1; i++) {
        enum request_status status =
            request_frame(&frame, (struct text){usual, i + 1}, &size, &why);
        assert_int_equal(status, i + 2 == sizeof(usual) ? REQUEST_WHOLE : REQUEST_MORE);
    }
    assert_int_equal(size, sizeof(usual) - 1);
}

static void what_follows_a_request_is_left_to_the_next(void **state)
{
    char two[2 * sizeof(usual)];
    size_t size = sizeof(usual) - 1;
    (void)state;
    memcpy(two, usual, size);
    memcpy(two + size, usual, size);
    struct framing f = frame_once(two, 2 * size);
    assert_int_equal(f.status, REQUEST_WHOLE);
    assert_int_equal(f.size, size);
    f = frame_once(two, size + 5);
    assert_int_equal(f.size, size);
    f = frame_once(two + f.size, size);
    assert_int_equal(f.status, REQUEST_WHOLE);
}

static void expect_bad(const char *data, size_t size, const char *why)
{
    struct framing f = frame_once(data, size);
    assert_int_equal(f.status, REQUEST_BAD);
    assert_string_equal(f.why, why);
}

static void what_is_no_request_is_named(void **state)
{
    (void)state;
    expect_bad("GET / HTTP/1.1\n", 15, "a line without '='");
    expect_bad("request=smtpd_access_policy\nx\n\n", 31, "a line without '='");
    expect_bad("request=smtpd_access_policy\r\n\r\n", 31, "a line without '='");
    expect_bad("a\0b=c\n\n", 7, "a NUL character");
    expect_bad("a=\0", 3, "a NUL character");
    expect_bad("a=b\n\0", 5, "a NUL character");
    /* A line that has not ended yet may still get its '='. */
    assert_int_equal(frame_once("GET", 3).status, REQUEST_MORE);
}

/* `size` bytes of name=aaaa... and a line end behind them. */
static size_t put_line(char *at, const char *name, size_t size)
{
    memset(at, 'a', size);
    memcpy(at, name, strlen(name));
    at[size] = '\n';
    return size + 1;
}

static void a_line_of_8192_bytes_and_one_more(void **state)
{
    static char data[REQUEST_SIZE_MAX];
    (void)state;
    size_t size = put_line(data, "sender=", REQUEST_LINE_MAX);
    data[size] = '\n';
    assert_int_equal(frame_once(data, size + 1).status, REQUEST_WHOLE);
    assert_int_equal(frame_once(data, size - 1).status, REQUEST_MORE);
    size = put_line(data, "sender=", REQUEST_LINE_MAX + 1);
    data[size] = '\n';
    expect_bad(data, size + 1, "an attribute of more than 8 KiB");
    /* Without a line end it is known as soon as the byte too many is there. */
    expect_bad(data, REQUEST_LINE_MAX + 1, "an attribute of more than 8 KiB");
}

/* Lines that make, with the empty one, `size` bytes. */
static void fill(char *data, size_t size)
{
    size_t at = 0;
    while (size - 1 - at > 8000)
        at += put_line(data + at, "x=", 3999);
    at += put_line(data + at, "x=", size - 1 - at - 1);
    data[at] = '\n';
}

static void a_request_of_65536_bytes_and_one_more(void **state)
{
    static char data[REQUEST_SIZE_MAX + 16];
    (void)state;
    fill(data, REQUEST_SIZE_MAX);
    struct framing f = frame_once(data, REQUEST_SIZE_MAX);
    assert_int_equal(f.status, REQUEST_WHOLE);
    assert_int_equal(f.size, REQUEST_SIZE_MAX);
    fill(data, REQUEST_SIZE_MAX + 1);
    expect_bad(data, REQUEST_SIZE_MAX + 1, "a request of more than 64 KiB");
    /* A caller need never hold more bytes than a request may have to learn that it has too many. */
    expect_bad(data, REQUEST_SIZE_MAX, "a request of more than 64 KiB");
}

static void two_hundred_lines_and_one_more(void **state)
{
    char data[1024];
    size_t size = 0;
    (void)state;
    for (int i = 0; i < REQUEST_LINES_MAX; i++)
        size += put_line(data + size, "a=", 2);
    data[size] = '\n';
    assert_int_equal(frame_once(data, size + 1).status, REQUEST_WHOLE);
    size += put_line(data + size, "a=", 2);
    data[size] = '\n';
    expect_bad(data, size + 1, "more than 200 lines");
    expect_bad(data, size, "more than 200 lines");
}

/* The limits do not depend on how the bytes came. */
static void limits_hold_at_every_split(void **state)
{
    static char data[REQUEST_SIZE_MAX + 16];
    (void)state;
    size_t size = put_line(data, "sender=", REQUEST_LINE_MAX + 1);
    for (size_t cut = 0; cut <= size; cut++)
        assert_int_equal(frame_split(data, size, cut).status, REQUEST_BAD);
    fill(data, REQUEST_SIZE_MAX);
    for (size_t cut = 0; cut < REQUEST_SIZE_MAX; cut += 251)
        assert_int_equal(frame_split(data, REQUEST_SIZE_MAX, cut).status, REQUEST_WHOLE);
    fill(data, REQUEST_SIZE_MAX + 1);
    for (size_t cut = 0; cut < REQUEST_SIZE_MAX; cut += 251)
        assert_int_equal(frame_split(data, REQUEST_SIZE_MAX + 1, cut).status, REQUEST_BAD);
}

static void parse(const char *text, struct request *r)
{
    const char *why = "";
    CHECK_ROW(request_parse(text_of(text), r, &why), "%s: %s", text, why);
}

static void every_attribute_is_found_in_any_order(void **state)
{
    char text[4096];
    (void)state;
    for (int first = 0; first < ATTRIBUTES; first++) {
        struct writer w = writer_on(text, sizeof(text));
        struct request r;
        for (int i = 0; i < ATTRIBUTES; i++) {
            int which = (first + i * 7) % ATTRIBUTES; /* 7 and the count have no common divisor */
            bool head = which == ATTRIBUTE_request;
            write_format(&w, "%s=%s\n", attribute_names[which],
                         head ? "smtpd_access_policy" : attribute_names[which]);
        }
        write_literal(&w, "\n");
        parse(writer_end(&w), &r);
        for (int i = 1; i < ATTRIBUTES; i++)
            expect_text(r.attribute[i], attribute_names[i]);
    }
    assert_int_not_equal(ATTRIBUTES % 7, 0);
}

static void unknown_missing_empty_and_repeated_attributes(void **state)
{
    struct request r;
    (void)state;
    parse("x_new=1\nrequest=smtpd_access_policy\nsender=\nsender=late@example.org\n"
          "recipient=a=b@example.net\nrecipient=c@example.net\n=nameless\nRECIPIENT=x\n"
          "recipien=x\nrecipients=x\n\n",
          &r);
    assert_int_equal(r.attribute[ATTRIBUTE_sender].size, 0);
    assert_non_null(r.attribute[ATTRIBUTE_sender].data);
    expect_text(r.attribute[ATTRIBUTE_recipient], "a=b@example.net");
    assert_null(r.attribute[ATTRIBUTE_helo_name].data);
    assert_int_equal(r.attribute[ATTRIBUTE_helo_name].size, 0);
}

static void only_policy_requests_are_requests(void **state)
{
    static const char *const rows[] = {
        "sender=a\n\n",
        "request=\n\n",
        "request=smtpd_access_policy2\n\n",
        "request=SMTPD_ACCESS_POLICY\n\n",
        "request= smtpd_access_policy\n\n",
        "request=other\nrequest=smtpd_access_policy\n\n",
        "\n",
        "",
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct request r;
        const char *why = "";
        CHECK_ROW(!request_parse(text_of(rows[i]), &r, &why), "%s", rows[i]);
        assert_string_equal(why, "no request=smtpd_access_policy");
    }
    struct request r;
    const char *why = "";
    assert_false(request_parse(TEXT("request=smtpd_access_policy\nnothing\n\n"), &r, &why));
    assert_string_equal(why, "a line without '='");
}

static char canonical[PREPARE_MEMORY_MAX];

static void the_texts_lie_within_the_bytes(void **state)
{
    struct request r;
    (void)state;
    parse(usual, &r);
    prepare(&r, 1000, false, canonical);
    for (int i = 0; i < ATTRIBUTES; i++) {
        struct text t = r.attribute[i];
        assert_true(t.data == NULL ||
                    (t.data >= usual && t.data + t.size < usual + sizeof(usual) - 1));
    }
}

static void a_rebased_request_points_into_the_copy(void **state)
{
    char copy[sizeof(usual)];
    char original[sizeof(usual)];
    struct request r;
    (void)state;
    memcpy(original, usual, sizeof(usual));
    memcpy(copy, usual, sizeof(usual));
    parse(original, &r);
    prepare(&r, 1000, false, canonical);
    char canonical_copy[PREPARE_MEMORY_MAX];
    memcpy(canonical_copy, canonical, sizeof(canonical));
    request_rebase(&r, copy, canonical_copy);
    memset(original, 'x', sizeof(original));
    memset(canonical, 'x', sizeof(canonical));
    assert_ptr_equal(r.bytes.data, copy);
    expect_text(r.attribute[ATTRIBUTE_request], "smtpd_access_policy");
    expect_text(r.attribute[ATTRIBUTE_instance], "1234.5678.0");
    expect_text(r.recipient.local, "b");
    expect_text(r.recipient.domain, "example.net");
    expect_text(r.recipient.whole, "b@example.net");
    assert_ptr_equal(r.canonical.data, canonical_copy);
    assert_null(r.attribute[ATTRIBUTE_queue_id].data);
    for (int i = 0; i < ATTRIBUTES; i++) {
        const char *data = r.attribute[i].data;
        assert_true(data == NULL || (data > copy && data < copy + sizeof(copy)));
    }
}

static void prepared(const char *text, struct request *r)
{
    char line[1024];
    struct writer w = writer_on(line, sizeof(line));
    write_literal(&w, "request=smtpd_access_policy\n");
    write_literal(&w, text);
    write_literal(&w, "\n");
    static char kept[1024];
    memcpy(kept, line, sizeof(kept));
    const char *why;
    assert_true(request_parse((struct text){kept, writer_text(&w).size}, r, &why));
    prepare(r, 777, true, canonical);
}

static void a_recipient_is_split_at_its_last_at(void **state)
{
    static const struct {
        const char *line;
        const char *local;
        const char *domain;
    } rows[] = {
        {"recipient=a@b.example\n", "a", "b.example"},
        {"recipient=\"a@b\"@c.example\n", "\"a@b\"", "c.example"},
        {"recipient=postmaster\n", "postmaster", ""},
        {"recipient=@b.example\n", "", "b.example"},
        {"recipient=a@\n", "a", ""},
        {"recipient=\n", "", ""},
        {"", "", ""},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct request r;
        prepared(rows[i].line, &r);
        expect_text(r.recipient.local, rows[i].local);
        expect_text(r.recipient.domain, rows[i].domain);
    }
}

static void the_state_is_rcpt_unless_another_is_named(void **state)
{
    static const struct {
        const char *line;
        enum protocol_state state;
    } rows[] = {
        {"", STATE_RCPT},
        {"protocol_state=\n", STATE_RCPT},
        {"protocol_state=RCPT\n", STATE_RCPT},
        {"protocol_state=rcpt\n", STATE_RCPT},
        {"protocol_state=DATA\n", STATE_DATA},
        {"protocol_state=END-OF-MESSAGE\n", STATE_END_OF_MESSAGE},
        {"protocol_state=CONNECT\n", STATE_CONNECT},
        {"protocol_state=RCPTX\n", STATE_OTHER},
        {"protocol_state=other\n", STATE_OTHER},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct request r;
        prepared(rows[i].line, &r);
        CHECK_ROW(r.state == rows[i].state, "%s", rows[i].line);
    }
}

static void the_test_clock_counts_only_where_it_is_on_and_readable(void **state)
{
    static const struct {
        const char *line;
        int64_t now;
    } rows[] = {
        {"policy_test_time=1700000000\n", INT64_C(1700000000000)},
        {"policy_test_time=0\n", 0},
        {"policy_test_time=253402300799\n", INT64_C(253402300799000)},
        {"policy_test_time=253402300800\n", 777},
        {"policy_test_time=9223372036854775807\n", 777},
        {"policy_test_time=-1\n", 777},
        {"policy_test_time=\n", 777},
        {"policy_test_time=1.5\n", 777},
        {"policy_test_time= 5\n", 777},
        {"", 777},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct request r;
        prepared(rows[i].line, &r);
        CHECK_ROW(r.now == rows[i].now, "%s", rows[i].line);
        prepare(&r, 888, false, canonical);
        CHECK_ROW(r.now == 888, "%s", rows[i].line);
    }
}

static void a_client_is_an_address_or_none(void **state)
{
    struct request r;
    (void)state;
    prepared("client_address=::ffff:192.0.2.1\n", &r);
    assert_int_equal(r.client.family, ADDR_IPV4);
    prepared("client_address=unknown\n", &r);
    assert_int_equal(r.client.family, ADDR_NONE);
    prepared("", &r);
    assert_int_equal(r.client.family, ADDR_NONE);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_whole_with_its_empty_line),
        cmocka_unit_test(every_split_gives_the_same_request),
        cmocka_unit_test(byte_by_byte_gives_the_same_request),
        cmocka_unit_test(what_follows_a_request_is_left_to_the_next),
        cmocka_unit_test(what_is_no_request_is_named),
        cmocka_unit_test(a_line_of_8192_bytes_and_one_more),
        cmocka_unit_test(a_request_of_65536_bytes_and_one_more),
        cmocka_unit_test(two_hundred_lines_and_one_more),
        cmocka_unit_test(limits_hold_at_every_split),
        cmocka_unit_test(every_attribute_is_found_in_any_order),
        cmocka_unit_test(unknown_missing_empty_and_repeated_attributes),
        cmocka_unit_test(only_policy_requests_are_requests),
        cmocka_unit_test(the_texts_lie_within_the_bytes),
        cmocka_unit_test(a_rebased_request_points_into_the_copy),
        cmocka_unit_test(a_recipient_is_split_at_its_last_at),
        cmocka_unit_test(the_state_is_rcpt_unless_another_is_named),
        cmocka_unit_test(the_test_clock_counts_only_where_it_is_on_and_readable),
        cmocka_unit_test(a_client_is_an_address_or_none),
    };
    return cmocka_run_group_tests_name("request", tests, NULL, NULL);
}
