/* listfile.c: see listfile.h. */
#include "core/data/listfile.h"

#include <stdio.h>
#include <string.h>

#define COMMENT_BYTES (LISTFILE_COMMENT_MAX * 4)

struct reading {
    const struct listfile_sink *sink;
    unsigned line;
    struct text comments; /* of this line's entries */
    char memory[COMMENT_BYTES];
    struct writer above; /* the comment lines so far */
    bool used;           /* by an entry: the next comment line begins anew */
};

static void say(struct reading *r, bool refused, struct text entry, const char *what)
{
    char text[600];
    struct writer w = writer_on(text, sizeof(text));
    write_literal(&w, "`");
    write_escaped(&w, entry, "", 100);
    write_literal(&w, "` ");
    write_literal(&w, what);
    r->sink->said(r->sink->context, r->line, writer_end(&w), refused);
}

static void refuse(struct reading *r, struct text entry, const char *what)
{
    say(r, true, entry, what);
}

/* --- Entries ------------------------------------------------------------------------------------ */

/* `value` is what is entered for what the line has. False: it is refused. */
static bool enter(struct reading *r, struct text entry, enum field field, struct text value,
                  struct value *parsed)
{
    char why[VALUE_WHY_MAX];
    char memory[VALUE_MAX];
    struct writer w = writer_on(memory, sizeof(memory));
    if (!value_parse(field, value, r->sink->arena, parsed, why, sizeof(why))) {
        refuse(r, entry, why);
        return false;
    }
    value_write(&w, parsed);
    struct listfile_entry e = {
        .line = r->line,
        .field = field,
        .value = {arena_copy(r->sink->arena, writer_text(&w)), writer_text(&w).size},
        .comments = {arena_copy(r->sink->arena, r->comments), r->comments.size},
    };
    if (e.value.data == NULL || e.comments.data == NULL) {
        refuse(r, entry, "finds no memory");
        return false;
    }
    r->sink->entry(r->sink->context, &e);
    return true;
}

/* The name itself and all below it. */
static void enter_domain(struct reading *r, struct text entry, enum field field)
{
    char memory[VALUE_MAX + 2];
    struct writer w = writer_on(memory, sizeof(memory));
    struct value parsed;
    if (entry.data[0] != '.')
        write_literal(&w, ".");
    write_text(&w, entry);
    if (w.full)
        refuse(r, entry, "is too long");
    else
        enter(r, entry, field, writer_text(&w), &parsed);
}

static bool is_pattern(struct text t)
{
    return t.size > 2 && t.data[0] == '/' && t.data[t.size - 1] == '/';
}

static bool is_numeric(struct text t)
{
    for (size_t i = 0; i < t.size; i++) {
        if ((t.data[i] < '0' || t.data[i] > '9') && t.data[i] != '.' && t.data[i] != '/')
            return false;
    }
    return true;
}

/* `192.0.2` and `192.0`: what they are the beginning of. */
static bool read_part(struct text t, struct network *network)
{
    char memory[32];
    struct writer w = writer_on(memory, sizeof(memory));
    unsigned dots = 0;
    for (size_t i = 0; i < t.size; i++)
        dots += t.data[i] == '.';
    if (dots < 1 || dots > 2 || text_has(t, "/") || t.size > 11)
        return false;
    write_text(&w, t);
    write_literal(&w, dots == 1 ? ".0.0/16" : ".0/24");
    const char *why;
    return network_parse(writer_text(&w), network, &why);
}

/* Postgrey takes a network whose address has bits behind its length; it is the one around it. */
static bool read_around(struct text t, struct network *network)
{
    struct text rest = t;
    struct text address;
    struct addr addr;
    int64_t length;
    if (!text_split(&rest, '/', &address) || rest.data == NULL || !addr_parse(address, &addr) ||
        !text_number(rest, &length) || length < 0 || length > (addr.family == ADDR_IPV4 ? 32 : 128))
        return false;
    *network = network_around(&addr, (unsigned)length);
    return true;
}

static void enter_network(struct reading *r, struct text entry)
{
    char memory[NETWORK_TEXT_MAX];
    struct writer w = writer_on(memory, sizeof(memory));
    struct network network;
    struct value parsed;
    const char *why = "";
    if (!network_parse(entry, &network, &why) && !read_part(entry, &network) &&
        !read_around(entry, &network)) {
        refuse(r, entry, why);
        return;
    }
    network_write(&w, &network);
    if (network.prefix == 16 && !text_has(entry, "/") && !text_has(entry, ":"))
        say(r, false, entry,
            "is read as a /16, as postgrey's manual has it; postgrey itself takes only the first "
            "/24 of it");
    enter(r, entry, FIELD_CLIENT_ADDRESS, writer_text(&w), &parsed);
}

static void read_client(struct reading *r, struct text entry)
{
    struct value parsed;
    if (is_pattern(entry))
        enter(r, entry, FIELD_CLIENT_NAME, entry, &parsed);
    else if (is_numeric(entry) || text_has(entry, ":"))
        enter_network(r, entry);
    else
        enter_domain(r, entry, FIELD_CLIENT_NAME);
}

/* Postgrey's `user@` and `user@domain` take user+anything, too. `address` is canonical. */
static void enter_detailed(struct reading *r, struct text entry, struct text address)
{
    char memory[2 * VALUE_MAX + 32];
    struct writer w = writer_on(memory, sizeof(memory));
    struct value parsed;
    size_t local = address.size;
    while (local > 0 && address.data[local - 1] != '@')
        local--;
    write_literal(&w, "/^");
    for (size_t i = 0; i < address.size; i++) {
        char c = address.data[i];
        char folded = text_lower(c);
        if (i + 1 == local)
            write_literal(&w, "\\+[^@]+");
        if (c > ' ' && c <= '~' && !(folded >= 'a' && folded <= 'z') && !(c >= '0' && c <= '9') &&
            c != '@' && c != '_')
            write_literal(&w, "\\");
        write_bytes(&w, &c, 1);
    }
    write_literal(&w, local < address.size ? "$/" : "/");
    if (w.full || writer_text(&w).size > VALUE_MAX)
        say(r, false, entry, "is too long to be read with +details as well");
    else
        enter(r, entry, FIELD_RECIPIENT, writer_text(&w), &parsed);
}

static void read_recipient(struct reading *r, struct text entry)
{
    char memory[VALUE_MAX];
    struct writer w = writer_on(memory, sizeof(memory));
    struct value parsed;
    if (!is_pattern(entry) && !text_has(entry, "@")) {
        enter_domain(r, entry, FIELD_RECIPIENT);
        return;
    }
    if (!enter(r, entry, FIELD_RECIPIENT, entry, &parsed))
        return;
    if (parsed.kind != VALUE_USER && parsed.kind != VALUE_MAILBOX)
        return;
    value_write(&w, &parsed);
    enter_detailed(r, entry, writer_text(&w));
}

/* --- Lines -------------------------------------------------------------------------------------- */

/* As much of it as a comment may have, tabs as blanks; what is no printable text is shown as bytes. */
static struct text write_comment(struct writer *w, struct text t)
{
    struct text part;
    while (text_split(&t, '\t', &part)) {
        if (text_is_printable(part))
            write_text(w, part);
        else
            write_escaped(w, part, "", COMMENT_BYTES);
        if (t.data != NULL)
            write_literal(w, " ");
    }
    struct text all = writer_text(w);
    size_t at = 0;
    for (size_t count = 0; at < all.size && count < LISTFILE_COMMENT_MAX; count++) {
        uint32_t code = 0;
        size_t length = text_utf8(all.data + at, all.size - at, &code);
        at += length == 0 ? 1 : length;
    }
    w->at = w->start + at;
    w->full = false;
    return writer_text(w);
}

static struct text strip(struct text t)
{
    while (t.size > 0 && t.data[0] == '#') {
        t.data++;
        t.size--;
    }
    return text_trim(t);
}

static bool is_ruler(struct text t)
{
    for (size_t i = 0; i < t.size; i++) {
        if (t.data[i] != '-' && t.data[i] != '=' && t.data[i] != '*')
            return false;
    }
    return true;
}

static void read_comment(struct reading *r, struct text t)
{
    if (r->used)
        r->above.at = r->above.start;
    r->used = false;
    t = strip(t);
    if (is_ruler(t))
        return;
    if (r->above.at > r->above.start)
        write_literal(&r->above, " ");
    (void)write_comment(&r->above, t);
}

static void read_entry(struct reading *r, struct text entry, struct text behind, bool recipients)
{
    char memory[COMMENT_BYTES];
    struct writer w = writer_on(memory, sizeof(memory));
    r->used = true;
    behind = strip(behind);
    r->comments = behind.size > 0 ? write_comment(&w, behind) : writer_text(&r->above);
    for (size_t i = 0; i < entry.size; i++) {
        if (entry.data[i] == ' ' || entry.data[i] == '\t') {
            refuse(r, entry, "has blanks in it; write one entry a line");
            return;
        }
    }
    if (recipients)
        read_recipient(r, entry);
    else
        read_client(r, entry);
}

bool listfile_has_recipients(const char *path)
{
    const char *slash = strrchr(path, '/');
    return strstr(slash != NULL ? slash : path, "recipients") != NULL;
}

void listfile_read(struct text file, bool recipients, const struct listfile_sink *sink)
{
    struct reading r = {.sink = sink};
    struct text line;
    r.above = writer_on(r.memory, sizeof(r.memory));
    while (text_split(&file, '\n', &line)) {
        struct text rest = line;
        struct text entry;
        r.line++;
        if (!text_split(&rest, '#', &entry))
            continue; /* the end of the file */
        entry = text_trim(entry);
        if (entry.size > 0)
            read_entry(&r, entry, rest, recipients);
        else if (rest.data != NULL)
            read_comment(&r, rest);
        else
            r.above.at = r.above.start; /* an empty line ends what is said above */
    }
}
