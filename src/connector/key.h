/* Keys made anew, for who tries an entry that signs with one.
 * Thread: any. */
#ifndef CONNECTOR_KEY_H
#define CONNECTOR_KEY_H

#include <stdbool.h>

#include "base/buf.h"

/* Appends a private RSA key, or one of the curve P-256, in PEM. False where none could be made. */
bool key_make(bool is_ec, struct buf *out);

#endif
