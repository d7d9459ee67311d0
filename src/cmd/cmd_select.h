/* One connection or many: what freeze, thaw and revoke have in common.
 * Thread: the program's only one. */
#ifndef CMD_CMD_SELECT_H
#define CMD_CMD_SELECT_H

#include "cmd/cmd.h"

/* Rows of the commands' option tables; the last one is without an end. */
#define CMD_SELECT_OPTIONS                                                         \
    {"provider", "ID", "all connections of this provider"},                        \
        {"owner", "OWNER", "all of this owner"},                                   \
        {"tag", "TAG", "all with this tag; KEY stands for each KEY=VALUE"},        \
        {"client", "CLIENT_ID", "all of the providers that use this client_id"},   \
        {"vended-to", "PRINCIPAL", "all whose secret it was given, with --since"}, \
        {"since", "TIME", "that long ago (12h), or since then"},                   \
        {"rate", "N", "at most so many a second, of each provider"},               \
        {"dry-run", NULL, "say how many that would be, and change nothing"},       \
        {"yes", NULL, "do not ask"},                                               \
    {                                                                              \
        "no-wait", NULL, "do not wait for the end"                                 \
    }

#define CMD_SELECT_USAGE                                                                  \
    "OWNER CONNECTION | [--provider ID] [--owner OWNER] [--tag TAG] [--client CLIENT_ID]" \
    " [--vended-to PRINCIPAL --since TIME]"                                               \
    " [--rate N] [--dry-run] [--yes] [--no-wait]"

/* Runs op of the connection that two words name, or of the selection that the options make: then how
 * many that are is shown first, and somebody has to agree. done is printed as cmd_change() does. */
int cmd_select(const struct cmd_args *args, const char *op, const char *done);

#endif
