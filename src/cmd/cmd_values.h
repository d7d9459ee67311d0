/* `NAME=VALUE` of the command line.
 * Thread: the program's only one. */
#ifndef CMD_CMD_VALUES_H
#define CMD_CMD_VALUES_H

#include <stdbool.h>

#include <jansson.h>

#include "cmd/cmd.h"

/* Adds the values of each use of an option to an object; false where one is none, which was printed. */
bool cmd_values_read(const struct cmd_args *args, const char *option, json_t *to);

#endif
