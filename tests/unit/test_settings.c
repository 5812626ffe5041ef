/* test_settings.c: where settings come from, which source wins, and that what is written of them
 * loads to the same. test_settings_errors.c has what can be wrong with them. */
#include "core/policy/settings_table.h"
#include "tests/unit/settings_load.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static struct settings *load_fine(const char *file, const char *const *variables,
                                  const char *const *options)
{
    struct said said;
    struct settings *s = load(&said, file, variables, options);
    if (s == NULL)
        fail_msg("%s", said.error.text);
    return s;
}

static void defaults_are_those_of_the_manual(void **state)
{
    struct settings *s = load_fine(NULL, NULL, NULL);
    (void)state;
    assert_null(s->file);
    assert_int_equal(s->holders, 1);
    assert_int_equal(s->host.count, 1);
    expect_text(s->host.items[0], "127.0.0.1");
    assert_int_equal(s->port, 9999);
    assert_int_equal(s->socket_mode, 666);
    assert_true(s->security_by_host);
    assert_int_equal(s->allow_hosts.count, 2);
    assert_int_equal(s->max_clients, 1024);
    assert_int_equal(s->idle_timeout, 1000000);
    assert_int_equal(s->connection_timeout, 10000);
    assert_int_equal(s->request_timeout, 5000);
    expect_text(s->error_action, "DUNNO");
    assert_int_equal(s->db_trouble, TROUBLE_PASS);
    expect_text(s->errors_url, "http://mongrey.readthedocs.org/en/latest/errors.html");
    assert_false(s->debug);
    assert_false(s->test_clock);
    expect_text(s->cache_url, "memory");
    assert_int_equal(s->cache_size, 64 << 20);
    assert_true(s->private_bypass);
    assert_int_equal(s->ip_excludes.count, 0);
    assert_true(s->rules.greylist_enable);
    assert_int_equal(s->rules.greylist_key, KEY_MED);
    assert_int_equal(s->rules.greylist_remaining, 20000);
    assert_int_equal(s->rules.greylist_window, 172800000);
    assert_int_equal(s->rules.greylist_expire, INT64_C(3024000000));
    assert_int_equal(s->rules.greylist_ipv4_prefix, 24);
    assert_int_equal(s->rules.greylist_ipv6_prefix, 64);
    assert_true(s->rules.greylist_header);
    for (int i = 0; i < SETTINGS; i++)
        assert_int_equal(s->source[i], FROM_DEFAULT);
    settings_release(s);
}

static void option_beats_file_beats_environment_beats_default(void **state)
{
    static const char *const variables[] = {"MONGREY_BACKLOG=1", "MONGREY_PORT=2",
                                            "MONGREY_MAX_CLIENTS=3", NULL};
    static const char *const options[] = {"max_clients=5", NULL};
    struct settings *s = load_fine("port: 4\nmax_clients: 6\n", variables, options);
    (void)state;
    assert_int_equal(s->backlog, 1);
    assert_int_equal(s->source[SETTING_backlog], FROM_ENVIRONMENT);
    assert_int_equal(s->port, 4);
    assert_int_equal(s->source[SETTING_port], FROM_FILE);
    assert_int_equal(s->line[SETTING_port], 1);
    assert_int_equal(s->max_clients, 5);
    assert_int_equal(s->source[SETTING_max_clients], FROM_OPTION);
    assert_int_equal(s->socket_mode, 666);
    assert_int_equal(s->source[SETTING_socket_mode], FROM_DEFAULT);
    assert_string_equal(s->file, "m.yml");
    settings_release(s);
}

static void of_an_option_said_twice_the_last_holds(void **state)
{
    static const char *const options[] = {"port=1", "port=2", "policy_settings.greylist_key=low",
                                          "greylist_window=3d", NULL};
    struct settings *s = load_fine(NULL, NULL, options);
    (void)state;
    assert_int_equal(s->port, 2);
    assert_int_equal(s->rules.greylist_key, KEY_LOW);
    assert_int_equal(s->rules.greylist_window, 3 * 86400000);
    settings_release(s);
}

/* `host` alone is where to listen; the store's needs its group. */
static void host_belongs_to_the_group_that_is_named(void **state)
{
    static const char *const options[] = {"host=::1", "db_settings.host=sqlite:///x", NULL};
    struct settings *s = load_fine(NULL, NULL, options);
    (void)state;
    expect_text(s->host.items[0], "::1");
    expect_text(s->db_url, "sqlite:///x");
    settings_release(s);
}

static void lists_are_yaml_or_commas(void **state)
{
    static const char *const rows[] = {
        "host: '127.0.0.1, [::1]:1 ,unix:/a'\n",
        "host: [127.0.0.1, '[::1]:1', 'unix:/a']\n",
        "host:\n  - 127.0.0.1\n  - '[::1]:1'\n  - ' unix:/a '\n",
        "host: ',127.0.0.1,,[::1]:1,unix:/a,'\n",
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct settings *s = load_fine(rows[i], NULL, NULL);
        CHECK_ROW(s->host.count == 3, "%s", rows[i]);
        expect_text(s->host.items[0], "127.0.0.1");
        expect_text(s->host.items[1], "[::1]:1");
        expect_text(s->host.items[2], "unix:/a");
        settings_release(s);
    }
}

/* 0.4.4's own files have keys with nothing behind them. */
static void nothing_behind_a_key_leaves_it_alone(void **state)
{
    static const char *const variables[] = {"MONGREY_PORT=2", NULL};
    struct settings *s =
        load_fine("port:\nbacklog: ~\nmax_clients: null\npolicy_settings:\ncache_settings: ~\n"
                  "db_settings: {}\n",
                  variables, NULL);
    (void)state;
    assert_int_equal(s->port, 2);
    assert_int_equal(s->source[SETTING_port], FROM_ENVIRONMENT);
    assert_int_equal(s->backlog, 256);
    assert_int_equal(s->max_clients, 1024);
    settings_release(s);
}

static void an_empty_list_is_a_list(void **state)
{
    struct settings *s = load_fine("allow_hosts: []\n", NULL, NULL);
    (void)state;
    assert_int_equal(s->allow_hosts.count, 0);
    settings_release(s);
    s = load_fine("allow_hosts: ''\n", NULL, NULL);
    assert_int_equal(s->allow_hosts.count, 0);
    settings_release(s);
}

/* --- Written and read again ------------------------------------------------------------------- */

struct page {
    char text[65536];
    struct writer w;
};

static void put(void *context, struct text line)
{
    struct page *page = context;
    write_text(&page->w, line);
    write_literal(&page->w, "\n");
}

static struct page *page_make(void)
{
    struct page *page = calloc(1, sizeof(*page));
    assert_non_null(page);
    page->w = writer_on(page->text, sizeof(page->text));
    return page;
}

static void expect_same(const struct settings *a, const struct settings *b)
{
    for (int i = 0; i < SETTINGS; i++)
        CHECK_ROW(settings_same(a, b, (enum setting)i), "%s", settings_key((enum setting)i));
}

static void what_is_written_loads_to_the_same(void **state)
{
    static const char *const rows[] = {
        "port: 1\n",
        "host: ['::1', 'unix:/a,b', \"unix:/it's\"]\nallow_hosts: [10.0.0.0/8, '2001:db8::/32']\n",
        "error_action: \"451 4.3.5 it's: # no, [yes] {x}\"\n",
        "errors_url: \"http://x/é'#a: b\"\n",
        "policy_settings: {greylist_remaining: 1500ms, greylist_key: special, ip_excludes: []}\n",
        "cache_settings:\n  cache_size: 64.5k\n  cache_url: none\n",
        "db_settings:\n  host: 'mysql://u@h/db?a=''b'\n",
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct page *page = page_make();
        struct settings *s = load_fine(rows[i], NULL, NULL);
        settings_write(s, put, page);
        struct settings *again = load_fine(writer_end(&page->w), NULL, NULL);
        expect_same(s, again);
        settings_release(again);
        settings_release(s);
        free(page);
    }
}

static void what_is_in_force_says_where_it_came_from(void **state)
{
    static const char *const variables[] = {"MONGREY_BACKLOG=1", NULL};
    static const char *const options[] = {"debug=1", NULL};
    struct page *page = page_make();
    struct settings *s = load_fine("\nport: 4\n", variables, options);
    (void)state;
    settings_write(s, put, page);
    const char *text = writer_end(&page->w);
    assert_non_null(strstr(text, "host: ['127.0.0.1']  # default\n"));
    assert_non_null(strstr(text, "port: 4  # file, line 2\n"));
    assert_non_null(strstr(text, "backlog: 1  # environment, MONGREY_BACKLOG\n"));
    assert_non_null(strstr(text, "debug: true  # option\n"));
    assert_non_null(strstr(text, "policy_settings:\n"));
    assert_non_null(strstr(text, "  greylist_remaining: 20s  # default\n"));
    settings_release(s);
    free(page);
}

static void secrets_are_masked_where_settings_are_shown(void **state)
{
    static const char *const options[] = {"db_settings.host=mysql://u:geheim@h/db?password=geheim",
                                          NULL};
    struct page *page = page_make();
    struct settings *s = load_fine(NULL, NULL, options);
    (void)state;
    settings_write(s, put, page);
    assert_null(strstr(writer_end(&page->w), "geheim"));
    assert_non_null(strstr(page->text, "host: 'mysql://u:***@h/db?password=***'"));
    settings_release(s);
    free(page);
}

/* As many networks as a provider may list, and what is shown must still be a settings file. */
static void a_long_list_is_written_whole(void **state)
{
    struct page *file = page_make();
    struct page *page = page_make();
    (void)state;
    write_literal(&file->w, "allow_hosts: [");
    for (int i = 0; i < 1500; i++)
        write_format(&file->w, "%s10.%d.%d.0/24", i > 0 ? "," : "", i / 250, i % 250);
    write_literal(&file->w, "]\n");
    struct settings *s = load_fine(writer_end(&file->w), NULL, NULL);
    settings_write(s, put, page);
    struct said said;
    struct settings *again = load(&said, writer_end(&page->w), NULL, NULL);
    CHECK_ROW(again != NULL, "%s", said.error.text);
    assert_int_equal(again->allow_hosts.count, 1500);
    settings_release(again);
    settings_release(s);
    free(page);
    free(file);
}

static void a_control_character_in_a_text_does_not_break_what_is_written(void **state)
{
    struct page *page = page_make();
    struct said said;
    struct settings *s = load(&said, "errors_url: \"a\\nb\\x01\"\n", NULL, NULL);
    (void)state;
    /* Refused at the start would be as good. */
    if (s != NULL) {
        settings_write(s, put, page);
        struct settings *again = load(&said, writer_end(&page->w), NULL, NULL);
        CHECK_ROW(again != NULL, "%s", said.error.text);
        expect_same(s, again);
        settings_release(again);
    }
    settings_release(s);
    free(page);
}

static void every_difference_is_seen(void **state)
{
    static const char *const rows[][2] = {
        {"port=1", "port=2"},
        {"debug=0", "debug=1"},
        {"greylist_remaining=1", "greylist_remaining=1001ms"},
        {"greylist_key=low", "greylist_key=med"},
        {"db_settings.host=x://u:a@h", "db_settings.host=x://u:b@h"},
        {"allow_hosts=10.0.0.0/8", "allow_hosts=10.0.0.0/9"},
        {"allow_hosts=10.0.0.0/8", "allow_hosts="},
        {"host=a,b", "host=b,a"},
        {"error_action=DUNNO", "error_action=dunno"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *one[] = {rows[i][0], NULL};
        const char *two[] = {rows[i][1], NULL};
        struct settings *a = load_fine(NULL, NULL, one);
        struct settings *b = load_fine(NULL, NULL, two);
        int differences = 0;
        for (int k = 0; k < SETTINGS; k++)
            differences += !settings_same(a, b, (enum setting)k);
        CHECK_ROW(differences == 1, "%s, %s: %d", rows[i][0], rows[i][1], differences);
        settings_release(a);
        settings_release(b);
    }
}

/* The last of many networks is a difference, too. */
static void a_difference_at_the_end_of_a_long_list_is_seen(void **state)
{
    struct settings *s[2];
    (void)state;
    for (int k = 0; k < 2; k++) {
        struct page *file = page_make();
        write_literal(&file->w, "allow_hosts: [");
        for (int i = 0; i < 1000; i++)
            write_format(&file->w, "10.%d.%d.0/24, ", i / 250, i % 250);
        write_format(&file->w, "192.0.2.%d]\n", k);
        s[k] = load_fine(writer_end(&file->w), NULL, NULL);
        free(file);
    }
    assert_false(settings_same(s[0], s[1], SETTING_allow_hosts));
    settings_release(s[0]);
    settings_release(s[1]);
}

static void the_sample_changes_nothing(void **state)
{
    static const char *const variables[] = {"MONGREY_PORT=2", NULL};
    struct page *page = page_make();
    (void)state;
    settings_write_sample(put, page);
    struct settings *s = load_fine(writer_end(&page->w), variables, NULL);
    struct settings *plain = load_fine(NULL, variables, NULL);
    expect_same(s, plain);
    assert_int_equal(s->source[SETTING_port], FROM_ENVIRONMENT);
    settings_release(plain);
    settings_release(s);
    free(page);
}

/* Whoever takes a `#` away gets the default that stands there. */
static void every_line_of_the_sample_is_its_default(void **state)
{
    struct page *page = page_make();
    struct page *edited = page_make();
    struct text part;
    (void)state;
    settings_write_sample(put, page);
    struct text rest = writer_text(&page->w);
    size_t settings = 0;
    while (text_split(&rest, '\n', &part)) {
        assert_true(part.size <= 100 || memchr(part.data, ':', part.size) != NULL);
        bool commented = part.size > 2 && part.data[0] == '#' && part.data[1] != ' ';
        commented = commented || (part.size > 4 && memcmp(part.data, "#  ", 3) == 0);
        settings += commented;
        write_text(&edited->w, commented ? (struct text){part.data + 1, part.size - 1} : part);
        write_literal(&edited->w, "\n");
    }
    size_t retired = 0;
    for (int i = 0; i < SETTINGS; i++)
        retired += (setting_rows[i].flags & RETIRED) != 0;
    assert_int_equal(settings, SETTINGS - retired);
    struct settings *s = load_fine(writer_end(&edited->w), NULL, NULL);
    struct settings *plain = load_fine(NULL, NULL, NULL);
    expect_same(s, plain);
    for (int i = 0; i < SETTINGS; i++) {
        bool shown = (setting_rows[i].flags & RETIRED) == 0;
        assert_int_equal(s->source[i], shown ? FROM_FILE : FROM_DEFAULT);
    }
    settings_release(plain);
    settings_release(s);
    free(edited);
    free(page);
}

/* --- Files ------------------------------------------------------------------------------------ */

static struct settings *load_path(struct said *said, const char *option,
                                  const char *const *variables)
{
    struct settings_sources sources = {.file = option, .environ = variables};
    memset(said, 0, sizeof(*said));
    return settings_load(&sources, &said->error);
}

static void the_file_is_the_one_that_is_named(void **state)
{
    char folder[] = "/tmp/mongrey-unit-XXXXXX";
    char path[64];
    char variable[96];
    char home[96];
    struct said said;
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/mongrey", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof(path), "%s/mongrey/server.yml", folder);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs("port: 4711\n", f) >= 0);
    assert_int_equal(fclose(f), 0);
    snprintf(variable, sizeof(variable), "MONGREY_SERVER_SETTINGS=%s", path);
    snprintf(home, sizeof(home), "HOME=%s", folder);

    const char *by_variable[] = {variable, NULL};
    const char *by_home[] = {home, NULL};
    const char *elsewhere[] = {"MONGREY_SERVER_SETTINGS=/nowhere/x.yml", home, NULL};
    struct settings *s = load_path(&said, path, NULL);
    assert_true(s != NULL && s->port == 4711);
    assert_string_equal(s->file, path);
    settings_release(s);
    s = load_path(&said, NULL, by_variable);
    assert_true(s != NULL && s->port == 4711);
    settings_release(s);
    if (access("/etc/mongrey/server.yml", F_OK) != 0) {
        s = load_path(&said, NULL, by_home);
        assert_true(s != NULL && s->port == 4711);
        settings_release(s);
    }
    s = load_path(&said, path, elsewhere);
    assert_true(s != NULL && s->port == 4711);
    settings_release(s);
    /* A file that was named and is not there is not passed over. */
    assert_null(load_path(&said, NULL, elsewhere));
    assert_string_equal(said.error.text, "/nowhere/x.yml: No such file or directory");
    assert_null(load_path(&said, folder, NULL));
    assert_non_null(strstr(said.error.text, ": Is a directory"));

    assert_int_equal(unlink(path), 0);
    snprintf(path, sizeof(path), "%s/mongrey", folder);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(rmdir(folder), 0);
}

static void the_last_holder_frees(void **state)
{
    struct settings *s = load_fine(NULL, NULL, NULL);
    (void)state;
    assert_ptr_equal(settings_hold(s), s);
    assert_int_equal(s->holders, 2);
    settings_release(s);
    assert_int_equal(s->port, 9999);
    settings_release(s);
    settings_release(NULL);
}

static void what_a_reload_cannot_change_is_known(void **state)
{
    (void)state;
    assert_true(settings_needs_start(SETTING_host));
    assert_true(settings_needs_start(SETTING_port));
    assert_true(settings_needs_start(SETTING_db_url));
    assert_false(settings_needs_start(SETTING_greylist_key));
    assert_false(settings_needs_start(SETTING_allow_hosts));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_those_of_the_manual),
        cmocka_unit_test(option_beats_file_beats_environment_beats_default),
        cmocka_unit_test(of_an_option_said_twice_the_last_holds),
        cmocka_unit_test(host_belongs_to_the_group_that_is_named),
        cmocka_unit_test(lists_are_yaml_or_commas),
        cmocka_unit_test(nothing_behind_a_key_leaves_it_alone),
        cmocka_unit_test(an_empty_list_is_a_list),
        cmocka_unit_test(what_is_written_loads_to_the_same),
        cmocka_unit_test(what_is_in_force_says_where_it_came_from),
        cmocka_unit_test(secrets_are_masked_where_settings_are_shown),
        cmocka_unit_test(a_long_list_is_written_whole),
        cmocka_unit_test(a_control_character_in_a_text_does_not_break_what_is_written),
        cmocka_unit_test(every_difference_is_seen),
        cmocka_unit_test(a_difference_at_the_end_of_a_long_list_is_seen),
        cmocka_unit_test(the_sample_changes_nothing),
        cmocka_unit_test(every_line_of_the_sample_is_its_default),
        cmocka_unit_test(the_file_is_the_one_that_is_named),
        cmocka_unit_test(the_last_holder_frees),
        cmocka_unit_test(what_a_reload_cannot_change_is_known),
    };
    return cmocka_run_group_tests_name("settings", tests, NULL, NULL);
}
