/* Base64 (RFC 4648) into buffers.
 * Thread: the buffer's owner. */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include "base/buf.h"
#include "base/text.h"

/* Appends the encoded bytes with padding; failures stay in the buffer. */
void base64_append(struct buf *out, struct text bytes);
/* RFC 4648 section 5, without padding. */
void base64url_append(struct buf *out, struct text bytes);

#endif
