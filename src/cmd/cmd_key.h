/* Keys in files, as `bursar init` makes them.
 * Thread: the program's only one. */
#ifndef CMD_CMD_KEY_H
#define CMD_CMD_KEY_H

#include <stdbool.h>

#include "base/buf.h"

/* Reads the one line of a CURVE key's file into a secret buffer. false where there is none, which was
 * printed. */
bool cmd_key_read(const char *path, struct buf *out);

#endif
