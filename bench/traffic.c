/*
 * traffic.c: see traffic.h. Requests are put together by hand, not by printf: the generator has to
 * be much faster than the servers that it measures.
 */
#include "traffic.h"

#include <string.h>

struct text {
    char *at;
};

#define PUT(text, literal) put_bytes(text, literal, sizeof(literal) - 1)

static void put_bytes(struct text *text, const char *bytes, size_t length)
{
    memcpy(text->at, bytes, length);
    text->at += length;
}

static void put_number(struct text *text, uint64_t number)
{
    char digits[20];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    put_bytes(text, digits + at, sizeof(digits) - at);
}

static void put_hex(struct text *text, uint64_t number, int digits)
{
    for (int digit = digits - 1; digit >= 0; digit--) {
        *text->at++ = "0123456789abcdef"[(number >> (4 * digit)) & 15];
    }
}

/* Letters only, and none of a to f: greylisters fold runs of digits and hex digits in a sender, and
 * folded senders would no longer be distinct. */
static void put_word(struct text *text, uint64_t bits, int letters)
{
    for (int letter = 0; letter < letters; letter++) {
        *text->at++ = "ghjklmnopqrstuvw"[bits & 15];
        bits >>= 4;
    }
}

/* A bijection on 64 bits (odd multipliers and shifts), so that distinct numbers stay distinct. */
static uint64_t scramble(uint64_t bits)
{
    bits = (bits ^ (bits >> 31)) * UINT64_C(0x9e6c63d0876a9a47);
    bits = (bits ^ (bits >> 29)) * UINT64_C(0xd1342543de82ef95);
    return bits ^ (bits >> 32);
}

/* First and last /24 (the upper 24 bits of the address) of what no key's client may be in, in
 * order. Reserved networks, and public ones around the addresses on the white list that postgrey
 * comes with, since a request from there would not be greylisted. */
static const struct {
    uint32_t first;
    uint32_t last;
} not_clients[] = {
    {0x000000, 0x00ffff}, /* 0.0.0.0/8, reserved */
    {0x0a0000, 0x0affff}, /* 10.0.0.0/8, private */
    {0x330000, 0x33ffff}, /* 51.0.0.0/8 */
    {0x420000, 0x42ffff}, /* 66.0.0.0/8 */
    {0x500000, 0x50ffff}, /* 80.0.0.0/8 */
    {0x644000, 0x647fff}, /* 100.64.0.0/10, reserved */
    {0x7f0000, 0x7fffff}, /* 127.0.0.0/8, loopback */
    {0x940000, 0x94ffff}, /* 148.0.0.0/8 */
    {0xa9fe00, 0xa9feff}, /* 169.254.0.0/16, link-local */
    {0xac1000, 0xac1fff}, /* 172.16.0.0/12, private */
    {0xc00000, 0xc00002}, /* 192.0.0.0/24 to 192.0.2.0/24, reserved */
    {0xc05863, 0xc05863}, /* 192.88.99.0/24, reserved */
    {0xc0a800, 0xc0a8ff}, /* 192.168.0.0/16, private */
    {0xc10000, 0xc3ffff}, /* 193.0.0.0/8 to 195.0.0.0/8 */
    {0xc60000, 0xc6ffff}, /* 198.0.0.0/8, also 198.18.0.0/15 and 198.51.100.0/24, reserved */
    {0xcb0071, 0xcb0071}, /* 203.0.113.0/24, documentation */
    {0xcd0000, 0xceffff}, /* 205.0.0.0/8 and 206.0.0.0/8 */
    {0xd50000, 0xd5ffff}, /* 213.0.0.0/8 */
    {0xd80000, 0xd8ffff}, /* 216.0.0.0/8 */
    {0xe00000, 0xffffff}, /* multicast and reserved */
};

enum { NOT_CLIENTS = sizeof(not_clients) / sizeof(not_clients[0]), NETWORKS = 1 << 24 };

static uint32_t count_client_networks(void)
{
    uint32_t count = NETWORKS;
    for (int i = 0; i < NOT_CLIENTS; i++) {
        count -= not_clients[i].last - not_clients[i].first + 1;
    }
    return count;
}

static uint32_t client_network(uint32_t rank)
{
    uint32_t network = rank;
    for (int i = 0; i < NOT_CLIENTS && network >= not_clients[i].first; i++) {
        network += not_clients[i].last - not_clients[i].first + 1;
    }
    return network;
}

/* The networks in an order that depends on the seed: a bijection on 24 bits, applied again while it
 * leads out of the numbers of networks that may be used, which keeps it one to one among those. */
static uint32_t network_of(uint32_t seed, uint64_t number)
{
    uint32_t count = count_client_networks();
    uint32_t rank = (uint32_t)(number % count);
    uint32_t step = (uint32_t)scramble(seed) | 1u;
    do {
        for (int round = 0; round < 3; round++) {
            rank = (rank * 0x5bd1e5u + step) & (NETWORKS - 1);
            rank ^= rank >> 11;
        }
    } while (rank >= count);
    return client_network(rank);
}

static void put_client(struct text *text, uint32_t seed, uint64_t number, uint64_t bits)
{
    uint32_t network = network_of(seed, number);
    PUT(text, "client_address=");
    put_number(text, network >> 16);
    PUT(text, ".");
    put_number(text, (network >> 8) & 255);
    PUT(text, ".");
    put_number(text, network & 255);
    PUT(text, ".");
    put_number(text, 1 + (bits >> 40) % 254);
    PUT(text, "\nclient_name=mail.");
    put_word(text, bits, 16);
    PUT(text, ".example\nclient_port=");
    put_number(text, 32768 + (bits >> 20) % 28000);
    PUT(text, "\nreverse_client_name=mail.");
    put_word(text, bits, 16);
    PUT(text, ".example\nserver_address=192.0.2.25\nserver_port=25\nhelo_name=mail.");
    put_word(text, bits, 16);
    PUT(text, ".example\n");
}

static void put_envelope(struct text *text, uint64_t bits)
{
    PUT(text, "sender=");
    put_word(text, bits >> 32, 7);
    PUT(text, "@");
    put_word(text, bits, 16);
    PUT(text, ".example\nrecipient=");
    put_word(text, scramble(bits), 16);
    PUT(text, "@school.example\nrecipient_count=0\nqueue_id=\n");
}

size_t traffic_request(char *out, uint32_t seed, uint64_t number, uint64_t message,
                       uint64_t test_time)
{
    struct text text = {out};
    /* 40 bits of number, 24 of seed: this is what keeps the keys of two seeds apart. */
    uint64_t bits = scramble((uint64_t)seed << 40 | (number & UINT64_C(0xffffffffff)));
    PUT(&text, "request=smtpd_access_policy\nprotocol_state=RCPT\nprotocol_name=ESMTP\n");
    put_client(&text, seed, number, bits);
    put_envelope(&text, bits);
    PUT(&text, "instance=");
    put_hex(&text, message >> 20, 4);
    PUT(&text, ".67c0a3f1.");
    put_hex(&text, message, 5);
    PUT(&text, ".");
    put_hex(&text, seed, 6);
    PUT(&text, "\nsize=");
    put_number(&text, 1800 + bits % 60000);
    PUT(&text, "\netrn_domain=\nstress=\nsasl_method=\nsasl_username=\nsasl_sender=\n"
               "ccert_subject=\nccert_issuer=\nccert_fingerprint=\nccert_pubkey_fingerprint=\n"
               "encryption_protocol=TLSv1.3\nencryption_cipher=TLS_AES_256_GCM_SHA384\n"
               "encryption_keysize=256\npolicy_context=\n");
    if (test_time > 0) {
        PUT(&text, "policy_test_time=");
        put_number(&text, test_time);
        PUT(&text, "\n");
    }
    PUT(&text, "\n");
    return (size_t)(text.at - out);
}
