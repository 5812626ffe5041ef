/* writer.c: the writer's lock, and intents. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/mongo/writer.h"

#define LEASE_LEAST 1000
#define LEASE_MOST 600000 /* what another's document may ask us to wait */
#define WRITINGS_MAX 8192 /* of one change: two a record, with room */

static void free_bson(bson_t *document)
{
    if (document != NULL)
        bson_destroy(document);
}

bool writings_add(struct writings *writings, enum phase phase, bson_t *selector, bson_t *update)
{
    if (writings->count == writings->room) {
        size_t room = writings->room == 0 ? 16 : 2 * writings->room;
        struct writing *grown =
            room > WRITINGS_MAX ? NULL : realloc(writings->writing, room * sizeof(*grown));
        if (grown == NULL) {
            free_bson(selector);
            free_bson(update);
            return false;
        }
        writings->writing = grown;
        writings->room = room;
    }
    writings->writing[writings->count++] = (struct writing){phase, selector, update};
    return true;
}

void writings_end(struct writings *writings)
{
    for (size_t i = 0; i < writings->count; i++) {
        free_bson(writings->writing[i].selector);
        free_bson(writings->writing[i].update);
    }
    free(writings->writing);
    writings->writing = NULL;
    writings->count = 0;
}

/* --- The lock --------------------------------------------------------------------------------- */

struct lock {
    bool there;
    char owner[OWNER_SIZE];
    char intent[OWNER_SIZE];
    int64_t lease;
};

static int64_t own_lease(const struct storage_session *session)
{
    const struct storage_host *host = session->db->host;
    int64_t lease = 2 * ((int64_t)host->connect_timeout + host->call_timeout);
    return lease < LEASE_LEAST ? LEASE_LEAST : lease > LEASE_MOST ? LEASE_MOST : lease;
}

static void parse_lock(const bson_t *document, struct lock *lock)
{
    lock->there = true;
    bson_get_text(document, "owner", lock->owner, sizeof(lock->owner));
    bson_get_text(document, "intent", lock->intent, sizeof(lock->intent));
    lock->lease = bson_get_integer(document, "lease", LEASE_MOST);
    if (lock->lease < LEASE_LEAST || lock->lease > LEASE_MOST)
        lock->lease = LEASE_MOST;
}

static bool take_lock(void *context, const bson_t *document)
{
    parse_lock(document, context);
    return false;
}

static enum storage_status read_lock(struct storage_session *session, struct lock *lock,
                                     struct storage_error *error)
{
    bson_t filter = BSON_INITIALIZER;
    memset(lock, 0, sizeof(*lock));
    bson_append_utf8(&filter, "_id", -1, ID_WRITER, -1);
    struct finding finding = {
        .collection = COLLECTION_OWN, .filter = &filter, .each = take_lock, .context = lock};
    enum storage_status status = session_find(session, &finding, error);
    bson_destroy(&filter);
    return status;
}

/* Changes the lock if `owner` still has it. The lock is nothing that a caller asked for: what becomes of it
 * leaves the call certainly not done. */
static enum storage_status swap_lock(struct storage_session *session, const char *owner,
                                     const char *name, const char *value, bool *swapped,
                                     struct storage_error *error)
{
    bool wrote = session->wrote;
    bson_t selector = BSON_INITIALIZER;
    bson_t update = BSON_INITIALIZER;
    bson_t set;
    struct bulk bulk;
    int64_t matched = 0;
    bson_append_utf8(&selector, "_id", -1, ID_WRITER, -1);
    bson_append_utf8(&selector, "owner", -1, owner, -1);
    bson_append_document_begin(&update, "$set", -1, &set);
    bson_append_utf8(&set, name, -1, value, -1);
    bson_append_int64(&set, "lease", -1, own_lease(session));
    if (value[0] == '\0') /* given back: nothing is left to do */
        bson_append_utf8(&set, "intent", -1, "", -1);
    bson_append_document_end(&update, &set);
    bulk_begin(&bulk, session, COLLECTION_OWN);
    bulk_update(&bulk, &selector, &update);
    enum storage_status status = bulk_end(&bulk, NULL, NULL, &matched, error);
    *swapped = matched == 1;
    session->wrote = wrote;
    if (status == STORAGE_UNCERTAIN && !wrote)
        status = STORAGE_UNAVAILABLE;
    bson_destroy(&selector);
    bson_destroy(&update);
    return status;
}

/* Whether its owner was silent for the whole lease, as far as this process has watched. */
static bool is_abandoned(struct storage_session *session, const struct lock *lock)
{
    struct lock_seen *seen = &session->db->lock;
    int64_t now = steady_now();
    pthread_mutex_lock(&seen->mutex);
    if (strcmp(seen->owner, lock->owner) != 0) {
        snprintf(seen->owner, sizeof(seen->owner), "%s", lock->owner);
        seen->since = now;
    }
    bool abandoned = lock->owner[0] != '\0' && now - seen->since >= lock->lease;
    pthread_mutex_unlock(&seen->mutex);
    return abandoned;
}

/* --- Intents ---------------------------------------------------------------------------------- */

static void add_intent(struct bulk *bulk, const struct storage_session *session,
                       const char *collection, const struct writing *writing, size_t number)
{
    bson_t document = BSON_INITIALIZER;
    char id[OWNER_SIZE + 24];
    snprintf(id, sizeof(id), "%s-%05zu", session->owner, number);
    bson_append_utf8(&document, "_id", -1, id, -1);
    bson_append_utf8(&document, "owner", -1, session->owner, -1);
    bson_append_utf8(&document, "collection", -1, collection, -1);
    bson_append_int32(&document, "phase", -1, (int32_t)writing->phase);
    if (writing->selector != NULL)
        bson_append_document(&document, "selector", -1, writing->selector);
    if (writing->update != NULL) {
        /* Kept as bytes: a server may take names with a $ for its own. */
        bson_append_binary(&document, "update", -1, BSON_SUBTYPE_BINARY,
                           bson_get_data(writing->update), writing->update->len);
    }
    bulk_insert(bulk, &document);
    bson_destroy(&document);
}

static enum storage_status drop_intents(struct storage_session *session, const char *owner,
                                        struct storage_error *error)
{
    bson_t selector = BSON_INITIALIZER;
    struct bulk bulk;
    bson_append_utf8(&selector, "owner", -1, owner, -1);
    bulk_begin(&bulk, session, COLLECTION_INTENTS);
    bulk_remove(&bulk, &selector);
    enum storage_status status = bulk_end(&bulk, NULL, NULL, NULL, error);
    bson_destroy(&selector);
    return status;
}

enum storage_status writer_forget(struct storage_session *session, struct storage_error *error)
{
    return drop_intents(session, session->owner, error);
}

enum storage_status writer_intend(struct storage_session *session, const struct writings *writings,
                                  struct storage_error *error)
{
    bool swapped = false;
    struct bulk bulk;
    bulk_begin(&bulk, session, COLLECTION_INTENTS);
    for (size_t i = 0; i < writings->count; i++)
        add_intent(&bulk, session, writings->collection, &writings->writing[i], i);
    enum storage_status status = bulk_end(&bulk, NULL, NULL, NULL, error);
    session->wrote = false; /* what is written down only is not done */
    if (status == STORAGE_UNCERTAIN)
        return STORAGE_UNAVAILABLE;
    if (status != STORAGE_OK)
        return status;
    session->wrote = true; /* may be, whatever is answered */
    status = swap_lock(session, session->owner, "intent", session->owner, &swapped, error);
    if (status == STORAGE_OK && !swapped) {
        session->wrote = false;
        status = mongo_refuse(error, STORAGE_BUSY, "the writer's lock was lost");
    }
    return status;
}

struct loading {
    struct writings writings;
    char collection[160];
    bool wrong;
};

static bool take_intent(void *context, const bson_t *document)
{
    struct loading *loading = context;
    bson_t *selector = NULL;
    bson_t *update = NULL;
    bson_iter_t iter;
    uint32_t size = 0;
    const uint8_t *data = NULL;
    bson_subtype_t subtype;
    int64_t phase = bson_get_integer(document, "phase", -1);
    if (bson_iter_init_find(&iter, document, "selector") && BSON_ITER_HOLDS_DOCUMENT(&iter)) {
        bson_iter_document(&iter, &size, &data);
        selector = bson_new_from_data(data, size);
    }
    if (bson_iter_init_find(&iter, document, "update") && BSON_ITER_HOLDS_BINARY(&iter)) {
        bson_iter_binary(&iter, &subtype, &size, &data);
        update = bson_new_from_data(data, size);
        if (update != NULL && !bson_validate(update, BSON_VALIDATE_NONE, NULL)) {
            bson_destroy(update);
            update = NULL;
        }
    }
    bool fine =
        phase >= PHASE_ERASE && phase < PHASES &&
        bson_get_text(document, "collection", loading->collection, sizeof(loading->collection)) &&
        (phase == PHASE_INSERT || selector != NULL) && (phase == PHASE_ERASE || update != NULL);
    if (!fine) {
        free_bson(selector);
        free_bson(update);
    }
    loading->wrong =
        !fine || !writings_add(&loading->writings, (enum phase)phase, selector, update);
    return !loading->wrong;
}

/* Does what `owner` had intended, as far as it is not done. */
static enum storage_status complete(struct storage_session *session, const char *owner,
                                    struct storage_error *error)
{
    struct loading loading = {.wrong = false};
    bson_t filter = BSON_INITIALIZER;
    int64_t ignored;
    bool refused = false;
    bson_append_utf8(&filter, "owner", -1, owner, -1);
    loading.writings.collection = loading.collection;
    struct finding finding = {.collection = COLLECTION_INTENTS,
                              .filter = &filter,
                              .each = take_intent,
                              .context = &loading};
    enum storage_status status = session_find(session, &finding, error);
    if (status == STORAGE_OK && loading.wrong)
        status =
            mongo_refuse(error, STORAGE_SCHEMA, "cannot read what another writer has intended");
    if (status == STORAGE_OK)
        status = writer_do(session, &loading.writings, &ignored, &refused, error);
    writings_end(&loading.writings);
    bson_destroy(&filter);
    return status;
}

/* --- Taking it -------------------------------------------------------------------------------- */

/* What another's crash has left: its intent where it was decided, else just its papers. Nothing of it is of
 * this call. */
static enum storage_status inherit(struct storage_session *session, const struct lock *lock,
                                   struct storage_error *error)
{
    bool swapped;
    enum storage_status status = STORAGE_OK;
    if (lock->intent[0] != '\0')
        status = complete(session, lock->intent, error);
    if (status == STORAGE_OK)
        status = writer_move_revision(session, error);
    if (status == STORAGE_OK && lock->intent[0] != '\0')
        status = drop_intents(session, lock->intent, error);
    if (status == STORAGE_OK && strcmp(lock->intent, lock->owner) != 0)
        status = drop_intents(session, lock->owner, error);
    if (status == STORAGE_OK)
        status = swap_lock(session, session->owner, "intent", "", &swapped, error);
    session->wrote = false;
    return status == STORAGE_UNCERTAIN ? STORAGE_UNAVAILABLE : status;
}

static void draw_owner(struct storage_session *session)
{
    snprintf(session->owner, sizeof(session->owner), "%016llx%016llx",
             (unsigned long long)session_draw(session), (unsigned long long)session_draw(session));
}

static enum storage_status try_lock(struct storage_session *session, bool *locked,
                                    struct storage_error *error)
{
    struct lock lock;
    enum storage_status status = swap_lock(session, "", "owner", session->owner, locked, error);
    if (status != STORAGE_OK || *locked)
        return status;
    status = read_lock(session, &lock, error);
    if (status == STORAGE_OK && !lock.there)
        return mongo_refuse(error, STORAGE_SCHEMA, "the store has no writer's lock");
    if (status != STORAGE_OK || !is_abandoned(session, &lock))
        return status;
    status = swap_lock(session, lock.owner, "owner", session->owner, locked, error);
    return status == STORAGE_OK && *locked ? inherit(session, &lock, error) : status;
}

enum storage_status writer_lock(struct storage_session *session, struct storage_error *error)
{
    int64_t patience = steady_now() + session->db->host->call_timeout / 4;
    bool locked = false;
    enum storage_status status = STORAGE_OK;
    draw_owner(session);
    for (unsigned round = 0; status == STORAGE_OK && !locked; round++) {
        if (round > 0)
            sleep_a_little(session, round);
        if (round > 0 && steady_now() > patience)
            return mongo_refuse(error, STORAGE_BUSY, "another session is changing records");
        status = try_lock(session, &locked, error);
    }
    return status;
}

enum storage_status writer_unlock(struct storage_session *session, struct storage_error *error)
{
    bool swapped;
    return swap_lock(session, session->owner, "owner", "", &swapped, error);
}

enum storage_status writer_look_after(struct storage_session *session, const bson_t *document,
                                      bool *completed, struct storage_error *error)
{
    struct lock lock;
    bool locked = false;
    enum storage_status status;
    memset(&lock, 0, sizeof(lock));
    parse_lock(document, &lock);
    *completed = false;
    if (!is_abandoned(session, &lock))
        return STORAGE_OK;
    draw_owner(session);
    status = swap_lock(session, lock.owner, "owner", session->owner, &locked, error);
    if (status != STORAGE_OK || !locked)
        return status;
    /* Read again: it may have decided on its intent since it was seen. */
    struct lock now;
    status = read_lock(session, &now, error);
    snprintf(lock.intent, sizeof(lock.intent), "%s", now.intent);
    if (status == STORAGE_OK)
        status = inherit(session, &lock, error);
    if (status == STORAGE_OK)
        status = writer_unlock(session, error);
    *completed = status == STORAGE_OK;
    return status;
}

/* --- Doing ------------------------------------------------------------------------------------ */

struct doing {
    bool again;   /* something was in the way of one of them */
    bool doubled; /* one met what has its id, or its unique value */
};

static void note_refusal(void *context, size_t index, enum bulk_refusal why)
{
    struct doing *doing = context;
    (void)index;
    if (why == BULK_CONFLICT)
        doing->again = true;
    else
        doing->doubled = true;
}

static void add_writing(struct bulk *bulk, const struct writing *writing)
{
    switch (writing->phase) {
    case PHASE_ERASE:
        bulk_remove(bulk, writing->selector);
        break;
    case PHASE_RELEASE:
    case PHASE_UPDATE:
        bulk_update(bulk, writing->selector, writing->update);
        break;
    case PHASE_REPLACE:
        bulk_replace(bulk, writing->selector, writing->update);
        break;
    default:
        bulk_insert(bulk, writing->update);
        break;
    }
}

static enum storage_status do_phase(struct storage_session *session,
                                    const struct writings *writings, enum phase phase,
                                    struct doing *doing, int64_t *done, struct storage_error *error)
{
    enum storage_status status = STORAGE_OK;
    doing->again = true;
    for (unsigned round = 0; status == STORAGE_OK && doing->again; round++) {
        struct bulk bulk;
        int64_t more = 0;
        if (round > 0)
            sleep_a_little(session, round);
        doing->again = false;
        bulk_begin(&bulk, session, writings->collection);
        for (size_t i = 0; i < writings->count; i++) {
            if (writings->writing[i].phase == phase)
                add_writing(&bulk, &writings->writing[i]);
        }
        status = bulk_end(&bulk, note_refusal, doing, &more, error);
        *done += more;
    }
    return status;
}

enum storage_status writer_do(struct storage_session *session, const struct writings *writings,
                              int64_t *done, bool *refused, struct storage_error *error)
{
    struct doing doing = {.again = false};
    enum storage_status status = STORAGE_OK;
    bool present[PHASES] = {false};
    *done = 0;
    for (size_t i = 0; i < writings->count; i++)
        present[writings->writing[i].phase] = true;
    for (int phase = PHASE_ERASE; status == STORAGE_OK && phase < PHASES; phase++) {
        if (present[phase])
            status = do_phase(session, writings, (enum phase)phase, &doing, done, error);
    }
    *refused = doing.doubled;
    return status;
}

enum storage_status writer_move_revision(struct storage_session *session,
                                         struct storage_error *error)
{
    bson_t selector = BSON_INITIALIZER;
    bson_t update = BSON_INITIALIZER;
    bson_t step;
    int64_t matched = 0;
    struct bulk bulk;
    bson_append_utf8(&selector, "_id", -1, ID_REVISION, -1);
    bson_append_document_begin(&update, "$inc", -1, &step);
    bson_append_int64(&step, "value", -1, 1);
    bson_append_document_end(&update, &step);
    bulk_begin(&bulk, session, COLLECTION_OWN);
    bulk_update(&bulk, &selector, &update);
    enum storage_status status = bulk_end(&bulk, NULL, NULL, &matched, error);
    if (status == STORAGE_OK && matched != 1)
        status = mongo_refuse(error, session->wrote ? STORAGE_UNCERTAIN : STORAGE_SCHEMA,
                              "the store has no revision");
    bson_destroy(&selector);
    bson_destroy(&update);
    return status;
}
