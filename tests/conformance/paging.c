/*
 * paging.c: ten thousand records, page by page, while another thread puts others between them,
 * erases them, and writes to those that stay. Who was there all along is seen exactly once, and
 * everything in order, however many have the same value.
 */
#include "suite.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define STAY 10000 /* numbers 0, 2, 4, ... stay; the odd ones come and go */
#define NUMBERS (2 * STAY)
#define PAGE 500
#define FLOCK 64       /* that come and go together */
#define VALUES 12      /* different values, one of them NULL */
#define PATIENCE 10000 /* ms for one write of the other thread, or one search */

struct seen {
    int64_t value;
    bool null;
    char id[STORAGE_ID_MAX + 1];
};

struct paging {
    size_t kind;
    size_t order;
    bool descending;
    struct seen page[PAGE];
    size_t page_count;
    bool overfull;
    uint8_t times[NUMBERS]; /* how often each was seen */
    char fault[512];        /* judged when the other thread has ended */
};

struct disturber {
    struct suite suite; /* a copy, with a session of its own */
    size_t kind;
    atomic_uint steps;
    atomic_bool over;
    enum storage_status status;
};

/* --- What is stored --------------------------------------------------------------------------- */

static int64_t value_of(uint32_t number)
{
    return (int64_t)(number / 2 * 7919 % VALUES);
}

/* Entries have their times, and no NULL. */
static bool is_null(size_t kind, uint32_t number)
{
    return kind != ENTRIES && value_of(number) == 0;
}

static void make_id(size_t kind, uint32_t number, char id[STORAGE_ID_MAX + 1])
{
    if (kind == ENTRIES) {
        suite_key_id(number, id);
    } else {
        (void)snprintf(id, STORAGE_ID_MAX + 1, "r%05u", (unsigned)number);
    }
}

static uint32_t number_of(size_t kind, const char *id)
{
    return kind == ENTRIES ? suite_key_number(id) : (uint32_t)strtoul(id + 1, NULL, 10);
}

static enum storage_status see_some(struct suite *suite, uint32_t first, uint32_t count)
{
    struct storage_sighting batch[FLOCK];
    struct storage_row rows[FLOCK];

    for (uint32_t i = 0; i < count; i++) {
        uint32_t number = first + 2 * i;
        batch[i] = suite_grey(number, T0 + value_of(number) * SECOND);
    }
    return suite_observe(suite->driver, suite->session, batch, count, rows, &suite->error);
}

/* Writes, or erases, every other number from the first on. */
static enum storage_status change_some(struct suite *suite, size_t kind, uint32_t first,
                                       uint32_t count, bool erase)
{
    struct storage_change changes[FLOCK];
    struct storage_value values[FLOCK][ARTICLE_FIELDS];
    char ids[FLOCK][STORAGE_ID_MAX + 1];

    memset(values, 0, sizeof values);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t number = first + 2 * i;
        make_id(kind, number, ids[i]);
        values[i][LABEL] = value_text("label");
        values[i][RANK] = is_null(kind, number) ? value_null() : value_integer(value_of(number));
        changes[i] = (struct storage_change){
            .id = ids[i], .expected = STORAGE_ANY_VERSION, .values = erase ? NULL : values[i]};
    }
    return suite_change(suite, kind, changes, count);
}

static enum storage_status write_some(struct suite *suite, size_t kind, uint32_t first,
                                      uint32_t count)
{
    return kind == ENTRIES ? see_some(suite, first, count)
                           : change_some(suite, kind, first, count, false);
}

static void fill(struct suite *suite, size_t kind)
{
    for (uint32_t done = 0; done < STAY; done += FLOCK) {
        uint32_t count = STAY - done < FLOCK ? STAY - done : FLOCK;
        assert_int_equal(write_some(suite, kind, 2 * done, count), STORAGE_OK);
    }
}

/* --- The other thread ------------------------------------------------------------------------- */

static void *disturb(void *argument)
{
    struct disturber *d = argument;
    uint32_t place = 0;

    while (!atomic_load(&d->over) && d->status == STORAGE_OK) {
        uint32_t first = place % (NUMBERS - 2 * FLOCK) / 2 * 2;
        d->status = write_some(&d->suite, d->kind, first + 1, FLOCK);
        if (d->status == STORAGE_OK) {
            d->status = write_some(&d->suite, d->kind, first, FLOCK / 4);
        }
        if (d->status == STORAGE_OK) {
            d->status = change_some(&d->suite, d->kind, first + 1, FLOCK, true);
        }
        place += 6151;
        atomic_fetch_add(&d->steps, 1);
    }
    return NULL;
}

static void nap(void)
{
    const struct timespec moment = {.tv_sec = 0, .tv_nsec = 1000000};

    (void)nanosleep(&moment, NULL);
}

/* Until the other thread has done something more, or has ended. */
static bool let_it_work(struct disturber *d, unsigned before)
{
    for (int i = 0; i < PATIENCE && atomic_load(&d->steps) == before; i++) {
        nap();
    }
    return atomic_load(&d->steps) != before;
}

/* --- Paging ----------------------------------------------------------------------------------- */

static bool note(void *context, const struct storage_record *record)
{
    struct paging *p = context;
    struct seen *seen = &p->page[p->page_count];

    if (p->page_count == PAGE) {
        p->overfull = true;
        return false;
    }
    *seen = (struct seen){.null = true};
    if (p->order != STORAGE_BY_ID && record->values[p->order].type != STORAGE_NULL) {
        seen->null = false;
        seen->value = record->values[p->order].integer;
    }
    (void)snprintf(seen->id, sizeof seen->id, "%s", record->id);
    p->page_count++;
    return true;
}

/* Whether b stands behind a. */
static bool is_behind(const struct paging *p, const struct seen *a, const struct seen *b)
{
    int order = strcmp(a->id, b->id);

    if (a->null != b->null) {
        order = a->null ? -1 : 1;
    } else if (!a->null && a->value != b->value) {
        order = a->value < b->value ? -1 : 1;
    }
    return p->descending ? order > 0 : order < 0;
}

static bool has_fault(const struct paging *p)
{
    return p->fault[0] != '\0';
}

static void search_page(struct suite *suite, struct paging *p, const struct seen *last)
{
    struct storage_query query = {
        .kind = p->kind, .order = p->order, .descending = p->descending, .limit = PAGE};
    enum storage_status status = STORAGE_BUSY;

    if (last != NULL) {
        query.after_id = last->id;
        if (p->order != STORAGE_BY_ID && !last->null) {
            query.after_value =
                p->kind == ENTRIES ? value_time(last->value) : value_integer(last->value);
        }
    }
    for (int i = 0; i < PATIENCE && status == STORAGE_BUSY; i++) {
        if (i > 0) {
            nap();
        }
        p->page_count = 0;
        status = suite->driver->search(suite->session, &query, note, p, &suite->error);
    }
    if (status != STORAGE_OK) {
        (void)snprintf(p->fault, sizeof p->fault, "search() answered %d: %s", (int)status,
                       suite->error.text);
    } else if (p->overfull) {
        (void)snprintf(p->fault, sizeof p->fault, "a page of more than its limit");
    }
}

static void check_order(struct paging *p, struct seen *last, bool *first)
{
    for (size_t i = 0; i < p->page_count && !has_fault(p); i++) {
        uint32_t number = number_of(p->kind, p->page[i].id);
        if (!*first && !is_behind(p, last, &p->page[i])) {
            (void)snprintf(p->fault, sizeof p->fault, "%s does not stand behind %s", p->page[i].id,
                           last->id);
        } else if (number >= NUMBERS) {
            (void)snprintf(p->fault, sizeof p->fault, "nobody put %s", p->page[i].id);
        } else {
            p->times[number]++;
        }
        *last = p->page[i];
        *first = false;
    }
}

static void check_times(struct paging *p)
{
    for (uint32_t number = 0; number < NUMBERS && !has_fault(p); number++) {
        if (number % 2 == 0 ? p->times[number] != 1 : p->times[number] > 1) {
            (void)snprintf(p->fault, sizeof p->fault, "number %u was seen %u times",
                           (unsigned)number, p->times[number]);
        }
    }
}

static void page_through(struct suite *suite, struct disturber *d, struct paging *p)
{
    struct seen last;
    bool first = true;

    do {
        unsigned before = atomic_load(&d->steps);
        search_page(suite, p, first ? NULL : &last);
        check_order(p, &last, &first);
        if (!has_fault(p) && !let_it_work(d, before)) {
            (void)snprintf(p->fault, sizeof p->fault, "the other thread does nothing");
        }
    } while (p->page_count == PAGE && !has_fault(p));
    check_times(p);
}

static void page_all_ways(struct suite *suite, struct disturber *d, struct paging *p, size_t order)
{
    for (int way = 0; way < 4 && !has_fault(p); way++) {
        memset(p, 0, sizeof *p);
        p->kind = d->kind;
        p->order = way < 2 ? STORAGE_BY_ID : order;
        p->descending = way % 2 == 1;
        page_through(suite, d, p);
    }
}

static void page_while_disturbed(struct suite *suite, size_t kind, size_t order)
{
    static struct paging p;
    struct disturber d = {.suite = *suite, .kind = kind};
    pthread_t thread;

    memset(&p, 0, sizeof p);
    fill(suite, kind);
    d.suite.session = suite_attach(suite);
    assert_int_equal(pthread_create(&thread, NULL, disturb, &d), 0);
    page_all_ways(suite, &d, &p, order);
    atomic_store(&d.over, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    suite->driver->detach(d.suite.session);
    if (d.status != STORAGE_OK) {
        fail_msg("the other thread met %d: %s", (int)d.status, d.suite.error.text);
    }
    if (has_fault(&p)) {
        fail_msg("%s, %s: %s", p.order == STORAGE_BY_ID ? "by id" : "by a field",
                 p.descending ? "descending" : "ascending", p.fault);
    }
}

static void records_page_by_page_while_others_write(void **state)
{
    page_while_disturbed(*state, ARTICLES, RANK);
}

static void entries_page_by_page_while_others_write(void **state)
{
    page_while_disturbed(*state, ENTRIES, FIRST_SEEN);
}

const struct suite_case paging_cases[] = {
    {"records_page_by_page_while_others_write", records_page_by_page_while_others_write},
    {"entries_page_by_page_while_others_write", entries_page_by_page_while_others_write},
    {NULL, NULL},
};
