/* A JSON object from standard input.
 * Thread: the program's only one. */
#ifndef CMD_CMD_DOCUMENT_H
#define CMD_CMD_DOCUMENT_H

#include <jansson.h>

#include "cmd/cmd.h"

/* Reads standard input to its end. NULL for what is no JSON object, which was printed without a
 * quotation: it may be a secret. */
json_t *cmd_document_read(const struct cmd *cmd);
/* Prints `bursar COMMAND: standard input: problem`; CMD_USAGE. */
int cmd_document_complain(const struct cmd *cmd, const char *problem);

#endif
