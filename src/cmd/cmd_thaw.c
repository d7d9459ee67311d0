#include "cmd/cmd_select.h"
#include "cmd/cmd_table.h"

static const struct cmd_option options[] = {CMD_SELECT_OPTIONS, {NULL, NULL, NULL}};

static int run(const struct cmd_args *args)
{
    return cmd_select(args, "connection.thaw", "thawed");
}

const struct cmd cmd_thaw = {
    "thaw", CMD_SELECT_USAGE, "let frozen connections be what they were", options, 0, 2, run,
};
