/* json.h: a text as a JSON string (RFC 8259), whatever its bytes. */
#ifndef MONGREY_JSON_H
#define MONGREY_JSON_H

#include "core/base/text.h"

/*
 * Writes it in quotes, in at most `limit` bytes between them, and never a part of a character. What is no
 * UTF-8 becomes the text \xHH, as in write_escaped; controls and what moves or hides text beside it become
 * \uHHHH, which a reader turns back.
 */
void write_json(struct writer *w, struct text t, size_t limit);

#endif
