#include "cmd/cmd_select.h"
#include "cmd/cmd_table.h"

static const struct cmd_option options[] = {
    {"at-provider", NULL, "end the grant at the provider too"},
    CMD_SELECT_OPTIONS,
    {NULL, NULL, NULL},
};

static int run(const struct cmd_args *args)
{
    return cmd_select(args, "connection.revoke", "revoked");
}

const struct cmd cmd_revoke = {
    "revoke",
    CMD_SELECT_USAGE " [--at-provider]",
    "refuse every further use of connections",
    options,
    0,
    2,
    run,
};
