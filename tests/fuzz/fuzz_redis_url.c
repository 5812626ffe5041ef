/* fuzz_redis_url.c: the place of a Redis is read whole or refused with a reason. */
#include "tests/fuzz/fuzz.h"

#include "core/base/redis_url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = arena_make(64 * 1024);
    struct text t = fuzz_text(data, size);
    struct redis_url r;
    const char *why = NULL;
    if (!redis_url_parse(&arena, t, &r, &why)) {
        HOLDS(why != NULL && why[0] != '\0');
        arena_free(&arena);
        return 0;
    }
    bool is_socket = r.host[0] == '\0';
    HOLDS(redis_url_is(t));
    HOLDS(is_socket ? r.path[0] == '/' && strlen(r.path) <= 107 : r.path[0] == '\0');
    HOLDS(is_socket || r.port > 0);
    HOLDS(strpbrk(r.host, "[],") == NULL);
    HOLDS(r.timeout >= 10 && r.timeout <= 5000);
    HOLDS(r.database <= 65535);
    HOLDS(r.user[0] == '\0' || r.password[0] != '\0');
    HOLDS(strlen(r.host) + strlen(r.path) + strlen(r.user) + strlen(r.password) <= size);
    arena_free(&arena);
    return 0;
}
