/* From argc and argv to the words and options of a command.
 * Thread: the program's only one. */
#ifndef CMD_CMD_LINE_H
#define CMD_CMD_LINE_H

#include <stdbool.h>

#include "cmd/cmd.h"

struct cmd_line {
    struct cmd_args args; /* borrows argv */
    bool wants_help, wants_version;
};

/* Options that every command has. */
extern const struct cmd_option cmd_line_common[];

/* The first word that is neither an option nor a common option's value; NULL where there is none. */
const char *cmd_line_command(int argc, char **argv);

/* Reads all; cmd may be NULL. Options stand anywhere, `--` ends them, `--name=value` and
 * `--name value` are the same. false where something was wrong, which was printed. */
bool cmd_line_read(int argc, char **argv, const struct cmd *cmd, struct cmd_line *out_line);

#endif
