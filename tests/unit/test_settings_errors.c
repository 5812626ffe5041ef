/* test_settings_errors.c: the exact words for each thing that can be wrong with settings, in a file,
 * a variable or an option, and what stands at the edge of wrong and is taken. */
#include "tests/unit/settings_load.h"

struct fault {
    const char *given;
    const char *error;
};

/* The whole text is compared: who reads it has nothing else to find the fault by. */
static void expect_refused(const struct fault *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct said said;
        CHECK_ROW(load(&said, rows[i].given, NULL, NULL) == NULL, "%s", rows[i].given);
        CHECK_ROW(strcmp(said.error.text, rows[i].error) == 0, "%s -> %s", rows[i].given,
                  said.error.text);
    }
}

static void each_fault_of_a_number_or_word_names_file_line_and_key(void **state)
{
    static const struct fault rows[] = {
        {"port: 99999\n", "m.yml:1: port: `99999` is not between 0 and 65535"},
        {"port: -1\n", "m.yml:1: port: `-1` is not between 0 and 65535"},
        {"\n\nport: x\n", "m.yml:3: port: `x` is not a whole number"},
        {"port: 1.5\n", "m.yml:1: port: `1.5` is not a whole number"},
        {"port: [1]\n", "m.yml:1: port: must be a single value"},
        {"port: {a: 1}\n", "m.yml:1: port: must be a single value"},
        {"port: ''\n", "m.yml:1: port: `` is not a whole number"},
        {"port: 99999999999999999999\n",
         "m.yml:1: port: `99999999999999999999` is not a whole number"},
        {"debug: maybe\n", "m.yml:1: debug: `maybe` is neither true nor false"},
        {"max_clients: 0\n", "m.yml:1: max_clients: `0` is not between 1 and 100000"},
        {"idle_timeout: 5x\n",
         "m.yml:1: idle_timeout: `5x` is not a duration such as 20, 90s, 5m or 35d"},
        {"idle_timeout: 999ms\n",
         "m.yml:1: idle_timeout: `999ms` is not between 1 and 86400 seconds"},
        {"request_timeout: 91\n",
         "m.yml:1: request_timeout: `91` is not between 0.1 and 90 seconds"},
        {"cache_settings:\n  cache_size: 64X\n",
         "m.yml:2: cache_size: `64X` is not a size such as 65536 or 64MiB"},
        {"cache_settings:\n  cache_size: 1k\n",
         "m.yml:2: cache_size: `1k` is not between 65536 and 1099511627776"},
        {"cache_settings:\n  cache_url: redis://:geheim@h:x\n",
         "m.yml:2: cache_url: the URL has a port that is no number up to 65535 (an IPv6 address "
         "goes in "
         "brackets)"},
        {"cache_settings:\n  cache_url: rediss://h\n",
         "m.yml:2: cache_url: is rediss://, but TLS to Redis is not built in: use a tunnel, or a "
         "socket"},
        {"cache_settings:\n  cache_prefix: "
         "ppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppp\n",
         "m.yml:2: cache_prefix: is longer than 64 bytes"},
        {"cache_settings:\n  cache_url: disk\n",
         "m.yml:2: cache_url: must be memory, none, redis://host or unix:///path"},
        {"policy_settings:\n  spf_mode: grey\n",
         "m.yml:2: spf_mode: what this is for is not built yet: it comes with a later version, and "
         "until then only the default is taken"},
        {"policy_settings:\n  reply_relay: 554 %(nobody)s\n",
         "m.yml:2: reply_relay: `554 %(nobody)s` names a value that there is not (seconds, "
         "remaining, delay, policy, value, client_address, client_name, sender, recipient, "
         "recipient_domain, country, id, url, host, version, date)"},
        {"policy_settings:\n  reply_relay: OK\n",
         "m.yml:2: reply_relay: `OK` is no action such as DUNNO, DEFER_IF_PERMIT or `451 4.3.5 "
         "text`"},
        {"db_trouble: cry\n", "m.yml:1: db_trouble: `cry` is none of pass|defer|local"},
        {"policy_settings:\n  greylist_key: max\n",
         "m.yml:2: greylist_key: `max` is none of vlow|low|med|high|special"},
        {"policy_settings:\n  greylist_ipv4_prefix: 33\n",
         "m.yml:2: greylist_ipv4_prefix: `33` is not between 1 and 32"},
        {"policy_settings:\n  greylist_ipv6_prefix: 129\n",
         "m.yml:2: greylist_ipv6_prefix: `129` is not between 1 and 128"},
        {"socket_mode: 668\n", "m.yml:1: socket_mode: is not an octal mode such as 660"},
        {"socket_mode: 778\n", "m.yml:1: socket_mode: `778` is not between 0 and 777"},
        {"policy_settings:\n  greylist_remaining: 1h\n  greylist_window: 1h\n",
         "m.yml:3: greylist_window: must be longer than greylist_remaining, or no retry can ever "
         "pass"},
    };
    (void)state;
    expect_refused(rows, COUNT(rows));
}

static void each_fault_of_an_address_names_file_line_and_key(void **state)
{
    static const struct fault rows[] = {
        {"policy_settings:\n  ip_excludes: 192.0.2.1/24\n",
         "m.yml:2: ip_excludes: `192.0.2.1/24` has bits set behind its prefix length"},
        {"policy_settings:\n  ip_excludes: 192.0.2.0/33\n",
         "m.yml:2: ip_excludes: `192.0.2.0/33` has a prefix length out of range"},
        {"allow_hosts: mx.example.org\n",
         "m.yml:1: allow_hosts: `mx.example.org` is not an IP address or network"},
        {"allow_hosts: [[a]]\n", "m.yml:1: allow_hosts: must be a plain value"},
        {"allow_hosts: {a: b}\n", "m.yml:1: allow_hosts: must be a list"},
        {"host: []\n", "m.yml:1: host: needs at least one address"},
        {"host: ', ,'\n", "m.yml:1: host: needs at least one address"},
        {"host: mx:99999\n",
         "m.yml:1: host: `mx:99999` has no port between 0 and 65535 behind its colon"},
        {"host: unix:run\n",
         "m.yml:1: host: `unix:run` needs an absolute path of at most 107 bytes"},
        {"host: '[::1'\n", "m.yml:1: host: `[::1` has a bracket too many or too few"},
        {"host: 'a b'\n", "m.yml:1: host: `a b` is not an address or host name"},
    };
    (void)state;
    expect_refused(rows, COUNT(rows));
}

static void each_fault_of_an_action_or_url_names_file_line_and_key(void **state)
{
    static const struct fault rows[] = {
        {"error_action: OK\n", "m.yml:1: error_action: `OK` is no action such as DUNNO, "
                               "DEFER_IF_PERMIT or `451 4.3.5 text`"},
        {"error_action: 250 fine\n",
         "m.yml:1: error_action: `250 fine` is no action such as DUNNO, "
         "DEFER_IF_PERMIT or `451 4.3.5 text`"},
        {"error_action: 451\n", "m.yml:1: error_action: `451` is no action such as DUNNO, "
                                "DEFER_IF_PERMIT or `451 4.3.5 text`"},
        {"error_action: \"DUNNO\\naction=OK\"\n",
         "m.yml:1: error_action: `DUNNO\\x0aaction=OK` must be one line of printable ASCII"},
        {"db_settings:\n  host: mysql://u:pw#x@h/db\n",
         "m.yml:2: host: the URL has a fragment (#): write %23 where it belongs to a name or "
         "password"},
        {"db_settings:\n  host: mysql:x\n",
         "m.yml:2: host: the URL has no scheme such as sqlite:// in front"},
        {"db_settings:\n  host: mongrey.db\n",
         "m.yml:2: host: must be a URL such as sqlite:////var/lib/mongrey/mongrey.db"},
        {"db_settings:\n  host: x:///%zz\n",
         "m.yml:2: host: the URL has a % that no two hex digits follow, or %00"},
    };
    (void)state;
    expect_refused(rows, COUNT(rows));
}

static void each_fault_of_a_files_form_names_its_line(void **state)
{
    static const struct fault rows[] = {
        {"policy_settings: yes\n",
         "m.yml:1: policy_settings: must be a group of `key: value` lines"},
        {"policy_settings: [a]\n",
         "m.yml:1: policy_settings: must be a group of `key: value` lines"},
        {"- a\n", "m.yml:1: must be `key: value` lines"},
        {"hello\n", "m.yml:1: must be `key: value` lines"},
        {"port: 1\nport: 2\n", "m.yml:2: a key stands twice in one group"},
        {"port: &a 1\n", "m.yml:1: anchors and tags are not read here"},
    };
    (void)state;
    expect_refused(rows, COUNT(rows));
}

static void an_empty_action_is_said_to_be_empty(void **state)
{
    struct said said;
    (void)state;
    assert_null(load(&said, "error_action: ''\n", NULL, NULL));
    assert_string_equal(said.error.text, "m.yml:1: error_action: `` is empty");
}

static void an_unknown_key_names_the_nearest_one(void **state)
{
    static const struct fault rows[] = {
        {"prot: 1\n", "m.yml:1: prot: there is no such setting; the nearest is `port`"},
        {"Port: 1\n", "m.yml:1: Port: there is no such setting; the nearest is `port`"},
        {"hosts: 1\n", "m.yml:1: hosts: there is no such setting; the nearest is `host`"},
        {"greylist_key: med\n", "m.yml:1: greylist_key: there is no such setting; the nearest is "
                                "`policy_settings.greylist_key`"},
        {"policy_settings:\n  grey_list_key: med\n",
         "m.yml:2: grey_list_key: there is no such setting; the nearest is "
         "`policy_settings.greylist_key`"},
        {"policy_settings:\n  port: 1\n",
         "m.yml:2: port: there is no such setting; the nearest is `port`"},
        {"db_settings:\n  hots: x\n",
         "m.yml:2: hots: there is no such setting; the nearest is `db_settings.host`"},
        {"qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq: 1\n",
         "m.yml:1: qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq: there is no such setting"},
        {"\"a\\nb\\e[0m_xxxxxxxxxxxxxxxxxxx\": 1\n",
         "m.yml:1: a\\x0ab\\x1b[0m_xxxxxxxxxxxxxxxxxxx: there is no such setting"},
    };
    (void)state;
    expect_refused(rows, COUNT(rows));
}

/* A group is a known key, too: whoever misspells one must not be pointed elsewhere. */
static void a_misspelled_group_names_the_nearest_group(void **state)
{
    struct said said;
    (void)state;
    assert_null(load(&said, "policy_setings:\n  greylist_key: med\n", NULL, NULL));
    CHECK_ROW(strstr(said.error.text, "m.yml:1: policy_setings: there is no such setting") &&
                  strstr(said.error.text, "policy_settings"),
              "%s", said.error.text);
}

/* The line of the item, not that of the list it stands in. */
static void a_bad_item_names_its_own_line(void **state)
{
    struct said said;
    (void)state;
    assert_null(
        load(&said, "allow_hosts:\n  - 192.0.2.1\n  - 192.0.2.2\n  - nonsense\n", NULL, NULL));
    assert_string_equal(said.error.text,
                        "m.yml:4: allow_hosts: `nonsense` is not an IP address or network");
}

static void each_fault_of_the_environment_names_its_variable(void **state)
{
    static const struct fault rows[] = {
        {"MONGREY_PORT=x", "MONGREY_PORT: `x` is not a whole number"},
        {"MONGREY_PORT=", "MONGREY_PORT: `` is not a whole number"},
        {"MONGREY_REMAINING=1y",
         "MONGREY_REMAINING: `1y` is not a duration such as 20, 90s, 5m or 35d"},
        {"MONGREY_POLICY=none", "MONGREY_POLICY: `none` is none of vlow|low|med|high|special"},
        {"MONGREY_DB=mysql://u:geheim@h/d b",
         "MONGREY_DB: the URL is empty, too long, or has control characters"},
        {"MONGREY_DB=x", "MONGREY_DB: must be a URL such as "
                         "sqlite:////var/lib/mongrey/mongrey.db"},
        {"MONGREY_EXCLUDES=10.0.0.0/8,x", "MONGREY_EXCLUDES: `x` is not an IP address or network"},
        {"MONGREY_GREYLIST_WINDOW=20", "MONGREY_GREYLIST_WINDOW: must be longer than "
                                       "greylist_remaining, or no retry can ever pass"},
        {"MONGREY_SOCKET_MODE=8", "MONGREY_SOCKET_MODE: is not an octal mode such as 660"},
        {"MONGREY_CACHE=disk", "MONGREY_CACHE: must be memory, none, redis://host or unix:///path"},
        {"MONGREY_ERROR_ACTION=PERMIT",
         "MONGREY_ERROR_ACTION: `PERMIT` is no action such as DUNNO, DEFER_IF_PERMIT or "
         "`451 4.3.5 text`"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *variables[] = {rows[i].given, NULL};
        struct said said;
        CHECK_ROW(load(&said, NULL, variables, NULL) == NULL, "%s", rows[i].given);
        CHECK_ROW(strcmp(said.error.text, rows[i].error) == 0, "%s -> %s", rows[i].given,
                  said.error.text);
    }
}

static void each_fault_of_an_option_names_it(void **state)
{
    static const struct fault rows[] = {
        {"port", "--set port: must be key=value"},
        {"", "--set : must be key=value"},
        {"port=x", "--set port: `x` is not a whole number"},
        {"prot=1", "--set prot: there is no such setting; the nearest is `port`"},
        {"policy_settings.port=1",
         "--set policy_settings.port: there is no such setting; the nearest is `port`"},
        {"greylist_kay=1", "--set greylist_kay: there is no such setting; the nearest is "
                           "`policy_settings.greylist_key`"},
        {"db_settings.host=x://u:geheim@h/%",
         "--set db_settings.host: the URL has a % that no two hex digits follow, or %00"},
        {"cache_url=disk", "cache_url: must be memory, none, redis://host or unix:///path"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *options[] = {rows[i].given, NULL};
        struct said said;
        CHECK_ROW(load(&said, NULL, NULL, options) == NULL, "%s", rows[i].given);
        CHECK_ROW(strcmp(said.error.text, rows[i].error) == 0, "%s -> %s", rows[i].given,
                  said.error.text);
    }
}

/* The delay was set, so it is named; that it "must be longer than" itself is not the reason. */
static void a_delay_longer_than_the_window_is_named_so_that_it_can_be_understood(void **state)
{
    static const char *const options[] = {"greylist_remaining=1d", "greylist_window=1d", NULL};
    static const char *const only_delay[] = {"greylist_remaining=1d", NULL};
    struct said said;
    (void)state;
    assert_null(load(&said, NULL, NULL, options));
    assert_string_equal(said.error.text, "greylist_window: must be longer than "
                                         "greylist_remaining, or no retry can ever pass");
    assert_null(load(&said, "policy_settings: {greylist_window: 1h}\n", NULL, only_delay));
    CHECK_ROW(strncmp(said.error.text, "greylist_remaining: ", 20) == 0, "%s", said.error.text);
    CHECK_ROW(strstr(said.error.text + 20, "than greylist_remaining") == NULL, "%s",
              said.error.text);
}

static void values_at_their_limits_are_taken(void **state)
{
    static const char *const rows[] = {
        "port=0",
        "port=65535",
        "socket_mode=777",
        "socket_mode=000",
        "max_clients=1",
        "max_clients=100000",
        "request_timeout=100ms",
        "request_timeout=90",
        "idle_timeout=1s",
        "idle_timeout=1d",
        "greylist_remaining=0",
        "cache_size=64k",
        "cache_size=1024G",
        "greylist_ipv4_prefix=1",
        "greylist_ipv4_prefix=32",
        "greylist_ipv6_prefix=128",
        "greylist_expire=3650d",
        "error_action=451 4.3.5 x",
        "error_action=554 x",
        "error_action=reject",
        "error_action=DEFER_IF_PERMIT later",
        "cache_url=none",
        "cache_url=simple",
        "db_trouble=DEFER",
        "ip_excludes=",
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *options[] = {rows[i], NULL};
        struct said said;
        struct settings *s = load(&said, NULL, NULL, options);
        CHECK_ROW(s != NULL, "%s -> %s", rows[i], said.error.text);
        settings_release(s);
    }
}

/* Docker and Kubernetes set this for a container that is called mongrey. */
static void a_containers_link_is_ignored_with_a_warning(void **state)
{
    static const char *const variables[] = {"MONGREY_PORT=tcp://10.0.0.1:9999", NULL};
    struct said said;
    struct settings *s = load(&said, NULL, variables, NULL);
    (void)state;
    assert_non_null(s);
    assert_int_equal(s->port, 9999);
    assert_int_equal(s->source[SETTING_port], FROM_DEFAULT);
    assert_int_equal(said.warnings_count, 1);
    assert_string_equal(said.warnings[0],
                        "MONGREY_PORT: a container's link, not a setting; ignored");
    settings_release(s);
}

static void a_variable_that_is_almost_one_is_warned_of(void **state)
{
    static const char *const variables[] = {"MONGREY_PROT=1",
                                            "MONGREY_PORT_9999_TCP=tcp://x",
                                            "OTHER=1",
                                            "MONGREY_DB=a:///b",
                                            "MONGREY_WEB_USERNAME=x",
                                            "MONGREY_EXPIRED",
                                            NULL};
    struct said said;
    struct settings *s = load(&said, NULL, variables, NULL);
    (void)state;
    assert_non_null(s);
    assert_int_equal(said.warnings_count, 2);
    assert_string_equal(said.warnings[0],
                        "MONGREY_PROT: no setting has this variable; is MONGREY_PORT meant?");
    assert_string_equal(said.warnings[1],
                        "MONGREY_EXPIRED: no setting has this variable; is MONGREY_EXPIRE meant?");
    settings_release(s);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_fault_of_a_number_or_word_names_file_line_and_key),
        cmocka_unit_test(each_fault_of_an_address_names_file_line_and_key),
        cmocka_unit_test(each_fault_of_an_action_or_url_names_file_line_and_key),
        cmocka_unit_test(each_fault_of_a_files_form_names_its_line),
        cmocka_unit_test(an_empty_action_is_said_to_be_empty),
        cmocka_unit_test(an_unknown_key_names_the_nearest_one),
        cmocka_unit_test(a_misspelled_group_names_the_nearest_group),
        cmocka_unit_test(a_bad_item_names_its_own_line),
        cmocka_unit_test(each_fault_of_the_environment_names_its_variable),
        cmocka_unit_test(each_fault_of_an_option_names_it),
        cmocka_unit_test(a_delay_longer_than_the_window_is_named_so_that_it_can_be_understood),
        cmocka_unit_test(values_at_their_limits_are_taken),
        cmocka_unit_test(a_containers_link_is_ignored_with_a_warning),
        cmocka_unit_test(a_variable_that_is_almost_one_is_warned_of),
    };
    return cmocka_run_group_tests_name("settings_errors", tests, NULL, NULL);
}
