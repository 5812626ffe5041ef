/* saved.c: writes a file of lists. See saved.h. */
#include "core/data/saved.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/date.h"
#include "core/base/hash.h"

#define PATH_MOST 4096
#define END_MAX 96 /* bytes of the last line */

struct saved {
    char path[PATH_MOST];
    char fresh[PATH_MOST + 32];
    char head[128];
    FILE *file;
    struct hash_stream *hash;
    enum kind kind;
    size_t records;
    size_t size;
    int error; /* the first errno; then nothing more is written */
};

void saved_write_hash(char text[SAVED_HASH_TEXT], const uint8_t *hash)
{
    for (size_t i = 0; i < HASH_KEY_SIZE; i++)
        snprintf(text + 2 * i, 3, "%02x", hash[i]);
}

void saved_write_head(struct writer *w, const char *store)
{
    uint8_t hash[HASH_KEY_SIZE];
    char text[SAVED_HASH_TEXT];
    hash_key(store, strlen(store), hash);
    saved_write_hash(text, hash);
    write_format(w, "mongrey lists 1\nstore\t%s\n", text);
}

static void put_raw(struct saved *s, const char *data, size_t size)
{
    s->size += size;
    if (s->error == 0 && s->size > SAVED_MAX)
        s->error = EFBIG;
    if (s->error == 0 && fwrite(data, 1, size, s->file) != size)
        s->error = errno != 0 ? errno : EIO;
}

/* What the hash is of. */
static void put(struct saved *s, const char *data, size_t size)
{
    hash_stream_add(s->hash, data, size);
    put_raw(s, data, size);
}

static void put_text(struct saved *s, const char *text)
{
    put(s, text, strlen(text));
}

static void put_escaped(struct saved *s, const char *data, size_t size)
{
    size_t from = 0;
    for (size_t i = 0; i < size; i++) {
        char c = data[i];
        const char *escape = c == '\\' ? "\\\\" : c == '\t' ? "\\t" : c == '\n' ? "\\n" : "\\0";
        if (c != '\\' && c != '\t' && c != '\n' && c != '\0')
            continue;
        put(s, data + from, i - from);
        put(s, escape, 2);
        from = i + 1;
    }
    if (from < size)
        put(s, data + from, size - from);
}

/* --- One file ----------------------------------------------------------------------------------- */

/* What another of the same number left, when it was ended in the middle, goes first. */
static void open_fresh(struct saved *s)
{
    (void)unlink(s->fresh);
    int fd = open(s->fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
    s->file = fd < 0 ? NULL : fdopen(fd, "w");
    if (s->file != NULL)
        return;
    s->error = errno;
    if (fd >= 0)
        close(fd);
}

struct saved *saved_start(const char *path, const char *store, int64_t now)
{
    struct saved *s = calloc(1, sizeof(*s));
    struct hash_stream *hash = s == NULL ? NULL : hash_stream_start();
    if (hash == NULL) {
        free(s);
        return NULL;
    }
    s->hash = hash;
    int length = snprintf(s->path, sizeof(s->path), "%s", path);
    snprintf(s->fresh, sizeof(s->fresh), "%s.%ld.new", s->path, (long)getpid());
    if (length < 0 || (size_t)length >= sizeof(s->path))
        s->error = ENAMETOOLONG;
    else
        open_fresh(s);
    struct writer w = writer_on(s->head, sizeof(s->head));
    saved_write_head(&w, store);
    put_raw(s, w.start, (size_t)(w.at - w.start));
    writer_end(&w);
    char memory[64];
    w = writer_on(memory, sizeof(memory));
    write_literal(&w, "time\t");
    date_write(&w, now);
    write_literal(&w, "\n");
    put_raw(s, w.start, (size_t)(w.at - w.start));
    return s;
}

void saved_drop(struct saved *s)
{
    if (s == NULL)
        return;
    if (s->file != NULL) {
        fclose(s->file);
        unlink(s->fresh);
    }
    hash_stream_end(s->hash, NULL);
    free(s);
}

void saved_kind(struct saved *s, enum kind kind)
{
    const struct storage_kind *k = &record_kinds[kind];
    s->kind = kind;
    put_text(s, "kind\t");
    put_text(s, k->name);
    for (size_t i = 0; i < k->fields_count; i++) {
        put_text(s, "\t");
        put_text(s, k->fields[i].name);
    }
    put_text(s, "\n");
}

void saved_record(struct saved *s, const struct storage_record *record)
{
    char number[32];
    s->records++;
    put_text(s, "record\t");
    put_escaped(s, record->id, strlen(record->id));
    for (size_t i = 0; i < record_kinds[s->kind].fields_count; i++) {
        const struct storage_value *v = &record->values[i];
        put_text(s, v->type == STORAGE_NULL ? "\t" : v->type == STORAGE_TEXT ? "\t=" : "\t#");
        if (v->type == STORAGE_TEXT) {
            put_escaped(s, v->text.data, v->text.size);
        } else if (v->type != STORAGE_NULL) {
            snprintf(number, sizeof(number), "%" PRId64, v->integer);
            put_text(s, number);
        }
    }
    put_text(s, "\n");
}

/* --- Its end ------------------------------------------------------------------------------------ */

/* Whether the file that is there is of the same store and ends as this one will. */
static bool is_same(const struct saved *s, const char *end, size_t end_size)
{
    char found[sizeof(s->head)];
    struct stat stat;
    size_t head_size = strlen(s->head);
    int fd = open(s->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return false;
    bool same = fstat(fd, &stat) == 0 && S_ISREG(stat.st_mode) && stat.st_size == (off_t)s->size &&
                pread(fd, found, head_size, 0) == (ssize_t)head_size &&
                memcmp(found, s->head, head_size) == 0 &&
                pread(fd, found, end_size, stat.st_size - (off_t)end_size) == (ssize_t)end_size &&
                memcmp(found, end, end_size) == 0;
    close(fd);
    return same;
}

static void put_in_place(struct saved *s)
{
    if (fflush(s->file) != 0 || fsync(fileno(s->file)) != 0)
        s->error = errno;
    if (fclose(s->file) != 0 && s->error == 0)
        s->error = errno;
    s->file = NULL;
    if (s->error == 0 && rename(s->fresh, s->path) != 0)
        s->error = errno;
    if (s->error != 0)
        unlink(s->fresh);
}

bool saved_keep(struct saved *s, char *why, size_t size)
{
    uint8_t hash[HASH_KEY_SIZE];
    char text[SAVED_HASH_TEXT];
    char end[END_MAX];
    int counted = snprintf(end, sizeof(end), "end\t%zu\t", s->records);
    put(s, end, (size_t)counted);
    hash_stream_end(s->hash, hash);
    s->hash = NULL;
    saved_write_hash(text, hash);
    int length = snprintf(end, sizeof(end), "end\t%zu\t%s\n", s->records, text);
    put_raw(s, end + counted, (size_t)(length - counted));
    if (s->error == 0 && !is_same(s, end, (size_t)length))
        put_in_place(s);
    bool fine = s->error == 0;
    if (!fine)
        snprintf(why, size, "%s", strerror(s->error));
    saved_drop(s);
    return fine;
}
