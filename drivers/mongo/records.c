/* records.c: changes of records. All is looked at first, under the writer's lock; then it is written: one
 * record by itself, several with their intent written down before. */
#include <stdlib.h>
#include <string.h>

#include "drivers/mongo/writer.h"

const struct storage_kind *find_kind(const struct storage_session *session, size_t kind)
{
    const struct storage_host *host = session->db->host;
    return kind < host->kinds_count ? &host->kinds[kind] : NULL;
}

const char *kind_collection(const struct storage_kind *kind)
{
    return (kind->flags & STORAGE_ENTRIES) != 0 ? COLLECTION_ENTRIES : kind->name;
}

static const char *value_fault(const struct storage_field *field, const struct storage_value *value)
{
    size_t most = (field->flags & (STORAGE_UNIQUE | STORAGE_INDEXED)) != 0 ? STORAGE_INDEXED_MAX
                                                                           : STORAGE_VALUE_MAX;
    if (value->type != STORAGE_NULL && value->type != field->type)
        return "a value of another type than its field";
    if (value->type == STORAGE_TEXT && value->text.size > most)
        return "a text that is too long for its field";
    return NULL;
}

static const char *change_fault(const struct storage_kind *kind, const struct storage_change *c)
{
    bool entries = (kind->flags & STORAGE_ENTRIES) != 0;
    if (c->id == NULL || c->id[0] == '\0' || strlen(c->id) > STORAGE_ID_MAX)
        return "an id that is empty or too long";
    if (c->expected < STORAGE_ANY_VERSION)
        return "a version below none";
    if (entries && (c->values != NULL || c->expected != STORAGE_ANY_VERSION))
        return "entries can be erased only";
    for (size_t i = 0; c->values != NULL && i < kind->fields_count; i++) {
        const char *wrong = value_fault(&kind->fields[i], &c->values[i]);
        if (wrong != NULL)
            return wrong;
    }
    return NULL;
}

/* --- What is looked at ------------------------------------------------------------------------ */

/* A record: as it is stored, and as the changes looked at so far leave it. */
struct state {
    const char *id;
    bool was_there;
    bool there;
    bool fresh; /* erased and made anew: nothing of what was stored stays */
    int64_t was_version;
    int64_t version;
    const struct storage_value *values; /* the last that were given */
};

/* A value of a UNIQUE field that some change wants, and who has it ("": nobody). */
struct claim {
    size_t field;
    const struct storage_value *value;
    char was_holder[STORAGE_ID_MAX + 1];
    char holder[STORAGE_ID_MAX + 1];
};

struct plan {
    const struct storage_kind *kind;
    struct storage_change *changes;
    size_t count;
    struct state *states; /* sorted by id */
    size_t states_count;
    struct claim *claims;
    size_t claims_count;
    size_t reading; /* the field whose holders are being read */
    struct writings writings;
};

static int compare_states(const void *a, const void *b)
{
    const struct state *one = a;
    const struct state *other = b;
    return strcmp(one->id, other->id);
}

static struct state *find_state(const struct plan *plan, const char *id)
{
    struct state key = {.id = id};
    return bsearch(&key, plan->states, plan->states_count, sizeof(key), compare_states);
}

static bool same_value(const struct storage_value *a, const struct storage_value *b)
{
    if (a->type != b->type)
        return false;
    if (a->type == STORAGE_TEXT)
        return a->text.size == b->text.size &&
               (a->text.size == 0 || memcmp(a->text.data, b->text.data, a->text.size) == 0);
    return a->type == STORAGE_REAL ? a->real == b->real : a->integer == b->integer;
}

static struct claim *find_claim(const struct plan *plan, size_t field,
                                const struct storage_value *value)
{
    for (size_t i = 0; i < plan->claims_count; i++) {
        if (plan->claims[i].field == field && same_value(plan->claims[i].value, value))
            return &plan->claims[i];
    }
    return NULL;
}

static void plan_end(struct plan *plan)
{
    free(plan->states);
    free(plan->claims);
    writings_end(&plan->writings);
}

static bool plan_begin(struct plan *plan)
{
    const struct storage_kind *kind = plan->kind;
    size_t unique = 0;
    for (size_t i = 0; i < kind->fields_count; i++)
        unique += (kind->fields[i].flags & STORAGE_UNIQUE) != 0 ? 1 : 0;
    plan->states = calloc(plan->count, sizeof(*plan->states));
    plan->claims = calloc(plan->count * unique + 1, sizeof(*plan->claims));
    if (plan->states == NULL || plan->claims == NULL)
        return false;
    for (size_t i = 0; i < plan->count; i++)
        plan->states[i].id = plan->changes[i].id;
    qsort(plan->states, plan->count, sizeof(*plan->states), compare_states);
    for (size_t i = 0; i < plan->count; i++) {
        if (i == 0 || compare_states(&plan->states[plan->states_count - 1], &plan->states[i]) != 0)
            plan->states[plan->states_count++] = plan->states[i];
    }
    for (size_t i = 0; i < plan->count; i++) {
        for (size_t f = 0; plan->changes[i].values != NULL && f < kind->fields_count; f++) {
            const struct storage_value *value = &plan->changes[i].values[f];
            if ((kind->fields[f].flags & STORAGE_UNIQUE) != 0 && value->type != STORAGE_NULL &&
                find_claim(plan, f, value) == NULL)
                plan->claims[plan->claims_count++] = (struct claim){.field = f, .value = value};
        }
    }
    return true;
}

static bool take_state(void *context, const bson_t *document)
{
    const struct plan *plan = context;
    char id[STORAGE_ID_MAX + 1];
    struct state *state =
        bson_get_text(document, "_id", id, sizeof(id)) ? find_state(plan, id) : NULL;
    if (state != NULL) {
        state->was_there = state->there = true;
        state->was_version = state->version = bson_get_integer(document, "version", 0);
    }
    return true;
}

static bool take_holder(void *context, const bson_t *document)
{
    const struct plan *plan = context;
    const struct storage_field *field = &plan->kind->fields[plan->reading];
    struct storage_value value;
    bson_iter_t iter;
    char id[STORAGE_ID_MAX + 1];
    if (!bson_get_text(document, "_id", id, sizeof(id)) ||
        !bson_iter_init_find(&iter, document, field->name))
        return true;
    bson_take_value(&iter, field->type, &value);
    struct claim *claim = find_claim(plan, plan->reading, &value);
    if (claim != NULL) {
        memcpy(claim->was_holder, id, sizeof(id));
        memcpy(claim->holder, id, sizeof(id));
    }
    return true;
}

/* Those whose `name` is among the values. */
static enum storage_status read_among(struct storage_session *session, struct plan *plan,
                                      const char *name, const bson_t *values, found_document *each,
                                      struct storage_error *error)
{
    bson_t filter = BSON_INITIALIZER;
    bson_t options = BSON_INITIALIZER;
    bson_t part;
    bson_append_document_begin(&filter, name, -1, &part);
    bson_append_array(&part, "$in", -1, values);
    bson_append_document_end(&filter, &part);
    bson_append_document_begin(&options, "projection", -1, &part);
    bson_append_int32(&part, strcmp(name, "_id") == 0 ? "version" : name, -1, 1);
    bson_append_document_end(&options, &part);
    bson_append_int32(&options, "batchSize", -1, STORAGE_BATCH_MAX + 1);
    struct finding finding = {.collection = kind_collection(plan->kind),
                              .filter = &filter,
                              .options = &options,
                              .each = each,
                              .context = plan};
    enum storage_status status = session_find(session, &finding, error);
    bson_destroy(&filter);
    bson_destroy(&options);
    return status;
}

static enum storage_status read_states(struct storage_session *session, struct plan *plan,
                                       struct storage_error *error)
{
    bson_t ids = BSON_INITIALIZER;
    for (size_t i = 0; i < plan->states_count; i++)
        bson_push_text(&ids, (uint32_t)i, plan->states[i].id);
    enum storage_status status = read_among(session, plan, "_id", &ids, take_state, error);
    bson_destroy(&ids);
    for (size_t f = 0; status == STORAGE_OK && f < plan->kind->fields_count; f++) {
        bson_t values = BSON_INITIALIZER;
        uint32_t wanted = 0;
        for (size_t i = 0; i < plan->claims_count; i++) {
            char room[16];
            const char *name;
            if (plan->claims[i].field == f)
                bson_add_value(&values, array_name(wanted++, &name, room), plan->claims[i].value);
        }
        plan->reading = f;
        if (wanted > 0)
            status =
                read_among(session, plan, plan->kind->fields[f].name, &values, take_holder, error);
        bson_destroy(&values);
    }
    return status;
}

/* --- What comes of each ----------------------------------------------------------------------- */

static void give_up(const struct plan *plan, const char *id)
{
    for (size_t i = 0; i < plan->claims_count; i++) {
        if (strcmp(plan->claims[i].holder, id) == 0)
            plan->claims[i].holder[0] = '\0';
    }
}

static enum storage_status look_at(const struct plan *plan, struct storage_change *c,
                                   struct storage_error *error)
{
    struct state *state = find_state(plan, c->id);
    bool wanted = c->values == NULL || c->expected > 0;
    if (!state->there && wanted)
        return mongo_refuse(error, STORAGE_NOT_FOUND, "there is no record %s", c->id);
    if (state->there && c->expected >= 0 && c->expected != state->version)
        return mongo_refuse(error, STORAGE_CONFLICT, "record %s has version %lld", c->id,
                            (long long)state->version);
    for (size_t f = 0; c->values != NULL && f < plan->kind->fields_count; f++) {
        const struct claim *claim = (plan->kind->fields[f].flags & STORAGE_UNIQUE) != 0
                                        ? find_claim(plan, f, &c->values[f])
                                        : NULL;
        if (claim != NULL && claim->holder[0] != '\0' && strcmp(claim->holder, c->id) != 0)
            return mongo_refuse(error, STORAGE_EXISTS, "record %s has this %s already",
                                claim->holder, plan->kind->fields[f].name);
    }
    give_up(plan, c->id);
    for (size_t f = 0; c->values != NULL && f < plan->kind->fields_count; f++) {
        struct claim *claim = (plan->kind->fields[f].flags & STORAGE_UNIQUE) != 0
                                  ? find_claim(plan, f, &c->values[f])
                                  : NULL;
        if (claim != NULL)
            memcpy(claim->holder, c->id, strlen(c->id) + 1);
    }
    state->fresh = state->fresh || (state->was_there && c->values == NULL);
    state->version = c->values == NULL ? 0 : state->there ? state->version + 1 : 1;
    state->there = c->values != NULL;
    state->values = c->values;
    c->version = state->version;
    return STORAGE_OK;
}

/* --- What is written -------------------------------------------------------------------------- */

static bson_t *select_state(const struct plan *plan, const struct state *state)
{
    bson_t *selector = bson_new();
    bson_append_utf8(selector, "_id", -1, state->id, -1);
    if ((plan->kind->flags & STORAGE_ENTRIES) == 0)
        bson_append_int64(selector, "version", -1, state->was_version);
    return selector;
}

/* A field without a value is not in the document, so that any number may lack one of a UNIQUE field. */
static void add_fields(const struct plan *plan, const struct state *state, bson_t *document)
{
    bson_append_int64(document, "version", -1, state->version);
    for (size_t f = 0; f < plan->kind->fields_count; f++) {
        if (state->values[f].type != STORAGE_NULL)
            bson_add_value(document, plan->kind->fields[f].name, &state->values[f]);
    }
}

/* Fields that a newer mongrey has put there stay. */
static bson_t *describe_update(const struct plan *plan, const struct state *state)
{
    bson_t *update = bson_new();
    bson_t unset = BSON_INITIALIZER;
    bson_t set;
    bson_append_document_begin(update, "$set", -1, &set);
    add_fields(plan, state, &set);
    bson_append_document_end(update, &set);
    for (size_t f = 0; f < plan->kind->fields_count; f++) {
        if (state->values[f].type == STORAGE_NULL)
            bson_append_utf8(&unset, plan->kind->fields[f].name, -1, "", -1);
    }
    if (!bson_empty(&unset))
        bson_append_document(update, "$unset", -1, &unset);
    bson_destroy(&unset);
    return update;
}

static bool describe_state(struct plan *plan, const struct state *state)
{
    if (state->was_there && !state->there)
        return writings_add(&plan->writings, PHASE_ERASE, select_state(plan, state), NULL);
    if (!state->there)
        return true;
    if (state->was_there && !state->fresh)
        return writings_add(&plan->writings, PHASE_UPDATE, select_state(plan, state),
                            describe_update(plan, state));
    bson_t *document = bson_new();
    if (!state->was_there)
        bson_append_utf8(document, "_id", -1, state->id, -1);
    add_fields(plan, state, document);
    return state->was_there
               ? writings_add(&plan->writings, PHASE_REPLACE, select_state(plan, state), document)
               : writings_add(&plan->writings, PHASE_INSERT, NULL, document);
}

/* A unique value that goes from one record to another is given up by itself before. */
static bool describe_release(struct plan *plan, const struct claim *claim)
{
    const struct state *state =
        claim->was_holder[0] == '\0' ? NULL : find_state(plan, claim->was_holder);
    if (state == NULL || !state->there || strcmp(claim->was_holder, claim->holder) == 0)
        return true;
    bson_t *update = bson_new();
    bson_t unset;
    bson_append_document_begin(update, "$unset", -1, &unset);
    bson_append_utf8(&unset, plan->kind->fields[claim->field].name, -1, "", -1);
    bson_append_document_end(update, &unset);
    return writings_add(&plan->writings, PHASE_RELEASE, select_state(plan, state), update);
}

static bool describe(struct plan *plan)
{
    bool fine = true;
    plan->writings.collection = kind_collection(plan->kind);
    for (size_t i = 0; fine && i < plan->claims_count; i++)
        fine = describe_release(plan, &plan->claims[i]);
    for (size_t i = 0; fine && i < plan->states_count; i++)
        fine = describe_state(plan, &plan->states[i]);
    return fine;
}

/* With the lock held, and all looked at. */
static enum storage_status write_plan(struct storage_session *session, struct plan *plan,
                                      struct storage_error *error)
{
    bool entries = (plan->kind->flags & STORAGE_ENTRIES) != 0;
    enum storage_status status = STORAGE_OK;
    bool refused = false;
    int64_t done = 0;
    if (plan->writings.count > 1)
        status = writer_intend(session, &plan->writings, error);
    if (status == STORAGE_OK)
        status = writer_do(session, &plan->writings, &done, &refused, error);
    /* Entries go by themselves too, by purging. */
    if (status == STORAGE_OK && (refused || done < (int64_t)plan->writings.count) &&
        !(entries && plan->writings.count > 1))
        status = mongo_refuse(error, session->wrote ? STORAGE_UNCERTAIN : STORAGE_BUSY,
                              "somebody writes records without the lock");
    if (status == STORAGE_OK && (plan->kind->flags & STORAGE_QUIET) == 0)
        status = writer_move_revision(session, error);
    return status;
}

static enum storage_status drop_own_intents(struct storage_session *session,
                                            const struct plan *plan, struct storage_error *error)
{
    return plan->writings.count > 1 ? writer_forget(session, error) : STORAGE_OK;
}

static enum storage_status change_locked(struct storage_session *session, struct plan *plan,
                                         struct storage_error *error)
{
    struct storage_error ignored;
    enum storage_status status = read_states(session, plan, error);
    for (size_t i = 0; status == STORAGE_OK && i < plan->count; i++)
        status = look_at(plan, &plan->changes[i], error);
    if (status == STORAGE_OK && !describe(plan))
        status = mongo_refuse(error, STORAGE_UNAVAILABLE, "out of memory");
    if (status == STORAGE_OK)
        status = write_plan(session, plan, error);
    /* What is not certainly done or undone keeps the lock, for the next writer to complete. */
    if (status == STORAGE_OK) {
        if (drop_own_intents(session, plan, &ignored) == STORAGE_OK)
            (void)writer_unlock(session, &ignored);
    } else if (!session->wrote && !session->dead) {
        (void)writer_unlock(session, &ignored);
    }
    return status;
}

enum storage_status mongo_change(struct storage_session *session, size_t kind_index,
                                 struct storage_change *changes, size_t count,
                                 struct storage_error *error)
{
    struct plan plan = {.kind = find_kind(session, kind_index), .changes = changes, .count = count};
    if (plan.kind == NULL || count == 0 || count > STORAGE_BATCH_MAX)
        return mongo_refuse(error, STORAGE_INVALID, "no such kind, or none or too many changes");
    for (size_t i = 0; i < count; i++) {
        const char *wrong = change_fault(plan.kind, &changes[i]);
        if (wrong != NULL)
            return mongo_refuse(error, STORAGE_INVALID, "%s", wrong);
    }
    if (session->db->host->read_only)
        return mongo_refuse(error, STORAGE_DENIED, "the store is open for reading only");
    enum storage_status status = session_enter(session, error);
    if (status == STORAGE_OK && !plan_begin(&plan))
        status = mongo_refuse(error, STORAGE_UNAVAILABLE, "out of memory");
    if (status == STORAGE_OK)
        status = writer_lock(session, error);
    if (status == STORAGE_OK)
        status = change_locked(session, &plan, error);
    plan_end(&plan);
    return status;
}
