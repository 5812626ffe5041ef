/* idn.c: see idn.h. The only file that knows libidn2 and libunistring.
 *
 * No UTS 46 mapping in idn_domain: it would make one domain of several (it drops soft hyphens, and turns circled
 * digits into plain ones), and an address that can be written in two ways is a way around a list. */
#include "core/base/idn.h"

#include <idn2.h>
#include <unicase.h>
#include <uninorm.h>
#include <unistr.h>

#include <stdlib.h>
#include <string.h>

/* NFC of IDN_NORMALISED_MAX bytes: no character grows more than threefold (UAX 15). */
#define NFC_MAX (3 * IDN_NORMALISED_MAX)

static bool is_ascii(struct text t)
{
    uint64_t bits = 0;
    size_t i = 0;
    for (; i + sizeof(bits) <= t.size; i += sizeof(bits)) {
        memcpy(&bits, t.data + i, sizeof(bits));
        if ((bits & UINT64_C(0x8080808080808080)) != 0)
            return false;
    }
    for (; i < t.size; i++) {
        if ((unsigned char)t.data[i] >= 0x80)
            return false;
    }
    return true;
}

/* Without a branch or a call a byte: every request has five names. */
static void write_lower(struct writer *out, struct text t)
{
    size_t room = (size_t)(out->end - out->at);
    size_t size = t.size < room ? t.size : room;
    out->full = out->full || size < t.size;
    char *at = out->at;
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)t.data[i];
        at[i] = (char)(c | ((unsigned char)(c - 'A') < 26) << 5);
    }
    out->at += size;
}

static void write_foreign(struct writer *out, struct text t)
{
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i < t.size; i++) {
        unsigned char byte = (unsigned char)t.data[i];
        char piece[4] = {'\\', 'X', hex[byte >> 4], hex[byte & 15]};
        if (byte >= 0x80)
            write_bytes(out, piece, sizeof(piece));
        else
            write_lower(out, (struct text){t.data + i, 1});
    }
}

/* NFC of *t into `memory` (NFC_MAX), which *t then is. */
static bool normalise(struct text *t, char *memory)
{
    size_t size = NFC_MAX;
    uint8_t *out =
        u8_normalize(UNINORM_NFC, (const uint8_t *)t->data, t->size, (uint8_t *)memory, &size);
    if (out != (uint8_t *)memory) {
        free(out); /* NULL, or memory of its own: then it was longer than it can be */
        return false;
    }
    *t = (struct text){memory, size};
    return true;
}

/* Never so that a character outside ASCII comes out as one inside: U+0130 would be an `i`. */
static uint32_t lower_label(uint32_t code)
{
    uint32_t lower = uc_tolower(code);
    return code >= 0x80 && lower < 0x80 ? code : lower;
}

static bool lower_all(struct text *t, char *memory, size_t size)
{
    struct writer w = writer_on(memory, size);
    for (size_t i = 0; i < t->size;) {
        uint32_t code = 0;
        uint8_t piece[6];
        size_t length = text_utf8(t->data + i, t->size - i, &code);
        int written = u8_uctomb(piece, lower_label(code), sizeof(piece));
        if (length == 0 || written <= 0)
            return false;
        write_bytes(&w, (const char *)piece, (size_t)written);
        i += length;
    }
    *t = writer_text(&w);
    return !w.full;
}

static bool convert(struct text domain, struct writer *out)
{
    char normal[NFC_MAX];
    char lower[NFC_MAX];
    uint8_t *found = NULL;
    if (domain.size > IDN_NORMALISED_MAX || memchr(domain.data, '\0', domain.size) != NULL ||
        u8_check((const uint8_t *)domain.data, domain.size) != NULL)
        return false;
    if (!normalise(&domain, normal) || !lower_all(&domain, lower, IDN_NORMALISED_MAX) ||
        !normalise(&domain, normal) || domain.size >= sizeof(normal))
        return false;
    normal[domain.size] = '\0';
    if (idn2_lookup_u8((const uint8_t *)normal, &found, IDN2_NO_TR46) != IDN2_OK)
        return false;
    struct text name = text_of((const char *)found);
    bool fine = name.size <= IDN_DOMAIN_MAX && is_ascii(name);
    if (fine)
        write_lower(out, name);
    idn2_free(found);
    return fine;
}

bool idn_domain(struct text domain, struct writer *out)
{
    size_t size = domain.size;
    /* Only the dot of a name that has something before it: `.` and `a..` are other names. */
    if (size > 1 && domain.data[size - 1] == '.' && domain.data[size - 2] != '.')
        domain.size--;
    if (is_ascii(domain)) {
        write_lower(out, domain);
        return true;
    }
    if (convert(domain, out))
        return true;
    write_foreign(out, domain);
    return false;
}

bool idn_mapped(struct text domain, struct writer *out)
{
    char name[IDN_NORMALISED_MAX + 1];
    uint8_t *found = NULL;
    if (domain.size > IDN_NORMALISED_MAX || memchr(domain.data, '\0', domain.size) != NULL ||
        u8_check((const uint8_t *)domain.data, domain.size) != NULL)
        return false;
    memcpy(name, domain.data, domain.size);
    name[domain.size] = '\0';
    if (idn2_lookup_u8((const uint8_t *)name, &found, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) !=
        IDN2_OK)
        return false;
    struct text mapped = text_of((const char *)found);
    bool fine = mapped.size > 0 && mapped.size <= IDN_DOMAIN_MAX && is_ascii(mapped);
    if (fine && mapped.size > 1 && mapped.data[mapped.size - 1] == '.')
        mapped.size--;
    if (fine)
        write_lower(out, mapped);
    idn2_free(found);
    return fine;
}

bool idn_local(struct text local, struct writer *out)
{
    char normal[NFC_MAX];
    char again[NFC_MAX];
    if (is_ascii(local)) {
        write_lower(out, local);
        return true;
    }
    if (u8_check((const uint8_t *)local.data, local.size) != NULL) {
        write_foreign(out, local);
        return false;
    }
    /* Lower case may let characters compose that did not before (t and U+0308). */
    if (local.size <= IDN_NORMALISED_MAX && normalise(&local, normal)) {
        struct writer w = writer_on(again, sizeof(again));
        write_lower(&w, local);
        local = writer_text(&w);
        (void)normalise(&local, normal);
    }
    write_lower(out, local);
    return true;
}
