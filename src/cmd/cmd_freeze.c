#include "cmd/cmd_select.h"
#include "cmd/cmd_table.h"

static const struct cmd_option options[] = {CMD_SELECT_OPTIONS, {NULL, NULL, NULL}};

static int run(const struct cmd_args *args)
{
    return cmd_select(args, "connection.freeze", "frozen");
}

const struct cmd cmd_freeze = {
    "freeze",
    CMD_SELECT_USAGE,
    "refuse the use of connections, until they are thawed",
    options,
    0,
    2,
    run,
};
