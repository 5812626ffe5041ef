/* test_addr.c: addresses and networks: what is read, what lies inside, what is private. */
#include "tests/unit/unit.h"

#include "core/base/addr.h"

static struct addr addr_of(const char *text)
{
    struct addr a;
    CHECK_ROW(addr_parse(text_of(text), &a), "%s", text);
    return a;
}

static struct network network_of(const char *text)
{
    struct network n;
    const char *why = "";
    CHECK_ROW(network_parse(text_of(text), &n, &why), "%s: %s", text, why);
    return n;
}

static void an_address_is_written_as_it_was_read(void **state)
{
    static const char *const rows[][2] = {
        {"0.0.0.0", "0.0.0.0"},
        {"255.255.255.255", "255.255.255.255"},
        {"192.0.2.1", "192.0.2.1"},
        {"::", "::"},
        {"::1", "::1"},
        {"2001:DB8:0:0:0:0:0:1", "2001:db8::1"},
        {"fe80::1", "fe80::1"},
        {"::ffff:192.0.2.1", "192.0.2.1"},
        {"::FFFF:c000:0201", "192.0.2.1"},
        {"0:0:0:0:0:ffff:10.0.0.1", "10.0.0.1"},
        {"::fffe:192.0.2.1", "::fffe:c000:201"},
        {"64:ff9b::192.0.2.1", "64:ff9b::c000:201"},
        {"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255",
         "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char memory[ADDR_TEXT_MAX];
        struct writer w = writer_on(memory, sizeof(memory));
        struct addr a = addr_of(rows[i][0]);
        addr_write(&w, &a);
        expect_text(writer_text(&w), rows[i][1]);
    }
}

static void what_is_no_address_is_refused(void **state)
{
    static const char *const rows[] = {
        "",
        "unknown",
        "1.2.3",
        "1.2.3.4.5",
        "256.1.1.1",
        "1.2.3.4 ",
        " 1.2.3.4",
        "01.2.3.4",
        "1.2.3.-4",
        "0x1.2.3.4",
        "[::1]",
        "fe80::1%eth0",
        ":",
        ":::",
        "1::2::3",
        "12345::",
        "::g",
        "1.2.3.4/32",
        "IPv6:::1",
        "1:2:3:4:5",
        "1:2:3:4:5:6:7:8:9",
        "\n1.2.3.4",
        "1.2.3.4\n",
        "::1.2.3",
        "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.2555",
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct addr a;
        memset(&a, 0xaa, sizeof(a));
        CHECK_ROW(!addr_parse(text_of(rows[i]), &a), "%s", rows[i]);
        CHECK_ROW(a.family == ADDR_NONE, "%s", rows[i]);
    }
}

/* A C string's end in the middle must not make a good address of a bad one. */
static void a_nul_inside_is_refused(void **state)
{
    struct addr a;
    (void)state;
    assert_false(addr_parse((struct text){"1.2.3.4\0x", 9}, &a));
    assert_false(addr_parse((struct text){"1.2.3.4\0", 8}, &a));
    assert_false(addr_parse((struct text){NULL, 0}, &a));
}

/* Only `size` bytes belong to the text. */
static void bytes_behind_the_text_are_not_read(void **state)
{
    struct addr a;
    (void)state;
    assert_true(addr_parse((struct text){"1.2.3.45", 7}, &a));
    assert_int_equal(a.bytes[3], 4);
}

static void mapped_addresses_are_ipv4(void **state)
{
    struct addr mapped = addr_of("::ffff:192.0.2.1");
    struct addr plain = addr_of("192.0.2.1");
    struct addr compatible = addr_of("::192.0.2.1");
    struct addr other = addr_of("192.0.2.2");
    (void)state;
    assert_int_equal(mapped.family, ADDR_IPV4);
    assert_true(addr_equal(&mapped, &plain));
    assert_memory_equal(&mapped.bytes, &plain.bytes, sizeof(mapped.bytes));
    assert_false(addr_equal(&compatible, &plain));
    assert_false(addr_equal(&other, &plain));
}

/* The same sixteen bytes are another address in another family. */
static void families_are_never_equal(void **state)
{
    struct addr four = addr_of("0.0.0.0");
    struct addr six = addr_of("::");
    struct network all_four = network_of("0.0.0.0/0");
    struct network all_six = network_of("::/0");
    (void)state;
    assert_false(addr_equal(&four, &six));
    assert_true(network_contains(&all_four, &four));
    assert_false(network_contains(&all_four, &six));
    assert_true(network_contains(&all_six, &six));
    assert_false(network_contains(&all_six, &four));
}

static void nothing_contains_what_is_no_address(void **state)
{
    struct addr none = {ADDR_NONE, {0}};
    struct network four = network_of("0.0.0.0/0");
    struct network six = network_of("::/0");
    (void)state;
    assert_false(network_contains(&four, &none));
    assert_false(network_contains(&six, &none));
    assert_false(addr_is_private(&none));
}

static void networks_are_written_as_they_are_meant(void **state)
{
    static const char *const rows[][2] = {
        {"192.0.2.0/24", "192.0.2.0/24"},
        {"192.0.2.1", "192.0.2.1"},
        {"192.0.2.1/32", "192.0.2.1"},
        {"0.0.0.0/0", "0.0.0.0/0"},
        {"::/0", "::/0"},
        {"2001:db8::/32", "2001:db8::/32"},
        {"2001:db8::1", "2001:db8::1"},
        {"::ffff:192.0.2.0/120", "192.0.2.0/24"},
        {"::ffff:0.0.0.0/96", "0.0.0.0/0"},
        {"::ffff:192.0.2.1", "192.0.2.1"},
        {"10.0.0.0/08", "10.0.0.0/8"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char memory[NETWORK_TEXT_MAX];
        struct writer w = writer_on(memory, sizeof(memory));
        struct network n = network_of(rows[i][0]);
        network_write(&w, &n);
        expect_text(writer_text(&w), rows[i][1]);
    }
}

static void each_fault_of_a_network_is_named(void **state)
{
    static const char none[] = "is not an IP address or network";
    static const char range[] = "has a prefix length out of range";
    static const char bits[] = "has bits set behind its prefix length";
    static const struct {
        const char *text;
        const char *why;
    } rows[] = {
        {"", none},
        {"example.com", none},
        {"192.0.2/24", none},
        {"/24", none},
        {"192.0.2.0 /24", none},
        {"[2001:db8::]/32", none},
        {"192.0.2.0/33", range},
        {"192.0.2.0/-1", range},
        {"192.0.2.0/-0", range},
        {"192.0.2.0/", range},
        {"192.0.2.0/x", range},
        {"192.0.2.0/ 24", range},
        {"192.0.2.0/+24", range},
        {"192.0.2.0/24/24", range},
        {"192.0.2.0/255.255.255.0", range},
        {"192.0.2.0/0024", range},
        {"192.0.2.0/99999999999999999999", range},
        {"2001:db8::/129", range},
        {"2001:db8::/999", range},
        {"::ffff:192.0.2.0/95", range},
        {"::ffff:192.0.2.0/24", range},
        {"192.0.2.1/24", bits},
        {"192.0.2.1/31", bits},
        {"128.0.0.0/0", bits},
        {"2001:db8::1/127", bits},
        {"8000::/0", bits},
        {"::ffff:192.0.2.1/120", bits},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct network n;
        const char *why = NULL;
        CHECK_ROW(!network_parse(text_of(rows[i].text), &n, &why), "%s", rows[i].text);
        CHECK_ROW(strcmp(why, rows[i].why) == 0, "%s: %s", rows[i].text, why);
    }
}

static void flip(struct addr *a, unsigned bit)
{
    a->bytes[bit / 8] ^= (uint8_t)(0x80u >> bit % 8);
}

/* At each length: a change of any bit before it leads outside, of any bit behind it does not. */
static void containment_at_every_prefix_length(const char *text, unsigned longest)
{
    struct addr base = addr_of(text);
    for (unsigned prefix = 0; prefix <= longest; prefix++) {
        struct network n = network_around(&base, prefix);
        assert_int_equal(n.prefix, prefix);
        assert_true(network_contains(&n, &base));
        for (unsigned bit = 0; bit < longest; bit++) {
            struct addr other = base;
            flip(&other, bit);
            CHECK_ROW(network_contains(&n, &other) == (bit >= prefix), "%s/%u, bit %u", text,
                      prefix, bit);
        }
    }
}

static void ipv4_containment_at_every_prefix_length(void **state)
{
    (void)state;
    containment_at_every_prefix_length("170.85.15.240", 32);
    containment_at_every_prefix_length("255.255.255.255", 32);
    containment_at_every_prefix_length("0.0.0.0", 32);
}

static void ipv6_containment_at_every_prefix_length(void **state)
{
    (void)state;
    containment_at_every_prefix_length("2001:db8:aaaa:5555:f0f0:f0f:ff00:ff", 128);
    containment_at_every_prefix_length("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 128);
}

/* What network_around cuts, network_parse accepts: nothing is left behind the length. */
static void a_network_around_an_address_has_no_bits_behind_its_length(void **state)
{
    static const char *const rows[] = {"255.255.255.255",
                                       "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"};
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct addr a = addr_of(rows[i]);
        for (unsigned prefix = 0; prefix <= 128; prefix++) {
            char memory[NETWORK_TEXT_MAX];
            struct writer w = writer_on(memory, sizeof(memory));
            struct network n = network_around(&a, prefix);
            struct network again;
            const char *why;
            network_write(&w, &n);
            CHECK_ROW(network_parse(writer_text(&w), &again, &why), "%u: %s", prefix, why);
            assert_int_equal(again.prefix, n.prefix);
            assert_true(addr_equal(&again.addr, &n.addr));
        }
    }
}

static void a_prefix_that_is_too_long_is_cut(void **state)
{
    struct addr four = addr_of("192.0.2.1");
    struct addr six = addr_of("2001:db8::1");
    (void)state;
    assert_int_equal(network_around(&four, 33).prefix, 32);
    assert_int_equal(network_around(&four, 128).prefix, 32);
    assert_int_equal(network_around(&six, 129).prefix, 128);
    assert_int_equal(network_around(&six, 4000).prefix, 128);
}

static void the_borders_of_private_networks(void **state)
{
    static const struct {
        const char *text;
        bool is_private;
    } rows[] = {
        {"9.255.255.255", false},
        {"10.0.0.0", true},
        {"10.255.255.255", true},
        {"11.0.0.0", false},
        {"126.255.255.255", false},
        {"127.0.0.0", true},
        {"127.255.255.255", true},
        {"128.0.0.0", false},
        {"169.253.255.255", false},
        {"169.254.0.0", true},
        {"169.254.255.255", true},
        {"169.255.0.0", false},
        {"172.15.255.255", false},
        {"172.16.0.0", true},
        {"172.31.255.255", true},
        {"172.32.0.0", false},
        {"192.167.255.255", false},
        {"192.168.0.0", true},
        {"192.168.255.255", true},
        {"192.169.0.0", false},
        {"0.0.0.0", false},
        {"100.64.0.1", false},
        {"192.0.2.1", false},
        {"198.51.100.1", false},
        {"203.0.113.1", false},
        {"::ffff:10.0.0.1", true},
        {"::ffff:172.32.0.0", false},
        {"::ffff:127.0.0.1", true},
        {"::", false},
        {"::1", true},
        {"::2", false},
        {"1::1", false},
        {"::10.0.0.1", false},
        {"fbff:ffff::", false},
        {"fc00::", true},
        {"fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true},
        {"fe00::", false},
        {"fe7f:ffff::", false},
        {"fe80::", true},
        {"febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true},
        {"fec0::", false},
        {"ff02::1", false},
        {"2001:db8::1", false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct addr a = addr_of(rows[i].text);
        CHECK_ROW(addr_is_private(&a) == rows[i].is_private, "%s", rows[i].text);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_is_written_as_it_was_read),
        cmocka_unit_test(what_is_no_address_is_refused),
        cmocka_unit_test(a_nul_inside_is_refused),
        cmocka_unit_test(bytes_behind_the_text_are_not_read),
        cmocka_unit_test(mapped_addresses_are_ipv4),
        cmocka_unit_test(families_are_never_equal),
        cmocka_unit_test(nothing_contains_what_is_no_address),
        cmocka_unit_test(networks_are_written_as_they_are_meant),
        cmocka_unit_test(each_fault_of_a_network_is_named),
        cmocka_unit_test(ipv4_containment_at_every_prefix_length),
        cmocka_unit_test(ipv6_containment_at_every_prefix_length),
        cmocka_unit_test(a_network_around_an_address_has_no_bits_behind_its_length),
        cmocka_unit_test(a_prefix_that_is_too_long_is_cut),
        cmocka_unit_test(the_borders_of_private_networks),
    };
    return cmocka_run_group_tests_name("addr", tests, NULL, NULL);
}
