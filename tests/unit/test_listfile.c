/* test_listfile.c: postgrey's list files, line by line. */
#include "tests/unit/unit.h"

#include "core/data/listfile.h"

struct got {
    struct arena arena;
    char memory[8192];
    struct writer w;
};

static void entry(void *context, const struct listfile_entry *e)
{
    struct got *g = context;
    write_format(&g->w, "%u %s ", e->line, field_names[e->field]);
    write_text(&g->w, e->value);
    if (e->comments.size > 0)
        write_literal(&g->w, " # ");
    write_text(&g->w, e->comments);
    write_literal(&g->w, "\n");
}

static void said(void *context, unsigned line, const char *what, bool refused)
{
    struct got *g = context;
    write_format(&g->w, "%u%s ", line, refused ? "!" : "?");
    write_literal(&g->w, what);
    write_literal(&g->w, "\n");
}

static void expect(const char *file, bool recipients, const char *wanted)
{
    struct got g = {.arena = arena_make(1 << 20)};
    struct listfile_sink sink = {entry, said, &g, &g.arena};
    g.w = writer_on(g.memory, sizeof(g.memory));
    listfile_read(text_of(file), recipients, &sink);
    expect_text(writer_text(&g.w), wanted);
    arena_free(&g.arena);
}

static void one_client(void **state)
{
    static const struct {
        const char *line;
        const char *wanted;
    } rows[] = {
        {"192.0.2.1", "1 client_address 192.0.2.1\n"},
        {"192.0.2.0/24", "1 client_address 192.0.2.0/24\n"},
        {"192.0.2.77/24", "1 client_address 192.0.2.0/24\n"},
        {"192.0.2", "1 client_address 192.0.2.0/24\n"},
        {"192.168", "1? `192.168` is read as a /16, as postgrey's manual has it; postgrey itself "
                    "takes only the "
                    "first /24 of it\n1 client_address 192.168.0.0/16\n"},
        {"192.168.0.0/16", "1 client_address 192.168.0.0/16\n"},
        {"2001:db8::1", "1 client_address 2001:db8::1\n"},
        {"2001:db8::/32", "1 client_address 2001:db8::/32\n"},
        {"2001:db8::1/32", "1 client_address 2001:db8::/32\n"},
        {"Example.COM", "1 client_name .example.com\n"},
        {"  mx.example.com \t\r", "1 client_name .mx.example.com\n"},
        {".example.com", "1 client_name .example.com\n"},
        {"localhost", "1 client_name .localhost\n"},
        {"/^mail\\d+\\.example\\.com$/", "1 client_name /^mail\\d+\\.example\\.com$/\n"},
        {"example.com # why", "1 client_name .example.com # why\n"},
        {"a.example b.example",
         "1! `a.example b.example` has blanks in it; write one entry a line\n"},
        {"192.0.2.300", "1! `192.0.2.300` is not an IP address or network\n"},
        {"10", "1! `10` is not an IP address or network\n"},
        {"exa_mple!.com", "1! `exa_mple!.com` has a character that no host or domain name has\n"},
        {"", ""},
        {"   ", ""},
        {"#", ""},
        {"# only a comment", ""},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        expect(rows[i].line, false, rows[i].wanted);
    }
}

static void one_recipient(void **state)
{
    static const struct {
        const char *line;
        const char *wanted;
    } rows[] = {
        {"postmaster@", "1 recipient postmaster@\n1 recipient /^postmaster\\+[^@]+@/\n"},
        {"Joe.Doe@Example.com", "1 recipient joe.doe@example.com\n"
                                "1 recipient /^joe\\.doe\\+[^@]+@example\\.com$/\n"},
        {"joe+list@example.com", "1 recipient joe+list@example.com\n"
                                 "1 recipient /^joe\\+list\\+[^@]+@example\\.com$/\n"},
        {"example.com", "1 recipient .example.com\n"},
        {"@example.com", "1 recipient example.com\n"},
        {"/^abuse-.*@/", "1 recipient /^abuse-.*@/\n"},
        {"/@example\\.(com|org)$/", "1 recipient /@example\\.(com|org)$/\n"},
        {"192.0.2.1", "1! `192.0.2.1` is an IP address; use client_address\n"},
        {"@", "1! `@` has nothing beside its @\n"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        expect(rows[i].line, true, rows[i].wanted);
    }
}

/* In the style of the file that comes with postgrey. */
static void comments_go_with_what_is_below(void **state)
{
    (void)state;
    expect("# postgrey whitelist for mail client hostnames\n"
           "# --------------------------------------------\n"
           "# postgrey version: 1.37\n"
           "\n"
           "# 2004-05-18: Southwest Airlines (unique sender, no retry)\n"
           "southwest.example\n"
           "# 2004-05-18:\tmany servers\n"
           "#\n"
           "# (no retry)\n"
           "192.0.2\n"
           "198.51.100.7 # its second\n"
           "one.more.example\n"
           "\n"
           "alone.example",
           false,
           "6 client_name .southwest.example # 2004-05-18: Southwest Airlines (unique sender, no "
           "retry)\n"
           "10 client_address 192.0.2.0/24 # 2004-05-18: many servers (no retry)\n"
           "11 client_address 198.51.100.7 # its second\n"
           "12 client_name .one.more.example # 2004-05-18: many servers (no retry)\n"
           "14 client_name .alone.example\n");
}

static void long_comments_are_cut_between_characters(void **state)
{
    char file[2048] = "# ";
    char wanted[2048] = "2 client_name .a.example # ";
    (void)state;
    for (int i = 0; i < 300; i++)
        memcpy(file + strlen(file), "\xc3\xa9", 3);
    for (int i = 0; i < LISTFILE_COMMENT_MAX; i++)
        memcpy(wanted + strlen(wanted), "\xc3\xa9", 3);
    memcpy(file + strlen(file), "\na.example\n", 12);
    memcpy(wanted + strlen(wanted), "\n", 2);
    expect(file, false, wanted);
    expect("# caf\xe9\na.example\n", false, "2 client_name .a.example # caf\\xe9\n");
}

static void a_name_says_what_is_in_it(void **state)
{
    (void)state;
    assert_true(listfile_has_recipients("/etc/postgrey/whitelist_recipients"));
    assert_true(listfile_has_recipients("postgrey_whitelist_recipients.local"));
    assert_false(listfile_has_recipients("/etc/postgrey/whitelist_clients"));
    assert_false(listfile_has_recipients("/srv/recipients/clients"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_client),
        cmocka_unit_test(one_recipient),
        cmocka_unit_test(comments_go_with_what_is_below),
        cmocka_unit_test(long_comments_are_cut_between_characters),
        cmocka_unit_test(a_name_says_what_is_in_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
