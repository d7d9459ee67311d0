/* Numbers as they are written (RFC 8259 section 6), of any length and without rounding.
 * Thread: any; pure functions. */
#ifndef CONNECTOR_DECIMAL_H
#define CONNECTOR_DECIMAL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"

/* Bytes of the number that text begins with; 0 where it begins with none. */
size_t decimal_len(struct text text);
bool decimal_is(struct text text); /* the whole text is one number */

/* Whether two numbers are the same: 1, 1.0 and 10e-1 are, two beyond what a double tells apart are
 * not. Both are decimal_is(). Exponents of more than 17 digits count as equal. */
bool decimal_equal(struct text a, struct text b);

#endif
