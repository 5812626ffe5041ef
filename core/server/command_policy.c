/* command_policy.c: `policy`: the protocol on standard input and output, for Postfix's spawn(8). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/data/decision.h"
#include "core/server/commands.h"
#include "core/server/exits.h"
#include "core/server/straight.h"

struct session {
    struct straight straight;
    struct request_frame frame;
    size_t used;
    char bytes[2 * REQUEST_SIZE_MAX];
};

static bool write_all(const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t n = write(STDOUT_FILENO, bytes, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        bytes += n;
        size -= (size_t)n;
    }
    return true;
}

static bool reply(const struct verdict *verdict)
{
    char memory[VERDICT_TEXT_MAX + 32];
    struct writer w = writer_on(memory, sizeof(memory));
    verdict_write_reply(&w, verdict);
    return write_all(memory, (size_t)(w.at - w.start));
}

static bool refuse(struct session *s, const char *why)
{
    struct verdict verdict;
    log_warning("no request: %s, on standard input", why);
    verdict_set(&verdict, OUTCOME_ERROR, "malformed", s->straight.settings->error_action);
    reply(&verdict);
    return false;
}

static bool answer(struct session *s, struct text bytes)
{
    struct inquiry q;
    const char *why;
    if (!request_parse(bytes, &q.request, &why))
        return refuse(s, why);
    straight_decide(&s->straight, &q);
    decision_log(&q);
    return reply(&q.verdict);
}

/* Answers every whole request that is there. False: the conversation is over. */
static bool process(struct session *s)
{
    size_t done = 0;
    while (done < s->used) {
        const char *why;
        size_t size;
        struct text rest = {s->bytes + done, s->used - done};
        enum request_status status = request_frame(&s->frame, rest, &size, &why);
        if (status == REQUEST_BAD)
            return refuse(s, why);
        if (status == REQUEST_MORE)
            break;
        s->frame = (struct request_frame){0, 0};
        if (!answer(s, (struct text){rest.data, size}))
            return false;
        done += size;
    }
    s->used -= done;
    memmove(s->bytes, s->bytes + done, s->used);
    return true;
}

static void converse(struct session *s)
{
    do {
        log_flush();
        ssize_t n = read(STDIN_FILENO, s->bytes + s->used, sizeof(s->bytes) - s->used);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return;
        s->used += (size_t)n;
    } while (process(s));
}

int command_policy(const struct options *options, const struct settings_sources *sources)
{
    (void)options;
    struct settings *settings = command_settings(sources);
    struct session *session = calloc(1, sizeof(*session));
    int status = settings == NULL ? EXIT_CONFIG : EXIT_FAILED;
    if (settings != NULL && session != NULL) {
        status = straight_start(&session->straight, settings, false);
        if (status == EXIT_FINE)
            converse(session);
        straight_end(&session->straight);
    }
    free(session);
    settings_release(settings);
    return status;
}
