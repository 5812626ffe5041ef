/*
 * redis.c: the far cache in a Redis, by hiredis.
 *
 * hiredis frames and parses; waiting is done here, since its own time-outs are for one read each and a
 * peer that sends a byte now and then would hold us for ever. GETRANGE, not GET: whatever somebody has
 * put under one of our names, no more than a value's length comes back.
 */
#include "include/cache.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"

#define NAME_MAX_SIZE (CACHE_PREFIX_MAX + 2 * CACHE_KEY_SIZE)
#define UNREAD_MAX (256 * 1024) /* bytes of answers; ours are 60 each */
#define WORDS_MAX 100           /* bytes kept of a string, status or error */

struct answer {
    int type; /* REDIS_REPLY_... */
    size_t size;
    char words[WORDS_MAX + 1];
};

struct cache_far {
    struct cache_place place; /* its texts are our own */
    redisContext *context;    /* NULL: not connected */
    struct answer answer;     /* the last one read */
    int64_t deadline;         /* steady ms, of the call under way */
    uint32_t patience;        /* ms that it was given */
};

/* --- Answers --------------------------------------------------------------------------------- */

/* There is one answer at a time, so its place needs no making; what is longer is cut. */
static void *take_words(const redisReadTask *task, char *words, size_t size)
{
    struct answer *a = task->privdata;
    a->type = task->type;
    a->size = size < WORDS_MAX ? size : WORDS_MAX;
    memcpy(a->words, words, a->size);
    a->words[a->size] = '\0';
    return a;
}

static void *take_number(const redisReadTask *task, long long number)
{
    struct answer *a = task->privdata;
    (void)number;
    a->type = REDIS_REPLY_INTEGER;
    a->size = 0;
    return a;
}

static void *take_nil(const redisReadTask *task)
{
    struct answer *a = task->privdata;
    a->type = REDIS_REPLY_NIL;
    a->size = 0;
    return a;
}

/* Nothing that is asked here is answered by an array, so none is made, however long it is said to be. */
static void *take_array(const redisReadTask *task, int elements)
{
    (void)task;
    (void)elements;
    return NULL;
}

static void keep(void *object)
{
    (void)object;
}

static redisReplyObjectFunctions takers = {take_words, take_array, take_number, take_nil, keep};

/* --- What is said of failures ---------------------------------------------------------------- */

/* Words from the network: one line of printable ASCII. */
static void tell(char *why, size_t size, const char *what, const char *words)
{
    int length = snprintf(why, size, "%s%s", what, words);
    for (int i = (int)strlen(what); i < length && (size_t)i + 1 < size; i++)
        why[i] = why[i] < ' ' || why[i] > '~' ? '?' : why[i];
}

static bool give_up(struct cache_far *far)
{
    if (far->context != NULL)
        redisFree(far->context);
    far->context = NULL;
    return false;
}

static bool fail(struct cache_far *far, char *why, size_t size)
{
    const redisContext *c = far->context;
    if (c->err == REDIS_ERR_OOM)
        tell(why, size, "it answers what was not asked", "");
    else
        tell(why, size, "", c->err != 0 ? c->errstr : "the connection failed");
    return give_up(far);
}

/* --- Talking --------------------------------------------------------------------------------- */

static void set_deadline(struct cache_far *far, uint32_t patience)
{
    far->patience = patience;
    far->deadline = clock_steady() + patience;
}

/* Sends and reads once, as soon as either goes. */
static bool move(struct cache_far *far, int *sent, char *why, size_t size)
{
    redisContext *c = far->context;
    struct pollfd p = {.fd = c->fd, .events = (short)(POLLIN | (*sent ? 0 : POLLOUT))};
    int64_t left = far->deadline - clock_steady();
    int ready = left > 0 ? poll(&p, 1, (int)left) : 0;
    if (ready < 0 && errno == EINTR)
        return true;
    if (ready == 0) {
        snprintf(why, size, "no answer within %u ms", (unsigned)far->patience);
        return give_up(far);
    }
    bool wrong = (p.revents & (POLLERR | POLLHUP | POLLNVAL)) != 0;
    if (!*sent && ((p.revents & POLLOUT) != 0 || wrong) && redisBufferWrite(c, sent) != REDIS_OK)
        return fail(far, why, size);
    if (((p.revents & POLLIN) != 0 || wrong) && redisBufferRead(c) != REDIS_OK)
        return fail(far, why, size);
    if (c->reader->len - c->reader->pos > UNREAD_MAX) {
        tell(why, size, "it answers what was not asked", "");
        return give_up(far);
    }
    return true;
}

/* Reads the next answer into far->answer. */
static bool hear(struct cache_far *far, int *sent, char *why, size_t size)
{
    for (;;) {
        void *reply = NULL;
        if (redisGetReplyFromReader(far->context, &reply) != REDIS_OK)
            return fail(far, why, size);
        if (reply != NULL)
            return true;
        if (!move(far, sent, why, size))
            return false;
    }
}

/* Not PING: one may be allowed that and no key, and a cluster's node answers it for all. */
static int ask_if_there(struct cache_far *far)
{
    return redisAppendCommand(far->context, "GETRANGE %s 0 0", far->place.prefix);
}

static bool is_there(const struct cache_far *far)
{
    return far->answer.type == REDIS_REPLY_STRING ||
           (far->answer.type == REDIS_REPLY_ERROR &&
            strncmp(far->answer.words, "WRONGTYPE", 9) == 0);
}

static bool refuse(struct cache_far *far, const char *what, char *why, size_t size)
{
    bool error = far->answer.type == REDIS_REPLY_ERROR;
    tell(why, size, error ? what : "it answers what was not asked", error ? far->answer.words : "");
    return give_up(far);
}

/* --- The door -------------------------------------------------------------------------------- */

static void redis_close(struct cache_far *far)
{
    if (far == NULL)
        return;
    give_up(far);
    free(far);
}

static const char *copy(char **at, const char *text)
{
    size_t size = strlen(text) + 1;
    char *start = memcpy(*at, text, size);
    *at += size;
    return start;
}

static struct cache_far *redis_open(const struct cache_place *place)
{
    size_t texts = strlen(place->host) + strlen(place->path) + strlen(place->user) +
                   strlen(place->password) + strlen(place->prefix) + 5;
    struct cache_far *far = calloc(1, sizeof(*far) + texts);
    if (far == NULL)
        return NULL;
    char *at = (char *)(far + 1);
    far->place = *place;
    far->place.host = copy(&at, place->host);
    far->place.path = copy(&at, place->path);
    far->place.user = copy(&at, place->user);
    far->place.password = copy(&at, place->password);
    far->place.prefix = copy(&at, place->prefix);
    return far;
}

static bool log_in(struct cache_far *far, bool auth, bool database, int *sent, char *why,
                   size_t size)
{
    if (auth) {
        if (!hear(far, sent, why, size))
            return false;
        /* Of its words only the first: some servers quote what they did not understand. */
        far->answer.words[strcspn(far->answer.words, " ")] = '\0';
        if (far->answer.type != REDIS_REPLY_STATUS)
            return refuse(far, "it refuses the user or the password: ", why, size);
    }
    if (database) {
        if (!hear(far, sent, why, size))
            return false;
        if (far->answer.type != REDIS_REPLY_STATUS)
            return refuse(far, "it refuses the database: ", why, size);
    }
    if (!hear(far, sent, why, size))
        return false;
    return is_there(far) || refuse(far, "", why, size);
}

static bool redis_connect(struct cache_far *far, uint32_t patience, char *why, size_t size)
{
    const struct cache_place *place = &far->place;
    bool auth = place->password[0] != '\0';
    bool database = place->database > 0;
    int sent = 0;
    give_up(far);
    set_deadline(far, patience);
    redisContext *c = place->host[0] != '\0' ? redisConnectNonBlock(place->host, place->port)
                                             : redisConnectUnixNonBlock(place->path);
    if (c == NULL) {
        tell(why, size, "out of memory", "");
        return false;
    }
    far->context = c;
    if (c->err != 0)
        return fail(far, why, size);
    c->reader->fn = &takers;
    c->reader->privdata = &far->answer;
    int code = REDIS_OK;
    if (auth && place->user[0] != '\0')
        code |= redisAppendCommand(c, "AUTH %s %s", place->user, place->password);
    else if (auth)
        code |= redisAppendCommand(c, "AUTH %s", place->password);
    if (database)
        code |= redisAppendCommand(c, "SELECT %u", (unsigned)place->database);
    code |= ask_if_there(far);
    return code == REDIS_OK ? log_in(far, auth, database, &sent, why, size) : fail(far, why, size);
}

static size_t write_name(const struct cache_far *far, const uint8_t *key, char *name)
{
    static const char digits[] = "0123456789abcdef";
    size_t size = strlen(far->place.prefix);
    size = size < CACHE_PREFIX_MAX ? size : CACHE_PREFIX_MAX;
    memcpy(name, far->place.prefix, size);
    for (size_t i = 0; i < CACHE_KEY_SIZE; i++) {
        name[size++] = digits[key[i] >> 4];
        name[size++] = digits[key[i] & 15];
    }
    return size;
}

static int append(struct cache_far *far, const struct cache_call *call)
{
    char name[NAME_MAX_SIZE];
    char number[16];
    size_t size = write_name(far, call->key, name);
    if (call->op == CACHE_GET) {
        snprintf(number, sizeof(number), "%d", CACHE_VALUE_MAX);
        const char *words[] = {"GETRANGE", name, "0", number};
        const size_t sizes[] = {8, size, 1, strlen(number)};
        return redisAppendCommandArgv(far->context, 4, words, sizes);
    }
    if (call->op == CACHE_FORGET) {
        const char *words[] = {"DEL", name};
        const size_t sizes[] = {3, size};
        return redisAppendCommandArgv(far->context, 2, words, sizes);
    }
    snprintf(number, sizeof(number), "%u", (unsigned)call->keep);
    const char *words[] = {"SET", name, (const char *)call->value, "PX", number};
    const size_t sizes[] = {3, size, call->size, 2, strlen(number)};
    return redisAppendCommandArgv(far->context, 5, words, sizes);
}

/* An error about one key is that key's; any other means that there is nothing to be had here. */
static bool understand_get(struct cache_far *far, struct cache_call *call)
{
    const struct answer *a = &far->answer;
    call->size = 0;
    call->result = CACHE_FOUND;
    if (a->type == REDIS_REPLY_ERROR)
        return strncmp(a->words, "WRONGTYPE", 9) == 0;
    if (a->type != REDIS_REPLY_STRING)
        return false;
    if (a->size == 0)
        call->result = CACHE_NONE;
    if (a->size > CACHE_VALUE_MAX)
        return true;
    call->size = (uint8_t)a->size;
    memcpy(call->value, a->words, a->size);
    return true;
}

static bool understand(struct cache_far *far, struct cache_call *call, char *why, size_t size)
{
    int wanted = call->op == CACHE_PUT ? REDIS_REPLY_STATUS : REDIS_REPLY_INTEGER;
    if (call->op == CACHE_GET)
        return understand_get(far, call) || refuse(far, "", why, size);
    call->result = CACHE_DONE;
    if (far->answer.type == wanted)
        return true;
    if (far->answer.type != REDIS_REPLY_ERROR)
        return refuse(far, "", why, size);
    call->result = CACHE_REFUSED;
    tell(why, size, "", far->answer.words);
    return true;
}

static bool redis_exchange(struct cache_far *far, struct cache_call *calls, size_t count, char *why,
                           size_t size)
{
    int sent = 0;
    int code = REDIS_OK;
    if (far->context == NULL) {
        tell(why, size, "not connected", "");
        return false;
    }
    set_deadline(far, far->place.timeout);
    if (count == 0)
        code = ask_if_there(far);
    for (size_t i = 0; i < count && code == REDIS_OK; i++)
        code = append(far, &calls[i]);
    if (code != REDIS_OK)
        return fail(far, why, size);
    for (size_t i = 0; i < count; i++) {
        if (!hear(far, &sent, why, size) || !understand(far, &calls[i], why, size))
            return false;
    }
    if (count > 0)
        return true;
    return hear(far, &sent, why, size) && (is_there(far) || refuse(far, "", why, size));
}

const struct cache_far_driver cache_redis = {
    .name = "redis",
    .open = redis_open,
    .close = redis_close,
    .connect = redis_connect,
    .exchange = redis_exchange,
};
