/* lists.c: the lists that are in force: put there at the start, from the store or as they were saved, and
 * whenever the keeper has new ones. Loop thread. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/date.h"
#include "core/base/log.h"
#include "core/data/data.h"
#include "core/data/saved.h"
#include "core/server/server.h"

/* What is under way keeps those it began with. */
void lists_use(struct server *server, struct snapshot *fresh)
{
    const struct snapshot *before = server->snapshot;
    server_tell_hits(server);
    if (!before->loaded || before->saved_at != 0 || fresh->revision != before->revision)
        log_info("lists: %zu policies, %zu white, %zu black, %zu domains, %zu networks",
                 fresh->policies_count, fresh->lists[LIST_WHITE].count,
                 fresh->lists[LIST_BLACK].count, fresh->domains_count, fresh->networks_count);
    if (server->keeper != NULL)
        keeper_let_go(server->keeper, server->snapshot);
    else
        snapshot_release(server->snapshot);
    server->snapshot = fresh;
    server->lists_state = (struct lists_state){
        .loaded = fresh->loaded,
        .saved = fresh->saved_at != 0,
        .revision = fresh->revision,
        .bytes = snapshot_bytes(fresh),
        .entries = {[KIND_DOMAIN] = fresh->domains_count,
                    [KIND_MYNETWORK] = fresh->networks_count,
                    [KIND_POLICY] = fresh->policies_count,
                    [KIND_WHITELIST] = fresh->lists[LIST_WHITE].count,
                    [KIND_BLACKLIST] = fresh->lists[LIST_BLACK].count},
    };
}

/* As 0.4.4: a file of fixtures that is there counts from the start, without being asked for. */
const char *lists_find_fixtures(const struct server *server, char memory[4096])
{
    char named[4096];
    struct writer w = writer_on(named, sizeof(named));
    write_text(&w, server->settings->fixtures_path);
    const char *path = data_find_fixtures(writer_end(&w), getenv("HOME"), memory, 4096);
    if (path == named)
        path = memcpy(memory, named, sizeof(named));
    if (path == NULL || access(path, R_OK) == 0)
        return path;
    log_warning("%s: %s; no fixtures are merged", path, strerror(errno));
    return NULL;
}

/* In the folder of the settings, else in the one that systemd gives (the first, where it gives several). */
struct lists_place *lists_place(struct server *server)
{
    const char *given = getenv("STATE_DIRECTORY");
    struct text folder = server->boot->state_dir;
    struct lists_place *place = &server->lists_place;
    if (folder.size == 0 && given != NULL)
        folder = (struct text){given, strcspn(given, ":")};
    if (folder.size == 0)
        return NULL;
    struct writer w = writer_on(server->lists_path, sizeof(server->lists_path));
    write_text(&w, folder);
    write_literal(&w, "/" SAVED_FILE);
    place->path = writer_end(&w);
    place->store = store_masked(server->store);
    return place;
}

static bool use_saved(struct server *server, const struct lists_place *place)
{
    char memory[64];
    struct writer w = writer_on(memory, sizeof(memory));
    struct snapshot *saved = place != NULL ? lists_load_saved(place) : NULL;
    if (saved == NULL)
        return false;
    date_write(&w, saved->saved_at);
    log_warning("until the store is there, the lists are as they were saved at %s", writer_end(&w));
    lists_use(server, saved);
    return true;
}

/* So that the first request meets them. */
void lists_start(struct server *server, const char *fixtures)
{
    struct store_line line;
    struct storage_error error = {0, ""};
    enum storage_status status;
    struct lists_place *place = lists_place(server);
    store_line_start(&line, server->store);
    struct snapshot *fresh = data_load(&line, fixtures, place, clock_wall(), &status, &error);
    store_line_end(&line);
    if (fresh != NULL)
        lists_use(server, fresh);
    else if (!use_saved(server, place))
        log_warning("the lists are not read yet: %s", error.text);
}
