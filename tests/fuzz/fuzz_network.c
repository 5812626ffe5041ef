/* fuzz_network.c: a network that is written and read again is the same network. */
#include "tests/fuzz/fuzz.h"

#include "core/base/addr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char memory[NETWORK_TEXT_MAX];
    struct writer w = writer_on(memory, sizeof(memory));
    struct writer v = writer_on(memory, sizeof(memory));
    struct text t = fuzz_text(data, size);
    struct network n;
    struct network again;
    struct addr a;
    const char *why = NULL;
    if (addr_parse(t, &a)) {
        struct addr b;
        addr_write(&v, &a);
        HOLDS(!v.full && addr_parse(writer_text(&v), &b) && addr_equal(&a, &b));
        HOLDS(network_parse(t, &n, &why) && network_contains(&n, &a));
    }
    if (!network_parse(t, &n, &why)) {
        HOLDS(why != NULL);
        return 0;
    }
    HOLDS(n.prefix <= (n.addr.family == ADDR_IPV4 ? 32 : 128));
    HOLDS(network_contains(&n, &n.addr));
    network_write(&w, &n);
    HOLDS(!w.full && network_parse(writer_text(&w), &again, &why));
    HOLDS(again.prefix == n.prefix && addr_equal(&again.addr, &n.addr));
    return 0;
}
