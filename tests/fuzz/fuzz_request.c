/* fuzz_request.c: the bytes of a connection: however they are cut, they are the same requests, and
 * nothing in them gets into an answer or a log line as it is. */
#include "tests/fuzz/fuzz.h"

#include "core/base/hash.h"
#include "core/policy/instances.h"
#include "core/policy/logline.h"
#include "core/policy/pipeline.h"
#include "core/policy/prepare.h"

struct framing {
    enum request_status status;
    size_t size;
};

/* The bytes of each step in memory of their own. */
static struct framing frame_in_steps(struct text t, size_t step, uint64_t seed)
{
    struct request_frame frame = {0, 0};
    struct framing f = {REQUEST_MORE, 0};
    const char *why = NULL;
    for (size_t end = 0; f.status == REQUEST_MORE && end < t.size;) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        end += step > 0 ? step : 1 + (seed >> 33) % 900;
        end = end > t.size ? t.size : end;
        char *copy = malloc(end);
        HOLDS(copy != NULL);
        memcpy(copy, t.data, end);
        f.status = request_frame(&frame, (struct text){copy, end}, &f.size, &why);
        free(copy);
        HOLDS(f.status != REQUEST_BAD || why != NULL);
        HOLDS(f.status != REQUEST_WHOLE || (f.size > 0 && f.size <= end));
    }
    return f;
}

static void expect_within(struct text whole, struct text part)
{
    HOLDS(part.data == NULL ||
          (part.data >= whole.data && part.data + part.size <= whole.data + whole.size));
    HOLDS(part.data != NULL || part.size == 0);
    HOLDS(part.size == 0 || memchr(part.data, '\n', part.size) == NULL);
}

static void expect_told(struct inquiry *q)
{
    char reply[VERDICT_TEXT_MAX + 16];
    char line[LOGLINE_MAX];
    struct writer w = writer_on(reply, sizeof(reply));
    struct writer l = writer_on(line, sizeof(line));
    memcpy(q->verdict.id, "0123456789abcdef", ID_SIZE + 1);
    verdict_write_reply(&w, &q->verdict);
    struct text r = writer_text(&w);
    HOLDS(!w.full && r.size > 10 && memcmp(r.data, "action=", 7) == 0);
    HOLDS(r.data[r.size - 1] == '\n' && r.data[r.size - 2] == '\n');
    HOLDS(fuzz_is_printable((struct text){r.data, r.size - 2}));
    logline_write(&l, FORMAT_TEXT, &q->verdict, &q->request);
    struct text told = writer_text(&l);
    HOLDS(!l.full && fuzz_is_printable(told));
    HOLDS(told.size > 21);
    HOLDS(memcmp(told.data + told.size - 21, ", id=", 5) == 0);
    /* One action, one reason, one id: nothing that came in looks like another. */
    const char *first = memmem(told.data, told.size, ", id=", 5);
    HOLDS(first == told.data + told.size - 21);
    for (enum log_format other = FORMAT_JSON; other <= FORMAT_MONGREY; other++) {
        l = writer_on(line, sizeof(line));
        logline_write(&l, other, &q->verdict, &q->request);
        HOLDS(!l.full && fuzz_is_printable(writer_text(&l)));
    }
}

static void decide_one(struct text bytes)
{
    static struct settings *settings;
    static struct instances instances;
    static struct snapshot *snapshot;
    static char canonical[PREPARE_MEMORY_MAX];
    struct settings_sources sources = {0};
    struct settings_error error;
    struct inquiry q = {0};
    const char *why = NULL;
    if (settings == NULL) {
        HOLDS(hash_start());
        settings = settings_load_text(&sources, (struct text){NULL, 0}, "", &error);
        snapshot = snapshot_make();
        HOLDS(snapshot != NULL && snapshot_seal(snapshot));
    }
    HOLDS(settings != NULL);
    if (!request_parse(bytes, &q.request, &why)) {
        HOLDS(why != NULL);
        return;
    }
    prepare(&q.request, INT64_C(1700000000000), true, canonical);
    for (int i = 0; i < ATTRIBUTES; i++)
        expect_within(bytes, q.request.attribute[i]);
    expect_within(q.request.canonical, q.request.sender.whole);
    expect_within(q.request.canonical, q.request.recipient.domain);
    q.settings = settings;
    q.snapshot = snapshot;
    q.instances = &instances;
    q.host = "mx.example";
    if (!pipeline_run(&q)) {
        q.status = STORAGE_OK;
        q.row = (struct storage_row){.first_seen = q.request.now - 1000,
                                     .tries = 1 + (uint32_t)bytes.size % 2,
                                     .passes = (uint32_t)bytes.size % 3};
        HOLDS(pipeline_resume(&q));
    }
    expect_told(&q);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct text t = fuzz_text(data, size);
    while (t.size > 0) {
        struct framing whole = frame_in_steps(t, t.size, 0);
        struct framing parts = frame_in_steps(t, 0, size * 31 + data[0]);
        HOLDS(whole.status == parts.status && whole.size == parts.size);
        if (t.size <= 2048) {
            struct framing bytes = frame_in_steps(t, 1, 0);
            HOLDS(whole.status == bytes.status && whole.size == bytes.size);
        }
        if (whole.status != REQUEST_WHOLE)
            break;
        decide_one((struct text){t.data, whole.size});
        t = (struct text){t.data + whole.size, t.size - whole.size};
    }
    return 0;
}
