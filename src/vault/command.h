/* What a program prints, for keys that another program keeps.
 * Thread: any; waits for the program. */
#ifndef VAULT_COMMAND_H
#define VAULT_COMMAND_H

#include "base/buf.h"

#define COMMAND_TIMEOUT_MS 30000

/* Runs a command without a shell: words are parted by spaces and tabs, '…' and "…" keep them together, and
 * nothing else has a meaning. The first is an absolute path. The program gets an environment of PATH and, where
 * the daemon has it, CREDENTIALS_DIRECTORY, nothing on its standard input, and the daemon's standard error;
 * what it prints is appended to a secret buffer. It has timeout_ms and is killed then, with whatever it began.
 * 0, or BURSAR_E_CONFIG, _IO, _NOMEM or _TOO_BIG with one line for people in error. */
int command_read(const char *command, int timeout_ms, struct buf *out, struct buf *error);

#endif
