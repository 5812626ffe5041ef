/* request.c: see request.h. Knows the protocol, nothing of sockets. */
#include "core/policy/request.h"

#include <string.h>

const char *const attribute_names[ATTRIBUTES] = {
#define ATTRIBUTE(name) #name,
#include "core/policy/attributes.def"
#undef ATTRIBUTE
};

static const uint8_t name_size[ATTRIBUTES] = {
#define ATTRIBUTE(name) sizeof(#name) - 1,
#include "core/policy/attributes.def"
#undef ATTRIBUTE
};

enum request_status request_frame(struct request_frame *frame, struct text bytes, size_t *size,
                                  const char **why)
{
    for (;;) {
        const char *line = bytes.data + frame->scanned;
        size_t left = bytes.size - frame->scanned;
        size_t room = left < REQUEST_LINE_MAX + 1 ? left : REQUEST_LINE_MAX + 1;
        const char *end = room > 0 ? memchr(line, '\n', room) : NULL;
        size_t length = end != NULL ? (size_t)(end - line) : room;

        *why = "a NUL character";
        if (length > 0 && memchr(line, '\0', length) != NULL)
            return REQUEST_BAD;
        *why = "an attribute of more than 8 KiB";
        if (length > REQUEST_LINE_MAX)
            return REQUEST_BAD;
        *why = "a request of more than 64 KiB";
        if (frame->scanned + length + 1 > REQUEST_SIZE_MAX)
            return REQUEST_BAD;
        if (end == NULL)
            return REQUEST_MORE;
        frame->scanned += length + 1;
        if (length == 0) {
            *size = frame->scanned;
            return REQUEST_WHOLE;
        }
        *why = "a line without '='";
        if (memchr(line, '=', length) == NULL)
            return REQUEST_BAD;
        *why = "more than 200 lines";
        if (++frame->lines > REQUEST_LINES_MAX)
            return REQUEST_BAD;
    }
}

/* Postfix sends them in one order: the search starts behind the one found last. */
static int find_attribute(const char *name, size_t size, int after)
{
    for (int tried = 0; tried < ATTRIBUTES; tried++) {
        if (++after >= ATTRIBUTES)
            after = 0;
        if (name_size[after] == size && memcmp(attribute_names[after], name, size) == 0)
            return after;
    }
    return -1;
}

bool request_parse(struct text bytes, struct request *request, const char **why)
{
    const char *at = bytes.data;
    const char *end = bytes.data + bytes.size;
    int last = -1;
    memset(request, 0, sizeof(*request));
    request->bytes = bytes;
    while (at < end && *at != '\n') {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        if (line_end == NULL)
            line_end = end;
        const char *equals = memchr(at, '=', (size_t)(line_end - at));
        *why = "a line without '='";
        if (equals == NULL)
            return false;
        int which = find_attribute(at, (size_t)(equals - at), last);
        if (which >= 0) {
            last = which;
            if (request->attribute[which].data == NULL)
                request->attribute[which] =
                    (struct text){equals + 1, (size_t)(line_end - equals) - 1};
        }
        at = line_end + 1;
    }
    *why = "no request=smtpd_access_policy";
    return text_equal(request->attribute[ATTRIBUTE_request], TEXT("smtpd_access_policy"));
}

static void rebase(struct text *t, const char *from, const char *to)
{
    if (t->data != NULL)
        t->data = to + (t->data - from);
}

void request_rebase(struct request *request, const char *bytes, const char *canonical)
{
    const char *from = request->bytes.data;
    for (int i = 0; i < ATTRIBUTES; i++)
        rebase(&request->attribute[i], from, bytes);
    request->bytes.data = bytes;
    struct text *const texts[] = {
        &request->sender.whole,    &request->sender.local,    &request->sender.domain,
        &request->recipient.whole, &request->recipient.local, &request->recipient.domain,
        &request->client_name,     &request->helo_name,       &request->country,
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        rebase(texts[i], request->canonical.data, canonical);
    request->canonical.data = canonical;
}

static const char *const state_names[PROTOCOL_STATES] = {
    "CONNECT", "EHLO", "HELO", "MAIL", "RCPT", "DATA", "END-OF-MESSAGE", "VRFY", "ETRN", "other",
};

enum protocol_state request_state(struct text name)
{
    if (name.size == 0 || text_equal(name, TEXT("RCPT")))
        return STATE_RCPT;
    for (int i = 0; i < STATE_OTHER; i++) {
        if (text_equal_fold(name, text_of(state_names[i])))
            return (enum protocol_state)i;
    }
    return STATE_OTHER;
}
