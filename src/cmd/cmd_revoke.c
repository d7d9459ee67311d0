#include "cmd/cmd_change.h"
#include "cmd/cmd_table.h"

static const struct cmd_option options[] = {
    {"at-provider", NULL, "end the grant at the provider too"},
    {NULL, NULL, NULL},
};

static int run(const struct cmd_args *args)
{
    return cmd_change(args, "connection.revoke", "revoked");
}

const struct cmd cmd_revoke = {
    "revoke",
    "OWNER CONNECTION [--at-provider]",
    "refuse every further use of a connection",
    options,
    2,
    2,
    run,
};
