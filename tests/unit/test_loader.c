/*
 * test_loader.c: which drivers are loaded, and in what words the others are refused.
 *
 * MONGREY_TEST_FAKES is the folder with the fakes that tests.mk makes of fake_driver.c: fine.so,
 * oldabi.so, small.so, misnamed.so (exports storage_driver_misnamed, says it is another),
 * nosymbol.so, otherscheme.so. Each test copies what it needs to a folder of its own.
 */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/store/loader.h"

struct place {
    char folder[64];
    char path[128]; /* of the copy */
};

static struct place place_make(void)
{
    struct place p = {.folder = "/tmp/mongrey-unit-XXXXXX"};
    assert_non_null(mkdtemp(p.folder));
    return p;
}

static void place_add(struct place *p, const char *fake, const char *name)
{
    char from[512];
    char buffer[4096];
    size_t size;
    const char *fakes = getenv("MONGREY_TEST_FAKES");
    if (fakes == NULL)
        fail_msg("MONGREY_TEST_FAKES is not set");
    snprintf(from, sizeof(from), "%s/%s", fakes, fake);
    snprintf(p->path, sizeof(p->path), "%s/%s", p->folder, name);
    FILE *in = fopen(from, "rb");
    FILE *out = fopen(p->path, "wb");
    assert_true(in != NULL && out != NULL);
    while ((size = fread(buffer, 1, sizeof(buffer), in)) > 0)
        assert_int_equal(fwrite(buffer, 1, size, out), size);
    (void)fclose(in);
    assert_int_equal(fclose(out), 0);
    assert_int_equal(chmod(p->path, 0644), 0);
}

static void place_remove(struct place *p)
{
    if (p->path[0] != '\0')
        (void)remove(p->path);
    assert_int_equal(rmdir(p->folder), 0);
}

static void expect_refused(const struct place *p, const char *scheme, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void expect_refused(const struct place *p, const char *scheme, const char *format, ...)
{
    struct storage_error error = {0, ""};
    char wanted[256];
    va_list list;
    va_start(list, format);
    vsnprintf(wanted, sizeof(wanted), format, list);
    va_end(list);
    assert_null(loader_load(scheme, text_of(p->folder), &error));
    assert_string_equal(error.text, wanted);
}

static void a_driver_that_is_as_it_should_be_is_loaded(void **state)
{
    struct place p = place_make();
    struct storage_error error;
    (void)state;
    place_add(&p, "fine.so", "fine.so");
    const struct storage_driver *d = loader_load("fine", text_of(p.folder), &error);
    assert_non_null(d);
    assert_string_equal(d->name, "fine");
    assert_string_equal(d->library(), "fake 1.0");
    place_remove(&p);
}

static void a_driver_that_is_not_there_names_its_package(void **state)
{
    static const char *const rows[][3] = {
        {"sqlite", "sqlite", "sqlite"}, {"postgresql", "pgsql", "pgsql"},
        {"postgres", "pgsql", "pgsql"}, {"pgsql", "pgsql", "pgsql"},
        {"mysql", "mysql", "mysql"},    {"mariadb", "mysql", "mysql"},
        {"mongodb", "mongo", "mongo"},  {"mongodb+srv", "mongo", "mongo"},
    };
    struct place p = place_make();
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        expect_refused(&p, rows[i][0],
                       "there is no driver %s/%s.so: is the package mongrey-server-%s installed?",
                       p.folder, rows[i][1], rows[i][2]);
    expect_refused(&p, "thirdparty",
                   "there is no driver %s/thirdparty.so; mongrey's own schemes are sqlite, "
                   "postgresql, mysql and mongodb",
                   p.folder);
    place_remove(&p);
}

static void a_scheme_never_leads_out_of_the_folder(void **state)
{
    static const char *const rows[] = {"../x", "a/b",      "a.b",
                                       "a+b",  "a-b",      "A",
                                       "a b",  "\xc3\xa9", "abcdefghijklmnopqrstuvwxyzabcdefg"};
    struct place p = place_make();
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        expect_refused(&p, rows[i], "no driver has a scheme of such a form");
    place_remove(&p);
}

static void another_abi_is_refused(void **state)
{
    struct place p = place_make();
    (void)state;
    place_add(&p, "oldabi.so", "oldabi.so");
    expect_refused(&p, "oldabi",
                   "%s has storage ABI 99, this program needs %u: install both from one version",
                   p.path, STORAGE_ABI);
    place_remove(&p);
}

static void a_table_that_is_too_small_is_refused(void **state)
{
    struct place p = place_make();
    (void)state;
    place_add(&p, "small.so", "small.so");
    expect_refused(&p, "small", "%s does not hold the driver small that its name promises", p.path);
    place_remove(&p);
}

static void another_names_driver_is_refused(void **state)
{
    struct place p = place_make();
    (void)state;
    place_add(&p, "misnamed.so", "misnamed.so");
    expect_refused(&p, "misnamed", "%s does not hold the driver misnamed that its name promises",
                   p.path);
    (void)remove(p.path);
    place_add(&p, "fine.so", "sqlite.so");
    expect_refused(&p, "sqlite", "%s is no storage driver: it has no storage_driver_sqlite",
                   p.path);
    (void)remove(p.path);
    place_add(&p, "nosymbol.so", "nosymbol.so");
    expect_refused(&p, "nosymbol", "%s is no storage driver: it has no storage_driver_nosymbol",
                   p.path);
    place_remove(&p);
}

static void a_driver_that_does_not_know_the_scheme_is_refused(void **state)
{
    struct place p = place_make();
    (void)state;
    place_add(&p, "otherscheme.so", "otherscheme.so");
    expect_refused(&p, "otherscheme", "the driver otherscheme does not know otherscheme://");
    place_remove(&p);
}

static void what_is_no_library_is_refused(void **state)
{
    struct place p = place_make();
    struct storage_error error;
    (void)state;
    snprintf(p.path, sizeof(p.path), "%s/junk.so", p.folder);
    FILE *f = fopen(p.path, "w");
    assert_non_null(f);
    (void)fputs("not an ELF file", f);
    (void)fclose(f);
    assert_int_equal(chmod(p.path, 0644), 0);
    assert_null(loader_load("junk", text_of(p.folder), &error));
    assert_non_null(strstr(error.text, p.path));
    place_remove(&p);
}

static void a_file_that_others_may_write_is_refused(void **state)
{
    static const mode_t modes[] = {0664, 0646, 0666, 0775, 0757};
    struct place p = place_make();
    (void)state;
    place_add(&p, "fine.so", "fine.so");
    for (size_t i = 0; i < COUNT(modes); i++) {
        assert_int_equal(chmod(p.path, modes[i]), 0);
        expect_refused(&p, "fine", "%s may be written by its group or by others: chmod go-w",
                       p.path);
    }
    place_remove(&p);
}

static void a_folder_that_others_may_write_is_refused(void **state)
{
    static const mode_t modes[] = {0770, 0707, 01777};
    struct place p = place_make();
    (void)state;
    place_add(&p, "fine.so", "fine.so");
    for (size_t i = 0; i < COUNT(modes); i++) {
        assert_int_equal(chmod(p.folder, modes[i]), 0);
        expect_refused(&p, "fine",
                       "the folder %s may be written by its group or by others: chmod go-w",
                       p.folder);
    }
    assert_int_equal(chmod(p.folder, 0700), 0);
    place_remove(&p);
}

static void what_is_no_regular_file_is_refused(void **state)
{
    struct place p = place_make();
    struct place other = place_make();
    (void)state;
    place_add(&other, "fine.so", "fine.so");
    snprintf(p.path, sizeof(p.path), "%s/fine.so", p.folder);
    assert_int_equal(symlink(other.path, p.path), 0);
    expect_refused(&p, "fine", "%s is not a regular file", p.path);
    assert_int_equal(unlink(p.path), 0);
    assert_int_equal(mkdir(p.path, 0755), 0);
    expect_refused(&p, "fine", "%s is not a regular file", p.path);
    assert_int_equal(rmdir(p.path), 0);
    assert_int_equal(mkfifo(p.path, 0644), 0);
    expect_refused(&p, "fine", "%s is not a regular file", p.path);
    place_remove(&p);
    place_remove(&other);
}

/* Only root can give a file away. */
static void what_belongs_to_a_stranger_is_refused(void **state)
{
    static const char words[] =
        "belongs to another user: it must be root's, this user's or the program's owner's";
    struct place p = place_make();
    (void)state;
    if (geteuid() != 0) {
        place_remove(&p);
        skip();
    }
    place_add(&p, "fine.so", "fine.so");
    assert_int_equal(chown(p.path, 12345, 12345), 0);
    expect_refused(&p, "fine", "%s %s", p.path, words);
    assert_int_equal(chown(p.path, 0, 0), 0);
    assert_int_equal(chown(p.folder, 12345, 12345), 0);
    expect_refused(&p, "fine", "the folder %s %s", p.folder, words);
    place_remove(&p);
}

static void count_line(void *context, const char *line)
{
    size_t *count = context;
    assert_true(strncmp(line, "driver ", 7) == 0 || strncmp(line, "no driver ", 10) == 0);
    (*count)++;
}

static void each_driver_is_listed_once(void **state)
{
    struct place p = place_make();
    size_t count = 0;
    (void)state;
    loader_list(text_of(p.folder), count_line, &count);
    assert_int_equal(count, 4);
    place_remove(&p);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_driver_that_is_as_it_should_be_is_loaded),
        cmocka_unit_test(a_driver_that_is_not_there_names_its_package),
        cmocka_unit_test(a_scheme_never_leads_out_of_the_folder),
        cmocka_unit_test(another_abi_is_refused),
        cmocka_unit_test(a_table_that_is_too_small_is_refused),
        cmocka_unit_test(another_names_driver_is_refused),
        cmocka_unit_test(a_driver_that_does_not_know_the_scheme_is_refused),
        cmocka_unit_test(what_is_no_library_is_refused),
        cmocka_unit_test(a_file_that_others_may_write_is_refused),
        cmocka_unit_test(a_folder_that_others_may_write_is_refused),
        cmocka_unit_test(what_is_no_regular_file_is_refused),
        cmocka_unit_test(what_belongs_to_a_stranger_is_refused),
        cmocka_unit_test(each_driver_is_listed_once),
    };
    return cmocka_run_group_tests_name("loader", tests, NULL, NULL);
}
