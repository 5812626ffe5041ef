/* addr.c: see addr.h. */
#include "core/base/addr.h"

#include <arpa/inet.h>
#include <string.h>

bool addr_parse(struct text t, struct addr *addr)
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    char copy[ADDR_TEXT_MAX];
    memset(addr, 0, sizeof(*addr));
    if (t.size == 0 || t.size >= sizeof(copy) || memchr(t.data, '\0', t.size) != NULL)
        return false;
    memcpy(copy, t.data, t.size);
    copy[t.size] = '\0';
    if (inet_pton(AF_INET, copy, addr->bytes) == 1) {
        addr->family = ADDR_IPV4;
        return true;
    }
    if (inet_pton(AF_INET6, copy, addr->bytes) != 1)
        return false;
    addr->family = ADDR_IPV6;
    if (memcmp(addr->bytes, mapped, sizeof(mapped)) == 0) {
        memmove(addr->bytes, addr->bytes + 12, 4);
        memset(addr->bytes + 4, 0, 12);
        addr->family = ADDR_IPV4;
    }
    return true;
}

void addr_write(struct writer *w, const struct addr *addr)
{
    char out[INET6_ADDRSTRLEN];
    int family = addr->family == ADDR_IPV4 ? AF_INET : AF_INET6;
    if (addr->family != ADDR_NONE && inet_ntop(family, addr->bytes, out, sizeof(out)) != NULL)
        write_literal(w, out);
}

bool addr_equal(const struct addr *a, const struct addr *b)
{
    return a->family == b->family && memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

static unsigned longest_prefix(const struct addr *addr)
{
    return addr->family == ADDR_IPV4 ? 32 : 128;
}

struct network network_around(const struct addr *addr, unsigned prefix)
{
    struct network n = {.addr = *addr};
    unsigned longest = longest_prefix(addr);
    n.prefix = (uint8_t)(prefix > longest ? longest : prefix);
    for (unsigned i = 0; i < sizeof(n.addr.bytes); i++) {
        unsigned first = i * 8;
        if (first >= n.prefix)
            n.addr.bytes[i] = 0;
        else if (n.prefix - first < 8)
            n.addr.bytes[i] &= (uint8_t)(0xff00u >> (n.prefix - first));
    }
    return n;
}

bool network_parse(struct text t, struct network *network, const char **why)
{
    struct text rest = t;
    struct text host;
    struct addr addr;
    int64_t prefix = -1;
    memset(network, 0, sizeof(*network));
    *why = "is not an IP address or network";
    if (!text_split(&rest, '/', &host) || !addr_parse(host, &addr))
        return false;
    if (rest.data == NULL)
        prefix = longest_prefix(&addr);
    else if (rest.size > 3 || !text_number(rest, &prefix) || rest.data[0] == '-')
        prefix = -1;
    else if (addr.family == ADDR_IPV4 && memchr(host.data, ':', host.size) != NULL)
        prefix -= 96; /* the length of an IPv4-mapped network counts from the 128 bits */
    *why = "has a prefix length out of range";
    if (prefix < 0 || prefix > longest_prefix(&addr))
        return false;
    *network = network_around(&addr, (unsigned)prefix);
    *why = "has bits set behind its prefix length";
    return addr_equal(&network->addr, &addr);
}

void network_write(struct writer *w, const struct network *network)
{
    addr_write(w, &network->addr);
    if (network->prefix == longest_prefix(&network->addr))
        return;
    write_literal(w, "/");
    write_number(w, network->prefix);
}

bool network_contains(const struct network *network, const struct addr *addr)
{
    unsigned whole = network->prefix / 8;
    unsigned left = network->prefix % 8;
    if (network->addr.family != addr->family)
        return false;
    if (memcmp(network->addr.bytes, addr->bytes, whole) != 0)
        return false;
    return left == 0 || (network->addr.bytes[whole] ^ addr->bytes[whole]) >> (8 - left) == 0;
}

bool addr_is_private(const struct addr *addr)
{
    const uint8_t *b = addr->bytes;
    if (addr->family == ADDR_IPV4)
        return b[0] == 10 || b[0] == 127 || (b[0] == 172 && (b[1] & 0xf0) == 16) ||
               (b[0] == 192 && b[1] == 168) || (b[0] == 169 && b[1] == 254);
    if (addr->family != ADDR_IPV6)
        return false;
    static const uint8_t loopback[16] = {[15] = 1};
    return (b[0] & 0xfe) == 0xfc || (b[0] == 0xfe && (b[1] & 0xc0) == 0x80) ||
           memcmp(b, loopback, sizeof(loopback)) == 0;
}
