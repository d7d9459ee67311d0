/* Z85 (ZeroMQ RFC 32): how CURVE keys are written.
 * Thread: any; pure functions. */
#ifndef BASE_Z85_H
#define BASE_Z85_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

/* Decodes len / 4 × 5 characters to len bytes (a multiple of 4); false for anything else, and then some
 * of out may be written. */
bool z85_decode(struct text text, size_t len, uint8_t *out);
/* Encodes len bytes (a multiple of 4) to len / 4 × 5 characters and a NUL. */
void z85_encode(const uint8_t *bytes, size_t len, char *out);

#endif
