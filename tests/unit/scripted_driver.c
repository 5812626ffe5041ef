/*
 * scripted_driver.c: a storage driver that does nothing but answer as it is told, for test_store.c. The
 * file that the URL names says how: lines `CALL STATUS`, each for the next such call (`open 5`), or
 * `CALL* STATUS`, for all of them from then on. What is not named is OK. Each call that is made is written,
 * a letter each, to FILE.calls: O open, A attach, D detach, and the first letter of all others.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "include/storage.h"

#define LINES 32

struct storage_db {
    char path[512];
};

struct storage_session {
    struct storage_db *db;
};

/* The status for a call; one that was for once is taken out of the file. */
static enum storage_status ask(const struct storage_db *db, const char *call, char letter,
                               struct storage_error *error)
{
    char lines[LINES][64];
    char name[520];
    size_t count = 0;
    int status = STORAGE_OK;
    bool found = false;
    (void)snprintf(name, sizeof(name), "%s.calls", db->path);
    FILE *f = fopen(name, "ae");
    if (f != NULL) {
        (void)fputc(letter, f);
        (void)fclose(f);
    }
    f = fopen(db->path, "re");
    while (f != NULL && count < LINES && fgets(lines[count], sizeof(lines[0]), f) != NULL)
        count++;
    if (f != NULL)
        (void)fclose(f);
    size_t size = strlen(call);
    f = fopen(db->path, "we");
    for (size_t i = 0; f != NULL && i < count; i++) {
        bool always = strncmp(lines[i], call, size) == 0 && lines[i][size] == '*';
        bool once = strncmp(lines[i], call, size) == 0 && lines[i][size] == ' ';
        if ((always || once) && !found)
            status = (int)strtol(lines[i] + size + 1, NULL, 10);
        if (!once || found)
            (void)fputs(lines[i], f);
        found = found || always || once;
    }
    if (f != NULL)
        (void)fclose(f);
    error->native = 0;
    (void)snprintf(error->text, sizeof(error->text), "%s came to %d", call, status);
    return (enum storage_status)status;
}

static enum storage_status open_store(const struct storage_host *host,
                                      const struct storage_url *url, struct storage_db **out,
                                      struct storage_error *error)
{
    struct storage_db *db = calloc(1, sizeof(*db));
    (void)host;
    if (db == NULL)
        return STORAGE_UNAVAILABLE;
    (void)snprintf(db->path, sizeof(db->path), "/%s", url->path);
    enum storage_status status = ask(db, "open", 'O', error);
    if (status == STORAGE_OK)
        *out = db;
    else
        free(db);
    return status;
}

static void close_store(struct storage_db *db)
{
    free(db);
}

static enum storage_status attach(struct storage_db *db, struct storage_session **out,
                                  struct storage_error *error)
{
    enum storage_status status = ask(db, "attach", 'A', error);
    struct storage_session *session = status == STORAGE_OK ? calloc(1, sizeof(*session)) : NULL;
    if (session == NULL)
        return status == STORAGE_OK ? STORAGE_UNAVAILABLE : status;
    session->db = db;
    *out = session;
    return STORAGE_OK;
}

static void detach(struct storage_session *session)
{
    struct storage_error error;
    if (session != NULL)
        (void)ask(session->db, "detach", 'D', &error);
    free(session);
}

static enum storage_status observe(struct storage_session *session,
                                   const struct storage_sighting *sightings, size_t count,
                                   struct storage_row *rows, struct storage_error *error)
{
    (void)sightings;
    memset(rows, 0, count * sizeof(*rows));
    return ask(session->db, "observe", 'o', error);
}

static enum storage_status change(struct storage_session *session, size_t kind,
                                  struct storage_change *changes, size_t count,
                                  struct storage_error *error)
{
    (void)kind;
    (void)changes;
    (void)count;
    return ask(session->db, "change", 'c', error);
}

static enum storage_status search(struct storage_session *session,
                                  const struct storage_query *query, storage_each *each,
                                  void *context, struct storage_error *error)
{
    (void)query;
    (void)each;
    (void)context;
    return ask(session->db, "search", 's', error);
}

static enum storage_status revision(struct storage_session *session, uint64_t *number,
                                    struct storage_error *error)
{
    *number = 1;
    return ask(session->db, "revision", 'r', error);
}

static enum storage_status purge(struct storage_session *session, int64_t now, size_t limit,
                                 size_t *removed, struct storage_error *error)
{
    (void)now;
    (void)limit;
    *removed = 0;
    return ask(session->db, "purge", 'p', error);
}

static enum storage_status tally(struct storage_session *session, int64_t since,
                                 int64_t abandoned_before, struct storage_tally *sums,
                                 struct storage_error *error)
{
    (void)since;
    (void)abandoned_before;
    *sums = (struct storage_tally){0};
    return ask(session->db, "tally", 't', error);
}

static const char *library(void)
{
    return "none";
}

static const char *const schemes[] = {"scripted", NULL};

extern const struct storage_driver storage_driver_scripted;
const struct storage_driver storage_driver_scripted = {
    .abi = STORAGE_ABI,
    .size = sizeof(struct storage_driver),
    .name = "scripted",
    .schemes = schemes,
    .writers = 2,
    .batch = 8,
    .library = library,
    .open = open_store,
    .close = close_store,
    .attach = attach,
    .detach = detach,
    .observe = observe,
    .change = change,
    .search = search,
    .revision = revision,
    .purge = purge,
    .tally = tally,
};
