/*
 * conformance.c: runs every case of the suite against a driver.
 *
 *   conformance DRIVER.so URL [URL...]
 *
 * `%s` in a URL becomes a name that is new for every case: sqlite:///dir/%s.db, memory:///%s. A URL
 * without it is for a store that is new with each opening. Where a driver makes no databases,
 * MONGREY_STORE_COMMAND is a program that does: it is run with `make NAME` before a case and with
 * `drop NAME` after it. MONGREY_CASE=PATTERN runs only those cases, MONGREY_SEED=NUMBER repeats a
 * run of the random case. MONGREY_LEAVE_OUT="NAME NAME" names cases that a server cannot pass (whoever
 * sets it says why). With CMOCKA_MESSAGE_OUTPUT=xml and
 * CMOCKA_XML_FILE=path cmocka writes a JUnit file. Ends with the number of failed cases, at
 * most 99.
 */
#include "suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PLACES_MAX 8
#define TESTS_MAX 2048
#define NAME_MAX_SIZE 128

static const struct suite_case *const subjects[] = {
    driver_cases, read_only_cases, grey_cases,    look_cases,   alternate_cases, exemption_cases,
    learn_cases,  merge_cases,     counter_cases, batch_cases,  record_cases,    change_cases,
    search_cases, entry_cases,     paging_cases,  upkeep_cases, thread_cases,    random_cases,
};

struct run {
    struct place places[PLACES_MAX];
    struct CMUnitTest tests[TESTS_MAX];
    char names[TESTS_MAX][NAME_MAX_SIZE];
    size_t tests_count;
};

/* With several URLs the tests say by a number which it was. */
static void add_test(struct run *run, const struct suite_case *suite_case, size_t place,
                     bool numbered)
{
    size_t at = run->tests_count++;
    char suffix[32] = "";

    if (numbered) {
        (void)snprintf(suffix, sizeof suffix, " (URL %zu)", place + 1);
    }
    (void)snprintf(run->names[at], sizeof run->names[at], "%s%s", suite_case->name, suffix);
    run->tests[at] = (struct CMUnitTest){
        .name = run->names[at],
        .test_func = suite_case->run,
        .setup_func = suite_setup,
        .teardown_func = suite_teardown,
        .initial_state = &run->places[place],
    };
}

/* Whether a word of MONGREY_LEAVE_OUT is this name. */
static bool is_left_out(const char *name)
{
    const char *words = getenv("MONGREY_LEAVE_OUT");
    size_t size = strlen(name);

    for (const char *at = words; at != NULL && (at = strstr(at, name)) != NULL; at += size) {
        bool begins = at == words || at[-1] == ' ';
        if (begins && (at[size] == ' ' || at[size] == '\0')) {
            return true;
        }
    }
    return false;
}

static void add_place(struct run *run, size_t place, bool numbered)
{
    for (size_t i = 0; i < sizeof subjects / sizeof *subjects; i++) {
        for (const struct suite_case *each = subjects[i]; each->name != NULL; each++) {
            if (run->tests_count < TESTS_MAX && !is_left_out(each->name)) {
                add_test(run, each, place, numbered);
            }
        }
    }
}

int main(int argc, char **argv)
{
    static struct run run;
    char group[64];
    int failed;

    if (argc < 3 || argc - 2 > PLACES_MAX) {
        (void)fprintf(stderr, "usage: %s DRIVER.so URL [URL...]\n", argv[0]);
        return 2;
    }
    for (int i = 2; i < argc; i++) {
        if (!place_load(&run.places[i - 2], argv[1], argv[i])) {
            return 2;
        }
        add_place(&run, (size_t)(i - 2), argc > 3);
    }
    if (getenv("MONGREY_CASE") != NULL) {
        cmocka_set_test_filter(getenv("MONGREY_CASE"));
    }
    (void)snprintf(group, sizeof group, "conformance-%s", run.places[0].driver->name);
    failed = _cmocka_run_group_tests(group, run.tests, run.tests_count, NULL, NULL);
    return failed < 0 || failed > 99 ? 99 : failed;
}
