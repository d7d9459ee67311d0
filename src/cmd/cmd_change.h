/* Commands that ask for one change of a connection and print the state that it has then.
 * Thread: the program's only one. */
#ifndef CMD_CMD_CHANGE_H
#define CMD_CMD_CHANGE_H

#include "cmd/cmd.h"

/* Runs op; an option "at-provider" of the command goes along. done is printed where the reply names
 * no state. */
int cmd_change(const struct cmd_args *args, const char *op, const char *done);

#endif
