/* A moment of the past, as people write it: 12h, 2026-11-22, 2026-11-22T14:30:00Z, 1795357200.
 * Thread: the program's only one. */
#ifndef CMD_CMD_SINCE_H
#define CMD_CMD_SINCE_H

#include <stdbool.h>
#include <stdint.h>

#include "cmd/cmd.h"

/* Seconds since 1970 UTC: a number of s, m, h or d before now, a date (its beginning, UTC), a date and time
 * in UTC, or the number itself. false for anything else. */
bool cmd_since_read(const char *text, int64_t now, int64_t *out_at);
/* The option --since of a command, which is given; false where it is none, which was printed. */
bool cmd_since(const struct cmd_args *args, int64_t *out_at);

#endif
