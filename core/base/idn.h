/*
 * idn.h: mail addresses outside ASCII (SMTPUTF8, RFC 6531) in the one form in which they are
 * compared. Fuzzed.
 *
 * Two inputs come out the same only if they differ in ASCII letter case, in Unicode normalisation,
 * in U-label against A-label, in the letter case of a U-label, or by a domain's trailing dot. What
 * cannot be brought into form is escaped: each byte outside ASCII becomes \Xhh; since nothing else
 * comes out with a capital letter, no such text is also another's.
 *
 * The writer needs room for IDN_ROOM(size); where it is too small (`full`), what was written
 * is not to be compared. Any thread. ASCII costs one pass and no memory.
 */
#ifndef MONGREY_IDN_H
#define MONGREY_IDN_H

#include <stdbool.h>

#include "core/base/text.h"

/* No input grows more. */
#define IDN_ROOM(size) (4 * (size) + 8)
/* Longer inputs outside ASCII are not normalised. */
#define IDN_NORMALISED_MAX 1024
#define IDN_DOMAIN_MAX 255

/* A-labels (IDNA2008), in lower case, without one trailing dot. ASCII is not judged. False: it
 * could not be converted, and was escaped. */
bool idn_domain(struct text domain, struct writer *out);
/* The A-labels that a resolver asks for: as above after UTS 46's mapping (non-transitional, as Postfix
 * does it), which makes one name of several. For what idn_domain escapes. False: nothing was written. */
bool idn_mapped(struct text domain, struct writer *out);
/* NFC, ASCII letters in lower case. False: it is no UTF-8, and was escaped. */
bool idn_local(struct text local, struct writer *out);

#endif
