/*
 * listfile.h: postgrey's list files, read as postgrey 1.37 reads them: one entry a line, `#` begins
 * a comment. A comment above entries, without an empty line between, is theirs.
 */
#ifndef MONGREY_LISTFILE_H
#define MONGREY_LISTFILE_H

#include "core/base/arena.h"
#include "core/policy/value.h"

#define LISTFILE_MAX (16u * 1024 * 1024)
#define LISTFILE_COMMENT_MAX 255 /* characters; longer ones are cut */

/* An entry of a list here. One line of the file may make two. */
struct listfile_entry {
    unsigned line;
    enum field field;
    struct text value;    /* canonical */
    struct text comments; /* may be empty */
};

struct listfile_sink {
    /* Lends an entry; its texts lie in the arena. */
    void (*entry)(void *context, const struct listfile_entry *entry);
    /* `what` is a sentence without the place; `refused`: nothing was made of the line, else it was
     * read otherwise than postgrey would. */
    void (*said)(void *context, unsigned line, const char *what, bool refused);
    void *context;
    struct arena *arena;
};

/* Whether a file of that name has recipients: postgrey's are called whitelist_recipients. */
bool listfile_has_recipients(const char *path);
void listfile_read(struct text file, bool recipients, const struct listfile_sink *sink);

#endif
