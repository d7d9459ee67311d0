/* The escapes that JSON strings and JSONPath literals share, and the characters they stand for.
 * Thread: any; pure functions. */
#ifndef WIRE_ESCAPE_H
#define WIRE_ESCAPE_H

#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

/* Reads the digits that stand behind a `\u`, and for the first half of a surrogate pair the second
 * half with its own `\u` too (RFC 8259 section 7). Bytes that were read; 0 where there are no four
 * hexadecimal digits. Half a pair gives ESCAPE_HALF_PAIR, and only its own digits count. */
size_t escape_read(struct text text, uint32_t *out_point);
#define ESCAPE_HALF_PAIR UINT32_MAX

/* What a one-letter escape stands for (`\n`: a newline); 0 where JSON has no such escape. */
char escape_letter(char letter);

/* Writes a character as UTF-8 and gives its length. */
size_t escape_utf8(uint32_t point, char out[static 4]);

#endif
