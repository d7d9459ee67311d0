/* From a line of an export to the members of a credential.put.
 * Thread: any; pure. */
#ifndef CMD_CMD_IMPORT_READ_H
#define CMD_CMD_IMPORT_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/text.h"

/* Gives the put's request, which json_decref() ends. NULL where the line is none; out_problem then has
 * one line for people, without a quotation of what may be secret. now is in seconds since 1970. */
json_t *cmd_import_read(struct text line, int64_t now, char *out_problem, size_t size);

#endif
