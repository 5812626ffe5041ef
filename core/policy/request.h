/*
 * request.h: what Postfix asks. Framing and parsing of the policy delegation protocol
 * (Postfix's SMTPD_POLICY_README): lines `name=value`, then an empty line. Fuzzed.
 *
 * Parsing copies nothing: a request points into the bytes it was read from.
 */
#ifndef MONGREY_REQUEST_H
#define MONGREY_REQUEST_H

#include "core/base/addr.h"
#include "core/base/text.h"

#define REQUEST_LINE_MAX 8192  /* bytes of one `name=value` */
#define REQUEST_SIZE_MAX 65536 /* bytes of a request with all its line ends */
#define REQUEST_LINES_MAX 200

enum attribute {
#define ATTRIBUTE(name) ATTRIBUTE_##name,
#include "core/policy/attributes.def"
#undef ATTRIBUTE
    ATTRIBUTES
};

/* The names, in the order of the enum. */
extern const char *const attribute_names[ATTRIBUTES];

enum request_status { REQUEST_MORE, REQUEST_WHOLE, REQUEST_BAD };

/* How far one connection's bytes have been looked at; all zero at first. */
struct request_frame {
    size_t scanned; /* bytes in whole lines */
    unsigned lines;
};

/* A mail address in the form in which addresses are compared: the domain as A-labels in lower case
 * without a last dot, the local part in NFC with ASCII letters in lower case. */
struct mailbox {
    struct text whole;
    struct text local;  /* what stands before the last '@'; all of it where there is none */
    struct text domain; /* and behind it */
};

/* The states of an SMTP session that Postfix asks at (SMTPD_POLICY_README). */
enum protocol_state {
    STATE_CONNECT,
    STATE_EHLO,
    STATE_HELO,
    STATE_MAIL,
    STATE_RCPT,
    STATE_DATA,
    STATE_END_OF_MESSAGE,
    STATE_VRFY,
    STATE_ETRN,
    STATE_OTHER,
    PROTOCOL_STATES
};

struct request {
    struct text bytes; /* what the attributes point into */
    struct text attribute[ATTRIBUTES];

    /* What prepare adds. */
    int64_t now;           /* ms: this request's clock */
    struct addr client;    /* ADDR_NONE where the address is missing or unreadable */
    struct text canonical; /* what the texts below point into */
    struct mailbox sender;
    struct mailbox recipient;
    struct text client_name; /* confirmed, compared as domains are; empty where it is `unknown` */
    struct text helo_name;
    struct text country;
    bool sender_is_null;
    enum protocol_state state;
};

/*
 * Looks at the bytes of a connection, from the start of a request on. WHOLE: *size bytes are one
 * request, its empty line included. MORE: call again with more behind the same bytes. BAD: *why
 * says what is no request. Call with a zeroed frame for the next one.
 */
enum request_status request_frame(struct request_frame *frame, struct text bytes, size_t *size,
                                  const char **why);

/* Takes one framed request apart. Unknown attributes are skipped, of repeated ones the first holds,
 * missing ones are empty. False: *why says why it is none. */
bool request_parse(struct text bytes, struct request *request, const char **why);

/* Makes the texts point into another copy of the same bytes, and of the canonical texts. */
void request_rebase(struct request *request, const char *bytes, const char *canonical);

/* The state of a name (any case); STATE_OTHER where there is none. An empty name is RCPT. */
enum protocol_state request_state(struct text name);

#endif
