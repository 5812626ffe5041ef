/* fuzz_endpoint.c: an endpoint's pieces lie in its text, and put together again they are it. */
#include "tests/fuzz/fuzz.h"

#include "core/base/endpoint.h"

static bool lies_in(struct text t, struct text piece)
{
    return piece.size == 0 || (piece.data >= t.data && piece.data + piece.size <= t.data + t.size);
}

static void write_endpoint(struct writer *w, const struct endpoint *e)
{
    write_literal(w, e->path.size > 0 ? "unix:" : "[");
    write_text(w, e->path.size > 0 ? e->path : e->host);
    write_literal(w, e->path.size > 0 ? "" : "]");
    if (e->port >= 0)
        write_format(w, ":%d", e->port);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char memory[ENDPOINT_HOST_MAX + 64];
    struct writer w = writer_on(memory, sizeof(memory));
    struct text t = fuzz_text(data, size);
    struct endpoint e;
    struct endpoint again;
    const char *why = NULL;
    if (!endpoint_parse(t, &e, &why)) {
        HOLDS(why != NULL);
        return 0;
    }
    HOLDS(lies_in(t, e.path) && lies_in(t, e.host));
    HOLDS((e.path.size > 0) != (e.host.size > 0));
    HOLDS(e.path.size <= ENDPOINT_PATH_MAX && e.host.size <= ENDPOINT_HOST_MAX);
    HOLDS(e.port >= -1 && e.port <= 65535);
    HOLDS(e.path.size == 0 || memchr(e.path.data, '\0', e.path.size) == NULL);
    write_endpoint(&w, &e);
    HOLDS(endpoint_parse(writer_text(&w), &again, &why));
    HOLDS(text_equal(e.path, again.path) && text_equal(e.host, again.host));
    HOLDS(e.port == again.port);
    return 0;
}
