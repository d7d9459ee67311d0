/* Secrets from standard input: a JSON document from a pipe, or typed without an echo.
 * Thread: the program's only one. */
#ifndef CMD_CMD_INPUT_H
#define CMD_CMD_INPUT_H

#include <stdbool.h>

#include "base/buf.h"

/* Reads all of standard input. 0, BURSAR_E_TOO_BIG, BURSAR_E_NOMEM, or BURSAR_E_IO with errno. */
int cmd_input_all(struct buf *out);

bool cmd_input_is_terminal(void);
/* Asks on the terminal for one line, without an echo where it is_secret. false at its end or where
 * it was interrupted; the terminal is then as it was. */
bool cmd_input_line(const char *prompt, bool is_secret, struct buf *out);

#endif
