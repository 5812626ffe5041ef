/* addr.h: IP addresses and networks. IPv4-mapped IPv6 (::ffff:a.b.c.d) is IPv4 everywhere. */
#ifndef MONGREY_ADDR_H
#define MONGREY_ADDR_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/text.h"

enum addr_family { ADDR_NONE = 0, ADDR_IPV4 = 4, ADDR_IPV6 = 6 };

struct addr {
    uint8_t family; /* enum addr_family */
    uint8_t bytes[16];
};

struct network {
    struct addr addr; /* host bits are zero */
    uint8_t prefix;   /* at most 32 or 128 */
};

#define ADDR_TEXT_MAX 46
#define NETWORK_TEXT_MAX 50

/* Text as Postfix sends it (no brackets, no zone). False, and family ADDR_NONE, for anything else.
 */
bool addr_parse(struct text t, struct addr *addr);
void addr_write(struct writer *w, const struct addr *addr);
bool addr_equal(const struct addr *a, const struct addr *b);
/* `address` or `address/length`; bits behind the length must be zero, or *why says so. */
bool network_parse(struct text t, struct network *network, const char **why);
/* `address/length`, or just the address where the network is one. */
void network_write(struct writer *w, const struct network *network);
bool network_contains(const struct network *network, const struct addr *addr);
/* The network of that prefix around an address; a longer prefix than the family has is cut. */
struct network network_around(const struct addr *addr, unsigned prefix);
/* RFC 1918, loopback, link-local (RFC 3927, RFC 4291), unique-local (RFC 4193). */
bool addr_is_private(const struct addr *addr);

#endif
