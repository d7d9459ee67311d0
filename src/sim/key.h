/* A key pair for entries that sign with one, made anew for each run.
 * Thread: any. */
#ifndef SIM_KEY_H
#define SIM_KEY_H

#include <stdbool.h>

#include "base/buf.h"

/* Appends a private RSA key, or one of the curve P-256, in PEM. False where none could be made. */
bool sim_key_make(bool is_ec, struct buf *out);

#endif
