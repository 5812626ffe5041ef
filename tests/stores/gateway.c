/*
 * gateway.c: MongoDB's wire protocol before PostgreSQL with the DocumentDB extension, for tests.
 *
 *   gateway PORT CONNINFO
 *
 * A thread and a connection to PostgreSQL for each client, on loopback. It knows no users and no TLS.
 * Where PostgreSQL goes away amid a command, the client's connection is closed without an answer, as
 * a mongod that dies would do it.
 */
#include <arpa/inet.h>
#include <bson/bson.h>
#include <libpq-fe.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEADER 16
#define MESSAGE_MAX 48000000
#define OP_REPLY 1
#define OP_QUERY 2004
#define OP_MSG 2013
#define CURSORS 16

struct cursor {
    int64_t id; /* 0: free */
    uint8_t *continuation;
    int size;
};

struct client {
    int socket;
    const char *conninfo;
    PGconn *pg;
    bool lost; /* PostgreSQL is: there is no answer */
    struct cursor cursors[CURSORS];
    unsigned next_cursor;
};

/* --- Bytes ------------------------------------------------------------------------------------ */

static bool receive(int from, void *buffer, size_t size)
{
    char *at = buffer;
    while (size > 0) {
        ssize_t got = read(from, at, size);
        if (got <= 0)
            return false;
        at += got;
        size -= (size_t)got;
    }
    return true;
}

static bool deliver(int to, const void *buffer, size_t size)
{
    const char *at = buffer;
    while (size > 0) {
        ssize_t put = write(to, at, size);
        if (put <= 0)
            return false;
        at += put;
        size -= (size_t)put;
    }
    return true;
}

static int32_t get_number(const uint8_t *at)
{
    uint32_t number = 0;
    for (int i = 3; i >= 0; i--)
        number = number << 8 | at[i];
    return (int32_t)number;
}

static void put_number(uint8_t *at, int32_t number)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)((uint32_t)number >> (8 * i));
}

/* A document that lies at the beginning of the bytes. */
static bool get_document(const uint8_t *at, size_t size, bson_t *document, size_t *length)
{
    if (size < 5)
        return false;
    int32_t said = get_number(at);
    if (said < 5 || (size_t)said > size || !bson_init_static(document, at, (size_t)said))
        return false;
    *length = (size_t)said;
    return true;
}

/* --- Answers ---------------------------------------------------------------------------------- */

static void answer_ok(bson_t *reply)
{
    bson_append_double(reply, "ok", -1, 1.0);
}

static void answer_error(bson_t *reply, int code, const char *text)
{
    bson_append_double(reply, "ok", -1, 0.0);
    bson_append_utf8(reply, "errmsg", -1, text, -1);
    bson_append_int32(reply, "code", -1, code);
}

static void answer_hello(bson_t *reply)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    bson_append_bool(reply, "ismaster", -1, true);
    bson_append_bool(reply, "isWritablePrimary", -1, true);
    bson_append_int32(reply, "maxBsonObjectSize", -1, 16777216);
    bson_append_int32(reply, "maxMessageSizeBytes", -1, MESSAGE_MAX);
    bson_append_int32(reply, "maxWriteBatchSize", -1, 25000);
    bson_append_date_time(reply, "localTime", -1, (int64_t)now.tv_sec * 1000);
    bson_append_int32(reply, "minWireVersion", -1, 0);
    bson_append_int32(reply, "maxWireVersion", -1, 17);
    bson_append_bool(reply, "readOnly", -1, false);
    answer_ok(reply);
}

/* What MongoDB calls an SQLSTATE. The extension has states of its own, M001C is its duplicate key. */
static int code_of_state(const char *state)
{
    if (strcmp(state, "23505") == 0 || strcmp(state, "23P01") == 0 || strcmp(state, "M001C") == 0)
        return 11000;
    if (strcmp(state, "40P01") == 0 || strcmp(state, "40001") == 0 || strcmp(state, "55P03") == 0)
        return 112;
    return 1;
}

/* In write errors the extension tells the SQLSTATE as PostgreSQL packs it: six bits a character. */
static int code_of_packed(int32_t packed)
{
    char state[6] = "";
    if (packed < 1 << 12)
        return packed;
    for (int i = 0; i < 5; i++)
        state[i] = (char)(((packed >> (6 * i)) & 0x3f) + '0');
    return code_of_state(state);
}

static void name_write_errors(bson_t *reply)
{
    bson_iter_t iter;
    bson_iter_t errors;
    bson_iter_t member;
    if (!bson_iter_init_find(&iter, reply, "writeErrors") || !bson_iter_recurse(&iter, &errors))
        return;
    while (bson_iter_next(&errors)) {
        if (bson_iter_recurse(&errors, &member) && bson_iter_find(&member, "code") &&
            BSON_ITER_HOLDS_INT32(&member))
            bson_iter_overwrite_int32(&member, code_of_packed(bson_iter_int32(&member)));
    }
}

/* --- PostgreSQL ------------------------------------------------------------------------------- */

static bool is_connected(struct client *client)
{
    if (client->pg == NULL)
        client->pg = PQconnectdb(client->conninfo);
    client->lost = PQstatus(client->pg) != CONNECTION_OK;
    return !client->lost;
}

/* Runs it on the database's name, a document, and another where there is one. NULL: answered already. */
static PGresult *call(struct client *client, const char *sql, const char *database,
                      const bson_t *document, const struct cursor *cursor, bson_t *reply)
{
    const char *values[3] = {database, NULL, NULL};
    int lengths[3] = {0, 0, 0};
    const int formats[3] = {0, 1, 1};
    const Oid types[3] = {25, 17, 17};
    int count = 1;
    if (!is_connected(client))
        return NULL;
    if (document != NULL) {
        values[1] = (const char *)bson_get_data(document);
        lengths[1] = (int)document->len;
        count = 2;
    }
    if (cursor != NULL) {
        values[2] = (const char *)cursor->continuation;
        lengths[2] = cursor->size;
        count = 3;
    }
    PGresult *result = PQexecParams(client->pg, sql, count, types, values, lengths, formats, 1);
    if (PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) > 0)
        return result;
    client->lost = PQstatus(client->pg) != CONNECTION_OK;
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    answer_error(reply, code_of_state(state != NULL ? state : ""),
                 text != NULL ? text : "PostgreSQL gave no answer");
    PQclear(result);
    return NULL;
}

static void answer_document(const PGresult *result, bson_t *reply)
{
    bson_t document;
    if (!bson_init_static(&document, (const uint8_t *)PQgetvalue(result, 0, 0),
                          (size_t)PQgetlength(result, 0, 0))) {
        answer_error(reply, 1, "PostgreSQL gave no document");
        return;
    }
    bson_concat(reply, &document);
    name_write_errors(reply);
    if (!bson_has_field(reply, "ok"))
        answer_ok(reply);
}

/* --- Cursors ---------------------------------------------------------------------------------- */

static int64_t cursor_id(const bson_t *reply)
{
    bson_iter_t iter;
    bson_iter_t found;
    bool there =
        bson_iter_init(&iter, reply) && bson_iter_find_descendant(&iter, "cursor.id", &found);
    return there ? bson_iter_as_int64(&found) : 0;
}

static void forget_cursor(struct cursor *cursor)
{
    free(cursor->continuation);
    memset(cursor, 0, sizeof *cursor);
}

/* Keeps what PostgreSQL wants to be told for the next page; too many: the oldest goes. */
static void keep_cursor(struct client *client, const PGresult *result, const bson_t *reply)
{
    struct cursor *cursor = &client->cursors[client->next_cursor];
    int64_t id = cursor_id(reply);
    for (unsigned i = 0; i < CURSORS; i++) {
        if (client->cursors[i].id == id)
            cursor = &client->cursors[i];
    }
    if (id == 0 || PQgetisnull(result, 0, 1))
        return;
    if (cursor == &client->cursors[client->next_cursor])
        client->next_cursor = (client->next_cursor + 1) % CURSORS;
    forget_cursor(cursor);
    cursor->size = PQgetlength(result, 0, 1);
    cursor->continuation = malloc((size_t)cursor->size + 1);
    if (cursor->continuation != NULL) {
        memcpy(cursor->continuation, PQgetvalue(result, 0, 1), (size_t)cursor->size);
        cursor->id = id;
    }
}

static void get_more(struct client *client, const char *database, const bson_t *command,
                     bson_t *reply)
{
    bson_iter_t iter;
    struct cursor *cursor = NULL;
    int64_t id =
        bson_iter_init(&iter, command) && bson_iter_next(&iter) ? bson_iter_as_int64(&iter) : 0;
    for (unsigned i = 0; id != 0 && i < CURSORS; i++) {
        if (client->cursors[i].id == id)
            cursor = &client->cursors[i];
    }
    if (cursor == NULL) {
        answer_error(reply, 43, "there is no such cursor");
        return;
    }
    PGresult *result = call(client,
                            "SELECT cursorpage, continuation FROM documentdb_api.cursor_get_more("
                            "$1, $2::bytea::documentdb_core.bson, $3::bytea::documentdb_core.bson)",
                            database, command, cursor, reply);
    if (result == NULL)
        return;
    answer_document(result, reply);
    forget_cursor(cursor);
    keep_cursor(client, result, reply);
    PQclear(result);
}

/* --- Commands --------------------------------------------------------------------------------- */

#define ON_DOCUMENT "($1, $2::bytea::documentdb_core.bson)"

static const struct command {
    const char *name;
    const char *sql;
    bool cursor; /* the second column is the cursor's continuation */
} commands[] = {
    {"insert", "SELECT p_result FROM documentdb_api.insert" ON_DOCUMENT, false},
    {"update", "SELECT p_result FROM documentdb_api.update" ON_DOCUMENT, false},
    {"delete", "SELECT p_result FROM documentdb_api.delete" ON_DOCUMENT, false},
    {"find",
     "SELECT cursorpage, continuation FROM documentdb_api.find_cursor_first_page" ON_DOCUMENT,
     true},
    {"aggregate",
     "SELECT cursorpage, continuation FROM documentdb_api.aggregate_cursor_first_page" ON_DOCUMENT,
     true},
    {"createIndexes",
     "SELECT r FROM documentdb_api_internal.create_indexes_non_concurrently($1, "
     "$2::bytea::documentdb_core.bson, true) AS r",
     false},
    {"listIndexes",
     "SELECT cursorpage, continuation FROM "
     "documentdb_api.list_indexes_cursor_first_page" ON_DOCUMENT,
     true},
};

static void run_sql(struct client *client, const struct command *found, const char *database,
                    const bson_t *command, bson_t *reply)
{
    bson_t bare = BSON_INITIALIZER;
    bson_copy_to_excluding_noinit(command, &bare, "$db", "lsid", "$readPreference", "$clusterTime",
                                  "txnNumber", "writeConcern", "readConcern", NULL);
    PGresult *result = call(client, found->sql, database, &bare, NULL, reply);
    if (result != NULL) {
        answer_document(result, reply);
        if (found->cursor)
            keep_cursor(client, result, reply);
        PQclear(result);
    }
    bson_destroy(&bare);
}

static void drop_database(struct client *client, const char *database, bson_t *reply)
{
    PGresult *result =
        call(client, "SELECT documentdb_api.drop_database($1)", database, NULL, NULL, reply);
    if (result != NULL)
        answer_ok(reply);
    PQclear(result);
}

static void run_command(struct client *client, const bson_t *command, bson_t *reply)
{
    bson_iter_t iter;
    bson_iter_t in;
    if (!bson_iter_init(&iter, command) || !bson_iter_next(&iter)) {
        answer_error(reply, 9, "an empty command");
        return;
    }
    const char *name = bson_iter_key(&iter);
    const char *database = "test";
    if (bson_iter_init_find(&in, command, "$db") && BSON_ITER_HOLDS_UTF8(&in))
        database = bson_iter_utf8(&in, NULL);
    if (strcasecmp(name, "hello") == 0 || strcasecmp(name, "isMaster") == 0) {
        answer_hello(reply);
    } else if (strcmp(name, "ping") == 0 || strcmp(name, "endSessions") == 0 ||
               strcmp(name, "killCursors") == 0) {
        answer_ok(reply);
    } else if (strcmp(name, "dropDatabase") == 0) {
        drop_database(client, database, reply);
    } else if (strcmp(name, "getMore") == 0) {
        bson_t bare = BSON_INITIALIZER;
        bson_copy_to_excluding_noinit(command, &bare, "$db", "lsid", "$readPreference",
                                      "$clusterTime", NULL);
        get_more(client, database, &bare, reply);
        bson_destroy(&bare);
    } else {
        for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
            if (strcmp(commands[i].name, name) == 0) {
                run_sql(client, &commands[i], database, command, reply);
                return;
            }
        }
        answer_error(reply, 59, "no such command");
    }
}

/* --- Messages --------------------------------------------------------------------------------- */

/* A section of documents becomes an array of the command. */
static bool add_sequence(bson_t *command, const uint8_t *at, size_t size)
{
    const uint8_t *end = at + size;
    const uint8_t *name_end = memchr(at, 0, size);
    bson_t array;
    bool fine = name_end != NULL;
    if (!fine)
        return false;
    bson_append_array_begin(command, (const char *)at, -1, &array);
    at = name_end + 1;
    for (uint32_t i = 0; fine && at < end; i++) {
        char room[16];
        const char *name;
        bson_t document;
        size_t length = 0;
        bson_uint32_to_string(i, &name, room, sizeof room);
        fine = get_document(at, (size_t)(end - at), &document, &length) &&
               bson_append_document(&array, name, -1, &document);
        at += length;
    }
    bson_append_array_end(command, &array);
    return fine;
}

/* The body first, the sequences behind it: what comes first in the document is the command's name. */
static bool read_sections(const uint8_t *body, size_t size, bson_t *command)
{
    for (int pass = 0; pass < 2; pass++) {
        for (size_t at = 0; at < size;) {
            bool sequence = body[at++] == 1;
            bson_t document;
            size_t length = 0;
            if (size - at < 5)
                return false;
            int32_t said = get_number(body + at);
            if (said < 5 || (size_t)said > size - at)
                return false;
            length = (size_t)said;
            if (!sequence && pass == 0 &&
                (!get_document(body + at, length, &document, &length) ||
                 !bson_concat(command, &document)))
                return false;
            if (sequence && pass == 1 && !add_sequence(command, body + at + 4, length - 4))
                return false;
            at += length;
        }
    }
    return true;
}

/* flags, collection's name, skip, count, document */
static bool read_query(const uint8_t *body, size_t size, bson_t *command)
{
    const uint8_t *name_end = size > 4 ? memchr(body + 4, 0, size - 4) : NULL;
    bson_t document;
    size_t length;
    if (name_end == NULL || (size_t)(name_end - body) + 9 > size)
        return false;
    size_t at = (size_t)(name_end - body) + 9;
    return get_document(body + at, size - at, &document, &length) &&
           bson_concat(command, &document);
}

static bool send_reply(const struct client *client, int32_t request, int32_t op,
                       const bson_t *reply)
{
    uint8_t head[36] = {0};
    int32_t size = op == OP_QUERY ? 36 : 21;
    put_number(head, size + (int32_t)reply->len);
    put_number(head + 4, request);
    put_number(head + 8, request);
    put_number(head + 12, op == OP_QUERY ? OP_REPLY : OP_MSG);
    if (op == OP_QUERY) {
        put_number(head + 16, 8); /* await capable */
        put_number(head + 32, 1);
    }
    return deliver(client->socket, head, (size_t)size) &&
           deliver(client->socket, bson_get_data(reply), reply->len);
}

static bool answer_message(struct client *client, const uint8_t *header, const uint8_t *body,
                           size_t size)
{
    bson_t command = BSON_INITIALIZER;
    bson_t reply = BSON_INITIALIZER;
    int32_t op = get_number(header + 12);
    int32_t flags = get_number(body);
    bool fine = false;
    if (op == OP_QUERY)
        fine = read_query(body, size, &command);
    else if (op == OP_MSG && (flags & 1) == 0)
        fine = read_sections(body + 4, size - 4, &command);
    if (fine)
        run_command(client, &command, &reply);
    bool silent = op == OP_MSG && (flags & 2) != 0;
    fine =
        fine && !client->lost && (silent || send_reply(client, get_number(header + 4), op, &reply));
    bson_destroy(&command);
    bson_destroy(&reply);
    return fine;
}

static void *serve(void *argument)
{
    struct client *client = argument;
    uint8_t header[HEADER];
    bool on = true;
    while (on && receive(client->socket, header, sizeof header)) {
        int32_t said = get_number(header);
        if (said < HEADER + 5 || said > MESSAGE_MAX)
            break;
        size_t size = (size_t)said - HEADER;
        uint8_t *body = malloc(size);
        on = body != NULL && receive(client->socket, body, size) &&
             answer_message(client, header, body, size);
        free(body);
    }
    close(client->socket);
    PQfinish(client->pg);
    for (unsigned i = 0; i < CURSORS; i++)
        forget_cursor(&client->cursors[i]);
    free(client);
    return NULL;
}

static void take_client(int from, const char *conninfo)
{
    struct client *client = calloc(1, sizeof *client);
    pthread_t thread;
    const int one = 1;
    int got = accept(from, NULL, NULL);
    if (client == NULL || got < 0) {
        free(client);
        return;
    }
    (void)setsockopt(got, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    client->socket = got;
    client->conninfo = conninfo;
    if (pthread_create(&thread, NULL, serve, client) == 0) {
        (void)pthread_detach(thread);
    } else {
        close(got);
        free(client);
    }
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    const int one = 1;
    long port = argc == 3 ? strtol(argv[1], NULL, 10) : 0;
    int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (port < 1 || port > 65535) {
        (void)fprintf(stderr, "usage: gateway PORT CONNINFO\n");
        return 2;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    (void)setsockopt(listening, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    address.sin_port = htons((uint16_t)port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listening, (const struct sockaddr *)&address, sizeof address) != 0 ||
        listen(listening, 128) != 0) {
        perror("gateway");
        return 1;
    }
    for (;;)
        take_client(listening, argv[2]);
}
